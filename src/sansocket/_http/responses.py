"""Responses to an opening handshake: acceptance and refusals."""

from __future__ import annotations

from ..datastructures import Headers, from_lines, is_plain, lines_of
from ..exceptions import InvalidHandshake, InvalidHeader
from ..http11 import Response
from .bodies import has_content
from .date import http_date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..typing import StatusLike

__all__ = ["accept_response", "name_server", "reject_response", "rejection"]

_VERSION = "Sec-WebSocket-Version"


def accept_response(
    accept: str, extensions: str | None = None, subprotocol: str | None = None
) -> Response:
    """Make the response that accepts a request (RFC 6455, section 4.2.2).

    Args:
        accept: result of ``accept_key()`` for the client's key.
        extensions: value of ``Sec-WebSocket-Extensions``, if any.
        subprotocol: the negotiated subprotocol, if any.
    """
    headers = from_lines(
        f"Date: {http_date()}\r\nUpgrade: websocket\r\nConnection: Upgrade"
    )
    _add(headers, "Sec-WebSocket-Accept", accept)
    if extensions is not None:
        _add(headers, "Sec-WebSocket-Extensions", extensions)
    if subprotocol is not None:
        _add(headers, "Sec-WebSocket-Protocol", subprotocol)
    return Response(101, "Switching Protocols", headers)


def name_server(response: Response, server: str) -> None:
    """Add ``Server``, unless the response has it."""
    lines = lines_of(response.headers)
    if lines is None:
        missing = "Server" not in response.headers
    else:
        missing = "\r\nServer: " not in lines
    if missing:
        _add(response.headers, "Server", server)


def _add(headers: Headers, name: str, value: str) -> None:
    """Add a header, without taking the others apart."""
    lines = lines_of(headers)
    if lines is not None and is_plain(value):
        headers._list = f"{lines}\r\n{name}: {value}"
    else:
        headers[name] = value


def reject_response(
    status: StatusLike,
    text: str,
    extra_headers: Iterable[tuple[str, str]] = (),
    connection: str = "close",
) -> Response:
    """Make a plain-text refusal, without the text if the status forbids a body.

    Raises:
        ValueError: if ``status`` is unknown.
    """
    from http import HTTPStatus

    status = HTTPStatus(status)
    pairs = [("Date", http_date()), ("Connection", connection)]
    body = b""
    if status == 205:
        pairs.append(("Content-Length", "0"))
    elif has_content(status):
        body = text.encode()
        pairs.append(("Content-Length", str(len(body))))
        pairs.append(("Content-Type", "text/plain; charset=utf-8"))
    headers = Headers([*pairs, *extra_headers])
    return Response(status.value, status.phrase, headers, body)


def rejection(exc: BaseException) -> Response:
    """Make the response to an invalid request.

    An exception other than ``InvalidHandshake`` is a bug on this side; its text is not
    sent.
    """
    if not isinstance(exc, InvalidHandshake):
        return reject_response(500, "The server failed; see its log.\n")
    extra: list[tuple[str, str]] = []
    connection = "close"
    if exc.status == 405:
        extra.append(("Allow", "GET"))
    elif exc.status == 426:
        extra.append(("Upgrade", "websocket"))
        # RFC 9110, section 7.8: wherever Upgrade is sent.
        connection = "Upgrade, close"
    if isinstance(exc, InvalidHeader) and exc.name.lower() == _VERSION.lower():
        extra.append((_VERSION, "13"))
    text = f"No WebSocket connection: {exc}.\n"
    return reject_response(exc.status, text, extra, connection)
