"""A WebSocket server on asyncio: listen, shake hands, run a handler, shut down."""

from __future__ import annotations

import asyncio
import logging

from .._base import options
from .._base.closing import Close
from .._base.mirrored import names_from_elsewhere
from ..extensions.permessage_deflate import enable_server_permessage_deflate
from ..http11 import SERVER
from ..protocol import OPEN
from ..server import ServerProtocol
from ._arguments import loop_arguments
from ._broadcast import broadcast
from ._server_connection import ServerConnection, basic_auth

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import re
    from collections.abc import (
        Awaitable,
        Callable,
        Generator,
        Sequence,
    )
    from socket import socket
    from types import TracebackType
    from typing import Any, TypeAlias

    from typing_extensions import Self, Unpack

    from ..extensions.base import ServerExtensionFactory
    from ..typing import LoggerLike, Origin, Subprotocol
    from ._keywords import ServerKeywords
    from ._server_connection import (
        Handler,
        OnEvent,
        OnMessage,
        ProcessRequest,
        ProcessResponse,
        SelectSubprotocol,
    )

    # Makes connections, and starts to listen for them.
    MakeConnection: TypeAlias = Callable[["Server"], asyncio.BaseProtocol]
    Listen: TypeAlias = Callable[
        [Callable[[], asyncio.BaseProtocol]], Awaitable[asyncio.Server]
    ]

__all__ = [
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "serve",
    "unix_serve",
]


