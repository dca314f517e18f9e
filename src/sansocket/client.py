"""The client's side of a connection, without I/O (RFC 6455, section 4.1)."""

from __future__ import annotations

from ._base.constants import CLIENT, CONNECTING, State
from ._base.mirrored import names_from_elsewhere
from ._base.values import (
    CLIENT_HEAD,
    RULES,
    check_numbers,
    client_extensions,
    text,
    texts,
)
from ._http import handshake
from .exceptions import InvalidState
from .http11 import ResponseParser
from .protocol import Protocol
from .reconnection import backoff as backoff
from .reconnection import process_exception as process_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .datastructures import Headers
    from .extensions.base import ClientExtensionFactory, Extension
    from .http11 import Request, Response
    from .typing import LoggerLike, Origin, Subprotocol
    from .uri import WebSocketURI

__all__ = ["ClientProtocol"]


class ClientProtocol(Protocol):
    """A WebSocket connection of a client.

    Call ``connect()`` to make a request, then ``send_request()``, then
    ``receive_data()`` until ``events_received()`` returns a ``Response``. If
    ``handshake_exc`` is ``None`` at that point, the connection is open, and both sides
    can send frames. After each call, write the bytes that ``data_to_send()`` returns.

    A refusal is returned with its body, whose end may never arrive. To stop waiting
    for it, call ``receive_eof()`` once ``refused`` is true. An error in the body does
    not hide the status: ``handshake_exc`` is an ``InvalidStatus``, and its cause is
    the error.

    Args:
        uri: URI of the server, from ``parse_uri()``.
        origin: value of ``Origin``; browsers always send one, other clients may.
        extensions: factories of extensions, in order of preference.
        subprotocols: subprotocols to offer, in order of preference.
        state: initial state; ``OPEN`` if the handshake was done elsewhere.
        max_size: maximum size of an incoming message in bytes, after decompression;
            ``None`` for no limit; or a pair of limits for a message and a fragment.
        logger: logger of this connection; ``sansocket.client`` by default.
        max_status_line: maximum number of bytes in the status line.
        max_header_line: maximum number of bytes in a header line.
        max_headers: maximum number of header lines.
        max_head_size: maximum number of bytes in the whole head of the response.
        max_body: maximum number of bytes to keep of the body of a refusal.
        validate_utf8: whether to validate text messages as they arrive. Otherwise,
            the caller must decode them and fail the connection with 1007.
        max_fragments: maximum number of frames in a message, including empty ones.
        max_inflated_size: maximum number of bytes that a compressed message may
            expand to, if less than ``max_size``.

    Attributes:
        uri: URI of the server.
        key: value of ``Sec-WebSocket-Key``, random for each connection.
        subprotocol: the negotiated subprotocol, or ``None``.
        handshake_exc: why the opening handshake failed, or ``None``.
    """

    __slots__ = (
        "_head",
        "available_extensions",
        "available_subprotocols",
        "key",
        "uri",
    )

    def __init__(
        self,
        uri: WebSocketURI,
        *,
        origin: Origin | None = None,
        extensions: Sequence[ClientExtensionFactory] | None = None,
        subprotocols: Sequence[Subprotocol] | None = None,
        state: State = CONNECTING,
        max_size: int | tuple[int | None, int | None] | None = 2**20,
        logger: LoggerLike | None = None,
        max_status_line: int = 8192,
        max_header_line: int = 8192,
        max_headers: int = 128,
        max_head_size: int = 65536,
        max_body: int = 2**20,
        validate_utf8: bool = True,
        max_fragments: int | None = 4096,
        max_inflated_size: int | None = None,
    ) -> None:
        heads = (max_status_line, max_header_line, max_headers, max_head_size, max_body)
        check_numbers(CLIENT_HEAD, *heads)
        RULES["uri"]("uri", uri)
        text("origin", origin)  # connect() checks their values
        client_extensions("extensions", extensions)
        texts("subprotocols", subprotocols)
        Protocol.__init__(
            self,
            CLIENT,
            state=state,
            max_size=max_size,
            logger=logger,
            validate_utf8=validate_utf8,
            max_fragments=max_fragments,
            max_inflated_size=max_inflated_size,
        )
        self.uri: WebSocketURI = uri
        self.origin = origin
        self.available_extensions: Sequence[ClientExtensionFactory] | None = extensions
        self.available_subprotocols: Sequence[Subprotocol] | None = subprotocols
        self.subprotocol: Subprotocol | None = None
        self.key: str = handshake.generate_key()
        self._head: ResponseParser | None = None
        if state == CONNECTING:
            self._head = ResponseParser(*heads)
            self._await_head()

    def connect(self) -> Request:
        """Make the request that opens the connection.

        You may change its headers. Then pass it to ``send_request()``.

        Raises:
            ValueError: if a subprotocol is not a token.
        """
        return handshake.build_request(
            self.uri,
            self.key,
            origin=self.origin,
            extensions=self.available_extensions,
            subprotocols=self.available_subprotocols,
        )

    def send_request(self, request: Request) -> None:
        """Send the request.

        Raises:
            InvalidState: if the handshake is over.
            InvalidHeader: if a header is not valid.
        """
        if self.state is not CONNECTING or self.eof_sent:
            raise InvalidState("the handshake is already over")
        data = request.serialize()
        if self.debug:
            line = f"{request.method} {request.path}"
            self._log_head(">", line, request.headers)
        self._queue_head(data)

    @property
    def refused(self) -> bool:
        """Whether a refusal has been received, except for the rest of its body."""
        return self._head is not None and self._head.refused

    def process_response(self, response: Response) -> None:
        """Check a response (RFC 6455, section 4.1).

        This sets ``extensions`` and ``subprotocol``.

        Raises:
            InvalidHandshake: if the server refused, or its response is not valid.
        """
        handshake.check_upgrade_response(response, self.key)
        self.extensions = self.process_extensions(response.headers)
        self.subprotocol = self.process_subprotocol(response.headers)

    def process_extensions(self, headers: Headers) -> list[Extension]:
        """Return the extensions in a response, in its order (RFC 6455, section 9.1).

        Raises:
            InvalidHandshake: if one was not offered or cannot be accepted.
        """
        return handshake.agreed_extensions(headers, self.available_extensions)

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """Return the subprotocol in a response, or ``None``.

        Raises:
            InvalidHandshake: if it was not offered.
        """
        return handshake.agreed_subprotocol(headers, self.available_subprotocols)

    # --- inside

    def _receive_head(self, data: bytes) -> None:
        """Parse the response; a valid 101 opens the connection."""
        assert self._head is not None
        try:
            response = self._head.feed(data)
        except Exception as exc:
            self._give_up(exc)
            return
        if response is not None:
            self._receive_response(response, self._head)

    def _receive_head_eof(self) -> None:
        """Handle the end of the stream, which may end the body but not the head."""
        assert self._head is not None
        try:
            response = self._head.feed_eof()
        except Exception as exc:
            self.handshake_exc: Exception | None = exc
            return
        self._receive_response(response, self._head)

    def _receive_response(self, response: Response, head: ResponseParser) -> None:
        self._head = None
        if self.debug:
            line = f"{response.status_code} {response.reason_phrase}"
            self._log_head("<", line, response.headers)
        self._head_received(response)
        try:
            self.process_response(response)
        except Exception as exc:
            if exc.__cause__ is None:
                exc.__cause__ = head.flaw
            self._give_up(exc)
        else:
            self._start_frames(head.rest)

    def _give_up(self, exc: Exception) -> None:
        """Fail the handshake: half-close, ignore the rest (RFC 6455, section 4.1)."""
        self._head = None
        self.handshake_exc = exc
        if self.debug:
            self.logger.debug("! handshake failed: %s", exc)
        self.send_eof()
        self._discard()


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
