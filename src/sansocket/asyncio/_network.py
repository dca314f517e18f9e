"""How an asyncio client reaches a server: directly, or through a proxy."""

from __future__ import annotations

import asyncio
import re

from .._base.options import take
from ..exceptions import InvalidProxy, InvalidURI, ProxyError, shown
from ..proxy import get_proxy, parse_proxy, prepare_connect_request
from ..uri import WebSocketURI
from ._tunnel import open_tunnel

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from socket import socket
    from typing import Any, Literal, TypeAlias

    from ..proxy import Proxy
    from .client import ClientConnection

    MakeConnection: TypeAlias = Callable[[], ClientConnection]

__all__ = ["Network"]

HOSTNAME = "server_hostname"
TLS = ("ssl", HOSTNAME, "ssl_handshake_timeout", "ssl_shutdown_timeout")
PROXY_TLS = tuple(f"proxy_{name}" for name in TLS)
PLACES = ("host", "port", "sock")
HEAD_LIMITS = ("max_status_line", "max_header_line", "max_headers", "max_head_size")

# A timeout applies to the whole attempt; but python-socks does not accept None.
NO_TIMEOUT = 10.0**6

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")


class Network:
    """Everything needed to reach a server except the URI, which redirects may change.

    Args:
        proxy: as for ``connect()``.
        user_agent: value of ``User-Agent`` for a proxy; ``None`` to send none.
        limits: limits for ``ClientProtocol``; those of heads apply to proxies as well.
        options: other arguments of ``connect()``.

    Raises:
        InvalidProxy: if the proxy is not valid.
    """

    def __init__(
        self,
        proxy: str | Literal[True] | None,
        user_agent: str | None,
        limits: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        self._proxy = to_proxy(proxy) if isinstance(proxy, str) else proxy
        self._user_agent = user_agent
        self._limits = take({**limits}, HEAD_LIMITS)
        self._unix = options.pop("unix", False)
        self._tls = take(options, TLS)
        self._proxy_tls = {
            name.removeprefix("proxy_"): value
            for name, value in take(options, PROXY_TLS).items()
        }
        self._options = options
        self._sock_used = False  # if there is one

    def check(self, uri: WebSocketURI) -> None:
        """Refuse invalid hosts, and arguments for TLS that do not match the URI.

        Raises:
            InvalidURI: if the host is not valid.
            InvalidProxy: if the host of the proxy is not valid.
            ValueError: if the arguments for TLS do not match.
        """
        for name, host in (
            ("its host", uri.host),
            ("host", self._options.get("host")),
            (HOSTNAME, self._tls.get(HOSTNAME)),
        ):
            if not is_name(host):
                raise InvalidURI(str(host), f"{name} is not valid")
        host = self._proxy_tls.get(HOSTNAME)
        if not is_name(host):
            raise InvalidProxy(str(host), f"proxy_{HOSTNAME} is not valid")
        port = self._options.get("port")
        if isinstance(port, int) and not 0 <= port <= 65535:
            raise ValueError(f"port must be from 0 to 65535, not {port}")
        if uri.secure:
            if self._tls.get("ssl", True) is None:
                raise ValueError("a wss:// URI needs TLS, so ssl must not be None")
        elif self._tls.get("ssl") is not None:
            raise ValueError("a ws:// URI does not use TLS; use wss:// with ssl")

    def check_redirect(self, same_origin: bool) -> None:
        """Refuse a redirect if the arguments determine the address, whatever the URI.

        Raises:
            ValueError: if they do.
        """
        place = next(
            (name for name in PLACES if self._options.get(name) is not None), None
        )
        if self._unix:
            place = "a Unix socket"
        if place is not None and not same_origin:
            raise ValueError(
                f"cannot follow a redirect to another origin, as {place} is given"
            )
        if self._options.get("sock") is not None:
            raise ValueError(
                "cannot follow a redirect with sock, which was already used"
            )

    async def open(self, make: MakeConnection, uri: WebSocketURI) -> ClientConnection:
        """Open a connection.

        Args:
            make: makes the connection.
            uri: URI of the server.

        Raises:
            ValueError: if the arguments do not match, or there is no second socket.
            InvalidURI: if a host is not valid.
            InvalidProxy: if the proxy is not valid.
            ProxyError: if the proxy did not open a connection.
            ImportError: if the library for SOCKS is missing.
            OSError: if the network fails.
        """
        self.check(uri)
        try:
            return await self._open(make, uri)
        except (UnicodeError, OverflowError) as exc:
            # What is left unchecked is an argument such as local_addr. Some loops
            # look at it only now.
            raise ValueError(f"an address is not valid: {shown(str(exc))}") from exc

    # --- inside

    async def _open(self, make: MakeConnection, uri: WebSocketURI) -> ClientConnection:
        loop = asyncio.get_running_loop()
        options = {**self._options, **self._tls_of(uri)}
        if options.get("sock") is not None:
            if self._sock_used:
                raise ValueError(
                    "cannot connect again with sock, which was already used"
                )
            self._sock_used = True
        if self._unix:
            return (await loop.create_unix_connection(make, **options))[1]
        proxy = self._proxy_of(uri)
        if proxy is not None and proxy.scheme.startswith("socks"):
            return await self._open_through_socks(make, uri, proxy)
        if proxy is not None:
            return await self._open_through_http(make, uri, proxy)
        if options.get("sock") is None:
            options["host"], options["port"] = self._target(uri)
        return (await loop.create_connection(make, **options))[1]

    def _tls_of(self, uri: WebSocketURI) -> dict[str, Any]:
        """Return the arguments for TLS with the server."""
        if not uri.secure:
            return self._tls
        return {"ssl": True, "server_hostname": uri.host, **self._tls}

    def _proxy_of(self, uri: WebSocketURI) -> Proxy | None:
        """Return the proxy to use; none if the socket is already connected."""
        if self._options.get("sock") is not None:
            return None
        if self._proxy is not True:
            return self._proxy or None
        proxy = get_proxy(uri)
        return None if proxy is None else to_proxy(proxy)

    def _target(self, uri: WebSocketURI) -> tuple[str, int]:
        """Return host and port of the server."""
        host = self._options.get("host")
        port = self._options.get("port")
        if isinstance(host, str) and not host.isascii():
            host = host.encode("idna").decode()  # as proxies are asked for it
        return uri.host if host is None else host, uri.port if port is None else port

    async def _open_through_socks(
        self, make: MakeConnection, uri: WebSocketURI, proxy: Proxy
    ) -> ClientConnection:
        loop = asyncio.get_running_loop()
        local_addr = self._options.get("local_addr")
        sock = await connect_socks(proxy, *self._target(uri), local_addr)
        try:
            _, connection = await loop.create_connection(
                make, sock=sock, **self._tls_of(uri)
            )
        except BaseException:
            sock.close()
            raise
        return connection

    async def _open_through_http(
        self, make: MakeConnection, uri: WebSocketURI, proxy: Proxy
    ) -> ClientConnection:
        host, port = self._target(uri)
        target = WebSocketURI(uri.secure, host, port, "", "")
        transport, protocol = await open_tunnel(
            prepare_connect_request(proxy, target, self._user_agent),
            self._limits,
            **{
                **self._options,
                **{"host": proxy.host, "port": proxy.port},
                **self._proxy_tls_of(proxy),
            },
        )
        try:
            if uri.secure:
                # Not with the connection, which would be told of a failure before
                # it has a transport.
                transport = await start_tls(transport, protocol, self._tls_of(uri))
            if transport.is_closing():
                raise ConnectionResetError("the proxy closed the connection")
            connection = make()
            transport.set_protocol(connection)
            connection.connection_made(transport)
            transport.resume_reading()
        except BaseException:
            transport.abort()
            raise
        return connection

    def _proxy_tls_of(self, proxy: Proxy) -> dict[str, Any]:
        """Return the arguments for TLS with a proxy."""
        if proxy.scheme == "https":
            if self._proxy_tls.get("ssl", True) is None:
                raise ValueError(
                    "an https:// proxy needs TLS: proxy_ssl must not be None"
                )
            return {"ssl": True, "server_hostname": proxy.host, **self._proxy_tls}
        if self._proxy_tls.get("ssl") is not None:
            raise ValueError("an http:// proxy does not use TLS; use https://")
        return self._proxy_tls


def to_proxy(proxy: str) -> Proxy:
    """Split a proxy's URL, whose scheme may be missing, into its parts.

    Raises:
        InvalidProxy: if it is not valid.
    """
    return parse_proxy(f"http://{proxy}" if "://" not in proxy else proxy)


def is_name(host: object) -> bool:
    """Whether a host can be resolved; if not, resolvers raise ``UnicodeError``."""
    if not isinstance(host, str):
        return True
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return _FORBIDDEN.search(host) is None


async def start_tls(
    transport: asyncio.Transport,
    protocol: asyncio.BaseProtocol,
    options: dict[str, Any],
) -> asyncio.Transport:
    """Begin TLS on an open connection.

    Raises:
        OSError: if it fails.
    """
    options = {**options}
    context: ssl.SSLContext | bool = options.pop("ssl")
    if context is True:
        from ssl import create_default_context

        context = create_default_context()
    loop = asyncio.get_running_loop()
    secure = await loop.start_tls(
        *(transport, protocol, context),  # type: ignore[arg-type]
        **options,
    )
    if secure is None:  # it was closed meanwhile
        raise ConnectionResetError("connection lost before TLS began")
    return secure


async def connect_socks(
    proxy: Proxy, host: str, port: int, local_addr: tuple[str, int] | None
) -> socket:
    """Connect through a SOCKS proxy.

    Raises:
        ImportError: if the library for it is missing.
        ProxyError: if the proxy refused, or its answer is not valid.
        OSError: if the network fails.
    """
    try:
        import python_socks
        from python_socks.async_.asyncio import Proxy as SocksProxy
    except ImportError as exc:
        raise ImportError(
            "a SOCKS proxy needs a library: pip install 'sansocket[socks]'"
        ) from exc
    kinds = python_socks.ProxyType
    socks = SocksProxy(
        kinds.SOCKS4 if proxy.scheme.startswith("socks4") else kinds.SOCKS5,
        proxy.host,
        proxy.port,
        proxy.username,
        proxy.password,
        rdns=proxy.scheme in ("socks4a", "socks5h"),
    )
    try:
        return await socks.connect(
            host, port, timeout=NO_TIMEOUT, local_addr=local_addr
        )
    except OSError:
        raise
    except Exception as exc:
        # Not only the library's own exceptions: it does not validate its input.
        raise ProxyError(f"the SOCKS proxy did not connect: {shown(str(exc))}") from exc
