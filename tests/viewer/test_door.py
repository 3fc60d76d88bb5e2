from __future__ import annotations

import socket

import pytest

from ua3dtalk.core.errors import UserError
from ua3dtalk.viewer.door import check_address, is_loopback, may_enter


def test_a_busy_port_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"Port {port} of 127.0.0.1 is in use. .*--port {port + 1}"):
            check_address("127.0.0.1", port)
    check_address("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("127.0.0.1", 70000, "--port 70000 does not exist"),
        ("no such host", 8080, "--host 'no such host' is not known"),
        ("203.0.113.7", 8080, "203.0.113.7:8080 cannot be used"),
    ],
)
def test_addresses_that_cannot_be_served(host: str, port: int, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_address(host, port)


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "localhost", "::1", "[::1]")))
    assert not any(map(is_loopback, ("0.0.0.0", "192.168.1.2", "localhost.example.org", "")))


@pytest.mark.parametrize(
    ("origin", "asked", "bound", "welcome"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1", True),
        ("http://localhost:9000", "localhost:9000", "127.0.0.1", True),  # a forwarded port
        ("http://[::1]:8080", "[::1]:8080", "::1", True),
        (None, "127.0.0.1:8080", "127.0.0.1", True),  # no browser
        ("http://192.168.1.2:8080", "192.168.1.2:8080", "0.0.0.0", True),
        ("http://127.0.0.1:3000", "127.0.0.1:8080", "127.0.0.1", False),  # another page of this machine
        ("https://evil.example", "127.0.0.1:8080", "127.0.0.1", False),
        ("http://evil.example:8080", "evil.example:8080", "127.0.0.1", False),  # a name that was bent to this machine
        ("null", "127.0.0.1:8080", "127.0.0.1", False),
        ("http://127.0.0.1:8080", None, "127.0.0.1", False),
    ],
)
def test_only_our_own_page_may_enter(origin: str | None, asked: str | None, bound: str, welcome: bool) -> None:
    assert may_enter(origin, asked, bound) is welcome
