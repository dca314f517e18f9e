"""Proxies, without I/O: the choice of a proxy, and tunnels through HTTP proxies.

A client requests a tunnel with CONNECT (RFC 9110, section 9.3.6). SOCKS is left to
another library.
"""

from __future__ import annotations

import re

from ._base.dataclass import REQUIRED, LazyFields, Value
from ._base.mirrored import names_from_elsewhere
from .datastructures import Headers
from .exceptions import (
    InvalidHandshake,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidURI,
)
from .headers import build_authorization_basic, build_host
from .http11 import USER_AGENT, ResponseParser
from .uri import parse_uri

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network
    from typing import Any, ClassVar

    from .exceptions import ProxyError
    from .http11 import Response
    from .uri import WebSocketURI

__all__ = ["Proxy", "Tunnel", "get_proxy", "parse_proxy", "prepare_connect_request"]

DEFAULT_PORTS = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}

_PORT = re.compile(r":[0-9]+$")


class Proxy(Value):
    """The parts of a proxy's URL.

    Args:
        scheme: ``http``, ``https``, ``socks4``, ``socks4a``, ``socks5`` or
            ``socks5h``. With ``socks4a`` and ``socks5h``, the proxy resolves names.
        host: host name in lower-case ASCII, or an IP address without brackets.
        port: always an int, even if it is the default.
        username: ``None``, like ``password``, if the URL has no user information.
        password: not shown in the representation.
    """

    __match_args__ = ("scheme", "host", "port", "username", "password")
    __dataclass_fields__: ClassVar[dict[str, Any]] = LazyFields(  # type: ignore[assignment]
        scheme=REQUIRED, host=REQUIRED, port=REQUIRED, username=None, password=None
    )

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.username = username
        self.password = password

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or ``None``."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password

    def __repr__(self) -> str:
        if self.password is None:
            return super().__repr__()
        hidden = Proxy(self.scheme, self.host, self.port, self.username)
        return repr(hidden).replace("password=None", "password='...'")


def parse_proxy(proxy: str) -> Proxy:
    """Split the URL of a proxy into its parts.

    Raises:
        InvalidProxy: if ``proxy`` is not valid.
    """
    scheme, separator, rest = proxy.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in DEFAULT_PORTS:
        raise InvalidProxy(
            proxy, f"its scheme is not one of {', '.join(DEFAULT_PORTS)}"
        )
    authority = rest.removesuffix("/")
    for sign, part in ("#", "fragment"), ("?", "query"), ("/", "path"):
        if sign in authority:
            raise InvalidProxy(proxy, f"it has a {part}")
    if _PORT.search(authority) is None:
        authority = f"{authority.removesuffix(':')}:{DEFAULT_PORTS[scheme]}"
    try:
        # The authority has the same form in all kinds of URLs.
        parts = parse_uri(f"ws://{authority}")
    except InvalidURI as exc:
        raise InvalidProxy(proxy, exc.msg) from None
    if scheme.startswith("http") and ":" in (parts.username or ""):
        raise InvalidProxy(proxy, "its user name has a colon")
    return Proxy(scheme, parts.host, parts.port, parts.username, parts.password)


def get_proxy(uri: WebSocketURI) -> str | None:
    """Return the URL of the system's proxy for a WebSocket URI, or ``None``.

    This is the first of these environment variables that is set: ``ws_proxy`` or
    ``wss_proxy``, ``socks_proxy``, ``https_proxy`` and, without TLS, ``http_proxy``,
    in lower or upper case. The default scheme is ``http``. On macOS and Windows, if no
    such variable is set, the system's settings apply.

    The variable ``no_proxy`` lists hosts to reach without a proxy, separated by commas
    or blanks: ``example.com`` or ``.example.com`` for a name and all its subdomains,
    ``*.example.com`` for its subdomains only, an IP address with or without brackets,
    a block of addresses such as ``10.0.0.0/8`` or ``fd00::/8``, and ``*`` for all
    hosts. A name or an address may be followed by a port, as in ``[::1]:8000``.
    """
    from urllib.request import getproxies, getproxies_environment, proxy_bypass

    kinds = (
        ["wss", "socks", "https"] if uri.secure else ["ws", "socks", "https", "http"]
    )
    proxies = getproxies()
    kind = next((kind for kind in kinds if proxies.get(kind)), None)
    if kind is None:
        return None
    if getproxies_environment():
        if _is_listed(uri, proxies.get("no", "")):
            return None
    elif proxy_bypass(f"{uri.host}:{uri.port}"):
        return None
    proxy = proxies[kind]
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    if kind == "socks" and proxy.startswith("http://"):
        # Systems name a SOCKS proxy like this; it cannot mean HTTP.
        return f"socks5h://{proxy[7:]}"
    return proxy


