"""An echo server on asyncio, directly on the Sans-I/O core.

It stands in until the real asyncio driver exists, and it shows what a driver
owes to the core: after each input hand over the events, write what is queued,
set the timer. A message is echoed frame by frame, so its size costs no memory.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import functools
import hashlib
import logging
import os
import re
import signal
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import cast

from ._date import http_date
from .datastructures import Headers
from .exceptions import ProtocolError
from .extensions.permessage_deflate import enable_server_permessage_deflate
from .frames import CloseCode, Frame, Opcode
from .http11 import Request, Response
from .protocol import CONNECTING, OPEN, SEND_EOF
from .server import ServerProtocol

__all__ = ["EchoServer", "ListenError", "Settings", "serve"]

logger = logging.getLogger("sansocket.serve")

# Bytes given to the core at once. What compressed messages expand to is echoed
# before the next slice, so one read cannot fill the memory.
SLICE = 16384
# Seconds that a peer gets to read why it failed where TLS allows no half-close.
LINGER = 1.0
NO_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, None}  # None: asyncio's own
WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class Settings:
    """What the command line decides; sizes in bytes, times in seconds."""

    host: str
    port: int
    ssl_context: ssl.SSLContext | None
    max_size: int | None
    compression: bool
    open_timeout: float
    close_timeout: float


class ListenError(Exception):
    """The server cannot listen; the text says where and why."""


async def serve(settings: Settings, announce: Callable[[list[str]], None]) -> None:
    """Serve until SIGINT or SIGTERM, then close all connections with 1001.

    ``announce`` is called with the URLs once clients can connect. A second
    signal cuts the connections off.

    Raises:
        ListenError: if the address cannot be used.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(report)
    server = EchoServer(settings)
    stopped = asyncio.Event()

    def stop() -> None:
        if stopped.is_set():
            server.abort()
        stopped.set()

    await server.listen()
    # Windows has no signal handlers in the loop: there, cancellation stops us.
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, stop)
        loop.add_signal_handler(signal.SIGTERM, stop)
    try:
        announce(server.addresses())
        await stopped.wait()
    finally:
        await server.close()


