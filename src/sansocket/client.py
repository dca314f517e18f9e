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

    The order of calls: ``connect()``, which makes a request; ``send_request()``;
    ``receive_data()`` until ``events_received()`` gives a ``Response``. If then
    ``handshake_exc`` is ``None``, the connection is open and frames go both ways.
    After each call write what ``data_to_send()`` gives.

    A response that refuses comes with its body, and the end of that may never come.
    Once ``refused`` is true, a caller who does not want to wait for more of it calls
    ``receive_eof()``. Whatever is wrong with the body, the status is not lost:
    ``handshake_exc`` is an ``InvalidStatus``, its cause tells what is wrong.

    Args:
        uri: where to, as ``parse_uri()`` gives it.
        origin: value of ``Origin``; browsers send one, others need not.
        extensions: factories of extensions, most wanted first.
        subprotocols: offered ones, most wanted first.
        state: initial state; ``OPEN`` where the handshake was done elsewhere.
        max_size: largest incoming message in bytes, decompressed; ``None`` for no
            limit; or a pair of limits for a message and for a fragment.
        logger: logger of this connection; ``sansocket.client`` by default.
        max_status_line: bytes of the status line.
        max_header_line: bytes of a header line.
        max_headers: number of header lines.
        max_head_size: bytes of the whole head of the response.
        max_body: bytes that are kept of the body of a response that refuses.
        validate_utf8: whether to check text messages as they arrive. Without it
            the caller must decode them and fail the connection with 1007.
        max_fragments: how many frames one message may have, empty ones included.
        max_inflated_size: largest size in bytes that a compressed message may
            expand to, if that is to be less than ``max_size``.

    Attributes:
        uri: where to.
        key: value of ``Sec-WebSocket-Key``, fresh for this connection.
        subprotocol: the one agreed on, or ``None``.
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
        text("origin", origin)  # connect() says what is wrong with their values
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
        self.uri = uri
        self.origin = origin
        self.available_extensions = extensions
        self.available_subprotocols = subprotocols
        self.subprotocol: Subprotocol | None = None
        self.key = handshake.generate_key()
        self._head: ResponseParser | None = None
        if state == CONNECTING:
            self._head = ResponseParser(*heads)
            self._await_head()

    def connect(self) -> Request:
        """Make the request that opens the connection.

        Its headers may be changed; it must then be sent with ``send_request()``.

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
            InvalidHeader: if the request could not travel as it stands.
        """
        if self.state is not CONNECTING or self.eof_sent:
            raise InvalidState("the handshake is over already")
        data = request.serialize()
        if self.debug:
            line = f"{request.method} {request.path}"
            self._log_head(">", line, request.headers)
        self._queue_head(data)

    @property
    def refused(self) -> bool:
        """Whether a response that refuses has come, but not yet all of its body."""
        return self._head is not None and self._head.refused

    def process_response(self, response: Response) -> None:
        """Check a response (RFC 6455, section 4.1).

        It sets ``extensions`` and ``subprotocol``.

        Raises:
            InvalidHandshake: if the server refused, or its answer is not valid.
        """
        handshake.check_upgrade_response(response, self.key)
        self.extensions = self.process_extensions(response.headers)
        self.subprotocol = self.process_subprotocol(response.headers)

    def process_extensions(self, headers: Headers) -> list[Extension]:
        """The extensions that a response names, in its order (RFC 6455, section 9.1).

        Raises:
            InvalidHandshake: if one was not offered or cannot be accepted.
        """
        return handshake.agreed_extensions(headers, self.available_extensions)

    def process_subprotocol(self, headers: Headers) -> Subprotocol | None:
        """The subprotocol that a response names, or ``None``.

        Raises:
            InvalidHandshake: if it was not offered.
        """
        return handshake.agreed_subprotocol(headers, self.available_subprotocols)

    # --- inside

    def _receive_head(self, data: bytes) -> None:
        """Read the response; a valid 101 opens the connection."""
        assert self._head is not None
        try:
            response = self._head.feed(data)
        except Exception as exc:
            self._give_up(exc)
            return
        if response is not None:
            self._receive_response(response, self._head)

    def _receive_head_eof(self) -> None:
        """The body of a response may end with the stream; its head may not."""
        assert self._head is not None
        try:
            response = self._head.feed_eof()
        except Exception as exc:
            self.handshake_exc = exc
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
