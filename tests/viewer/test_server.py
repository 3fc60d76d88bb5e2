"""What the server lets in and leaves behind, without a browser."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import viser
import websockets.exceptions
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from ua3dtalk.avatar.avatar import Avatar
from ua3dtalk.core.errors import UserError
from ua3dtalk.priors.speech_features import PhoneEncoder
from ua3dtalk.viewer.server import ViewerServer
from ua3dtalk.viewer.session import Session
from ua3dtalk.viewer.speech import Speech

PROTOCOL = Subprotocol(f"viser-v{viser.__version__}")


@pytest.fixture
def viewer(avatar: Avatar, speech: Speech, encoder: PhoneEncoder) -> Iterator[ViewerServer]:
    viewer = ViewerServer(Session(avatar, speech), encoder, port=0)
    yield viewer
    viewer.close()


def test_strangers_get_nothing(viewer: ViewerServer) -> None:
    socket = viewer.address.replace("http", "ws")
    with connect(socket, subprotocols=[PROTOCOL], origin=Origin(viewer.address)) as ours:
        assert ours.recv(timeout=10)
    with (
        connect(socket, subprotocols=[PROTOCOL], origin=Origin("https://evil.example")) as theirs,
        pytest.raises(websockets.exceptions.ConnectionClosed) as closed,
    ):
        theirs.recv(timeout=10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1008


@pytest.mark.parametrize("path", ["/../../viser/_viser.py", "/%2e%2e/%2e%2e/_viser.py", "//etc/passwd"])
def test_no_file_but_the_page_is_served(viewer: ViewerServer, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(viewer.address + path, timeout=10)
    assert urllib.request.urlopen(viewer.address, timeout=10).status == 200


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
