"""WebSockets inside of uvicorn: ``uvicorn --ws sansocket.uvicorn:WebSocketProtocol``.

It stands on a ``Connection`` of the asyncio driver and turns its messages into
events of ASGI. uvicorn's HTTP protocols have parsed the request, but hand it over
as text; it is parsed here once more, strictly, and once only. What a client sends
behind its request before that is answered, as no client may, uvicorn drops.
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
except ImportError as exc:
    raise ImportError(
        "sansocket.uvicorn needs uvicorn: pip install 'sansocket[uvicorn]'"
    ) from exc

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

# How far the conversation with the application is: it has to decide, has accepted,
# is denying with a response of its own, has closed or denied; or the server did.
DECIDING, ACCEPTED, DENYING, CLOSED, GONE = range(5)
EXPECTED = {
    DECIDING: "'websocket.accept', 'websocket.close' or "
    "'websocket.http.response.start'",
    ACCEPTED: "'websocket.send' or 'websocket.close'",
    DENYING: "'websocket.http.response.body'",
    CLOSED: "nothing after the connection was closed",
}


class WebSocketProtocol(Connection, asyncio.BufferedProtocol):
    """A WebSocket connection of uvicorn, which makes it once an upgrade is requested.

    What uvicorn has no option for are attributes of the class; a subclass may have
    others.

    Args:
        config: all options of uvicorn.
        server_state: what its connections share.
        app_state: what the lifespan of the application has left in ``state``.

    Attributes:
        open_timeout: seconds for the application to accept or to deny; ``None`` for
            no limit.
        close_timeout: seconds for the peer to end the connection once it should;
            ``None`` for no limit.
        origins: acceptable values of ``Origin``, as for ``ServerProtocol``; ``None``
            accepts all.
        hosts: acceptable values of ``Host``; ``None`` accepts all.
        max_request_line: bytes of the request line, else HTTP 414; ``None`` for what
            uvicorn has accepted.
        max_header_line: bytes of a header line, else HTTP 431; ``None`` likewise.
        max_headers: number of header lines, else HTTP 431; ``None`` likewise.
        max_head_size: bytes of the whole request, else HTTP 431; ``None`` likewise.
        max_fragments: how many frames one message may have; ``None`` for no limit.
        max_inflated_size: bytes that a compressed message may expand to, if that is
            to be less than ``--ws-max-size``; ``None`` for no limit of its own.
        validate_utf8: whether to check text as it arrives, or once it is complete.
        write_limit: bytes that may wait to be written until the application waits,
            or a pair of a high and a low mark.

    Raises:
        TypeError: if one of these is of a wrong type; for a subclass when it is made.
        ValueError: if it has a wrong value.
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
        self.scope: dict[str, Any] = {}  # set once the request came
        self._http_version = "1.1"  # of the request
        self._stage = DECIDING
        self._disconnected = False  # whether the application has the last event
        self._events = 0  # that the application has asked for
        self._connect_given = False  # whether the application has the first event
        self._acceptance: Response | None = None  # to be sent once it accepts
        self._denial: Denial | None = None
        self._receiving = False  # whether a task of the application receives
        self._turns: list[asyncio.Future[None]] = []  # of others that want to

    def _head_limits(self) -> dict[str, Any]:
        """Limits of the request; its size is limited by uvicorn already."""
        limits = {name: getattr(self, name) for name in HEAD}
        return {n: MOST if value is None else value for n, value in limits.items()}

    # --- what uvicorn and the transport call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; only uvicorn calls this."""
        self._http_version = version_of(transport)
        super().connection_made(transport)
        self.server_state.connections.add(self)  # type: ignore[arg-type]
        self._trace("made")

    def data_received(self, data: bytes) -> None:
        """Take the request, which uvicorn hands over as bytes; only it calls this."""
        rest = memoryview(data)
        while rest:
            buffer = self.get_buffer(len(rest))
            size = min(len(rest), len(buffer))
            buffer[:size] = rest[:size]
            self.buffer_updated(size)
            rest = rest[size:]

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the connection; only the event loop calls this."""
        self.server_state.connections.discard(self)
        super().connection_lost(exc)
        self._trace("lost")

    def shutdown(self) -> None:
        """Close with 1012, because the server ends; only uvicorn calls this."""
        if self._stage == DECIDING:
            self._refuse_request()
        else:
            self._begin_close(1012)

    # --- inside: the opening handshake

    def _proceed(self) -> None:
        """Look at the request, and let the application decide."""
        if self.session.timed_out:
            self._opening = False
            if self._stage == DECIDING and self.scope:
                self._stage = GONE
                self._log_decision("timed out")
        elif self._lost:
            self._opening = False
        elif self.request is None and self.session.request is not None:
            self.request = self.session.request
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
        self.response = response
        self._opening = False
        self.flush()

    def _refuse_request(self) -> None:
        """Answer for an application that failed to, or cannot any more."""
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
            if self._loop.is_closed():  # nobody waits for anything
                raise
            if isinstance(exc, asyncio.CancelledError) and was_cancelled():
                self._finish(1012)  # the server does not wait any longer
                raise
            # As with uvicorn's own protocols, no application ends the server.
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
        """The application is done: end what it has left open."""
        if self._stage == DECIDING:
            self._refuse_request()
        elif self._stage == DENYING:
            self.transport.close()
        else:
            self._begin_close(code)

    async def _receive_event(self) -> Event:
        """What the application calls to receive."""
        if not self._connect_given:
            self._connect_given = True
            return {"type": "websocket.connect"}
        while self._receiving:
            await self._wait_in(self._turns)
        self._receiving = True
        try:
            self._events += 1
            if self._events % MOST_STREAK == 0:
                await asyncio.sleep(0)  # other tasks have their turn
            while True:
                message = self.session.next_message(self._time())
                self.flush_soon()  # it may have read a ping, or go on reading
                if message is not None:
                    break
                # Nothing comes any more, even if the peer takes its time to go.
                if self.protocol.eof_sent or self._stage == CLOSED:
                    if self._disconnected:
                        await asyncio.sleep(0)  # it may ask again and again
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
        """Let another task receive; one of them will, whichever are canceled."""
        for waiter in self._turns:
            if not waiter.done():
                waiter.set_result(None)

    def _disconnect(self) -> Event:
        return disconnect(self.protocol.close_rcvd or self.protocol.close_sent)

    async def _send_event(self, event: Event) -> None:
        """What the application calls to send."""
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
        """Take what is no message: it changes how far the conversation is."""
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
        """Say that the client is gone; and let others run, since the application may
        pay no heed to it and go on sending."""
        await asyncio.sleep(0)
        raise ClientDisconnected from None

    def _accept(self, event: Event) -> None:
        acceptance = self._acceptance
        assert acceptance is not None
        subprotocol = chosen_subprotocol(event, self.scope["subprotocols"])
        headers = acceptance.headers.copy()
        del headers["Date"]  # the server has one of its own, or wants none
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
        """Send a part of the body of the application's own response."""
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
        self.session.close(self._time())  # it sees that the end is due
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
        """Let nobody who sends wait for the end of the connection."""
        await asyncio.sleep(0)
        raise ClientDisconnected from exc

    # --- inside: the log

    def _log_decision(self, decision: object) -> None:
        scope: Any = self.scope
        client, path = get_client_addr(scope), get_path_with_query_string(scope)
        LOGGER.info('%s - "WebSocket %s" %s', client, path, decision)

    def _trace(self, event: str) -> None:
        if LOGGER.isEnabledFor(TRACE_LOG_LEVEL):
            # Once it is lost, some transports have forgotten it.
            client = self.scope.get("client") or get_remote_addr(self.transport)
            prefix = f"{client[0]}:{client[1]} - " if client else ""
            LOGGER.log(TRACE_LOG_LEVEL, "%sWebSocket connection %s", prefix, event)


def was_cancelled() -> bool:
    """Whether somebody cancels the current task, as far as Python tells."""
    task: Any = asyncio.current_task()
    cancelling = getattr(task, "cancelling", None)  # new in Python 3.11
    return cancelling is None or cancelling() > 0


def positive(seconds: float | None) -> float | None:
    """Seconds of an option of uvicorn, where 0 and less mean none."""
    return seconds if seconds and seconds > 0 else None


def version_of(transport: Any) -> str:
    """Version of HTTP that the client speaks: uvicorn hands every request over as
    one of HTTP/1.1, but its protocol still has the transport then, and knows."""
    try:
        version: str = transport.get_protocol().scope["http_version"]
    except (AttributeError, KeyError, TypeError):
        return "1.1"
    return version
