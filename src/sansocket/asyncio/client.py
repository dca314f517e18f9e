"""A WebSocket client on asyncio."""

from __future__ import annotations

import asyncio

from ..client import ClientProtocol
from ..extensions.permessage_deflate import enable_client_permessage_deflate
from ..http11 import USER_AGENT
from ..protocol import OPEN
from ..uri import parse_uri
from .connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Sequence
    from types import TracebackType
    from typing import Any

    from ..datastructures import HeadersLike
    from ..extensions.base import ClientExtensionFactory
    from ..typing import LoggerLike, Origin, Subprotocol
    from ..uri import WebSocketURI

__all__ = ["ClientConnection", "connect", "unix_connect"]


class ClientConnection(Connection):
    """A connection of a client; ``connect()`` makes it.

    Arguments and attributes are those of ``Connection``.
    """

    protocol: ClientProtocol

    def __init__(self, protocol: ClientProtocol, **options: Any) -> None:
        super().__init__(protocol, **options)
        self._decided: asyncio.Future[None] = self._loop.create_future()

    # --- inside

    def _proceed(self) -> None:
        """Tell who waits that the opening handshake is over."""
        protocol = self.protocol
        self.response = self.session.response
        if protocol.state is OPEN or protocol.handshake_exc or self._lost:
            self._opening = False
            if not self._decided.done():
                self._decided.set_result(None)

    async def _shake_hands(
        self, additional_headers: HeadersLike | None, user_agent: str | None
    ) -> None:
        """Send the request, and wait for the response.

        Raises:
            InvalidHandshake: if the server refused, or its answer is not valid.

        """
        request = self.request = self.protocol.connect()
        if additional_headers is not None:
            request.headers.update(additional_headers)
        if user_agent is not None and "User-Agent" not in request.headers:
            request.headers["User-Agent"] = user_agent
        self.session.send_request(request, self._loop.time())
        self._flush()
        await self._decided
        if self.protocol.handshake_exc is not None:
            if self._lost_by is not None:  # or the cause that it has stays
                raise self.protocol.handshake_exc from self._lost_by
            raise self.protocol.handshake_exc
        self.logger.info("connection open")


class connect:
    """Connect to a WebSocket server: awaited, it gives a connection::

        async with connect("ws://localhost:8765") as websocket:
            await websocket.send("Hello")

    Leaving the context closes the connection. Proxies, redirects and reconnecting
    by ``async for`` are not supported yet; so there is no argument ``proxy``, and
    connections go straight to the server.

    Args:
        uri: where to: ``ws://`` or ``wss://``.
        origin: value of ``Origin``; browsers send one, others need not.
        extensions: factories of extensions, most wanted first.
        subprotocols: offered ones, most wanted first.
        compression: ``"deflate"`` for permessage-deflate, ``None`` for none.
        additional_headers: headers to add to the request.
        user_agent_header: value of ``User-Agent``; ``None`` for none.
        open_timeout: seconds to connect, with TLS and the opening handshake; ``None``
            for no limit.
        ping_interval: seconds between pings that keep the connection alive; ``None``
            for none.
        ping_timeout: seconds for any byte to come after such a ping, else the
            connection fails with 1011; ``None`` for no limit.
        close_timeout: seconds for the server to end the connection once it should;
            ``None`` for no limit.
        max_size: largest incoming message in bytes; see ``ClientProtocol``.
        max_queue: messages that may wait to be received until reading pauses.
        write_limit: bytes that may wait to be written until ``send()`` waits.
        logger: where to log; ``sansocket.client`` by default.
        create_connection: class of the connection.
        **kwargs: further arguments of ``loop.create_connection()``, such as ``ssl``,
            ``server_hostname`` and ``sock``; ``host`` and ``port`` connect elsewhere
            than the URI says.

    Raises:
        InvalidURI: if the URI is not valid.
        InvalidHandshake: if the server refused, or its answer is not valid.
        OSError: if the network fails.
        TimeoutError: if it takes too long.

    """

    def __init__(
        self,
        uri: str,
        *,
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        compression: str | None = "deflate",
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = USER_AGENT,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: int | tuple[int, int] | None = 16,
        write_limit: int | tuple[int, int | None] = 2**15,
        logger: LoggerLike | None = None,
        create_connection: type[ClientConnection] | None = None,
        **kwargs: Any,
    ) -> None:
        self._uri = parse_uri(uri)
        self._protocol_options: dict[str, Any] = {
            "origin": origin,
            "extensions": _with_compression(extensions, compression),
            "subprotocols": subprotocols,
            "max_size": max_size,
            "max_fragments": kwargs.pop("max_fragments", 4096),
            "logger": logger,
        }
        self._options: dict[str, Any] = {
            "open_timeout": None,  # ours includes what comes before
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "close_timeout": close_timeout,
            "max_queue": max_queue,
            "write_limit": write_limit,
        }
        self._headers = additional_headers
        self._user_agent = user_agent_header
        self._open_timeout = open_timeout
        self._class = create_connection or ClientConnection
        self._unix = kwargs.pop("unix", False)
        self._network = _network_options(self._uri, self._unix, kwargs)

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self._connect().__await__()

    async def __aenter__(self) -> ClientConnection:
        self._connection = await self._connect()
        return self._connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._connection.__aexit__(exc_type, exc_value, traceback)

    # --- inside

    async def _connect(self) -> ClientConnection:
        try:
            return await asyncio.wait_for(self._open(), self._open_timeout)
        except asyncio.TimeoutError as exc:
            raise TimeoutError("the opening handshake took too long") from exc

    async def _open(self) -> ClientConnection:
        loop = asyncio.get_running_loop()
        open_transport = (
            loop.create_unix_connection if self._unix else loop.create_connection
        )
        _, connection = await open_transport(self._make_connection, **self._network)
        try:
            await connection._shake_hands(self._headers, self._user_agent)
        except BaseException:
            connection.transport.abort()
            raise
        return connection

    def _make_connection(self) -> ClientConnection:
        protocol = ClientProtocol(self._uri, **self._protocol_options)
        return self._class(protocol, **self._options)


def unix_connect(
    path: str | os.PathLike[str] | None = None, uri: str | None = None, **kwargs: Any
) -> connect:
    """Connect to a WebSocket server on a Unix socket.

    Args:
        path: of the socket.
        uri: what the request names; its host is also that of TLS. By default that of
            the root at ``localhost``.
        **kwargs: as for ``connect()``; others go to ``loop.create_unix_connection()``.

    """
    if uri is None:
        uri = "ws://localhost/" if kwargs.get("ssl") is None else "wss://localhost/"
    return connect(uri, unix=True, path=path, **kwargs)


def _network_options(
    uri: WebSocketURI, unix: bool, kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Arguments of what opens the transport."""
    if uri.secure:
        if kwargs.setdefault("ssl", True) is None:
            raise ValueError("a wss:// URI needs TLS, so ssl must not be None")
        kwargs.setdefault("server_hostname", uri.host)
    elif kwargs.get("ssl") is not None:
        raise ValueError("a ws:// URI is without TLS; use wss:// with ssl")
    if not unix and kwargs.get("sock") is None:
        kwargs.setdefault("host", uri.host)
        kwargs.setdefault("port", uri.port)
    return kwargs


def _with_compression(
    extensions: Sequence[ClientExtensionFactory] | None, compression: str | None
) -> Sequence[ClientExtensionFactory] | None:
    if compression is None:
        return extensions
    if compression != "deflate":
        raise ValueError(f"compression must be 'deflate' or None, not {compression!r}")
    return enable_client_permessage_deflate(extensions)
