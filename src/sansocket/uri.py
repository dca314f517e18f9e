"""WebSocket URIs (RFC 6455, section 3) and IRIs (RFC 3987)."""

from __future__ import annotations

import re

from ._base.dataclass import REQUIRED, LazyFields, Value
from .exceptions import InvalidURI
from .headers import is_host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

__all__ = ["WebSocketURI", "parse_uri"]

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_MOST_NAME = 253  # characters of a host name (RFC 1035, section 2.3.4)
_MOST_LABEL = 63  # and of each part of it between dots
_IPV6 = re.compile(r"\[([0-9A-Fa-f:.]+(?:%[0-9A-Za-z\-._~%]+)?)\](?::([0-9]*))?")


class WebSocketURI(Value):
    """The parts of a WebSocket URI.

    Args:
        secure: whether the scheme is ``wss``.
        host: host name in lower-case ASCII, or an IP address without brackets.
        port: always an int, even if it is the default.
        path: may be empty.
        query: without the question mark; may be empty.
        username: ``None``, like ``password``, if the URI has no user information.
        password: not shown in the representation.
    """

    __match_args__ = (
        "secure",
        "host",
        "port",
        "path",
        "query",
        "username",
        "password",
    )
    __dataclass_fields__: ClassVar[dict[str, Any]] = LazyFields(  # type: ignore[assignment]
        secure=REQUIRED,
        host=REQUIRED,
        port=REQUIRED,
        path=REQUIRED,
        query=REQUIRED,
        username=None,
        password=None,
    )

    def __init__(
        self,
        secure: bool,
        host: str,
        port: int,
        path: str,
        query: str,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self.secure = secure
        self.host = host
        self.port = port
        self.path = path
        self.query = query
        self.username = username
        self.password = password

    @property
    def resource_name(self) -> str:
        """Path and query, for use in the request (RFC 6455, section 3)."""
        path = self.path or "/"
        return f"{path}?{self.query}" if self.query else path

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or ``None``."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password

    def __repr__(self) -> str:
        if self.password is None:
            return super().__repr__()
        hidden = WebSocketURI(
            *(self.secure, self.host, self.port, self.path, self.query), self.username
        )
        return repr(hidden).replace("password=None", "password='...'")


def parse_uri(uri: str) -> WebSocketURI:
    """Split a WebSocket URI or IRI into its parts.

    A host that is not ASCII is converted with IDNA; other non-ASCII text is converted
    to percent-encoded UTF-8. An impossible host name is refused, because the functions
    of the ``socket`` module would fail.

    Raises:
        InvalidURI: if ``uri`` is not valid.
    """
    if _FORBIDDEN.search(uri):
        raise InvalidURI(uri, "it has a space or a control character")
    scheme, separator, rest = uri.partition("://")
    scheme = scheme.lower()
    if scheme not in {"ws", "wss"} or not separator:
        raise InvalidURI(uri, "it does not begin with ws:// or wss://")
    if "#" in rest:
        raise InvalidURI(uri, "it has a fragment")
    secure = scheme == "wss"
    # The query may contain a slash, and the path may be missing.
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    user_info, at, host = authority.rpartition("@")
    try:
        username, password = _parse_user_info(user_info) if at else (None, None)
        host, port = _parse_host(host)
        if port is None:
            port = 443 if secure else 80
        path = _quote(slash + path)
        query = _quote(query)
    except ValueError as exc:
        raise InvalidURI(uri, _reason(exc)) from None
    return WebSocketURI(secure, host, port, path, query, username, password)


def _parse_user_info(text: str) -> tuple[str, str]:
    from urllib.parse import unquote

    username, colon, password = text.partition(":")
    if not colon:
        raise ValueError("it has a user name but no password")
    if "@" in text:
        raise ValueError("it has more than one @ before the path")
    text.encode()  # fails on a lone surrogate now, rather than in the request
    return unquote(username, errors="strict"), unquote(password, errors="strict")


def _parse_host(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        match = _IPV6.fullmatch(text)
        if match is None:
            raise ValueError("its IPv6 address is not valid")
        host = _check_ipv6(match[1])
        port = match[2]
    else:
        host, _, port = text.partition(":")
        if not host.isascii():
            if len(host) > _MOST_NAME:  # the codec would take a long time
                raise ValueError("its host is too long")
            host = host.encode("idna").decode()
        host = host.lower()
        if not host or "%" in host or not is_host(host):
            raise ValueError("its host is not valid")
    _check_labels(host)
    if not port:
        return host, None
    if not is_host(f"h:{port}"):
        raise ValueError("its port is not valid")
    return host, int(port)


def _check_labels(host: str) -> None:
    """Refuse a host that IDNA cannot encode, including an address with a zone."""
    name = host.removesuffix(".")
    if len(name) > _MOST_NAME:
        raise ValueError("its host is too long")
    for label in name.split("."):
        if not 0 < len(label) <= _MOST_LABEL:
            raise ValueError("part of its host between dots is empty or too long")


def _check_ipv6(text: str) -> str:
    from ipaddress import IPv6Address

    address, percent, zone = text.partition("%")
    IPv6Address(address)
    # RFC 6874 writes the percent sign before a zone as "%25".
    return address.lower() + percent + zone.removeprefix("25")


def _quote(text: str) -> str:
    """Percent-encode non-ASCII text, as UTF-8."""
    return _NOT_ASCII.sub(
        lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), text
    )


def _reason(exc: ValueError) -> str:
    """Return the reason; errors of codecs and ``ipaddress`` are too long."""
    if type(exc) is ValueError:
        return str(exc)
    return "part of it cannot be encoded or decoded"
