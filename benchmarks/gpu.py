"""What an accelerator brings: the same pictures and gradients as the CPU, frames per second, training steps per second.

    python benchmarks/gpu.py [--gaussians 20000] [--size 512] [--avatar AVATAR] [--subject SUBJECT --steps 300] [--json]

Parity and rendering need nothing but the device. With --avatar the whole frame is timed (motion, splatting,
composition), by patterns and exactly; with --subject a short training of the quick preset. Every time is
between two synchronisations; the median of rounds counts. Where there is no accelerator it says so and ends with 2;
--device cpu runs the same code on the CPU against itself, to see that the script works.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from render import head_scene

from ua3dtalk.avatar.conditions import ConditionTrack
from ua3dtalk.avatar.storage import load_avatar
from ua3dtalk.core.device import pick_device
from ua3dtalk.core.provenance import provenance
from ua3dtalk.geometry.camera import Camera
from ua3dtalk.priors.features import EmotionRequest
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.recipes.presets import preset
from ua3dtalk.recipes.train import train_avatar
from ua3dtalk.render.numba_backend import NumbaRasterizer
from ua3dtalk.render.select import make_rasterizer
from ua3dtalk.render.types import Splats
from ua3dtalk.subject.speech_data import SpeechFeatures

ROUNDS = 30


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gaussians", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--avatar", type=Path)
    parser.add_argument("--subject", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    device = pick_device(options.device)
    if device.type == "cpu" and options.device != "cpu":
        print("This machine has no accelerator: nothing was measured.", file=sys.stderr)
        return 2
    result: dict[str, Any] = {"device": device_name(device), **provenance()}
    result["parity"] = parity(options.gaussians, options.size, device)
    result["render"] = render_times(options.gaussians, options.size, device)
    if options.avatar:
        result["avatar"] = {
            name: frame_times(options.avatar, device, exact) for name, exact in (("patterns", False), ("exact", True))
        }
    if options.subject:
        result["train"] = train_speed(options.subject, options.steps, device)
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))
    return 0


def device_name(device: torch.device) -> str:
    """The device in words."""
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def placed(splats: Splats, camera: Camera, device: torch.device) -> tuple[Splats, Camera]:
    """A scene on a device, its Gaussians ready for gradients."""
    moved = Splats(*(getattr(splats, f.name).detach().to(device).requires_grad_() for f in fields(Splats)))
    return moved, Camera(camera.viewmat.to(device), camera.K.to(device), camera.width, camera.height)


def drawn(splats: Splats, camera: Camera, rasterizer: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The picture, and the gradients of a fixed weighting of it."""
    rgb = rasterizer(splats, camera).rgb
    weights = torch.linspace(-1, 1, rgb.numel()).reshape(rgb.shape).to(rgb)
    given = [getattr(splats, f.name) for f in fields(Splats)]
    gradients = torch.autograd.grad((rgb * weights).sum(), given)
    return rgb.detach().cpu(), {f.name: g.cpu() for f, g in zip(fields(Splats), gradients, strict=True)}


def parity(count: int, size: int, device: torch.device) -> dict[str, Any]:
    """How far the device's picture and gradients are from those of the CPU kernels."""
    scene = head_scene(count, size)
    ours, our_gradients = drawn(*placed(*scene, torch.device("cpu")), NumbaRasterizer())
    theirs, their_gradients = drawn(*placed(*scene, device), make_rasterizer(device))
    return {
        "rgb_max": float((ours - theirs).abs().max()),
        "gradient_relative": {
            name: float((their_gradients[name] - g).norm() / g.norm().clamp_min(1e-12))
            for name, g in our_gradients.items()
        },
    }


def render_times(count: int, size: int, device: torch.device) -> dict[str, float]:
    """Milliseconds of drawing, and of drawing with gradients."""
    splats, camera = placed(*head_scene(count, size), device)
    rasterizer = make_rasterizer(device)
    with torch.no_grad():
        forward = median_ms(lambda: rasterizer(splats, camera), device)
    return {"forward_ms": forward, "both_ms": median_ms(lambda: drawn(splats, camera, rasterizer), device)}


def frame_times(avatar: Path, device: torch.device, exact: bool) -> dict[str, float]:
    """Milliseconds and rate of whole frames, pictures brought back to the host."""
    loaded = load_avatar(avatar, make_rasterizer(device), device, exact)
    speech = quiet_speech()
    features = loaded.priors.features(speech, 50, EmotionRequest("neutral", 0.0).mix(50))
    track = ConditionTrack.from_arrays(
        audio=speech.windows(50, 25.0),
        upper=np.zeros((50, 6), np.float32),
        lower=features.lower,
        content=features.content,
        style=features.style,
        emotion=features.emotion,
        present=features.present,
    )
    turn = iter(range(10**9))
    behind = loaded.loop.behind(0)

    def one() -> None:
        i = next(turn) % 50
        loaded.render_over(track.frame(i), loaded.loop.viewmats[0], behind)

    ms = median_ms(one, device)
    return {"frame_ms": ms, "frames_per_s": round(1000 / ms, 1), "size": loaded.width}


def quiet_speech() -> SpeechFeatures:
    """Features of two seconds of soft noise: motion costs the same whatever is said."""
    return PhoneEncoder().encode((0.01 * np.random.default_rng(0).standard_normal(32_000)).astype(np.float32))


def train_speed(subject: Path, steps: int, device: torch.device) -> dict[str, float]:
    """Steps per second of a short training, its start and end included."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        train_avatar(subject, Path(folder) / "avatar", preset("quick", max_steps=steps), device=device)
        seconds = time.perf_counter() - started
    return {"steps": steps, "seconds": round(seconds, 1), "steps_per_s": round(steps / seconds, 2)}


def median_ms(run: Callable[[], Any], device: torch.device) -> float:
    """Median over rounds, between synchronisations."""
    wait = (lambda: None) if device.type == "cpu" else (lambda: torch.cuda.synchronize(device))
    times = []
    for k in range(ROUNDS + 3):
        wait()
        started = time.perf_counter()
        run()
        wait()
        if k >= 3:
            times.append(time.perf_counter() - started)
    return round(float(np.median(times)) * 1000, 3)


if __name__ == "__main__":
    sys.exit(main())
