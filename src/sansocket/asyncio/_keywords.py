"""Types of the keyword arguments that ``serve()`` and ``connect()`` only hand on.

Only type checkers load this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import os
    import socket
    import ssl as ssl_module
    from collections.abc import Iterable

__all__ = ["ClientKeywords", "ServerKeywords"]


class Limits(TypedDict, total=False):
    """Limits of both protocols."""

    max_header_line: int
    max_headers: int
    max_head_size: int
    validate_utf8: bool
    max_fragments: int | None
    max_inflated_size: int | None


class ServerKeywords(Limits, total=False):
    """Limits of ``ServerProtocol``, and what goes to the event loop."""

    hosts: Iterable[str] | None
    max_request_line: int
    # loop.create_server()
    family: int
    flags: int
    sock: socket.socket | None
    backlog: int
    ssl: ssl_module.SSLContext | None
    reuse_address: bool | None
    reuse_port: bool | None
    keep_alive: bool | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None
    start_serving: bool
    # loop.create_unix_server()
    unix: bool
    path: str | os.PathLike[str] | None
    cleanup_socket: bool


class ClientKeywords(Limits, total=False):
    """Limits of ``ClientProtocol``, and what goes to the event loop."""

    max_status_line: int
    max_body: int
    # loop.create_connection()
    host: str | None
    port: int | None
    ssl: ssl_module.SSLContext | bool | None
    server_hostname: str | None
    family: int
    proto: int
    flags: int
    sock: socket.socket | None
    local_addr: tuple[str, int] | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None
    happy_eyeballs_delay: float | None
    interleave: int | None
    all_errors: bool
    # TLS with a proxy
    proxy_ssl: ssl_module.SSLContext | bool | None
    proxy_server_hostname: str | None
    proxy_ssl_handshake_timeout: float | None
    proxy_ssl_shutdown_timeout: float | None
    # loop.create_unix_connection()
    unix: bool
    path: str | os.PathLike[str] | None
