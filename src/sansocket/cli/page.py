"""The page for browsers: a client for the server that sent it."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from http import HTTPStatus
from importlib.resources import files

from .._http.date import http_date
from ..datastructures import Headers
from ..http11 import Response
from .settings import BUILTIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..http11 import Request

__all__ = ["page_response", "wants_page"]


def wants_page(request: Request) -> bool:
    """Whether this is an ordinary request, rather than a WebSocket handshake."""
    offers = ",".join(request.headers.get_all("Upgrade")).lower()
    return "websocket" not in offers and request.method in ("GET", "HEAD")


def page_response(request: Request, handler: str) -> Response:
    """Return the page for ``/``, and 404 for any other path; no body for HEAD.

    Args:
        request: request of the browser.
        handler: name of the server's handler, to which the page adapts.
    """
    if request.path.partition("?")[0] == "/":
        status, kind = HTTPStatus.OK, "text/html"
        body, policy = load_page(handler if handler in BUILTIN else "own")
    else:
        status, kind = HTTPStatus.NOT_FOUND, "text/plain"
        body, policy = b"Not found.\n", "default-src 'none'"
    headers = Headers(
        [
            ("Date", http_date()),
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cache-Control", "no-store"),
        ]
    )
    if request.method == "HEAD":
        body = b""
    return Response(status.value, status.phrase, headers, body)


@functools.cache
def load_page(kind: str) -> tuple[bytes, str]:
    """Return the page for a kind of handler, and its content security policy."""
    body = files(__package__).joinpath("page.html").read_bytes()
    body = body.replace(b"\r\n", b"\n")  # browsers normalize it before hashing
    body = body.replace(b'data-handler="echo"', b'data-handler="%b"' % kind.encode())
    policy = [
        "default-src 'none'",
        f"script-src {inline_hash(body, b'script')}",
        f"style-src {inline_hash(body, b'style')}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return body, "; ".join(policy)


def inline_hash(page: bytes, element: bytes) -> str:
    """Return the policy's source expression for the one inline element."""
    found = re.search(b"<%b>(.*?)</%b>" % (element, element), page, re.DOTALL)
    assert found is not None
    digest = base64.b64encode(hashlib.sha256(found[1]).digest())
    return f"'sha256-{digest.decode()}'"
