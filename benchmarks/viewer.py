"""The viewer with one window: how many frames per second it can send, what a frame costs, and whether memory grows.

The window is a plain socket that reads everything: a browser's own work is not in the numbers. First time runs free
(every frame is sent as soon as the one before is done), then at 25 frames per second, where memory is watched; windows
are opened and closed on the way. CPU time per frame is process time of all threads: it says what idle cores would do
even where others used them meanwhile (see the load average).

Run: python benchmarks/viewer.py AVATAR SPEECH [--gaussians 5000] [--minutes 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import msgspec
import numpy as np
import torch
import viser
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from ua3dtalk.avatar.avatar import Avatar, Companions
from ua3dtalk.avatar.layer import AvatarLayer
from ua3dtalk.avatar.motion_modes import motion_parts
from ua3dtalk.avatar.storage import load_avatar, load_modes
from ua3dtalk.gaussians.gaussian_set import GaussianSet
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.viewer.server import ViewerServer
from ua3dtalk.viewer.session import Session
from ua3dtalk.viewer.speech import load_speech

FREE_S, SETTLE_S, SAMPLE_S = 15.0, 30.0, 2.0


class Window:
    """Reads what the server sends, in a thread, until it is closed."""

    def __init__(self, address: str) -> None:
        protocol = Subprotocol(f"viser-v{viser.__version__}")
        self._socket = connect(
            address.replace("http", "ws"), subprotocols=[protocol], origin=Origin(address), max_size=None
        )
        self.bytes, self.messages = 0, 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Report a camera, as a browser does; only then it counts as a window."""
        camera = {
            "type": "ViewerCameraMessage",
            "wxyz": (1.0, 0.0, 0.0, 0.0),
            "position": (0.0, 0.0, 0.6),
            "fov": 0.6,
            "near": 0.01,
            "far": 1000.0,
            "image_height": 800,
            "image_width": 1000,
            "look_at": (0.0, 0.0, 0.0),
            "up_direction": (0.0, 1.0, 0.0),
        }
        self._socket.send(msgspec.msgpack.encode(camera))

    def close(self) -> None:
        self._socket.close()
        self._thread.join()

    def _read(self) -> None:
        try:
            for message in self._socket:
                self.bytes += len(message)
                self.messages += 1
        except Exception:
            return


def thinned(layer: AvatarLayer, keep: torch.Tensor) -> AvatarLayer:
    """The layer with some of its Gaussians."""
    g = layer.gaussians
    out = AvatarLayer.template(len(keep), g.sh_degree, layer.motion.config)
    out.motion.load_state_dict(layer.motion.state_dict())
    out.mesh_basis.copy_(layer.mesh_basis[keep])
    fresh: GaussianSet = out.gaussians
    fresh.load_state_dict({name: value[keep] for name, value in g.state_dict().items()})
    return out.eval()


def thin_avatar(folder: Path, n: int, device: torch.device) -> Avatar:
    """An avatar whose face has about n Gaussians, evenly drawn, and those that tell how all move; 0 keeps all."""
    whole = load_avatar(folder, make_rasterizer(device), device)
    if n == 0:
        return whole
    layers, modes = dict(whole.layers), load_modes(folder, whole.layers)
    count = len(layers["face"].gaussians)
    evenly = torch.linspace(0, count - 1, n).long()
    keep = torch.cat([evenly, modes["face"].anchors]).unique() if "face" in modes else evenly
    layers["face"] = thinned(layers["face"], keep)
    if "face" in modes:
        rows = lambda row: torch.cat([p[..., keep, :].flatten(-2) for p in motion_parts(row, count)], -1)  # noqa: E731
        found = modes["face"]
        anchors = torch.searchsorted(keep, found.anchors)
        modes["face"] = replace(found, anchors=anchors, mean=rows(found.mean), modes=rows(found.modes))
    size = (whole.width, whole.height)
    return Avatar(layers, whole.K, size, whole.loop, whole.priors, whole.rasterizer, device, Companions(modes=modes))


def memory_mib() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def free_running(viewer: ViewerServer, window: Window) -> dict[str, float]:
    """Time runs so fast that there is always a new frame to send."""
    player = viewer.session.player
    player.fps = 1e4
    player.play()
    time.sleep(3)
    sent, read, cpu, start = viewer.frames_sent, window.bytes, time.process_time(), time.monotonic()
    time.sleep(FREE_S)
    seconds, frames = time.monotonic() - start, viewer.frames_sent - sent
    cost_ms = (time.process_time() - cpu) * 1e3 / max(frames, 1)
    player.pause()
    player.fps = 25.0
    return {
        "frames_per_s": round(frames / seconds, 1),
        "cpu_ms_per_frame": round(cost_ms, 1),
        "kib_per_frame": round((window.bytes - read) / 1024 / max(frames, 1), 1),
    }


def watched(viewer: ViewerServer, minutes: float) -> dict[str, object]:
    """Memory while it plays at 25 frames per second and windows come and go."""
    viewer.session.player.play()
    start, times, sizes, windows = time.monotonic(), [], [], 0
    sent = viewer.frames_sent
    while (now := time.monotonic() - start) < minutes * 60:
        if len(times) % 5 == 4:
            visitor = Window(viewer.address)
            visitor.look()
            time.sleep(0.3)
            visitor.close()
            windows += 1
        times.append(now)
        sizes.append(memory_mib())
        time.sleep(SAMPLE_S)
    seconds = time.monotonic() - start
    settled = np.array(times) > min(SETTLE_S, minutes * 30)
    slope = np.polyfit(np.array(times)[settled] / 60, np.array(sizes)[settled], 1)[0]
    return {
        "minutes": round(seconds / 60, 2),
        "frames_per_s": round((viewer.frames_sent - sent) / seconds, 1),
        "windows_opened_and_closed": windows,
        "memory_mib": [round(sizes[0], 1), round(float(np.array(sizes)[settled][0]), 1), round(sizes[-1], 1)],
        "slope_mib_per_minute": round(float(slope), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--gaussians", type=int, default=5000, help="of the face; 0 keeps all")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--json", action="store_true", help="print JSON on one line")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device, encoder = torch.device("cpu"), PhoneEncoder()
    avatar = thin_avatar(arguments.avatar, arguments.gaussians, device)
    viewer = ViewerServer(Session(avatar, load_speech(arguments.speech, encoder)), encoder, port=0)
    window = Window(viewer.address)
    window.look()
    result = {
        "gaussians": viewer.session.scene.counts,
        "members": avatar.layers["face"].motion.config.members,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_average_before": [round(x, 1) for x in os.getloadavg()],
        "free_running": free_running(viewer, window),
        "playing": watched(viewer, arguments.minutes),
        "load_average_after": [round(x, 1) for x in os.getloadavg()],
    }
    window.close()
    viewer.close()
    sys.stdout.write(json.dumps(result, indent=None if arguments.json else 2) + "\n")


if __name__ == "__main__":
    main()
