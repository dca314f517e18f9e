"""A protocol for Sanic that runs its WebSockets on this package.

Pass it to ``app.run()``::

    from sansocket.sanic import WebSocketProtocol

    app.run(protocol=WebSocketProtocol)

Handlers need no change: they get an object with the methods of Sanic's ``Websocket``,
and the settings ``WEBSOCKET_MAX_SIZE``, ``WEBSOCKET_PING_INTERVAL`` and
``WEBSOCKET_PING_TIMEOUT`` apply. Sanic reads the request; from the response on, the
asyncio driver owns the transport. This requires the extra ``sanic``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from .asyncio._timeouts import within
from .asyncio.connection import Connection
from .datastructures import Headers
from .exceptions import ConcurrencyError, ConnectionClosed, ConnectionClosedOK
from .http11 import Request
from .protocol import OPEN
from .server import ServerProtocol
from .typing import Subprotocol

try:
    from sanic.exceptions import (
        RequestCancelled,
        SanicException,
        ServerError,
        WebsocketClosed,
    )
    from sanic.log import websockets_logger
    from sanic.server.protocols import websocket_protocol as sanics
except ImportError as _exc:
    raise ImportError(f"sansocket.sanic needs sansocket[sanic]: {_exc}") from _exc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine

    from sanic.request import Request as SanicRequest

    from .http11 import Response
    from .typing import Data, DataLike

__all__ = ["WebSocketProtocol", "Websocket"]

# Headers of a refusal that tell the client what is required.
ADVICE = frozenset({"allow", "sec-websocket-version", "upgrade"})


class WebSocketProtocol(sanics.WebSocketProtocol):
    """Sanic's protocol, with our WebSockets: ``app.run(protocol=WebSocketProtocol)``.

    Only Sanic creates instances and calls their methods.
    """

    __slots__ = ()

    websocket: Any

    async def websocket_handshake(
        self, request: SanicRequest, subprotocols: Iterable[str] | None = None
    ) -> Any:
        """Accept the connection, and return the ``Websocket`` for the handler.

        Raises:
            SanicException: if the request is refused.
            RequestCancelled: if the client has already gone.
        """
        if request.transport is None or request.transport.is_closing():
            raise RequestCancelled  # the event loop would never notify the connection
        if subprotocols is not None and not isinstance(subprotocols, str):
            subprotocols = [*subprotocols]
        names: Any = subprotocols  # a str is refused
        protocol = ServerProtocol(
            subprotocols=names,
            max_size=self.websocket_max_size,
            logger=websockets_logger,
        )
        response = protocol.accept(to_request(request))
        if response.status_code != 101:
            raise SanicException(
                (response.body or b"").decode().strip(),
                response.status_code,
                quiet=True,  # a client's mistake is not an error of the server
                headers={k: v for k, v in response.headers.items() if k in ADVICE},
            )
        connection = SanicConnection(
            protocol,
            self,
            ping_interval=self.websocket_ping_interval or None,
            ping_timeout=self.websocket_ping_timeout or None,
            close_timeout=self.websocket_timeout,
        )
        connection.take_over(request, response, self.recv_buffer)
        self.websocket = Websocket(connection)
        self.websocket_url: Any = request.url
        ip = request.client_ip
        self.websocket_peer: str = f"{ip}:{request.port}" if ip else "unix"
        self.log_websocket("OPEN")  # type: ignore[no-untyped-call]
        return self.websocket

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up, and cancel the handler unless it will notice by itself."""
        if self.websocket is not None and self.websocket.handler_will_know:
            self._task = None
        super().connection_lost(exc)  # type: ignore[no-untyped-call]


