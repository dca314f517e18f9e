"""A WebSocket client on asyncio."""

from __future__ import annotations

import asyncio
import logging
from inspect import isawaitable

from .._base import options
from .._base.mirrored import names_from_elsewhere
from .._base.options import CLIENT_LIMITS, take, with_compression
from ..client import ClientProtocol, backoff, process_exception
from ..exceptions import ConnectionClosed, InvalidStatus, SecurityError, shown
from ..extensions.permessage_deflate import enable_client_permessage_deflate
from ..http11 import USER_AGENT
from ..protocol import CONNECTING, OPEN
from ..redirects import is_same_origin, redirected, without_credentials
from ..uri import parse_uri
from ._arguments import loop_arguments
from ._network import PROXY_TLS, Network
from ._timeouts import within
from .connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Generator,
        Iterator,
        Sequence,
    )
    from types import TracebackType
    from typing import Any, Literal

    from typing_extensions import Unpack

    from ..datastructures import HeadersLike
    from ..extensions.base import ClientExtensionFactory
    from ..http11 import Request, Response
    from ..typing import Data, LoggerLike, Origin, Subprotocol
    from ..uri import WebSocketURI
    from ._keywords import ClientKeywords

__all__ = ["ClientConnection", "connect", "unix_connect"]


class ClientConnection(Connection, asyncio.BufferedProtocol):
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
        self.response: Response | None = self.session.response
        if protocol.state is not CONNECTING or protocol.handshake_exc or self._lost:
            self._opening = False
            if not self._decided.done():
                self._decided.set_result(None)
            if self._on_open is not None and protocol.state is OPEN:
                self._call(self._on_open)

    async def _shake_hands(
        self, additional_headers: HeadersLike | None, user_agent: str | None
    ) -> None:
        """Send the request, and wait for the response.

        Raises:
            InvalidHandshake: if the server refused, or its answer is not valid.

        """
        request = self.protocol.connect()
        self.request: Request | None = request
        if additional_headers is not None:
            request.headers.update(additional_headers)
        if user_agent is not None and "User-Agent" not in request.headers:
            request.headers["User-Agent"] = user_agent
        self.session.send_request(request, self._loop.time())
        self.flush()
        await self._decided
        if self.protocol.handshake_exc is not None:
            if self._lost_by is not None:  # or the cause that it has stays
                raise self.protocol.handshake_exc from self._lost_by
            raise self.protocol.handshake_exc
        self._log("connection open")

    def _refusals(self) -> list[Exception]:
        """Why the server has refused, if it has.

        The body of its response may not have come yet.
        """
        if self.protocol.refused:
            self.protocol.receive_eof()
        exc = self.protocol.handshake_exc
        return [exc] if isinstance(exc, InvalidStatus) else []


class Retries:
    """The delays between attempts to connect, which grow until they start again.

    Args:
        delays: gives a series of them, in seconds.
        logger: told of each one.

    """

    def __init__(
        self, delays: Callable[[], Iterator[float]], logger: LoggerLike
    ) -> None:
        self._delays = delays
        self._logger = logger
        self._series: Iterator[float] | None = None

    def start_again(self) -> None:
        """Let the next pause be the first one of a series."""
        self._series = None

    async def pause(self, what: str, exc: Exception) -> None:
        """Wait before the next attempt, or raise the exception if none is left.

        Args:
            what: happened.
            exc: why it happened.

        """
        level = logging.WARNING
        if self._series is None:
            level = logging.INFO  # it may well be gone the next time
            self._series = iter(self._delays())
        delay = next(self._series, None)
        if delay is None:
            raise exc
        why = f"{type(exc).__name__}: {shown(str(exc))}"
        self._logger.log(level, "%s, retry in %.1f s: %s", what, delay, why)
        await asyncio.sleep(delay)


