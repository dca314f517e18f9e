"""A connection of a server on asyncio: its opening handshake, and its handler."""

from __future__ import annotations

import asyncio
import hmac
import inspect
from collections.abc import Iterable

from .._base.options import NotAwaitable, awaitable, check_function, check_response
from .._base.values import refuse
from .._http.responses import name_server
from ..exceptions import ConnectionClosed, ConnectionClosedOK, InvalidHeader
from ..headers import build_www_authenticate_basic, parse_authorization_basic
from ..protocol import CLOSED, CONNECTING, OPEN
from ..server import ServerProtocol
from .connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Any, TypeAlias

    from ..http11 import Request, Response
    from ..typing import Data, StatusLike, Subprotocol
    from .server import Server

    Answer: TypeAlias = Response | None
    Handler: TypeAlias = Callable[["ServerConnection"], Awaitable[None]]
    ProcessRequest: TypeAlias = Callable[
        ["ServerConnection", Request], Awaitable[Answer] | Answer
    ]
    ProcessResponse: TypeAlias = Callable[
        ["ServerConnection", Request, Response], Awaitable[Answer] | Answer
    ]
    OnEvent: TypeAlias = Callable[["ServerConnection"], object]
    OnMessage: TypeAlias = Callable[["ServerConnection", Data], object]
    SelectSubprotocol: TypeAlias = Callable[
        ["ServerConnection", Sequence[Subprotocol]], Subprotocol | None
    ]
    CheckCredentials: TypeAlias = Callable[[str, str], Awaitable[bool] | bool]
    Credentials: TypeAlias = tuple[str, str] | Iterable[tuple[str, str]]

__all__ = ["ServerConnection", "basic_auth"]

UNAVAILABLE = "The server is shutting down.\n"


class ServerConnection(Connection, asyncio.BufferedProtocol):
    """A connection of a server; ``serve()`` makes them and gives them to the handler.

    Arguments and attributes are those of ``Connection``, and:

    Args:
        server: the server that it came to.

    Attributes:
        server: the server that it came to.
        username: who it is, after basic authentication.
        handler: who handles it, if ``route()`` chose one.
        handler_kwargs: keyword arguments of that.

    """

    protocol: ServerProtocol
    username: str
    handler: Callable[..., Awaitable[None]]
    handler_kwargs: Mapping[str, Any]

    # There is no dict until a program adds an attribute of its own.
    if not TYPE_CHECKING:
        __slots__ = ("_task", "handler", "handler_kwargs", "server", "username")
        if not Connection.__dictoffset__:  # as in the compiled form
            __slots__ += ("__dict__",)

    def __init__(
        self, protocol: ServerProtocol, server: Server, **options: Any
    ) -> None:
        super().__init__(protocol, **options)
        self.server = server
        self._task: asyncio.Task[None] | None = None  # which runs the handler

    def respond(self, status: StatusLike, text: str) -> Response:
        """Make a plain-text response that refuses the connection.

        It may be changed, and returned from ``process_request``.

        Args:
            status: HTTP status.
            text: body, to be encoded as UTF-8.

        """
        return self.protocol.reject(status, text)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; only the event loop calls this."""
        super().connection_made(transport)
        self.server._add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the loss of the connection; only the event loop calls this."""
        super().connection_lost(exc)
        if self.session.was_open:
            self._log_end()
        self.server._remove(self)

    # --- inside

    def _proceed(self) -> None:
        """Let the server see to it that the request is answered."""
        if self._lost:
            self._opening = False
            self._log_failure()
            if self._task is not None:  # the request is still being thought about
                self._task.cancel()
        elif self._task is None and self.session.request is not None:
            self.request: Request | None = self.session.request
            self.server._start(self)

    def _log_failure(self) -> None:
        exc = self.protocol.handshake_exc
        if exc is None and self.response is not None:  # a hook has refused it
            status = self.response.status_code
            self._log("connection refused: HTTP %d", status)
        else:
            self._log("opening handshake failed: %s", exc or "connection lost")

    def _log_end(self) -> None:
        if not self._logs():
            return
        exc = self.session.close_exc
        if isinstance(exc, ConnectionClosedOK):
            self._log("connection closed: %s", self.close_code)
        else:
            self._log("connection closed: %s: %s", self.close_code, exc)

    async def _shake_hands(
        self,
        process_request: ProcessRequest | None,
        process_response: ProcessResponse | None,
        server_header: str | None,
    ) -> bool:
        """Answer the request as hooks want; tell whether the connection is open."""
        try:
            response = await self._decide(process_request, process_response)
        except Exception as exc:
            return self._apologise(exc)
        return self._answer(response, server_header)

    def _answer(self, response: Response, server_header: str | None) -> bool:
        """Answer the request; tell whether the connection is open then."""
        try:
            if server_header is not None:
                name_server(response, server_header)
            self._respond(response)
        except Exception as exc:
            return self._apologise(exc)
        if self.protocol.state is not OPEN:
            self._log_failure()
            return False
        self._log("connection open")
        if self._on_open is not None:
            self._call(self._on_open)
        return True

    def _apologise(self, exc: Exception) -> bool:
        """Answer that the server failed, unless it is too late, as for the peer."""
        if self._waits_for_response():
            self.protocol.handshake_exc = exc
            self.logger.error("opening handshake failed", exc_info=exc)
            self._respond(self.respond(500, "The server failed; see its log.\n"))
            self._log_failure()
        return False

    async def _decide(
        self,
        process_request: ProcessRequest | None,
        process_response: ProcessResponse | None,
    ) -> Response:
        request = self.request
        assert request is not None
        response: Response | None = None
        if process_request is not None:
            response = await _result(process_request(self, request))
            if response is not None:
                check_response("process_request", response)
        if response is None or self.server._closing:
            response = self._accept()
        if process_response is not None and not self.server._closing:
            changed = await _result(process_response(self, request, response))
            if changed is not None:
                check_response("process_response", changed)
                response = changed
        return response

    def _accept(self) -> Response:
        """The response, if no hook has another one."""
        assert self.request is not None
        if self.server._closing:
            return self.respond(503, UNAVAILABLE)
        return self.protocol.accept(self.request)

    def _respond(self, response: Response) -> None:
        self.session.send_response(response, self._time())
        self.response: Response | None = response
        self._opening = False
        self.flush_soon()  # perhaps with what the handler sends first

    def _waits_for_response(self) -> bool:
        return self.protocol.state is CONNECTING and not self.protocol.eof_sent

    async def _handle(self, handler: Handler) -> None:
        """Run the handler, and close the connection after it."""
        try:
            await awaitable(handler, handler(self))
        except NotAwaitable as exc:
            self.logger.error("connection handler failed: %s", exc)
            await self.close(1011)
        except Exception as exc:
            if not _tells_of_closing(exc):
                self.logger.error("connection handler failed", exc_info=exc)
            elif self.protocol.state is not CLOSED:  # another one, of the handler's
                self.logger.error("connection handler failed: %s", exc)
            await self.close(1011)
        except asyncio.CancelledError:  # _task_done() closes it then
            raise
        except BaseException as exc:
            if not self._loop.is_closed():  # or the interpreter clears what is left
                if not isinstance(exc, (KeyboardInterrupt, SystemExit)):
                    self.logger.error("connection handler failed", exc_info=exc)
                self._begin_close(1011)
            raise
        else:
            await self.close()

    def _task_done(self, task: asyncio.Task[None]) -> None:
        """See that nothing is left of a handler, or of hooks, that were cancelled.

        Perhaps they had not begun.
        """
        if not task.cancelled():
            task.exception()  # it was logged, or ends the program
        if self._waits_for_response():
            self._respond(self.respond(503, UNAVAILABLE))
            self._log_failure()
        elif self.server.handler is not None and self.protocol.state is OPEN:
            self._begin_close(1001)
        self.server._task_done(task)

    def _go_away(self, code: int, reason: str) -> None:
        """Close because the server ends.

        A request that is being thought about gets its 503 in time; who sent none has to
        go.
        """
        if self.protocol.state is OPEN:
            self._begin_close(code, reason)
        elif self._task is None and self._waits_for_response():
            self.transport.abort()