class Server:
    """A server that ``serve()`` gives: awaited, or entered, it listens.

    Leaving the context closes it and waits until all handlers have returned.

    Args:
        handler: called with each connection that is open.
        make_connection: makes a connection, which shakes hands itself.
        listen: starts to listen.
        hooks: ``process_request``, ``process_response`` and ``server_header``.
        logger: where the server logs.

    """

    def __init__(
        self,
        handler: Handler | None,
        make_connection: MakeConnection,
        listen: Listen,
        hooks: dict[str, Any],
        logger: LoggerLike,
    ) -> None:
        self.handler = handler
        self.logger = logger
        self._make_connection = make_connection
        self._listen = listen
        self._hooks = hooks
        self._listener: asyncio.Server | None = None
        self._closing = False
        self._connections: set[ServerConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._end = asyncio.Event()  # all is closed and done

    # --- questions

    @property
    def connections(self) -> set[ServerConnection]:
        """The connections that are open."""
        return {one for one in self._connections if one.protocol.state is OPEN}

    @property
    def sockets(self) -> tuple[socket, ...]:
        """The sockets that listen."""
        return () if self._listener is None else tuple(self._listener.sockets)

    def is_serving(self) -> bool:
        """Whether it accepts connections."""
        return self._listener is not None and self._listener.is_serving()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that it runs on."""
        return self._running().get_loop()

    # --- commands

    async def start_serving(self) -> None:
        """Accept connections, if it was made with ``start_serving=False``."""
        await self._running().start_serving()

    async def serve_forever(self) -> None:
        """Accept connections until this is cancelled or ``close()`` is called.

        When it is cancelled it closes the server, connections included, and waits until
        they are closed and the handlers have returned.

        Raises:
            asyncio.CancelledError: at the end, also if ``close()`` was called before.

        """
        try:
            if not self._closing:
                await self.start_serving()
            await self._end.wait()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise
        raise asyncio.CancelledError

    def close(
        self, close_connections: bool = True, code: int = 1001, reason: str = ""
    ) -> None:
        """Stop to listen, and begin to close the connections.

        Args:
            close_connections: ``False`` lets them go on until their handlers return.
            code: close code.
            reason: text for developers.

        Raises:
            ProtocolError: if the code may not be sent, or the reason is too long.

        """
        Close(code, reason).serialize()
        if not self._closing:
            self._closing = True
            self.logger.info("server closing")
        if self._listener is not None:
            self._listener.close()
        if close_connections:
            for connection in [*self._connections]:
                connection._go_away(code, reason)
        self._check_end()

    async def wait_closed(self) -> None:
        """Wait until it is closed, connections are gone and handlers returned."""
        await self._end.wait()

    def __await__(self) -> Generator[Any, None, Self]:
        return self._begin().__await__()

    async def __aenter__(self) -> Self:
        return await self._begin()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    # --- inside

    async def _begin(self) -> Self:
        if self._listener is None:
            self._listener = await self._listen(lambda: self._make_connection(self))
            for sock in self._listener.sockets:
                self.logger.info("server listening on %s", _name_of(sock))
        return self

    def _running(self) -> asyncio.Server:
        if self._listener is None:
            raise RuntimeError("the server was not started; await it first")
        return self._listener

    def _add(self, connection: ServerConnection) -> None:
        """Note a connection."""
        self._connections.add(connection)
        if self._closing:
            connection.transport.abort()

    def _remove(self, connection: ServerConnection) -> None:
        """Forget a connection that is lost."""
        self._connections.discard(connection)
        self._check_end()

    def _start(self, connection: ServerConnection) -> None:
        """Answer the request of a connection, and run the handler in a task.

        Hooks, which may wait, run in it as well.
        """
        hooks = self._hooks
        if hooks["process_request"] is None and hooks["process_response"] is None:
            response = connection._accept()
            if not connection._answer(response, hooks["server_header"]):
                return
            if self.handler is None:
                return
            work = connection._handle(self.handler)
        else:
            work = self._run(connection)
        task = connection._task = connection._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(connection._task_done)

    async def _run(self, connection: ServerConnection) -> None:
        if await connection._shake_hands(**self._hooks) and self.handler is not None:
            await connection._handle(self.handler)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._check_end()

    def _check_end(self) -> None:
        if self._closing and not self._connections and not self._tasks:
            if not self._end.is_set():
                self.logger.info("server closed")
            self._end.set()


def serve(
    handler: Handler | None,
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    *,
    origins: Sequence[Origin | re.Pattern[str] | None] | None = None,
    extensions: Sequence[ServerExtensionFactory] | None = None,
    subprotocols: Sequence[Subprotocol] | None = None,
    select_subprotocol: SelectSubprotocol | None = None,
    compression: str | None = "deflate",
    process_request: ProcessRequest | None = None,
    process_response: ProcessResponse | None = None,
    server_header: str | None = SERVER,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    max_size: int | tuple[int | None, int | None] | None = 2**20,
    max_queue: int | tuple[int | None, int | None] | None = 16,
    write_limit: int | tuple[int | None, int | None] = 2**15,
    logger: LoggerLike | None = None,
    create_connection: Callable[..., ServerConnection] | None = None,
    on_open: OnEvent | None = None,
    on_message: OnMessage | None = None,
    on_close: OnEvent | None = None,
    **kwargs: Unpack[ServerKeywords],
) -> Server:
    """Make a WebSocket server, which listens once it is awaited or entered.

    ::

        async with serve(handler, "localhost", 8765) as server:
            await server.serve_forever()

    When the handler returns, its connection is closed with 1000; when it raises,
    with 1011, and the log tells why.

    Functions can take the handler's place, which are called straight from the read::

        def echo(connection, message):
            connection.send_nowait(message)

        async with serve(None, "localhost", 8765, on_message=echo) as server:
            await server.serve_forever()

    Args:
        handler: coroutine function that is called with each open connection, or
            ``None``.
        host: as for ``loop.create_server()``.
        port: as for ``loop.create_server()``.
        origins: acceptable values of ``Origin``; see ``ServerProtocol``.
        extensions: factories of extensions, in the order in which they are tried.
        subprotocols: supported ones, most preferred first.
        select_subprotocol: picks one; called with the connection and the client's
            list.
        compression: ``"deflate"`` for permessage-deflate, ``None`` for none.
        process_request: called with the connection and the request; a response that
            it returns, plain or awaited, is sent instead of the handshake.
        process_response: called with the connection, the request and the response;
            it may change that, or return another one, plain or awaited.
        server_header: value of ``Server`` in responses; ``None`` for none.
        open_timeout: seconds for the opening handshake; ``None`` for no limit.
        ping_interval: seconds between pings that keep a connection alive; ``None``
            for none.
        ping_timeout: seconds after such a ping in which a peer must send a byte, or
            accept bytes that were pending, else the connection fails with 1011;
            ``None`` for no limit.
        close_timeout: seconds for a peer to end its connection once it should;
            ``None`` for no limit.
        max_size: largest incoming message in bytes; see ``ServerProtocol``.
        max_queue: messages that may wait to be received until reading pauses, or a
            pair of a high and a low mark; ``None`` for no limit. See ``Connection``.
        write_limit: bytes that may wait to be written until ``send()`` waits, or a
            pair of a high and a low mark.
        logger: where to log; ``sansocket.server`` by default.
        create_connection: class of the connections.
        on_open: called with each connection once it is open.
        on_message: called with the connection and each message; see ``Connection``.
        on_close: called with each connection once it is lost, if it was open.
        **kwargs: limits of ``ServerProtocol``, which has their defaults: ``hosts``,
            ``max_request_line``, ``max_header_line``, ``max_headers``,
            ``max_head_size``, ``validate_utf8``, ``max_fragments`` and
            ``max_inflated_size``. Others go to ``loop.create_server()``, such as
            ``ssl`` and ``sock``.

    Raises:
        TypeError: if an argument is of a wrong type, or none that there is, or if
            a function or a class cannot be called as it would be.
        ValueError: if an argument has a wrong value.

    """
    others: dict[str, Any] = {**kwargs}
    limits = options.take(others, options.SERVER_LIMITS)
    unix = others.pop("unix", False)
    names = loop_arguments("create_unix_server" if unix else "create_server")
    called = "unix_serve" if unix else "serve"
    if unix and not (host is None and port is None):
        raise TypeError(f"{called}() listens at a path, not at a host and a port")
    options.check_names(called, serve, others, names, options.SERVER_LIMITS)
    protocol = ServerProtocol(
        origins=origins,
        extensions=options.with_compression(
            extensions,
            compression,
            enable_server_permessage_deflate,
            options.SERVER_RULES["extensions"],
        ),
        subprotocols=subprotocols,
        max_size=max_size,
        logger=logger,
        **limits,
    )
    settings: dict[str, Any] = {
        "open_timeout": open_timeout,
        "ping_interval": ping_interval,
        "ping_timeout": ping_timeout,
        "close_timeout": close_timeout,
        "max_queue": max_queue,
        "write_limit": write_limit,
        "on_open": on_open,
        "on_message": on_message,
        "on_close": on_close,
    }
    hooks = {
        "process_request": process_request,
        "process_response": process_response,
        "server_header": server_header,
    }
    options.check(
        options.SERVER_RULES,
        **{**settings, **hooks, "select_subprotocol": select_subprotocol},
    )
    options.check_class(create_connection, ServerConnection, ("protocol", "server"))
    if handler is not None:
        options.check_handler("handler", handler)
    elif not (on_message or hasattr(create_connection, "on_message")):
        raise TypeError("give a handler or on_message")
    if others.get("ssl") is not None:
        others.setdefault("ssl_handshake_timeout", open_timeout)
    return Server(
        handler,
        _maker(protocol, select_subprotocol, create_connection, settings),
        _listen(unix, host, port, others),
        hooks,
        logger or logging.getLogger("sansocket.server"),
    )


def unix_serve(
    handler: Handler | None, path: str | os.PathLike[str] | None = None, **kwargs: Any
) -> Server:
    """Make a WebSocket server on a Unix socket.

    Args:
        handler: as for ``serve()``.
        path: of the socket.
        **kwargs: as for ``serve()``; others go to ``loop.create_unix_server()``.

    """
    return serve(handler, unix=True, path=path, **kwargs)


def _name_of(sock: socket) -> str:
    """Where a socket listens, as one would write it."""
    address = sock.getsockname()
    if not isinstance(address, tuple):
        return str(address)  # the path of a Unix socket
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _maker(
    prototype: ServerProtocol,
    select_subprotocol: SelectSubprotocol | None,
    create_connection: Callable[..., ServerConnection] | None,
    settings: dict[str, Any],
) -> MakeConnection:
    """How connections are made, of which all are alike."""
    make = create_connection or ServerConnection
    checked: set[type] = {ServerConnection}

    def make_connection(server: Server) -> asyncio.BaseProtocol:
        def select(
            protocol: ServerProtocol, offered: Sequence[Subprotocol]
        ) -> Subprotocol | None:
            assert select_subprotocol is not None
            return select_subprotocol(connection, offered)

        protocol = prototype._alike(None if select_subprotocol is None else select)
        try:
            connection = make(protocol, server, **settings)
            if type(connection) not in checked:
                options.check_connection(connection, ServerConnection)
                checked.add(type(connection))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            # The event loop would drop the connection without a word.
            server.logger.error("create_connection failed", exc_info=exc)
            return _Refusal()
        return connection

    return make_connection


class _Refusal(asyncio.Protocol):
    """What ends a connection for which nothing could be made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """End it; only the event loop calls this."""
        transport.close()


def _listen(unix: bool, host: Any, port: int | None, kwargs: dict[str, Any]) -> Listen:
    """How to listen: on a Unix socket, or by TCP."""
    if unix:

        async def listen(factory: Callable[[], Any]) -> asyncio.Server:
            loop = asyncio.get_running_loop()
            return await loop.create_unix_server(factory, **kwargs)

    else:

        async def listen(factory: Callable[[], Any]) -> asyncio.Server:
            loop = asyncio.get_running_loop()
            return await loop.create_server(factory, host, port, **kwargs)

    return listen


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