def _is_listed(uri: WebSocketURI, no_proxy: str) -> bool:
    """Whether ``no_proxy`` lists the host of a URI."""
    host = uri.host.removesuffix(".")
    block = _block(host)
    for entry in no_proxy.lower().replace(",", " ").split():
        name, port = _split_port(entry)
        if port and port != str(uri.port):
            continue
        if name == "*":
            return True
        if block is not None:
            listed = _block(name)
            if listed is not None and block.network_address in listed:
                return True
        elif _is_within(host, name):
            return True
    return False


def _is_within(host: str, name: str) -> bool:
    """Whether an entry of ``no_proxy`` names a host, or a domain that contains it."""
    domain = name.removeprefix("*").strip(".")
    if host == domain:
        return not name.startswith("*")
    return domain != "" and host.endswith(f".{domain}")


def _split_port(entry: str) -> tuple[str, str]:
    """Split an entry of ``no_proxy`` into host and port, which may be empty."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        # The length of a block may be inside the brackets, or after them.
        return (host + rest, "") if rest.startswith("/") else (host, rest.lstrip(":"))
    if entry.count(":") != 1:  # an IPv6 address has more
        return entry, ""
    host, _, port = entry.partition(":")
    return host, port


def _block(text: str) -> IPv4Network | IPv6Network | None:
    """Parse a block of addresses, or one address; ``None`` if it is neither."""
    from ipaddress import IPv6Network, ip_network

    try:
        network = ip_network(re.sub("%[^/]*", "", text), strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ip_network(f"{mapped}/{network.prefixlen - 96}")
    return network


def prepare_connect_request(
    proxy: Proxy, ws_uri: WebSocketURI, user_agent_header: str | None = USER_AGENT
) -> bytes:
    """Build the request for a tunnel to the server of a WebSocket URI.

    Args:
        proxy: the proxy; its user information is included.
        ws_uri: URI of the server.
        user_agent_header: value of ``User-Agent``; ``None`` to send none.
    """
    target = build_host(
        ws_uri.host, ws_uri.port, ws_uri.secure, always_include_port=True
    )
    headers = Headers([("Host", target)])
    if user_agent_header is not None:
        headers["User-Agent"] = user_agent_header
    if proxy.user_info is not None:
        headers["Proxy-Authorization"] = build_authorization_basic(*proxy.user_info)
    return f"CONNECT {target} HTTP/1.1\r\n".encode() + headers.serialize()


class Tunnel:
    """A tunnel, while the proxy answers the request for it.

    Feed it until it is ``decided``. If ``exc`` is ``None`` then, the tunnel is open.

    Args:
        max_status_line: maximum size of the status line.
        max_header_line: maximum size of a header line.
        max_headers: maximum number of header lines.
        max_head_size: maximum size of all lines together.

    Sizes are in bytes and do not include line ends.

    Attributes:
        response: the final response, without its body; ``None`` until received.
        exc: why the tunnel failed; ``None`` unless it did.
    """

    def __init__(
        self,
        max_status_line: int = 8192,
        max_header_line: int = 8192,
        max_headers: int = 128,
        max_head_size: int = 65536,
    ) -> None:
        self._parser = ResponseParser(
            max_status_line,
            max_header_line,
            max_headers,
            max_head_size,
            read_body=False,
        )
        self.response: Response | None = None
        self.exc: ProxyError | None = None

    @property
    def decided(self) -> bool:
        """Whether the tunnel is open or has failed."""
        return self.response is not None or self.exc is not None

    def receive_data(self, data: bytes) -> None:
        """Parse bytes from the proxy; they are ignored once it has decided."""
        if self.decided:
            return
        try:
            response = self._parser.feed(data)
        except InvalidHandshake as exc:
            self._fail(f"the proxy did not send a valid HTTP response: {exc}", exc)
            return
        if response is None:
            return
        self.response = response
        if not 200 <= response.status_code < 300:
            self.exc = InvalidProxyStatus(response)
        elif self._parser.rest:
            # The server sends nothing before the client's first bytes.
            self._fail("the proxy sent more than its response", None)

    def receive_eof(self) -> None:
        """Report the end of the stream."""
        if not self.decided:
            self._fail("the proxy closed the connection", EOFError())

    def _fail(self, text: str, cause: Exception | None) -> None:
        self.exc = InvalidProxyMessage(text)
        self.exc.__cause__ = cause


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
