"""What the server lets in and leaves behind, without a browser."""

from __future__ import annotations

import inspect
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
import pytest
import viser
import websockets.exceptions
from waiting import until
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.cli.main import main
from ua3dtalk.cli.view import View
from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.viewer.open import open_viewer
from ua3dtalk.viewer.server import ViewerServer
from ua3dtalk.viewer.session import Session
from ua3dtalk.viewer.speech import Speech

PROTOCOL = Subprotocol(f"viser-v{viser.__version__}")


def test_by_default_only_this_machine_can_reach_it(viewer: ViewerServer) -> None:
    assert (viewer.host, View(avatar=Path()).host) == ("127.0.0.1", "127.0.0.1")
    assert inspect.signature(open_viewer).parameters["host"].default == "127.0.0.1"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", viewer.port), timeout=5)


def test_strangers_get_nothing(viewer: ViewerServer) -> None:
    address = viewer.address.replace("http", "ws")
    with connect(address, subprotocols=[PROTOCOL], origin=Origin(viewer.address)) as ours:
        assert ours.recv(timeout=10)
    with (
        connect(address, subprotocols=[PROTOCOL], origin=Origin("https://evil.example")) as theirs,
        pytest.raises(websockets.exceptions.ConnectionClosed) as closed,
    ):
        theirs.recv(timeout=10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008


@pytest.mark.parametrize("path", ["/../../viser/_viser.py", "/%2e%2e/%2e%2e/_viser.py", "//etc/passwd"])
def test_no_file_but_the_page_is_served(viewer: ViewerServer, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(viewer.address + path, timeout=10)
    assert urllib.request.urlopen(viewer.address, timeout=10).status == 200


def test_windows_come_and_go(viewer: ViewerServer) -> None:
    camera = {"type": "ViewerCameraMessage", "wxyz": (0.0, 1.0, 0.0, 0.0), "position": (0.0, 0.0, 0.6), "fov": 0.6}
    camera |= {"near": 0.01, "far": 100.0, "image_height": 80, "image_width": 100}
    camera |= {"look_at": (0.0, 0.0, 0.0), "up_direction": (0.0, 1.0, 0.0)}
    windows = []
    for count in (1, 2):
        windows.append(connect(viewer.address.replace("http", "ws"), subprotocols=[PROTOCOL], max_size=None))
        windows[-1].send(msgspec.msgpack.encode(camera))
        until(lambda count=count: viewer.windows == count)
    viewer.session.player.play()
    windows[0].close()
    until(lambda: viewer.windows == 1)
    assert viewer.session.player.playing
    windows[1].close()
    until(lambda: viewer.windows == 0 and not viewer.session.player.playing)


def test_a_second_viewer_is_told_that_the_port_is_taken(
    viewer: ViewerServer, avatar: Avatar, speech: Speech, encoder: PhoneEncoder
) -> None:
    with pytest.raises(UserError, match=f"Port {viewer.port} of 127.0.0.1 is in use"):
        ViewerServer(Session(avatar, speech), encoder, port=viewer.port)


def test_closing_frees_port_and_threads(
    avatar: Avatar, speech: Speech, encoder: PhoneEncoder, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {t.name for t in threading.enumerate()}
    viewer = ViewerServer(Session(avatar, speech), encoder, port=0)
    port = viewer.port
    viewer.close()
    ViewerServer(Session(avatar, speech), encoder, port=port).close()
    left = {t.name for t in threading.enumerate() if t.name.startswith("viewer-")} - before
    assert left == set()
    assert capfd.readouterr().out == ""  # standard output belongs to the command's result


def test_the_command_names_a_busy_port(small_avatar: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["view", str(small_avatar / "avatar"), "--port", port]) == 2
    assert f"Port {port} of 127.0.0.1 is in use" in capsys.readouterr().err


def test_another_address_is_warned_about(small_avatar: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_viewer(small_avatar / "avatar", host="0.0.0.0", port=0, folder=small_avatar) as viewer:
        assert viewer.port > 0
    assert "Anyone who can reach 0.0.0.0" in caplog.text