class connect:
    """Connect to a WebSocket server: awaited, it gives a connection.

    ::

        async with connect("ws://localhost:8765") as websocket:
            await websocket.send("Hello")

    Leaving the context closes the connection. Iterating connects again and again,
    and closes each connection at the end of its turn::

        async for websocket in connect("ws://localhost:8765"):
            try:
                async for message in websocket:
                    ...
            except ConnectionClosed:
                continue

    After a turn that lasted for ``stable_after`` seconds, the next attempt follows at
    once. After a shorter one, and after an attempt that failed, there is a delay,
    which grows until a turn lasts that long. The first delay of a series is logged at
    level INFO, the others at level WARNING.

    Redirects are followed, but never from ``wss://`` to ``ws://``, nor with an
    argument ``sock``, nor to another origin if there is an argument ``host`` or
    ``port`` or the socket is a Unix socket. ``Authorization``, ``Cookie`` and user
    information of the URI go to no other origin.

    Args:
        uri: where to: ``ws://`` or ``wss://``.
        origin: value of ``Origin``; browsers send one, others need not.
        extensions: factories of extensions, most wanted first.
        subprotocols: offered ones, most wanted first.
        compression: ``"deflate"`` for permessage-deflate, ``None`` for none.
        additional_headers: headers to add to the request.
        user_agent_header: value of ``User-Agent``; ``None`` for none.
        proxy: ``True`` uses the proxy that the system is configured for, if any: see
            ``sansocket.proxy.get_proxy()``; ``None`` uses none; a URL says which, as
            in ``"http://user:password@host:8080"``. Schemes are ``http``, ``https``
            and, with the extra ``socks``, ``socks5``, ``socks5h``, ``socks4`` and
            ``socks4a``; with those in ``h`` and ``a`` the proxy looks up names. To go
            to ``wss://`` by ``https`` takes Python 3.11 or uvloop.
        process_exception: called while iterating, with the exception that an attempt
            failed with: if it returns ``None`` there is another attempt, if it returns
            an exception that is raised. By default see
            ``sansocket.client.process_exception()``.
        open_timeout: seconds to connect, with proxy, TLS, redirects and the opening
            handshake; ``None`` for no limit.
        ping_interval: seconds between pings that keep the connection alive; ``None``
            for none.
        ping_timeout: seconds after such a ping in which the server must send a byte, or
            accept bytes that were pending, else the connection fails with 1011;
            ``None`` for no limit.
        close_timeout: seconds for the server to end the connection once it should;
            ``None`` for no limit.
        reconnect_delays: called while iterating, before the first delay of a series;
            gives the delays in seconds. When they end, the latest exception is
            raised: that of the attempt, or the ``ConnectionClosed`` of the connection
            that did not last. By default see ``sansocket.client.backoff()``.
        max_size: largest incoming message in bytes; see ``ClientProtocol``.
        max_queue: messages that may wait to be received until reading pauses; see
            ``Connection``.
        write_limit: bytes that may wait to be written until ``send()`` waits.
        logger: where to log; ``sansocket.client`` by default.
        create_connection: class of the connection.
        max_redirects: how many redirects are followed; with 0 they are refusals.
        on_reconnect: called while iterating, with each new connection before the turn
            begins, such as to subscribe to what it should bring. It may be a coroutine
            function. If it raises ``ConnectionClosed``, the turn is over; any other
            exception is raised.
        stable_after: seconds that a turn has to last for the delays to start again.
            With 0 there are delays only after attempts that failed.
        on_open: called with the connection once it is open.
        on_message: called with the connection and each message; see ``Connection``.
        on_close: called with the connection once it is lost, if it was open.
        **kwargs: limits of ``ClientProtocol``, which has their defaults:
            ``max_status_line``, ``max_header_line``, ``max_headers``,
            ``max_head_size``, ``max_body``, ``validate_utf8``, ``max_fragments`` and
            ``max_inflated_size``. Others go to ``loop.create_connection()``, such as
            ``ssl``, ``server_hostname`` and ``sock``; ``host`` and ``port`` connect
            elsewhere than the URI says. With a proxy they are for the connection to
            it (for SOCKS ``local_addr`` only), but those for TLS, ``host`` and
            ``port`` are for the server behind it; ``proxy_ssl``,
            ``proxy_server_hostname``, ``proxy_ssl_handshake_timeout`` and
            ``proxy_ssl_shutdown_timeout`` are for TLS with the proxy. A ``sock`` goes
            through no proxy.

    Raises:
        InvalidURI: if the URI is not valid, or one that it is redirected to, or what
            stands in for its host: an argument ``host`` or ``server_hostname``.
        InvalidProxy: if the proxy is not valid.
        InvalidHandshake: if the server refused, or its answer or a header to send is
            not valid, or there are too many redirects.
        ProxyError: which is one of these, if the proxy did.
        ImportError: if the proxy needs the extra ``socks``.
        OSError: if the network or TLS fails, or a name is unknown.
        TimeoutError: which is one of these, if it takes too long.
        TypeError: if an argument is of the wrong type.
        ValueError: if arguments are wrong or do not fit together, or do not allow to
            follow a redirect.

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
        proxy: str | Literal[True] | None = True,
        process_exception: Callable[[Exception], Exception | None] = process_exception,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        reconnect_delays: Callable[[], Iterator[float]] = backoff,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        max_queue: int | tuple[int | None, int | None] | None = 16,
        write_limit: int | tuple[int | None, int | None] = 2**15,
        logger: LoggerLike | None = None,
        create_connection: Callable[..., ClientConnection] | None = None,
        max_redirects: int = 10,
        on_reconnect: Callable[[ClientConnection], Awaitable[object] | object]
        | None = None,
        stable_after: float = 10,
        on_open: Callable[[ClientConnection], object] | None = None,
        on_message: Callable[[ClientConnection, Data], object] | None = None,
        on_close: Callable[[ClientConnection], object] | None = None,
        **kwargs: Unpack[ClientKeywords],
    ) -> None:
        others: dict[str, Any] = {**kwargs}
        limits = take(others, CLIENT_LIMITS)
        _check_names(others)
        options.check_class(create_connection, ClientConnection, ("protocol",))
        options.check(options.CLIENT_RULES, uri=uri)
        self._uri = parse_uri(uri)
        self._protocol_options: dict[str, Any] = {
            "origin": origin,
            "extensions": with_compression(
                extensions,
                compression,
                enable_client_permessage_deflate,
                options.CLIENT_RULES["extensions"],
            ),
            "subprotocols": subprotocols,
            "max_size": max_size,
            "logger": logger,
            **limits,
        }
        self._options: dict[str, Any] = {
            "open_timeout": None,  # ours includes what comes before
            "ping_interval": ping_interval,
            "ping_timeout": ping_timeout,
            "close_timeout": close_timeout,
            "max_queue": max_queue,
            "write_limit": write_limit,
            "on_open": on_open,
            "on_message": on_message,
            "on_close": on_close,
        }
        options.check(
            options.CLIENT_RULES,
            **self._protocol_options,
            **{**self._options, "open_timeout": open_timeout},
            additional_headers=additional_headers,
            user_agent_header=user_agent_header,
            proxy=proxy,
            process_exception=process_exception,
            reconnect_delays=reconnect_delays,
            max_redirects=max_redirects,
            on_reconnect=on_reconnect,
            stable_after=stable_after,
        )
        self._headers = additional_headers
        self._user_agent = user_agent_header
        self._process_exception = process_exception
        self._open_timeout = open_timeout
        self._reconnect_delays = reconnect_delays
        self._logger = logger or logging.getLogger("sansocket.client")
        self._class = create_connection or ClientConnection
        self._max_redirects = max_redirects
        self._on_reconnect = on_reconnect
        self._stable_after = stable_after
        self._entered: list[tuple[object, ClientConnection]] = []
        self._network = Network(proxy, user_agent_header, limits, others)
        self._network.check(self._uri)

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        return self._connect().__await__()

    async def __aenter__(self) -> ClientConnection:
        connection = await self._connect()
        self._entered.append((asyncio.current_task(), connection))
        return connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Several tasks may be inside at once; and some leave in another task.
        task = asyncio.current_task()
        mine = [entry for entry in self._entered if entry[0] is task]
        entry = (mine or self._entered)[-1]
        self._entered.remove(entry)
        await entry[1].__aexit__(exc_type, exc_value, traceback)

    async def __aiter__(self) -> AsyncIterator[ClientConnection]:
        loop = asyncio.get_running_loop()
        retries = Retries(self._reconnect_delays, self._logger)
        while True:
            try:
                connection = await self._connect()
            except Exception as exc:
                self._raise_if_fatal(exc)
                await retries.pause("no connection", exc)
                continue
            opened_at = loop.time()
            try:
                if await self._prepare(connection):
                    yield connection
            finally:
                lasted = loop.time() - opened_at
                await connection.close()
            if lasted >= self._stable_after:
                retries.start_again()
            else:
                what = f"connection ended after {lasted:.1f} s"
                await retries.pause(what, connection.session.close_exc)

    # --- inside

    async def _prepare(self, connection: ClientConnection) -> bool:
        """Let the application do what each connection needs; tell whether it did."""
        if self._on_reconnect is not None:
            try:
                result = self._on_reconnect(connection)
                if isawaitable(result):
                    await result
            except ConnectionClosed:
                return False
            except BaseException:
                connection._begin_close(1011)
                raise
        return True

    def _raise_if_fatal(self, exc: Exception) -> None:
        fatal = self._process_exception(exc)
        if fatal is exc:
            raise exc
        if fatal is not None:
            raise fatal from exc

    async def _connect(self) -> ClientConnection:
        refusals: list[Exception] = []  # of the server that is asked, if it has refused
        try:
            return await within(self._open_timeout, self._open(refusals))
        except TimeoutError as exc:
            if exc.errno is not None:  # the network's own
                raise
            if refusals:
                raise refusals[-1] from exc
            raise TimeoutError("the opening handshake took too long") from exc

    async def _open(self, refusals: list[Exception]) -> ClientConnection:
        """Connect, and follow redirects."""
        uri, headers = self._uri, self._headers
        for _ in range(self._max_redirects + 1):
            try:
                return await self._open_once(uri, headers, refusals)
            except InvalidStatus as exc:
                target = self._follow(uri, exc)
            if headers is not None and not is_same_origin(uri, target):
                headers = without_credentials(headers)
            uri = target
        raise SecurityError(f"more than {self._max_redirects} redirects")

    def _follow(self, uri: WebSocketURI, exc: InvalidStatus) -> WebSocketURI:
        """Where a refusal redirects to; if nowhere, it is raised."""
        target = redirected(uri, exc.response) if self._max_redirects else None
        if target is None:
            raise exc
        try:
            self._network.check_redirect(is_same_origin(uri, target))
        except ValueError as error:
            raise error from exc
        return target

    async def _open_once(
        self,
        uri: WebSocketURI,
        headers: HeadersLike | None,
        refusals: list[Exception],
    ) -> ClientConnection:
        def make() -> ClientConnection:
            protocol = ClientProtocol(uri, **self._protocol_options)
            connection = self._class(protocol, **self._options)
            if type(connection) is not ClientConnection:
                options.check_connection(connection, ClientConnection)
            return connection

        refusals.clear()
        made = make()  # before there is a socket, which asyncio would leave open
        connection = await self._network.open(lambda: made, uri)
        try:
            await connection._shake_hands(headers, self._user_agent)
        except BaseException:
            refusals += connection._refusals()
            connection.transport.abort()
            raise
        return connection


def _check_names(kwargs: dict[str, Any]) -> None:
    """Refuse further arguments of ``connect()`` that nobody knows."""
    unix = kwargs.get("unix", False)
    names = loop_arguments(f"create_{'unix_' if unix else ''}connection")
    options.check_names(
        "unix_connect" if unix else "connect",
        connect,
        kwargs,
        {"unix", *PROXY_TLS, *names},
        CLIENT_LIMITS,
    )


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


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
