"""The server's side of a connection, without I/O (RFC 6455, section 4.2)."""

from __future__ import annotations

from ._base.constants import CONNECTING, SERVER, State
from ._base.mirrored import names_from_elsewhere
from ._base.values import RULES, SERVER_NUMBERS, check_numbers, server_extensions
from ._http import handshake, responses
from ._wire.reader import _from_limit
from .exceptions import InvalidHandshake, InvalidState
from .http11 import RequestParser
from .protocol import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Sequence

    from .datastructures import Headers
    from .extensions.base import Extension, ServerExtensionFactory
    from .http11 import Request, Response
    from .typing import LoggerLike, Origin, StatusLike, Subprotocol

__all__ = ["ServerProtocol"]

# What needs no check: the defaults of SERVER_NUMBERS.
_USUAL = (2**20, 4096, None, True, CONNECTING, 8192, 8192, 128, 65536)


class ServerProtocol(Protocol):
    """A WebSocket connection of a server.

    Call ``receive_data()`` until ``events_received()`` returns a ``Request``, then
    ``accept()`` or ``reject()`` to make a response, then ``send_response()``. After
    a 101, both sides can send frames. After each call, write the bytes that
    ``data_to_send()`` returns.

    Args:
        origins: acceptable values of ``Origin``: strings, compiled regular
            expressions that must match the whole value, and ``None`` if a request
            may lack one; ``None`` instead of a list accepts all. Browsers let any
            site connect to any server, so if you identify users by cookies, set the
            list (RFC 6455, section 10.2).
        extensions: factories of extensions, in the order in which to try them.
        subprotocols: supported subprotocols, in order of preference.
        select_subprotocol: replaces the method of the same name; called with this
            object and the client's list.
        state: initial state; ``OPEN`` if the handshake was done elsewhere.
        max_size: maximum size of an incoming message in bytes, after decompression;
            ``None`` for no limit; or a pair of limits for a message and a fragment.
        logger: logger of this connection; ``sansocket.server`` by default.
        hosts: acceptable values of ``Host``; ``None`` accepts all.
        max_request_line: maximum number of bytes in the request line; HTTP 414.
        max_header_line: maximum number of bytes in a header line; HTTP 431.
        max_headers: maximum number of header lines; HTTP 431.
        max_head_size: maximum number of bytes in the whole request; HTTP 431.
        validate_utf8: whether to validate text messages as they arrive. Otherwise,
            the caller must decode them and fail the connection with 1007.
        max_fragments: maximum number of frames in a message, including empty ones.
        max_inflated_size: maximum number of bytes that a compressed message may
            expand to, if less than ``max_size``.

    Attributes:
        origin: value of ``Origin`` in the accepted request, or ``None``.
        subprotocol: the negotiated subprotocol, or ``None``.
        handshake_exc: why the opening handshake failed, or ``None``.
    """

    def __init__(
        self,
        *,
        origins: Sequence[Origin | re.Pattern[str] | None] | None = None,
        extensions: Sequence[ServerExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        select_subprotocol: (
            Callable[[ServerProtocol, Sequence[Subprotocol]], Subprotocol | None] | None
        ) = None,
        state: State = CONNECTING,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
        hosts: Iterable[str] | None = None,
        max_request_line: int = 8192,
        max_header_line: int = 8192,
        max_headers: int = 128,
        max_head_size: int = 65536,
        validate_utf8: bool = True,
        max_fragments: int | None = 4096,
        max_inflated_size: int | None = None,
    ) -> None:
        heads = (max_request_line, max_header_line, max_headers, max_head_size)
        sizes = max_size, max_fragments, max_inflated_size
        numbers = (*sizes, validate_utf8, state, *heads)
        if not _are_usual(numbers):
            check_numbers(SERVER_NUMBERS, *numbers)
        if logger is not None:
            RULES["logger"]("logger", logger)
        if origins is not None:
            RULES["origins"]("origins", origins)
        if hosts is not None:
            RULES["hosts"]("hosts", hosts)
        if extensions is not None:
            server_extensions("extensions", extensions)
        if subprotocols is not None:
            RULES["subprotocols"]("subprotocols", subprotocols)
        if select_subprotocol is not None:
            RULES["select_subprotocol"]("select_subprotocol", select_subprotocol)
        self._begin_server(
            origins,
            extensions,
            subprotocols,
            select_subprotocol,
            state,
            max_size,
            logger,
            hosts,
            heads,
            (validate_utf8, max_fragments, max_inflated_size),
        )

    def _begin_server(
        self,
        origins: Sequence[Origin | re.Pattern[str] | None] | None,
        extensions: Sequence[ServerExtensionFactory] | None,
        subprotocols: Sequence[Subprotocol] | None,
        select_subprotocol: (
            Callable[[ServerProtocol, Sequence[Subprotocol]], Subprotocol | None] | None
        ),
        state: State,
        max_size: int | tuple[int | None, int | None] | None,
        logger: LoggerLike | None,
        hosts: Iterable[str] | None,
        heads: tuple[int, int, int, int],
        messages: tuple[bool, int | None, int | None],
    ) -> None:
        """Initialize with arguments that were checked before."""
        validate_utf8, max_fragments, max_inflated_size = messages
        self._begin(
            SERVER,
            state,
            max_size,
            logger,
            validate_utf8,
            max_fragments,
            max_inflated_size,
        )
        self.origins = origins
        self.available_extensions = extensions
        self.available_subprotocols = subprotocols
        self.hosts = hosts
        self._selector = select_subprotocol
        self._method = "GET"  # of the request that is to be answered
        self._head: RequestParser | None = None
        if state == CONNECTING:
            head = RequestParser.__new__(RequestParser)
            head._begin_head(heads[0], heads[1], heads[2], heads[3])
            self._head = head
            self._await_head()

    def _alike(
        self,
        selector: (
            Callable[[ServerProtocol, Sequence[Subprotocol]], Subprotocol | None] | None
        ),
    ) -> ServerProtocol:
        """Make another connection with the same options, without checking them again.

        Args:
            selector: ``select_subprotocol`` of the new connection.
        """
        head = self._head
        assert head is not None
        protocol = ServerProtocol.__new__(ServerProtocol)
        protocol._begin_server(
            self.origins,
            self.available_extensions,
            self.available_subprotocols,
            selector,
            CONNECTING,
            (self.max_message_size, self.max_fragment_size),
            self.logger,
            self.hosts,
            (
                head._max_start_line,
                head._max_header_line,
                head._max_headers,
                head._max_head_size,
            ),
            (
                self.validate_utf8,
                _from_limit(self._max_fragments),
                _from_limit(self._max_inflated),
            ),
        )
        return protocol

    def accept(self, request: Request) -> Response:
        """Make the response to a request: 101, or the appropriate refusal.

        This does not raise exceptions: if the handshake fails, the reason is in
        ``handshake_exc``. You may change the response. Then pass it to
        ``send_response()``.

        Args:
            request: request from ``events_received()``, or from any HTTP parser.
        """
        try:
            self._method = request.method
            accept, extensions, subprotocol = self.process_request(request)
        except Exception as exc:
            return self._rejection(exc)
        try:
            return responses.accept_response(accept, extensions, subprotocol)
        except InvalidHandshake as exc:  # caused by a callback, not by the client
            return self._rejection(ValueError(str(exc)))

    def process_request(self, request: Request) -> tuple[str, str | None, str | None]:
        """Check a request and negotiate (RFC 6455, section 4.2.2).

        This sets ``origin``, ``extensions`` and ``subprotocol``.

        Returns:
            Values of ``Sec-WebSocket-Accept``, ``Sec-WebSocket-Extensions`` and
            ``Sec-WebSocket-Protocol`` in the response; ``None`` for no such header.

        Raises:
            InvalidHandshake: if the request must be refused.
        """
        key = handshake.check_upgrade_request(request, self.hosts)
        headers = request.headers
        self.origin: Origin | None = self.process_origin(headers)
        extensions_header, extensions = self.process_extensions(headers)
        if extensions or self._extensions:
            self.extensions = extensions
        self.subprotocol: Subprotocol | None = self.process_subprotocol(headers)
        return handshake.accept_key(key), extensions_header, self.subprotocol

    def process_origin(self, headers: Headers) -> Origin | None:
        """Check the origin of a request and return it (RFC 6455, section 10.2).

        Raises:
            InvalidOrigin: if it is not acceptable.
        """
        return handshake.check_origin(headers, self.origins)

    def process_extensions(
        self, headers: Headers
    ) -> tuple[str | None, list[Extension]]:
        """Choose extensions from those that the client offers (RFC 6455, section 9.1).

        Returns:
            Value of ``Sec-WebSocket-Extensions`` in the response, or ``None``; and
            the extensions.

        Raises:
            InvalidHandshake: if the offer is malformed.
        """
        return handshake.negotiate_extensions(headers, self.available_extensions)

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """Choose a subprotocol from those that the client offers.

        Raises:
            InvalidHandshake: if the offer is malformed, or no subprotocol is shared.
            ValueError: if the selected subprotocol was not offered.
        """
        offered = handshake.offered_subprotocols(headers)
        subprotocol = self.select_subprotocol(offered)
        if subprotocol is not None and subprotocol not in offered:
            raise ValueError(f"{subprotocol!r} was selected, but not offered")
        return subprotocol

    def select_subprotocol(
        self, subprotocols: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        """Select a subprotocol from those that the client offers.

        This returns the first in the server's list that is offered, or ``None`` if the
        server has no list. To decide differently, override this method or pass
        ``select_subprotocol`` to the constructor.

        Args:
            subprotocols: the client's list, in order of preference.

        Raises:
            NegotiationError: to refuse the handshake with HTTP 400.
        """
        if self._selector is not None:
            return self._selector(self, subprotocols)
        return handshake.select_subprotocol(self.available_subprotocols, subprotocols)

    def reject(self, status: StatusLike, text: str) -> Response:
        """Make a plain-text response that refuses the connection.

        You may change it. Then pass it to ``send_response()``.

        Args:
            status: HTTP status.
            text: body, which is encoded as UTF-8.
        """
        return self._bodiless(responses.reject_response(status, text))

    def send_response(self, response: Response) -> None:
        """Send the response to a request.

        A 101 opens the connection: bytes received after the request are now read as
        frames, so call ``events_received()``. Any other status half-closes it. The
        body is left out where there cannot be one, as in the response to HEAD.

        Raises:
            InvalidState: if the handshake has already been decided.
            InvalidHeader: if a header is not valid; nothing is sent in that case.
        """
        if self.state != CONNECTING or self.eof_sent:
            raise InvalidState("the handshake has been answered already")
        if self._method in ("HEAD", "CONNECT"):
            data = response.serialize(method=self._method)
        else:
            data = response.serialize()
        if self.debug:
            line = f"{response.status_code} {response.reason_phrase}"
            self._log_head(">", line, response.headers)
        if response.status_code == 101:
            self._release_held()
        self._queue_head(data)
        if response.status_code == 101:
            self._start_frames()
        else:
            self.send_eof()
            self._discard()

    # --- inside

    def _receive_head(self, data: bytes) -> None:
        """Parse the request; refuse invalid HTTP at once."""
        head = self._head
        assert head is not None
        try:
            request = head.feed(data)
        except Exception as exc:
            if head.asks_for_head():
                self._method = "HEAD"
            self.send_response(self._rejection(exc))
            return
        if request is not None:
            self._method = request.method
            if self.debug:
                self._log_head("<", f"{request.method} {request.path}", request.headers)
            self._head = None
            self._head_received(request)
            self._hold(head.rest)

    def _receive_head_eof(self) -> None:
        """Handle the end of the stream before the handshake is decided."""
        head = self._head
        if head is None:
            self.handshake_exc = EOFError("the stream ended before the response")
            return
        try:
            head.feed_eof()
        except InvalidHandshake as exc:
            self.handshake_exc = exc
        self._head = None

    def _rejection(self, exc: Exception) -> Response:
        """Record why the handshake failed, and make the matching response."""
        self.handshake_exc: Exception | None = exc
        if not isinstance(exc, InvalidHandshake):
            self.logger.error("opening handshake failed", exc_info=exc)
        elif self.debug:
            self.logger.debug("! handshake refused: %s", exc)
        return self._bodiless(responses.rejection(exc))

    def _bodiless(self, response: Response) -> Response:
        """Send one of our responses, without its body if the request is HEAD."""
        if self._method == "HEAD":
            response.body = b""
        return response


def _are_usual(numbers: tuple[object, ...]) -> bool:
    """Whether these are the defaults, of the same types."""
    for position, usual in enumerate(_USUAL):
        number = numbers[position]
        if number is not usual and (type(number) is not int or number != usual):
            return False
    return True


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
