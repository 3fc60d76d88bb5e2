"""Who may come in: address, origin and size of what is sent. Reaches into viser where it has no public way."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import viser
from viser import _messages as messages

from ua3dtalk.core.errors import UserError
from ua3dtalk.viewer.speech import MAX_UPLOAD_BYTES

_POLICY_VIOLATION = 1008
_MOST_AT_ONCE = 2
"""So many uploads of the largest size are kept in memory at once, whoever sends them."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_address(host: str, port: int) -> None:
    """See that the port is free, because viser would take the next one without a word.

    Raises:
        UserError: taken, not allowed, or no address of this machine.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port {port} does not exist.", "Use 1024 to 65535.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.create_server((host, port), family=family):
            pass
    except socket.gaierror as error:
        raise UserError(f"--host {host!r} is not known.", "Use 127.0.0.1, or an address of this machine.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"Port {port} of {host} is in use.", f"Choose another one: --port {port + 1}.") from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise UserError(f"Port {port} needs special rights.", "Choose one above 1023, such as --port 8080.") from (
                error
            )
        raise UserError(f"{host}:{port} cannot be used ({error.strerror}).", "Use --host 127.0.0.1.") from error


def may_enter(origin: str | None, host_header: str | None, bound_host: str) -> bool:
    """Whether a connection comes from our own page.

    Another page in the same browser could else open our socket, because browsers do not guard sockets; and a name that
    a stranger points at this machine would make his page look like ours.

    Args:
        origin: The page's origin; None where the caller is no browser.
        host_header: The address that the browser asked for.
        bound_host: The address that we serve.
    """
    if origin is None:
        return True
    if host_header is None or urlsplit(origin).netloc != host_header:
        return False
    return not is_loopback(bound_host) or is_loopback(urlsplit(f"//{host_header}").hostname or "")


def guard(server: viser.ViserServer, host: str, refuse: Callable[[int, str], None]) -> None:
    """Refuse strangers, uploads that are too large, and sharing through a server elsewhere.

    Args:
        server: A fresh server.
        host: The address that it serves.
        refuse: Tells a client (by its number) why it was refused.
    """
    sockets: Any = server._websock_server

    async def check_origin(connection: Any) -> None:
        live = sockets._live_connections[connection.client_id]
        headers = live.request.headers
        if not may_enter(headers.get("Origin"), headers.get("Host"), host):
            await live.close(_POLICY_VIOLATION, "This page may not use the viewer.")

    sockets._client_connect_cb.insert(0, check_origin)
    sockets.unregister_handler(messages.ShareUrlRequest)
    sockets.unregister_handler(messages.ShareUrlDisconnect)
    _limit_uploads(sockets, server.gui, refuse)


def _limit_uploads(sockets: Any, gui: Any, refuse: Callable[[int, str], None]) -> None:
    """viser keeps an upload in memory: refuse by the announced size, and drop what sends more than that."""
    start = gui._handle_file_transfer_start
    part = gui._handle_file_transfer_part

    def limited_start(client_id: int, message: messages.FileTransferStartUpload) -> None:
        if not 0 <= message.size_bytes <= MAX_UPLOAD_BYTES or message.part_count > MAX_UPLOAD_BYTES // 1024:
            refuse(client_id, f"Files of up to {MAX_UPLOAD_BYTES // 2**20} MiB can be sent.")
            return
        coming = sum(state["total_bytes"] for state in gui._current_file_upload_states.values())
        if coming + message.size_bytes > _MOST_AT_ONCE * MAX_UPLOAD_BYTES:
            refuse(client_id, "Other recordings are being sent: try again when they are there.")
            return
        start(client_id, message)

    def limited_part(client_id: int, message: messages.FileTransferPart) -> None:
        state = gui._current_file_upload_states.get(message.transfer_uuid)
        if state is not None and state["transferred_bytes"] + len(message.content) > state["total_bytes"]:
            gui._current_file_upload_states.pop(message.transfer_uuid, None)
            return
        part(client_id, message)

    for kind, handler in (
        (messages.FileTransferStartUpload, limited_start),
        (messages.FileTransferPart, limited_part),
    ):
        sockets.unregister_handler(kind)
        sockets.register_handler(kind, handler)
