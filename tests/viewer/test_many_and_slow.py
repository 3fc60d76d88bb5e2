"""Many windows at once, windows that do not read, and uploads that break the rules."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import Any

import msgspec
import pytest
import viser
import waiting
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection
from websockets.typing import Subprotocol

from ua3dtalk.viewer.server import ViewerServer
from ua3dtalk.viewer.speech import MAX_UPLOAD_BYTES

MANY = 8
until = partial(waiting.until, timeout_s=60.0)
CAMERA = {
    "type": "ViewerCameraMessage",
    **{"wxyz": (0.0, 1.0, 0.0, 0.0), "position": (0.0, 0.0, 0.6), "fov": 0.6, "near": 0.01, "far": 100.0},
    **{"image_height": 80, "image_width": 100, "look_at": (0.0, 0.0, 0.0), "up_direction": (0.0, 1.0, 0.0)},
}


def enter(viewer: ViewerServer, **options: Any) -> Connection:
    """A window that looks on, and reads nothing yet."""
    protocol = Subprotocol(f"viser-v{viser.__version__}")
    window = connect(viewer.address.replace("http", "ws"), subprotocols=[protocol], max_size=None, **options)
    window.send(msgspec.msgpack.encode(CAMERA))
    return window


class Reader:
    """Reads all that a window gets, in a thread, and counts it."""

    def __init__(self, window: Connection) -> None:
        self.messages = 0
        self._window = window
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while self._window.recv():
                self.messages += 1
        except ConnectionClosed:
            pass


def kept(viewer: ViewerServer) -> int:
    """Messages that the server keeps for those who have not got them."""
    return len(viewer._server._websock_server._broadcast_buffer.message_from_id)


def waiting_bytes(viewer: ViewerServer) -> int:
    """Bytes that the server holds for windows that do not take them."""
    live = list(viewer._server._websock_server._live_connections.values())
    return sum(connection.transport.get_write_buffer_size() for connection in live)


def test_many_windows_get_every_frame(viewer: ViewerServer) -> None:
    with ExitStack() as stack:
        readers = [Reader(stack.enter_context(enter(viewer))) for _ in range(MANY)]
        until(lambda: viewer.windows == MANY)
        viewer.session.player.play()
        begun = [reader.messages for reader in readers]
        until(lambda: min(reader.messages - before for reader, before in zip(readers, begun, strict=True)) >= 20)
        counts = [reader.messages - before for reader, before in zip(readers, begun, strict=True)]
        assert min(counts) > 0.5 * max(counts), "none is forgotten for the others"
    until(lambda: viewer.windows == 0 and not viewer.session.player.playing)


def test_a_window_that_does_not_read_costs_nobody_anything(viewer: ViewerServer) -> None:
    """It gets the newest frame when it reads again; what lies between is not kept for it."""
    with ExitStack() as stack:
        quick = Reader(stack.enter_context(enter(viewer)))
        until(lambda: viewer.windows == 1)
        narrow = socket.create_connection((viewer.host, viewer.port))
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stack.enter_context(enter(viewer, max_queue=1, sock=narrow, close_timeout=0.1))
        until(lambda: viewer.windows == 2)
        live = viewer._server._websock_server._live_connections
        live[max(live)].transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)
        viewer.session.player.play()
        until(lambda: waiting_bytes(viewer) > 0)  # the slow window's pipe is full
        had, frames, read = kept(viewer), viewer.frames_sent, quick.messages
        until(lambda: viewer.frames_sent >= frames + 40)
        assert quick.messages - read >= 20, "the quick one goes on"
        assert kept(viewer) <= had + 20, "superseded frames are dropped"
        assert waiting_bytes(viewer) < 2**20, "about one frame of 3000 Gaussians"


@pytest.mark.parametrize(
    ("size", "parts", "sent"),
    [
        (MAX_UPLOAD_BYTES + 1, 1, 0),  # too large by what it says
        (-1, 1, 0),
        (10, MAX_UPLOAD_BYTES, 0),  # too many pieces
        (10, 2, 11),  # more than it said
    ],
)
def test_uploads_that_break_the_rules_are_dropped(viewer: ViewerServer, size: int, parts: int, sent: int) -> None:
    gui = viewer._server.gui
    button = next(i for i, h in gui._gui_input_handle_from_uuid.items() if isinstance(h, viser.GuiUploadButtonHandle))
    heard = viewer.session.speech
    with enter(viewer) as window:
        _send(window, "FileTransferStartUpload", button, part_count=parts, size_bytes=size)
        if sent:
            until(lambda: "t" in gui._current_file_upload_states)
            _send(window, "FileTransferPart", button, part_index=0, content=bytes(sent))
        _send(window, "FileTransferStartUpload", button, transfer="fine", part_count=1, size_bytes=9)
        until(lambda: "fine" in gui._current_file_upload_states)  # all before it has been dealt with
        assert "t" not in gui._current_file_upload_states
    until(lambda: not gui._current_file_upload_states)  # a window that leaves takes its pieces along
    assert viewer.session.speech is heard


def test_uploads_at_once_have_a_limit_together(viewer: ViewerServer) -> None:
    gui = viewer._server.gui
    button = next(i for i, h in gui._gui_input_handle_from_uuid.items() if isinstance(h, viser.GuiUploadButtonHandle))
    with enter(viewer) as window:
        for name in ("one", "two", "three"):
            _send(window, "FileTransferStartUpload", button, transfer=name, part_count=9, size_bytes=MAX_UPLOAD_BYTES)
        _send(window, "FileTransferStartUpload", button, transfer="small", part_count=1, size_bytes=0)
        until(lambda: "two" in gui._current_file_upload_states)
        time.sleep(0.2)
        assert set(gui._current_file_upload_states) <= {"one", "two", "small"}


def _send(window: Connection, kind: str, button: str, transfer: str = "t", **values: Any) -> None:
    named = {"filename": "a.wav", "mime_type": ""} if kind == "FileTransferStartUpload" else {}
    message = {"type": kind, "source_component_uuid": button, "transfer_uuid": transfer, **named, **values}
    window.send(msgspec.msgpack.encode(message))
