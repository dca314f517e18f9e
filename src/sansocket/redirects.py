"""Redirects of the opening handshake, without I/O (RFC 6455, section 4.2.2).

A server answers with a redirect to send a client to another URI (RFC 9110, section
15.4). A client that follows it must not lose TLS, nor send credentials that are meant
for the server to anybody else.
"""

from __future__ import annotations

import re

from .datastructures import Headers
from .exceptions import InvalidURI, SecurityError, shown
from .uri import WebSocketURI, parse_uri

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .datastructures import HeadersLike
    from .http11 import Response

__all__ = ["is_same_origin", "redirected", "without_credentials"]

# Others, such as 304, name no other URI, or are not safe to follow.
REDIRECTS = frozenset({300, 301, 302, 303, 307, 308})
CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})

# The server may not know that the request is for a WebSocket.
_SCHEME = re.compile(r"^http(?=s?://)", re.IGNORECASE)


def redirected(uri: WebSocketURI, response: Response) -> WebSocketURI | None:
    """Return the URI to which a response redirects; ``None`` if it does not.

    User information is kept only if the origin is the same. ``http`` and ``https`` in
    ``Location`` mean ``ws`` and ``wss``.

    Args:
        uri: URI of the request.
        response: response of the server.

    Raises:
        InvalidURI: if the new URI is not valid.
        SecurityError: if TLS would be lost.
    """
    locations = response.headers.get_all("Location")
    if response.status_code not in REDIRECTS or len(locations) != 1:
        return None
    target = parse_uri(_resolve(uri, locations[0]))
    if uri.secure and not target.secure:
        raise SecurityError(f"redirect without TLS: {shown(locations[0])}")
    if is_same_origin(uri, target) and target.user_info is None:
        target.username = uri.username
        target.password = uri.password
    return target


def is_same_origin(one: WebSocketURI, other: WebSocketURI) -> bool:
    """Whether scheme, host and port are the same (RFC 6454, section 5)."""
    return (one.secure, one.host, one.port) == (other.secure, other.host, other.port)


def without_credentials(headers: HeadersLike) -> Headers:
    """Return a copy without the headers that are meant for one origin only."""
    return Headers(
        [
            (name, value)
            for name, value in Headers(headers).raw_items()
            if name.lower() not in CREDENTIALS
        ]
    )


def _resolve(uri: WebSocketURI, location: str) -> str:
    """Resolve a reference (RFC 3986, section 5); its fragment is left out."""
    from urllib.parse import urljoin

    if not location.isascii():
        raise InvalidURI(location, "it is not ASCII")
    scheme = "wss" if uri.secure else "ws"
    # Not with build_host(), which leaves out the zone of an address.
    host = f"[{uri.host.replace('%', '%25')}]" if ":" in uri.host else uri.host
    base = f"{scheme}://{host}:{uri.port}{uri.resource_name}"
    location = _SCHEME.sub("ws", location.partition("#")[0], count=1)
    try:
        return urljoin(base, location)
    except ValueError as exc:
        raise InvalidURI(location, str(exc)) from None