def basic_auth(
    realm: str = "",
    credentials: Credentials | None = None,
    check_credentials: CheckCredentials | None = None,
) -> Callable[[ServerConnection, Request], Awaitable[Answer]]:
    """Make a ``process_request`` that demands basic authentication (RFC 7617).

    Who passes is in ``connection.username`` then.

    Args:
        realm: what is protected, for people to read.
        credentials: a pair of user name and password, or an iterable of pairs; they
            are compared in constant time.
        check_credentials: function or coroutine function that is called with user
            name and password instead, and tells whether they are right.

    Raises:
        ValueError: unless there is one of ``credentials`` and ``check_credentials``,
            or if the realm cannot be sent.
        TypeError: if an argument is of a wrong type.

    """
    if (credentials is None) is (check_credentials is None):
        raise ValueError("give either credentials or check_credentials")
    if not isinstance(realm, str):
        refuse("realm", "a str", realm, TypeError)
    challenge = build_www_authenticate_basic(realm)
    if check_credentials is None:
        check: CheckCredentials = _checker(credentials)
    else:
        arguments = ("username", "password")
        check_function("check_credentials", check_credentials, arguments)
        check = check_credentials

    async def process_request(
        connection: ServerConnection, request: Request
    ) -> Response | None:
        try:
            username, password = parse_authorization_basic(
                request.headers["Authorization"]
            )
        except (LookupError, InvalidHeader):
            accepted = False
        else:
            accepted = await _result(check(username, password))
        if accepted:
            connection.username = username
            return None
        response = connection.respond(401, "Credentials are missing or wrong.\n")
        response.headers["WWW-Authenticate"] = challenge
        return response

    return process_request


def _checker(credentials: Any) -> Callable[[str, str], bool]:
    """Compare with all credentials, whatever the result, so that time tells nothing."""
    pairs = [credentials] if _is_pair(credentials) else credentials
    if not isinstance(pairs, str) and isinstance(pairs, Iterable):
        pairs = [*pairs]
    if not isinstance(pairs, list) or not all(map(_is_pair, pairs)):
        # They are secret, and not shown.
        raise TypeError(
            "credentials must be a pair of a user name and a password, or an iterable "
            f"of pairs, not this {type(credentials).__name__}"
        )
    known = [(name.encode(), password.encode()) for name, password in pairs]

    def check(username: str, password: str) -> bool:
        found = False
        for known_name, known_password in known:
            same_name = hmac.compare_digest(known_name, username.encode())
            same_password = hmac.compare_digest(known_password, password.encode())
            found |= same_name & same_password
        return found

    return check


def _tells_of_closing(exc: BaseException) -> bool:
    """Whether it is ``ConnectionClosed``, or a group of nothing else.

    Task groups raise such a group.
    """
    parts = getattr(exc, "exceptions", None)
    if isinstance(parts, tuple) and parts and isinstance(exc, Exception):
        return all(map(_tells_of_closing, parts))
    return isinstance(exc, ConnectionClosed)


def _is_pair(value: Any) -> bool:
    """Whether it is a user name and a password."""
    kind = isinstance(value, (tuple, list)) and len(value) == 2
    return kind and all(isinstance(one, str) for one in value)


async def _result(value: Any) -> Any:
    """What a function or a coroutine function gives."""
    return await value if inspect.isawaitable(value) else value
