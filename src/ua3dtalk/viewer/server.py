"""The page's server: sends frames while somebody looks, in step with the clock, and stops when nobody does."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import viser
from scipy.spatial.transform import Rotation

from ua3dtalk.core.errors import UserError
from ua3dtalk.core.progress import log
from ua3dtalk.priors.speech_features import SpeechEncoder
from ua3dtalk.viewer.door import check_address, guard, is_loopback
from ua3dtalk.viewer.errands import Errands
from ua3dtalk.viewer.packing import UNITS_PER_M
from ua3dtalk.viewer.panel import Panel, tell
from ua3dtalk.viewer.picture import png
from ua3dtalk.viewer.saving import VideoSaver
from ua3dtalk.viewer.session import Session, Shot
from ua3dtalk.viewer.stage import View

BRAND_RGB = (64, 160, 190)
_IDLE_S = 0.25
_MOST_ROWS = 720
_JPEG_QUALITY = 88
_COUNTED_S = 2.0


class ViewerServer:
    """Serves a session to any number of windows.

    Args:
        session: What is shown.
        encoder: For new speech.
        host: Address to serve.
        port: Port to serve; 0 takes any free one.
        folder: Files in it can be named in the page; None, and any address that others can reach, allow none.
        title: What the page is called.

    Raises:
        UserError: the address is taken or not ours.
    """

    def __init__(
        self,
        session: Session,
        encoder: SpeechEncoder,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        folder: Path | None = None,
        title: str = "UA-3DTalk",
    ) -> None:
        check_address(host, port)
        self.session = session
        with contextlib.redirect_stdout(io.StringIO()):  # viser greets on stdout, which is ours
            self._server = viser.ViserServer(host=host, port=port, label=title, verbose=False)
        self.host, self.port = host, self._server.get_port()
        if port not in (0, self.port):
            self._stop_server()
            raise UserError(f"Port {port} of {host} is in use.", f"Choose another one: --port {port + 1}.")
        guard(self._server, host, self._refuse)
        self._wake, self._closed = threading.Event(), False
        self._errands = Errands("viewer-errands")
        self._saver = VideoSaver(session, lambda number: number in self._server.get_clients())
        self._sent: deque[float] = deque(maxlen=120)
        self.frames_sent = 0
        """Since it was opened."""
        self._views: dict[int, bytes] = {}
        session.on_change = self._wake.set
        self._build(folder if is_loopback(host) else None, encoder)
        self._loop_thread = threading.Thread(target=self._loop, name="viewer-frames", daemon=True)
        self._loop_thread.start()

    @property
    def address(self) -> str:
        """Where the page is."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def windows(self) -> int:
        """How many look on."""
        return len(self._server.get_clients())

    @property
    def sent_fps(self) -> float:
        """Frames per second that went out lately."""
        now = time.monotonic()
        return sum(t > now - _COUNTED_S for t in self._sent) / _COUNTED_S

    def serve(self) -> None:
        """Serve until the user interrupts."""
        log.info("Open %s in a browser; Ctrl-C ends the viewer.", self.address)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(_IDLE_S)

    def close(self) -> None:
        """Stop everything and free the port."""
        self._closed = True
        self._wake.set()
        self._loop_thread.join(5.0)
        self._saver.close()
        self._errands.close()
        self._stop_server()
        self.session.close()

    def _stop_server(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self._server.stop()

    def _refuse(self, client_id: int, why: str) -> None:
        tell(self._server.get_clients().get(client_id), why)

    def _build(self, folder: Path | None, encoder: SpeechEncoder) -> None:
        server, stage = self._server, self.session.stage
        server.gui.configure_theme(
            dark_mode=True, show_logo=False, show_share_button=False, brand_color=BRAND_RGB, control_width="medium"
        )
        server.gui.main_panel.dock_right()
        server.scene.set_up_direction("+y")
        camera = server.initial_camera
        camera.position, camera.look_at, camera.up = stage.source.position, stage.look_at, np.array([0.0, 1.0, 0.0])
        camera.fov = stage.source.fov_rad
        shot = self.session.shot()
        self._head = server.scene.add_frame("/head", show_axes=False)
        n = sum(self.session.scene.counts.values())
        self._splats = server.scene.add_gaussian_splats(
            "/head/splats",
            centers=np.zeros((n, 3)),
            covariances=np.zeros((n, 3, 3)),
            rgbs=np.zeros((n, 3)),
            opacities=np.zeros((n, 1)),
            scale=1 / UNITS_PER_M,
        )
        centre, width, height = stage.plane()
        self._torso = server.scene.add_image(
            "/torso",
            self.session.torso(self.session.torso_index(shot)),
            width,
            height,
            format="jpeg",
            jpeg_quality=_JPEG_QUALITY,
            cast_shadow=False,
            receive_shadow=False,
            wxyz=(0.0, 1.0, 0.0, 0.0),
            position=centre,
        )
        self._shown_torso = -1
        self.panel = Panel(server.gui, self.session, encoder, self._errands, folder, self._wake.set)
        self._add_saving()
        self._add_camera()
        server.on_client_connect(self._greet)
        server.on_client_disconnect(self._part)

    def _add_saving(self) -> None:
        gui = self._server.gui
        with self.panel.save_folder:
            snapshot = gui.add_button(
                "Snapshot", color="gray", icon=viser.Icon.PHOTO, hint="This window's view as PNG."
            )
            video = gui.add_button("Save this as video", color="gray", icon=viser.Icon.MOVIE)

        @snapshot.on_click
        def _(event: Any) -> None:
            client, shot = event.client, self.session.shot()
            if client is None:
                return
            view, width, height = _view_of(client)

            def do() -> None:
                content = png(self.session.picture(shot, view, width, height))
                client.send_file_download(f"ua3dtalk-{shot.frame:05d}.png", content, save_immediately=True)

            self.panel.later(f"snapshot-{client.client_id}", event, do)

        @video.on_click
        def _(event: Any) -> None:
            if event.client is not None:
                self.session.player.pause()
                self._saver.save(event.client)

    def _add_camera(self) -> None:
        @self.panel.source_camera.on_click
        def _(event: Any) -> None:
            if event.client is not None:
                self._to_source(event.client)

    def _to_source(self, client: viser.ClientHandle) -> None:
        stage = self.session.stage
        with client.atomic():
            client.camera.up_direction = (0.0, 1.0, 0.0)
            client.camera.position = stage.source.position
            client.camera.look_at = stage.look_at
            client.camera.fov = stage.fov_to_fit(client.camera.aspect)

    def _greet(self, client: viser.ClientHandle) -> None:
        self._to_source(client)
        client.camera.on_update(lambda _: self._wake.set())
        self._wake.set()

    def _part(self, client: viser.ClientHandle) -> None:
        self._views.pop(client.client_id, None)
        if self.windows == 0:
            self.session.player.pause()

    def _loop(self) -> None:
        shown = None
        while not self._closed:
            self._wake.clear()
            if self.windows == 0:
                self._wake.wait(_IDLE_S)
                continue
            try:
                shot = self.session.shot()
                playing = self.session.player.playing
                now = (shot.frame, shot.change, playing, self.panel.rendered)
                if self.panel.rendered:  # before the splats go, so that the page is never empty
                    self._render(shot, repr(now).encode())
                if now != shown:
                    self._show(shot)
                    shown = now
            except Exception:  # the next frame may be drawn again; the log has this one
                log.exception("The viewer could not draw a frame.")
                time.sleep(_IDLE_S)
            if self.session.player.playing:
                time.sleep(self.session.player.wait_s())
            else:
                self._wake.wait(_IDLE_S)

    def _show(self, shot: Shot) -> None:
        """Send one frame, whole or not at all."""
        rendered = self.panel.rendered
        words = None if rendered else self.session.words(shot)
        pose = self.session.head_pose(shot)
        torso = self.session.torso_index(shot)
        behind = self.session.torso(torso) if not rendered and torso not in (-1, self._shown_torso) else None
        with self._server.atomic():
            if words is not None:
                self._splats.buffer = words
                self._head.wxyz = Rotation.from_matrix(pose[:3, :3]).as_quat()[[3, 0, 1, 2]]
                self._head.position = pose[:3, 3]
            if behind is not None:
                self._torso.image = behind
                self._shown_torso = torso
            self._torso.visible = not rendered and torso >= 0
            self._splats.visible = not rendered
            self._sent.append(time.monotonic())
            self.frames_sent += 1
            self.panel.show_clock(shot, self.sent_fps)
        if not rendered and self._views:
            self._views.clear()
            for client in self._server.get_clients().values():
                client.scene.set_background_image(None)

    def _render(self, shot: Shot, now: bytes) -> None:
        """Our own picture for every window whose frame or camera is new."""
        for number, client in self._server.get_clients().items():
            view, width, height = _view_of(client, self.session.avatar.height)
            key = now + view.rotation.tobytes() + view.position.tobytes() + bytes(f"{width} {height}", "ascii")
            if self._views.get(number) != key:
                picture = self.session.picture(shot, view, width, height)
                client.scene.set_background_image(picture, format="jpeg", jpeg_quality=_JPEG_QUALITY)
                self._views[number] = key


def _view_of(client: viser.ClientHandle, most_rows: int = _MOST_ROWS) -> tuple[View, int, int]:
    """A window's camera, and the size of a picture of its shape."""
    camera = client.camera
    height = max(2, min(camera.image_height, most_rows))
    width = max(2, round(height * camera.aspect))
    rotation = Rotation.from_quat(np.asarray(camera.wxyz)[[1, 2, 3, 0]]).as_matrix()
    return View(rotation, np.asarray(camera.position, np.float64), float(camera.fov)), width, height
