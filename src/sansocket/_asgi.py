"""Events of ASGI made from what a connection knows, and the other way round.

It follows version 2.5 of the WebSocket part of the specification:
https://asgi.readthedocs.io/en/stable/specs/www.html
"""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import unquote

from .datastructures import Headers
from .handshake import offered_subprotocols
from .http11 import Response, http_date

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeAlias

    from .closing import Close
    from .http11 import Request

    Event: TypeAlias = dict[str, Any]
    RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]

__all__ = ["Denial", "disconnect", "headers_of", "target_of", "text_headers"]

NO_BODY = (204, 304)


def target_of(request: Request, root_path: str) -> dict[str, Any]:
    """What the scope of a connection says of what was requested.

    Args:
        request: a request.
        root_path: where the application is mounted.

    """
    raw_path, _, query = request.path.partition("?")
    return {
        "root_path": root_path,
        "path": root_path + unquote(raw_path),
        "raw_path": root_path.encode() + raw_path.encode("ascii"),
        "query_string": query.encode("ascii"),
    }


def headers_of(request: Request) -> dict[str, Any]:
    """What the scope of a connection says of the headers of a valid request.

    Those with an underscore in their name are left out: what passes them on as
    variables of an environment cannot tell ``X_User`` from ``X-User``, which a proxy
    may have checked.
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
    """Headers of an event, behind those of the server that it does not replace."""
    own = [_text(header) for header in headers]
    names = {name for name, _ in own}
    others = [_text(header) for header in defaults]
    return [header for header in others if header[0] not in names] + own


def disconnect(close: Close | None) -> Event:
    """The event that ends what an application receives.

    Args:
        close: the close frame that tells most; ``None`` if there was none.

    """
    code, reason = (1006, "") if close is None else (close.code, close.reason)
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


class Denial:
    """The response that an application gives instead of accepting.

    A body in one event gets a ``Content-Length``. One in several events leaves as it
    comes, in chunks if the application did not announce its length.

    Args:
        event: ``websocket.http.response.start``.
        defaults: headers that the server adds to every response.

    Attributes:
        status: its status.

    Raises:
        RuntimeError: if the status is none that denies.

    """

    def __init__(self, event: Event, defaults: RawHeaders) -> None:
        self.status: int = event["status"]
        if not 200 <= self.status <= 599:
            raise RuntimeError(f"HTTP status {self.status} cannot deny a WebSocket")
        self._headers = Headers(text_headers(event.get("headers", ()), defaults))
        for name in ("Connection", "Transfer-Encoding"):  # these are the server's
            if name in self._headers:
                del self._headers[name]
        self._headers["Connection"] = "close"
        self._begun = False
        self._chunked = False

    def whole(self, body: bytes) -> Response | None:
        """The response with all of its body; ``None`` if it has begun already."""
        if self._begun:
            return None
        if self.status not in NO_BODY:
            self._headers.setdefault("Content-Length", str(len(body)))
        return self._response(body)

    def part(self, body: bytes, more: bool) -> bytes:
        """Bytes to write for a part of the body; the first with the head."""
        head = b""
        if not self._begun:
            self._begun = True
            if "Content-Length" not in self._headers and self.status not in NO_BODY:
                self._chunked = True
                self._headers["Transfer-Encoding"] = "chunked"
            head = self._response(b"").serialize()
        if not self._chunked:
            return head + body
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return head + chunk + (b"" if more else b"0\r\n\r\n")

    def _response(self, body: bytes) -> Response:
        self._headers.setdefault("Date", http_date())
        if self.status not in NO_BODY:
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
