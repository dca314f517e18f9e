"""Conversion between a connection and the events of ASGI, both ways.

This follows version 2.5 of the WebSocket part of the specification:
https://asgi.readthedocs.io/en/stable/specs/www.html
"""

from __future__ import annotations

from http import HTTPStatus
from typing import cast
from urllib.parse import unquote

from ._http.bodies import sends_body
from ._http.handshake import offered_subprotocols
from .datastructures import Headers, is_token
from .exceptions import InvalidHeaderValue, shown
from .http11 import Response, http_date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, TypeAlias

    from ._base.closing import Close
    from .http11 import Request
    from .typing import Subprotocol

    Event: TypeAlias = dict[str, Any]
    RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]

__all__ = [
    "Denial",
    "accepted_headers",
    "chosen_subprotocol",
    "disconnect",
    "headers_of",
    "target_of",
    "text_headers",
]

# Headers of the handshake that the server sets, whatever the application returns.
HANDSHAKE = frozenset(
    {
        *("connection", "upgrade", "content-length", "transfer-encoding"),
        *("sec-websocket-accept", "sec-websocket-extensions"),
        "sec-websocket-protocol",
    }
)


def target_of(request: Request, root_path: str) -> dict[str, Any]:
    """Return the part of a connection's scope that describes the request's target.

    Args:
        request: a request.
        root_path: path at which the application is mounted.
    """
    raw_path, _, query = request.path.partition("?")
    return {
        "root_path": root_path,
        "path": root_path + unquote(raw_path),
        "raw_path": root_path.encode() + raw_path.encode("ascii"),
        "query_string": query.encode("ascii"),
    }


def headers_of(request: Request) -> dict[str, Any]:
    """Return the part of a connection's scope that describes a request's headers.

    Headers with an underscore in their name are left out. If an application turned
    them into environment variables, it could not tell ``X_User`` from ``X-User``,
    which a proxy may have checked.
    """
    headers = request.headers
    return {
        "headers": [
            (name.lower().encode("ascii"), value.encode("latin-1"))
            for name, value in headers.raw_items()
            if "_" not in name
        ],
        "subprotocols": offered_subprotocols(headers),
    }


def text_headers(headers: RawHeaders, defaults: RawHeaders) -> list[tuple[str, str]]:
    """Return the headers of an event, after those of the server that it keeps."""
    own = [_text(header) for header in headers]
    names = {name for name, _ in own}
    others = [_text(header) for header in defaults]
    return [header for header in others if header[0] not in names] + own


def accepted_headers(event: Event, defaults: RawHeaders) -> list[tuple[str, str]]:
    """Return the headers of ``websocket.accept`` that are sent unchanged."""
    headers = text_headers(event.get("headers", ()), defaults)
    return [header for header in headers if header[0] not in HANDSHAKE]


def chosen_subprotocol(event: Event, offered: Sequence[str]) -> Subprotocol | None:
    """Return the subprotocol of ``websocket.accept``, which may also be in a header.

    Args:
        event: the event.
        offered: subprotocols that the client offers.

    Raises:
        InvalidHeaderValue: if it is not a valid subprotocol.
        RuntimeError: if there are several, or if it was not offered: the client would
            have to fail the connection (RFC 6455, section 4.1).
    """
    chosen = {event["subprotocol"]} if event.get("subprotocol") else set()
    for name, value in map(_text, event.get("headers", ())):
        if name == "sec-websocket-protocol" and value.strip():
            chosen.add(value.strip())
    if len(chosen) > 1:
        raise RuntimeError(f"a connection has one subprotocol, not {sorted(chosen)}")
    for subprotocol in chosen:
        if not is_token(subprotocol):
            raise InvalidHeaderValue("Sec-WebSocket-Protocol", subprotocol)
        if subprotocol not in offered:
            listed = ", ".join(offered) or "none"
            raise RuntimeError(
                f"subprotocol {subprotocol!r} was not offered by the client, which "
                f"offers {shown(listed)}"
            )
        return cast("Subprotocol", subprotocol)
    return None


def disconnect(close: Close | None) -> Event:
    """Return the last event that an application receives.

    Args:
        close: the most informative close frame; ``None`` if there was none.
    """
    code, reason = (1006, "") if close is None else (close.code, close.reason)
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


class Denial:
    """The response of an application that denies a connection.

    A body in a single event gets a ``Content-Length``. A body in several events is
    streamed, in chunks if the application did not announce its length. Where HTTP
    allows no body, the application's is left out.

    Args:
        event: ``websocket.http.response.start``.
        defaults: headers that the server adds to every response.

    Attributes:
        status: HTTP status.

    Raises:
        RuntimeError: if the status is not one of a denial.
    """

    def __init__(self, event: Event, defaults: RawHeaders) -> None:
        self.status: int = event["status"]
        if not 200 <= self.status <= 599:
            raise RuntimeError(f"HTTP status {self.status} cannot deny a WebSocket")
        self._headers = Headers(text_headers(event.get("headers", ()), defaults))
        self._drop("Connection", "Transfer-Encoding")  # set by the server
        self._headers["Connection"] = "close"
        self._bodiless = not sends_body(self.status)
        self._begun = False
        self._chunked = False
        self._left: int | None = None  # announced length of the body

    def whole(self, body: bytes) -> Response | None:
        """Return the response with its whole body; ``None`` if it has already begun."""
        if self._begun:
            return None
        if self._bodiless:
            return self._response(b"")
        self._drop("Content-Length")  # it would be either wrong or the same
        self._headers["Content-Length"] = str(len(body))
        return self._response(body)

    def part(self, body: bytes, more: bool) -> bytes:
        """Return the bytes to write for a part of the body; the first has the head.

        Raises:
            RuntimeError: if the body is longer or shorter than announced.
        """
        head = b"" if self._begun else self._begin()
        if self._bodiless:
            return head
        if not self._chunked:
            assert self._left is not None
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("the body is longer than its Content-Length")
            if self._left and not more:
                raise RuntimeError("the body is shorter than its Content-Length")
            return head + body
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return head + chunk + (b"" if more else b"0\r\n\r\n")

    def _begin(self) -> bytes:
        """Return the head of a response whose body is streamed."""
        self._begun = True
        if not self._bodiless:
            lengths = self._headers.get_all("Content-Length")
            if len(lengths) == 1 and lengths[0].isascii() and lengths[0].isdigit():
                self._left = int(lengths[0])
            else:
                self._drop("Content-Length")
                self._chunked = True
                self._headers["Transfer-Encoding"] = "chunked"
        return self._response(b"").serialize()

    def _drop(self, *names: str) -> None:
        for name in names:
            if name in self._headers:
                del self._headers[name]

    def _response(self, body: bytes) -> Response:
        self._headers.setdefault("Date", http_date())
        if not self._bodiless:
            self._headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        return Response(self.status, _phrase(self.status), self._headers, body)


def _text(header: tuple[bytes, bytes]) -> tuple[str, str]:
    name, value = header
    return name.decode("latin-1").lower(), value.decode("latin-1")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
