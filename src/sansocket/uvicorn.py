"""WebSockets inside of uvicorn: ``uvicorn --ws sansocket.uvicorn:WebSocketProtocol``.

This is built on a ``Connection`` of the asyncio driver, whose messages it converts to
events of ASGI. uvicorn's HTTP protocols parse the request but pass it on as text, so it
is parsed here again, strictly. uvicorn drops anything that a client sends after its
request and before the answer, which no client is allowed to do.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging

try:
    from uvicorn.logging import TRACE_LOG_LEVEL
    from uvicorn.protocols.utils import (
        ClientDisconnected,
        get_client_addr,
        get_local_addr,
        get_path_with_query_string,
        get_remote_addr,
        is_ssl,
    )
except ImportError as _exc:
    raise ImportError(
        "sansocket.uvicorn needs uvicorn: pip install 'sansocket[uvicorn]'"
    ) from _exc

from ._asgi import (
    Denial,
    accepted_headers,
    chosen_subprotocol,
    disconnect,
    headers_of,
    target_of,
)
from ._base.values import MOST, RULES, SERVER_HEAD
from .asyncio._link import MOST_STREAK
from .asyncio.connection import Connection
from .exceptions import ConnectionClosed, InvalidState
from .extensions.permessage_deflate import enable_server_permessage_deflate
from .http11 import Response
from .server import ServerProtocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Sequence
    from typing import Any, NoReturn

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from ._asgi import Event
    from .http11 import Request
    from .typing import Origin

__all__ = ["WebSocketProtocol"]

LOGGER = logging.getLogger("uvicorn.error")

HEAD = SERVER_HEAD
OPTIONS = (
    *("open_timeout", "close_timeout", "origins", "hosts", *HEAD, "max_fragments"),
    *("max_inflated_size", "validate_utf8", "write_limit"),
)

# Progress of the conversation with the application: it must decide, has accepted, is
# denying with its own response, or has closed or denied; or the server has.
DECIDING, ACCEPTED, DENYING, CLOSED, GONE = range(5)
EXPECTED = {
    DECIDING: "'websocket.accept', 'websocket.close' or "
    "'websocket.http.response.start'",
    ACCEPTED: "'websocket.send' or 'websocket.close'",
    DENYING: "'websocket.http.response.body'",
    CLOSED: "nothing after the connection was closed",
}


class WebSocketProtocol(Connection, asyncio.BufferedProtocol):
    """A WebSocket connection in uvicorn, which creates it for each upgrade request.

    Settings that uvicorn has no option for are attributes of the class. To change them,
    subclass it.

    Args:
        config: all options of uvicorn.
        server_state: state that uvicorn's connections share.
        app_state: ``state`` of the application's lifespan.

    Attributes:
        open_timeout: seconds for the application to accept or to deny; ``None`` for
            no limit.
        close_timeout: seconds for the peer to end the TCP connection once it should;
            ``None`` for no limit.
        origins: acceptable values of ``Origin``, as for ``ServerProtocol``; ``None``
            accepts all.
        hosts: acceptable values of ``Host``; ``None`` accepts all.
        max_request_line: maximum number of bytes in the request line; HTTP 414.
            ``None`` accepts anything that uvicorn has accepted.
        max_header_line: maximum number of bytes in a header line; HTTP 431. ``None``
            as above.
        max_headers: maximum number of header lines; HTTP 431. ``None`` as above.
        max_head_size: maximum number of bytes in the whole request; HTTP 431. ``None``
            as above.
        max_fragments: maximum number of frames in a message; ``None`` for no limit.
        max_inflated_size: maximum number of bytes that a compressed message may expand
            to, if less than ``--ws-max-size``; ``None`` for no separate limit.
        validate_utf8: whether to validate text as it arrives, rather than once it is
            complete.
        write_limit: number of bytes that may be waiting to be written before
            ``send()`` waits, or a pair of a high and a low mark.

    Raises:
        TypeError: if an attribute has a wrong type; when a subclass is defined.
        ValueError: if an attribute has a wrong value.
    """

    protocol: ServerProtocol
    open_timeout: float | None = 10
    close_timeout: float | None = 10
    origins: Sequence[Origin | re.Pattern[str] | None] | None = None
    hosts: Iterable[str] | None = None
    max_request_line: int | None = None
    max_header_line: int | None = None
    max_headers: int | None = None
    max_head_size: int | None = None
    max_fragments: int | None = 4096
    max_inflated_size: int | None = None
    validate_utf8: bool = True
    write_limit: int | tuple[int | None, int | None] = 2**15

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in OPTIONS:
            value = getattr(cls, name)
            if value is not None or name not in HEAD:
                RULES[name](name, value)

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        deflate = config.ws_per_message_deflate
        super().__init__(
            ServerProtocol(
                extensions=enable_server_permessage_deflate(None) if deflate else None,
                origins=self.origins,
                hosts=self.hosts,
                max_size=config.ws_max_size,
                max_fragments=self.max_fragments,
                max_inflated_size=self.max_inflated_size,
                validate_utf8=self.validate_utf8,
                logger=LOGGER,
                **self._head_limits(),
            ),
            open_timeout=self.open_timeout,
            ping_interval=positive(config.ws_ping_interval),
            ping_timeout=positive(config.ws_ping_timeout),
            close_timeout=self.close_timeout,
            max_queue=max(config.ws_max_queue, 1),
            write_limit=self.write_limit,
        )
        self.config = config
        self.server_state = server_state
        self.app_state = app_state
        self.scope: dict[str, Any] = {}  # set once the request has arrived
        self._http_version = "1.1"  # of the request
        self._stage = DECIDING
        self._disconnected = False  # whether the application has the last event
        self._events = 0  # requested by the application
        self._connect_given = False  # whether the application has the first event
        self._acceptance: Response | None = None  # to be sent after it accepts
        self._denial: Denial | None = None
        self._receiving = False  # whether a task of the application is receiving
        self._turns: list[asyncio.Future[None]] = []  # of other tasks that want to

    def _head_limits(self) -> dict[str, Any]:
        """Return the limits of the request, whose size uvicorn has already limited."""
        limits = {name: getattr(self, name) for name in HEAD}
        return {n: MOST if value is None else value for n, value in limits.items()}

    # --- called by uvicorn and the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the transport; called only by uvicorn."""
        self._http_version = version_of(transport)
        super().connection_made(transport)
        self.server_state.connections.add(self)  # type: ignore[arg-type]
        self._trace("made")

    def data_received(self, data: bytes) -> None:
        """Handle the request as bytes; called only by uvicorn."""
        rest = memoryview(data)
        while rest:
            buffer = self.get_buffer(len(rest))
            size = min(len(rest), len(buffer))
            buffer[:size] = rest[:size]
            self.buffer_updated(size)
            rest = rest[size:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the loss of the connection; called only by the event loop."""
        self.server_state.connections.discard(self)
        super().connection_lost(exc)
        self._trace("lost")

    def shutdown(self) -> None:
        """Close with 1012, because the server is stopping; called only by uvicorn."""
        if self._stage == DECIDING:
            self._refuse_request()
        else:
            self._begin_close(1012)

    # --- inside: the opening handshake

    def _proceed(self) -> None:
        """Check the request, and let the application decide."""
        if self.session.timed_out:
            self._opening = False
            if self._stage == DECIDING and self.scope:
                self._stage = GONE
                self._log_decision("timed out")
        elif self._lost:
            self._opening = False
        elif self.request is None and self.session.request is not None:
            self.request: Request | None = self.session.request
            self._start(self.request)

    def _start(self, request: Request) -> None:
        transport = self.transport
        request.protocol = f"HTTP/{self._http_version}"
        self.scope = {
            "type": "websocket",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.5"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(transport) else "ws",
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "state": self.app_state.copy(),
            "extensions": {"websocket.http.response": {}},
            **target_of(request, self.config.root_path),
        }
        response = self.protocol.accept(request)
        if response.status_code != 101:
            self._log_decision(response.status_code)
            self._stage = GONE
            self._respond(response)
            return
        self._acceptance = response
        self.scope |= headers_of(request)
        create_task = self._loop.create_task
        if self.config.reset_contextvars:
            task = contextvars.Context().run(create_task, self._run())
        else:
            task = create_task(self._run())
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)

    def _respond(self, response: Response) -> None:
        self.session.send_response(response, self._time())
        self.response: Response | None = response
        self._opening = False
        self.flush()

    def _refuse_request(self) -> None:
        """Answer on behalf of an application that failed or cannot answer."""
        self._stage = GONE
        if not self.protocol.eof_sent:
            self._respond(self.protocol.reject(500, "Internal Server Error"))

    # --- inside: the application

    async def _run(self) -> None:
        """Run the application, and end the connection after it."""
        app: Any = self.config.loaded_app
        try:
            result = await app(self.scope, self._receive_event, self._send_event)
        except ClientDisconnected:
            self._finish(1000)
        except BaseException as exc:
            if self._loop.is_closed():  # nobody is waiting for anything
                raise
            if isinstance(exc, asyncio.CancelledError) and was_cancelled():
                self._finish(1012)  # the server has stopped waiting
                raise
            # As with uvicorn's own protocols, no application can end the server.
            LOGGER.exception("Exception in ASGI application\n")
            self._finish(1011)
        else:
            undecided = self._stage in (DECIDING, DENYING)
            if undecided and not self.protocol.eof_sent:
                LOGGER.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                message = "ASGI callable should return None, but returned '%s'."
                LOGGER.error(message, result)
            self._finish(1000)

    def _finish(self, code: int) -> None:
        """Close anything that the application left open when it returned."""
        if self._stage == DECIDING:
            self._refuse_request()
        elif self._stage == DENYING:
            self.transport.close()
        else:
            self._begin_close(code)

    async def _receive_event(self) -> Event:
        """Return the next event; called by the application."""
        if not self._connect_given:
            self._connect_given = True
            return {"type": "websocket.connect"}
        while self._receiving:
            await self._wait_in(self._turns)
        self._receiving = True
        try:
            self._events += 1
            if self._events % MOST_STREAK == 0:
                await asyncio.sleep(0)  # let other tasks run
            while True:
                message = self.session.next_message(self._time())
                self.flush_soon()  # it may have read a ping, or resume reading
                if message is not None:
                    break
                # Nothing more will arrive, even if the peer is slow to disconnect.
                if self.protocol.eof_sent or self._stage == CLOSED:
                    if self._disconnected:
                        await asyncio.sleep(0)  # it may call this repeatedly
                    self._disconnected = True
                    return self._disconnect()
                await self._wait_for_more()
        finally:
            self._receiving = False
            if self._turns:
                self._next_turn()
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    def _next_turn(self) -> None:
        """Let another task receive, one that has not been canceled."""
        for waiter in self._turns:
            if not waiter.done():
                waiter.set_result(None)

    def _disconnect(self) -> Event:
        return disconnect(self.protocol.close_rcvd or self.protocol.close_sent)

    async def _send_event(self, event: Event) -> None:
        """Handle an event; called by the application."""
        if self._stage != ACCEPTED or event["type"] != "websocket.send":
            await self._send_other(event)
            return
        message = event.get("bytes")
        if message is None:
            message = event.get("text")
        if message is not None:
            try:
                await self.send(message)
            except ConnectionClosed:
                await self._refuse_event()

    async def _send_other(self, event: Event) -> None:
        """Handle an event other than a message: it changes the progress."""
        stage, kind = self._stage, event["type"]
        if self._lost or stage == GONE:
            await self._refuse_event()
        try:
            if stage == DECIDING and kind == "websocket.accept":
                self._accept(event)
            elif stage == DECIDING and kind == "websocket.close":
                self._deny(self.protocol.reject(403, ""))
            elif stage == DECIDING and kind == "websocket.http.response.start":
                self._denial = Denial(event, self.server_state.default_headers)
                self._stage = DENYING
            elif stage == DENYING and kind == "websocket.http.response.body":
                await self._deny_with(event)
            elif stage == ACCEPTED and kind == "websocket.close":
                self._close_for(event)
            else:
                raise RuntimeError(f"expected {EXPECTED[stage]}, but got {kind!r}")
        except (ConnectionClosed, InvalidState):
            await self._refuse_event()

    async def _refuse_event(self) -> NoReturn:
        """Raise an exception because the client is gone.

        Other tasks run first, since the application may ignore this and keep sending.
        """
        await asyncio.sleep(0)
        raise ClientDisconnected from None

    def _accept(self, event: Event) -> None:
        acceptance = self._acceptance
        assert acceptance is not None
        subprotocol = chosen_subprotocol(event, self.scope["subprotocols"])
        headers = acceptance.headers.copy()
        del headers["Date"]  # the server has its own, or must not send one
        headers.update(accepted_headers(event, self.server_state.default_headers))
        if subprotocol is not None:
            headers["Sec-WebSocket-Protocol"] = subprotocol
        self._respond(Response(101, acceptance.reason_phrase, headers))
        self.protocol.subprotocol = subprotocol
        self._stage = ACCEPTED
        self._log_decision("[accepted]")

    def _deny(self, response: Response) -> None:
        self._respond(response)
        self._stage = CLOSED
        self._log_decision(response.status_code)

    async def _deny_with(self, event: Event) -> None:
        """Send a part of the body of the application's response."""
        denial = self._denial
        assert denial is not None
        body, more = event.get("body", b""), event.get("more_body", False)
        response = None if more else denial.whole(body)
        if response is not None:
            self._deny(response)
            return
        if self.protocol.eof_sent:
            await self._refuse_event()
        self.transport.write(denial.part(body, more))
        if more:
            await self._give_way()
            return
        self.protocol.send_eof()
        self.session.close(self._time())  # it notices that the end is due
        self._opening = False
        self.flush()
        self._stage = CLOSED
        self._log_decision(denial.status)

    def _close_for(self, event: Event) -> None:
        code = event.get("code")
        reason = event.get("reason") or ""
        self._begin_close(1000 if code is None else code, reason)
        self._stage = CLOSED

    async def _refuse(self, exc: InvalidState) -> NoReturn:
        """Wake tasks that are sending, now that the connection is ending."""
        await asyncio.sleep(0)
        raise ClientDisconnected from exc

    # --- inside: the log

    def _log_decision(self, decision: object) -> None:
        scope: Any = self.scope
        client, path = get_client_addr(scope), get_path_with_query_string(scope)
        LOGGER.info('%s - "WebSocket %s" %s', client, path, decision)

    def _trace(self, event: str) -> None:
        if LOGGER.isEnabledFor(TRACE_LOG_LEVEL):
            # Some transports have forgotten it once the connection is lost.
            client = self.scope.get("client") or get_remote_addr(self.transport)
            prefix = f"{client[0]}:{client[1]} - " if client else ""
            LOGGER.log(TRACE_LOG_LEVEL, "%sWebSocket connection %s", prefix, event)


def was_cancelled() -> bool:
    """Whether the current task is being canceled, as far as Python can tell."""
    task: Any = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)  # new in Python 3.11
    return cancelling is None or cancelling() > 0


def positive(seconds: float | None) -> float | None:
    """Convert an option of uvicorn, where 0 and less mean none, to seconds."""
    return seconds if seconds and seconds > 0 else None


def version_of(transport: Any) -> str:
    """Return the client's version of HTTP.

    uvicorn passes on every request as HTTP/1.1, but its protocol, which still has the
    transport at that point, knows the version.
    """
    try:
        version: str = transport.get_protocol().scope["http_version"]
    except (AttributeError, KeyError, TypeError):
        return "1.1"
    return version
