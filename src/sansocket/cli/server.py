"""A single serving process: the asyncio driver between sockets and a handler."""

from __future__ import annotations

import asyncio
import logging
import ssl

from ..asyncio import ServerConnection, serve
from .ending import LAST, SHOWN, Remaining
from .handlers import load_handler
from .log import in_words
from .page import page_response, wants_page
from .sockets import BACKLOG
from .values import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Coroutine, Sequence
    from pathlib import Path
    from typing import Any

    from ..asyncio import Server
    from ..http11 import Request, Response
    from .ending import Ending
    from .handlers import Handler
    from .settings import Settings

__all__ = ["run_loop", "serve_here"]

logger: logging.Logger = logging.getLogger("sansocket.serve")


def serve_here(
    settings: Settings,
    sockets: Sequence[socket.socket],
    ready: Callable[[], None],
    ending: Ending,
) -> None:
    """Serve in this process until it is told to stop.

    Args:
        settings: settings of the server.
        sockets: listening sockets.
        ready: called once the server accepts clients.
        ending: signals when to stop.

    Raises:
        CommandError: if the server cannot start.
    """
    context = load_certificate(settings.certfile, settings.keyfile)
    handler = load_handler(settings.handler)
    process = Process(settings, handler, context, ending)
    ending.remaining = process.remaining
    ending.hold()
    run_loop(process.run(sockets, ready), settings.loop)


def run_loop(main: Coroutine[Any, Any, None], loop: str) -> None:
    """Run a coroutine on the named event loop.

    Raises:
        CommandError: if the loop is not installed.
    """
    if loop == "asyncio":
        asyncio.run(main)
        return
    try:
        import uvloop
    except ImportError:
        main.close()
        raise CommandError(
            "--loop uvloop requires uvloop: pip install 'sansocket[uvloop]'"
        ) from None
    uvloop.run(main)


class HandlerError(Exception):
    """A handler raised an exception that is meant to end a program."""


class Process:
    """The servers of this process, one for each socket.

    Args:
        settings: settings of the server.
        handler: called with each connection.
        context: TLS context, or ``None``.
        ending: signals when to stop.
    """

    def __init__(
        self,
        settings: Settings,
        handler: Handler,
        context: ssl.SSLContext | None,
        ending: Ending,
    ) -> None:
        self.settings = settings
        self.handler = handler
        self.context = context
        self.ending = ending
        self.servers: list[Server] = []
        # TCP connections and the addresses of their peers; those with a handler.
        self.connections: dict[ServerConnection, Any] = {}
        self.handled: set[ServerConnection] = set()

    async def run(
        self, sockets: Sequence[socket.socket], ready: Callable[[], None]
    ) -> None:
        """Serve until told to stop; then close all connections with code 1001."""
        asyncio.get_running_loop().set_exception_handler(report)
        stopping, insisted = asyncio.Event(), asyncio.Event()
        options = self.options()
        for sock in sockets:
            self.servers.append(await serve(self.handle, sock=sock, **options))
        self.ending.attach(stopping.set, insisted.set)
        try:
            ready()
            await stopping.wait()
        finally:
            # Needed even if a task of the handler ended the event loop.
            self.ending.limit(2 * self.settings.close_timeout + LAST)
            await self.stop(insisted)

    async def stop(self, insisted: asyncio.Event) -> None:
        """Close all connections and wait for handlers.

        Cut off remaining connections if ``insisted`` is set, or after a timeout.
        """
        for server in self.servers:
            server.close(reason="server shutting down")
        ended = asyncio.gather(*(server.wait_closed() for server in self.servers))
        hurry = asyncio.ensure_future(insisted.wait())
        events: list[asyncio.Future[Any]] = [ended, hurry]
        await asyncio.wait(
            events,
            timeout=2 * self.settings.close_timeout,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for connection in [*self.connections]:
            connection.transport.abort()

    async def handle(self, connection: ServerConnection) -> None:
        """Run the handler.

        A failure affects only its connection: even ``sys.exit()`` does not end the
        server.
        """
        self.handled.add(connection)
        try:
            await self.handler(connection)
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as exc:
            raise HandlerError(f"the handler raised {type(exc).__name__}") from exc
        finally:
            self.handled.discard(connection)

    def remaining(self) -> Remaining:
        """Return what the server is waiting for; safe to call from any thread."""
        connections, handled = self.connections.copy(), self.handled.copy()
        known = [address for address in connections.values() if address]
        return Remaining(
            len(connections),
            tuple(in_words(address) for address in known[:SHOWN]),
            len(handled - {*connections}),
        )

    def options(self) -> dict[str, Any]:
        """Return the arguments for ``serve()``."""
        settings = self.settings
        origins = settings.origins
        if origins is not None:
            listed = [None if one == "none" else one for one in origins]
        return {
            "origins": None if origins is None else listed,
            "subprotocols": settings.subprotocols,
            "compression": "deflate" if settings.compression else None,
            "process_request": self.answer,
            "process_response": log_response,
            "open_timeout": settings.open_timeout,
            "close_timeout": settings.close_timeout,
            "ping_interval": settings.ping_interval,
            "ping_timeout": settings.ping_timeout,
            "max_size": settings.max_size,
            "max_fragments": settings.max_fragments,
            "ssl": self.context,
            "backlog": BACKLOG,
            "create_connection": class_that_notes(self.connections),
        }

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Send the page to browsers; leave other requests to the handshake."""
        if wants_page(request):
            return page_response(request, self.settings.handler)
        return None


def class_that_notes(
    connections: dict[ServerConnection, Any],
) -> type[ServerConnection]:
    """Make a connection class that registers each connection while it exists."""

    class NotedConnection(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connections[self] = transport.get_extra_info("peername")
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.pop(self, None)
            super().connection_lost(exc)

    return NotedConnection


def log_response(
    connection: ServerConnection, request: Request, response: Response
) -> None:
    """Log a request and the status of its response."""
    connection.logger.info(
        "%s %s: %d", request.method, request.path, response.status_code
    )


def report(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Log an error of the event loop, on one line if the network caused it."""
    exc = context.get("exception")
    if isinstance(exc, OSError):
        logger.warning("%s: %s", context.get("message"), exc)
    elif not isinstance(exc, asyncio.CancelledError):  # TLS began as we stopped
        loop.default_exception_handler(context)


def load_certificate(
    certfile: Path | None, keyfile: Path | None
) -> ssl.SSLContext | None:
    """Return the TLS context of a server; ``None`` without a certificate."""
    if certfile is None:
        return None
    try:  # OpenSSL's error does not name the file
        for path in filter(None, (certfile, keyfile)):
            path.read_bytes()
    except OSError as exc:
        raise CommandError(f"cannot read {exc.filename}: {exc.strerror}") from exc
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certfile, keyfile)
    except (ssl.SSLError, ValueError) as exc:
        files = f"{certfile} and {keyfile}" if keyfile else str(certfile)
        raise CommandError(
            f"no valid certificate with a matching private key in {files}"
        ) from exc
    return context