class SanicConnection(Connection, asyncio.BufferedProtocol):
    """A connection whose opening handshake was read by Sanic."""

    def __init__(
        self, protocol: ServerProtocol, owner: WebSocketProtocol, **options: Any
    ) -> None:
        super().__init__(protocol, open_timeout=None, **options)
        self._owner = owner

    def take_over(
        self, request: SanicRequest, response: Response, data: bytearray
    ) -> None:
        """Send the response, and take over the transport.

        Args:
            request: request that Sanic has read.
            response: response that accepts it.
            data: bytes received after the request; this empties it.
        """
        transport: Any = request.transport
        _ = request.protocol  # looked up by the transport once; must remain Sanic's
        now = self._loop.time()
        self._opening = False
        self.response: Response | None = response
        self.session.send_response(response, now)
        self.session.receive_data(data, now)
        data.clear()
        transport.set_protocol(self)
        transport.resume_reading()
        self.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the loss of the connection; called only by the event loop."""
        super().connection_lost(exc)
        self._owner.connection_lost(exc)


class Websocket:
    """A connection for handlers, with the methods of Sanic's ``Websocket``.

    Iterating over it with ``async for`` yields messages until the peer closes the
    connection normally.

    Args:
        connection: the underlying connection.
    """

    def __init__(self, connection: SanicConnection) -> None:
        self._connection = connection
        self._told = False  # whether the handler has noticed the closing

    # --- questions

    @property
    def subprotocol(self) -> Subprotocol | None:
        """The negotiated subprotocol, or ``None``."""
        return self._connection.subprotocol

    @property
    def ws_proto(self) -> ServerProtocol:
        """The connection without I/O."""
        protocol = self._connection.protocol
        assert isinstance(protocol, ServerProtocol)
        return protocol

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        return asyncio.get_running_loop()

    @property
    def handler_will_know(self) -> bool:
        """Whether the handler has noticed the loss, or will with the next message."""
        return self._told or not self._connection.session.closed

    # --- messages

    async def recv(self, timeout: float | None = None) -> Data | None:
        """Receive the next message: ``str`` for text and ``bytes`` for binary.

        Args:
            timeout: seconds to wait for a message, or 0 not to wait; if none arrives,
                the result is ``None``. ``None`` waits without a limit.

        Raises:
            CancelledError: if the peer closes the connection while this is waiting.
            WebsocketClosed: if it is already closed, and all messages were received.
            ServerError: if another task is receiving.
        """
        if timeout is not None and timeout <= 0:
            await asyncio.sleep(0)  # repeated calls must not block other tasks
        self._check_receiving()
        receiving = self._connection.recv()
        try:
            if timeout is None:
                return await receiving
            if timeout <= 0:
                return until_it_waits(receiving)
            return await within(timeout, receiving)
        except TimeoutError:
            return None
        except (ConnectionClosed, ConcurrencyError) as exc:
            raise self._translated(exc) from exc

    async def recv_burst(self, max_recv: int = 256) -> list[Data]:
        """Receive the messages that have arrived, without waiting for more.

        Args:
            max_recv: maximum number of messages.

        Raises:
            WebsocketClosed: if the connection is closed and all were received.
            ServerError: if another task is receiving.
        """
        messages: list[Data] = []
        while len(messages) < max_recv:
            if messages and self._connection.session.closed:
                break
            message = await self.recv(0)
            if message is None:
                break
            messages.append(message)
        return messages

    async def recv_streaming(self) -> AsyncIterator[Data]:
        """Receive the next message in parts, as they arrive.

        Raises:
            CancelledError: if the connection is closed before the message ends.
            WebsocketClosed: if it is already closed.
            ServerError: if another task is receiving.
        """
        self._check_receiving()
        try:
            async for part in self._connection.recv_streaming():
                yield part
        except (ConnectionClosed, ConcurrencyError) as exc:
            raise self._translated(exc) from exc

    async def __aiter__(self) -> AsyncIterator[Data]:
        try:
            while True:
                yield await self._connection.recv()
        except ConnectionClosedOK:
            self._told = True
        except (ConnectionClosed, ConcurrencyError) as exc:
            raise self._translated(exc) from exc

    async def send(self, message: DataLike | Iterable[DataLike]) -> None:
        """Send a message; this waits while the peer is slow.

        Args:
            message: ``str`` for a text message, bytes-like for a binary message, or an
                iterable of either for the parts of one message.

        Raises:
            WebsocketClosed: if the connection is closed or closing.
            TypeError: if the message has another type.
        """
        self._check_open()
        try:
            await self._connection.send(message)
        except ConnectionClosed as exc:
            self._told = True
            raise WebsocketClosed from exc

    # --- pings

    async def ping(self, data: DataLike | None = None) -> asyncio.Future[float]:
        """Send a ping.

        Args:
            data: payload of up to 125 bytes; random by default.

        Returns:
            An awaitable that returns the latency in seconds once the pong arrives, and
            is canceled if the connection is lost first.

        Raises:
            WebsocketClosed: if the connection is closed or closing.
            ValueError: if another ping with this payload is still unanswered.
            ProtocolError: if the payload is too long.
        """
        self._check_open()
        try:
            waiter = await self._connection.ping(data)
        except ConcurrencyError as exc:
            raise ValueError(str(exc)) from exc
        return cancelled_on_error(waiter)

    async def pong(self, data: DataLike = b"") -> None:
        """Send an unsolicited pong; do nothing if the connection is closed.

        Args:
            data: payload of up to 125 bytes.

        Raises:
            ProtocolError: if the payload is too long.
        """
        if self._connection.state is OPEN:
            await self._connection.pong(data)

    # --- closing

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close the connection; the rest happens in the background.

        Args:
            code: close code; 1006 drops the connection without a close frame.
            reason: text for developers, up to 123 bytes in UTF-8.

        Raises:
            ProtocolError: if the code must not be sent, or the reason is too long.
        """
        if code == 1006:
            self.fail_connection(code)
        else:
            self.end_connection(code, reason)

    def end_connection(self, code: int = 1000, reason: str = "") -> None:
        """Do the same as ``close()``, but not as a coroutine."""
        self._connection._begin_close(code, reason)

    def fail_connection(self, code: int = 1006, reason: str = "") -> None:
        """Close the connection because of an error.

        Args:
            code: close code; 1006 drops the connection without a close frame.
            reason: text for developers, up to 123 bytes in UTF-8.
        """
        if code == 1006:
            self._connection.transport.abort()
        else:
            self._connection.protocol.fail(code, reason)
            self._connection._begin_close(code, reason)  # writes it, starts the timer

    async def wait_for_connection_lost(self, timeout: float | None = None) -> bool:
        """Wait until the TCP connection is gone; return whether it is.

        Args:
            timeout: maximum number of seconds to wait; ``None`` for no limit.
        """
        try:
            await within(timeout, self._connection.wait_closed())
        except TimeoutError:
            return False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Do nothing: the event loop notifies the connection, which notifies Sanic."""

    # --- inside

    def _check_open(self) -> None:
        if self._connection.state is not OPEN:
            self._told = True
            raise WebsocketClosed

    def _check_receiving(self) -> None:
        if self._connection.session.closed:
            self._told = True
            raise WebsocketClosed

    def _translated(self, exc: Exception) -> BaseException:
        """Raise the exceptions of Sanic's ``Websocket`` instead of ours."""
        if isinstance(exc, ConcurrencyError):
            return ServerError(str(exc))
        self._told = True
        return asyncio.CancelledError(str(exc))


def to_request(request: SanicRequest) -> Request:
    """Convert a request that Sanic has parsed."""
    return Request(
        request.raw_url.decode(),
        Headers(request.headers.items()),
        request.method,
        f"HTTP/{request.version}",
    )


def cancelled_on_error(waiter: asyncio.Future[float]) -> asyncio.Future[float]:
    """Make a future with the result of another; it is canceled if that raises."""
    future: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def finish(waiter: asyncio.Future[float]) -> None:
        if waiter.cancelled() or waiter.exception() is not None:
            future.cancel()
        elif not future.done():
            future.set_result(waiter.result())

    waiter.add_done_callback(finish)
    return future


def until_it_waits(coroutine: Coroutine[Any, Any, Data]) -> Data | None:
    """Return the result of a coroutine if it does not have to wait; else ``None``."""
    try:
        coroutine.send(None)
    except StopIteration as exc:
        result: Data = exc.value
        return result
    coroutine.close()
    return None