def report(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Log an error of the event loop: in one line if the network made it."""
    exc = context.get("exception")
    if isinstance(exc, OSError):
        logger.warning("%s: %s", context.get("message"), exc)
    elif not isinstance(exc, asyncio.CancelledError):  # TLS began when we ended
        loop.default_exception_handler(context)


def in_url(host: str) -> str:
    """Write a host as URLs do: IPv6 addresses in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


class EchoServer:
    """Listening sockets and the connections that came from them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.listeners: list[asyncio.Server] = []
        self.connections: set[EchoConnection] = set()
        self.closing = False
        self.empty = asyncio.Event()  # set when the last connection has gone

    async def listen(self) -> None:
        """Start to listen.

        Raises:
            ListenError: if the address cannot be used.
        """
        host, port = self.settings.host, self.settings.port
        try:
            if host == "localhost":
                await self.listen_on_loopback(port)
            else:
                await self.listen_on(host, port)
        except (OSError, ValueError) as exc:
            self.stop_listening()
            code = getattr(exc, "errno", None) or 0
            known = os.strerror(code) if code > 0 else getattr(exc, "strerror", None)
            raise ListenError(
                f"cannot listen on {in_url(host)}:{port}: {known or exc}"
            ) from exc

    async def listen_on_loopback(self, port: int) -> None:
        """Listen on one port for IPv4 and, if the machine has it, for IPv6."""
        port = await self.listen_on("127.0.0.1", port)
        try:
            await self.listen_on("::1", port)
        except OSError as exc:
            if exc.errno not in NO_ADDRESS:
                raise

    async def listen_on(self, host: str, port: int) -> int:
        """Listen on all addresses of a host; return the port of the first."""
        context = self.settings.ssl_context
        listener = await asyncio.get_running_loop().create_server(
            lambda: EchoConnection(self),
            host,
            port,
            ssl=context,
            ssl_handshake_timeout=self.settings.open_timeout if context else None,
        )
        self.listeners.append(listener)
        return cast("int", listener.sockets[0].getsockname()[1])

    def stop_listening(self) -> None:
        """Accept no more connections."""
        for listener in self.listeners:
            listener.close()

    def addresses(self) -> list[str]:
        """Return the URLs that clients on this machine can use."""
        scheme = "wss" if self.settings.ssl_context else "ws"
        names = [
            sock.getsockname()[:2]
            for listener in self.listeners
            for sock in listener.sockets
        ]
        return [
            f"{scheme}://{in_url(WILDCARDS.get(host, host))}:{port}/"
            for host, port in names
        ]

    async def close(self) -> None:
        """Close all connections with 1001; cut them off after the close timeout."""
        self.closing = True
        self.stop_listening()
        for connection in list(self.connections):
            connection.go_away()
        if not self.connections:
            return
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.empty.wait(), self.settings.close_timeout)
        self.abort()
        if self.connections:
            await self.empty.wait()

    def abort(self) -> None:
        """Cut all connections off; what is not yet written is lost."""
        for connection in self.connections:
            connection.transport.abort()


class EchoConnection(asyncio.Protocol):
    """One connection: carries bytes between a transport and the core."""

    transport: asyncio.Transport

    def __init__(self, server: EchoServer) -> None:
        self.server = server
        self.settings = server.settings
        self.loop = asyncio.get_running_loop()
        self.timer: asyncio.TimerHandle | None = None
        self.leaving = False  # whether the timer is the one of the close timeout
        self.opened = False  # whether the handshake succeeded

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.server.connections.add(self)
        peer = transport.get_extra_info("peername") or ("unknown", 0)
        self.logger = logging.LoggerAdapter(
            logger, {"peer": f"{in_url(peer[0])}:{peer[1]}"}
        )
        compression = self.settings.compression
        self.protocol = ServerProtocol(
            extensions=enable_server_permessage_deflate(None) if compression else None,
            max_size=self.settings.max_size,
            logger=self.logger,
        )
        self.set_timer(self.settings.open_timeout, self.give_up_opening)
        if self.server.closing:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), SLICE):
            self.protocol.feed_data(view[start : start + SLICE])
            self.hand_over()

    def eof_received(self) -> None:
        self.protocol.receive_eof()
        self.flush()
        # The transport closes itself once all is written: not for ever.
        self.start_leaving()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.protocol.receive_eof()
        self.log_end()
        self.server.connections.discard(self)
        if not self.server.connections and self.server.closing:
            self.server.empty.set()

    def pause_writing(self) -> None:
        # The peer does not read its echoes: then we read nothing more from it.
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    # Between the core and the transport.

    def hand_over(self) -> None:
        """Deal with one event before the next is read: a message is echoed even if
        a violation came right behind it, and each ping is answered."""
        chunks: list[bytes] = []
        while (event := self.protocol.next_event()) is not None:
            if isinstance(event, Request):
                self.answer(event)
            elif isinstance(event, Frame):
                self.echo(event)
            chunks += self.protocol.data_to_send()
        self.flush(chunks)

    def flush(self, chunks: Iterable[bytes] = ()) -> None:
        """Write this and what the core has queued, in one go, and set the timer."""
        chunks = [*chunks, *self.protocol.data_to_send()]
        if chunks and not self.transport.is_closing():
            if data := b"".join(chunks):
                self.transport.write(data)
            if chunks[-1] is SEND_EOF:
                self.half_close()
        if self.protocol.close_expected():
            self.start_leaving()

    def half_close(self) -> None:
        """End our direction; the peer may still be sending."""
        if self.transport.can_write_eof():
            with contextlib.suppress(OSError):  # the peer has reset the connection
                self.transport.write_eof()
        elif self.protocol.parser_exc is None:
            self.transport.close()
        else:
            # To close while data comes in would reset the connection, and the
            # peer might never read the close code (RFC 6455, section 7.1.1).
            self.loop.call_later(LINGER, self.transport.close)

    def set_timer(self, delay: float, expired: Callable[[], None]) -> None:
        """Call a function later instead of the one set before."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = self.loop.call_later(delay, expired)

    def start_leaving(self) -> None:
        """Cut the peer off if it is still there after the close timeout."""
        if not self.leaving:
            self.leaving = True
            self.set_timer(self.settings.close_timeout, self.transport.abort)

    # What this server does.

    def answer(self, request: Request) -> None:
        """Answer a request: with the handshake, or with the test page."""
        if wants_page(request):
            response = page_response(request)
        else:
            response = self.protocol.accept(request)
        self.protocol.send_response(response)
        self.opened = self.protocol.state is OPEN
        if self.opened and self.timer is not None:
            self.timer.cancel()
        self.logger.info(
            "%s %s: %d", request.method, request.path, response.status_code
        )

    def echo(self, frame: Frame) -> None:
        """Send a data frame back as it came; the core answers control frames."""
        if self.protocol.state is not OPEN:
            return
        if frame.opcode is Opcode.TEXT:
            self.protocol.send_text(frame.data, frame.fin)
        elif frame.opcode is Opcode.BINARY:
            self.protocol.send_binary(frame.data, frame.fin)
        elif frame.opcode is Opcode.CONT:
            self.protocol.send_continuation(frame.data, frame.fin)

    def give_up_opening(self) -> None:
        """End a connection whose request did not come in time."""
        self.logger.info("no complete request in time")
        self.transport.abort()

    def go_away(self) -> None:
        """Close the connection because the server ends (close code 1001)."""
        if self.protocol.state is CONNECTING and not self.leaving:
            self.transport.abort()
        if self.protocol.state is not OPEN:
            return
        try:
            self.protocol.send_close(CloseCode.GOING_AWAY, "server stops")
        except ProtocolError:  # half a message is echoed; this needs no order
            self.protocol.fail(CloseCode.GOING_AWAY, "server stops")
        self.flush()

    def log_end(self) -> None:
        """Say in one line how the connection ended."""
        protocol = self.protocol
        if self.opened:
            exc, code = protocol.parser_exc, protocol.close_code
            reason = f" ({exc})" if exc else f" {protocol.close_reason}".rstrip()
            self.logger.info("closed: %s%s", code, reason)
        elif protocol.handshake_exc is not None:
            self.logger.info("no WebSocket: %s", protocol.handshake_exc)


def wants_page(request: Request) -> bool:
    """Tell an ordinary request from one that asks for a WebSocket."""
    offers = ",".join(request.headers.get_all("Upgrade")).lower()
    return "websocket" not in offers and request.method in ("GET", "HEAD")


def page_response(request: Request) -> Response:
    """Give the page at ``/`` and 404 elsewhere; no body for HEAD."""
    if request.path.partition("?")[0] == "/":
        status, kind = HTTPStatus.OK, "text/html"
        body, policy = load_page()
    else:
        status, kind = HTTPStatus.NOT_FOUND, "text/plain"
        body, policy = b"Not found.\n", "default-src 'none'"
    headers = Headers(
        [
            ("Date", http_date()),
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        ]
    )
    if request.method == "HEAD":
        body = b""
    return Response(status.value, status.phrase, headers, body)


@functools.cache
def load_page() -> tuple[bytes, str]:
    """Return the page and the content security policy that fits it."""
    body = files(__package__).joinpath("page.html").read_bytes()
    body = body.replace(b"\r\n", b"\n")  # browsers hash what they have normalised
    policy = [
        "default-src 'none'",
        f"script-src {inline_hash(body, b'script')}",
        f"style-src {inline_hash(body, b'style')}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return body, "; ".join(policy)


def inline_hash(page: bytes, element: bytes) -> str:
    """Return the policy's source expression for the one inline element."""
    found = re.search(b"<%b>(.*?)</%b>" % (element, element), page, re.DOTALL)
    assert found is not None
    digest = base64.b64encode(hashlib.sha256(found[1]).digest())
    return f"'sha256-{digest.decode()}'"
