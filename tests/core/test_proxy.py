"""Proxies: which one to use, and the tunnel through one of HTTP."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from .http_support import head
from .reference import needs_release
from .support import proxy_variables

# A URL, then what it is split into.
VALID = [
    ("http://h", ("http", "h", 80, None, None)),
    ("https://h/", ("https", "h", 443, None, None)),
    ("HTTP://H.X:8", ("http", "h.x", 8, None, None)),
    ("http://h:", ("http", "h", 80, None, None)),
    ("http://[::1]", ("http", "::1", 80, None, None)),
    ("http://[::1]:8", ("http", "::1", 8, None, None)),
    ("http://u:1@h", ("http", "h", 80, "u", "1")),
    ("http://u%40:p%3A@h:1", ("http", "h", 1, "u@", "p:")),
    ("http://é.x", ("http", "xn--9ca.x", 80, None, None)),
    ("socks4://h", ("socks4", "h", 1080, None, None)),
    ("socks4a://h:99", ("socks4a", "h", 99, None, None)),
    ("socks5://h:", ("socks5", "h", 1080, None, None)),
    ("socks5h://a%3Ab:c@h", ("socks5h", "h", 1080, "a:b", "c")),
    ("socks5h://h:80", ("socks5h", "h", 80, None, None)),
]
INVALID = [
    ("", "scheme"),
    ("h", "scheme"),
    ("h:80", "scheme"),
    ("ftp://h", "scheme"),
    ("socks://h", "scheme"),
    ("http://", "host"),
    ("http://:80", "host"),
    ("http:// h", "space"),
    ("http://h/x", "path"),
    ("http://h?q", "query"),
    ("http://h/?q", "query"),
    ("http://h#f", "fragment"),
    ("http://h:99999", "port"),
    ("http://h:x", "port"),
    ("http://u@h", "no password"),
    ("http://a%3Ab:c@h", "colon"),
]


class TestURLs:
    def test_valid(self, impl: ModuleType) -> None:
        for url, parts in VALID:
            assert impl.proxy.parse_proxy(url) == impl.proxy.Proxy(*parts), url

    def test_invalid(self, impl: ModuleType) -> None:
        for url, reason in INVALID:
            with pytest.raises(impl.exceptions.InvalidProxy, match=reason) as info:
                impl.proxy.parse_proxy(url)
            assert info.value.proxy == url

    def test_no_password_in_errors(self, impl: ModuleType) -> None:
        with pytest.raises(impl.exceptions.InvalidProxy) as info:
            impl.proxy.parse_proxy("http://u:secret@h/x")
        assert str(info.value) == "not a usable proxy: http://...@h/x: it has a path"

    def test_user_info(self, impl: ModuleType) -> None:
        proxy = impl.proxy.parse_proxy("http://u:secret@h")
        assert proxy.user_info == ("u", "secret")
        assert "secret" not in repr(proxy)
        assert impl.proxy.parse_proxy("http://h").user_info is None
        assert repr(impl.proxy.Proxy("http", "h", 80)) == (
            "Proxy(scheme='http', host='h', port=80, username=None, password=None)"
        )

    def test_it_is_like_a_dataclass(self, impl: ModuleType) -> None:
        proxy: Any = impl.proxy.Proxy("http", "h", 80)
        assert dataclasses.replace(proxy, port=81).port == 81

    @needs_release
    def test_the_same_as_websockets(self, impl: ModuleType) -> None:
        """But for the default port of SOCKS, and for user names with a colon."""
        reference = pytest.importorskip("websockets.proxy")
        for url, parts in VALID:
            if parts[2] != 1080:
                theirs = reference.parse_proxy(url)
                assert dataclasses.astuple(theirs) == parts, url


def test_hosts_that_no_name_can_be(impl: ModuleType) -> None:
    for host in ("a..b", "a" * 64, "a." * 130, ".a"):
        with pytest.raises(impl.exceptions.InvalidProxy):
            impl.proxy.parse_proxy(f"http://{host}:80")


# URI, environment variables, and the proxy that they mean.
CHOICES: list[tuple[str, dict[str, str], str | None]] = [
    ("ws://e", {}, None),
    ("ws://e", {"ws_proxy": "http://p"}, "http://p"),
    ("ws://e", {"WS_PROXY": "http://p"}, "http://p"),
    ("ws://e", {"wss_proxy": "http://p"}, None),
    ("ws://e", {"http_proxy": "http://p"}, "http://p"),
    ("ws://e", {"https_proxy": "http://p"}, "http://p"),
    ("ws://e", {"all_proxy": "http://p"}, None),
    ("ws://e", {"http_proxy": ""}, None),
    ("ws://e", {"socks_proxy": "http://p:1"}, "socks5h://p:1"),
    ("ws://e", {"socks_proxy": "socks4://p:1"}, "socks4://p:1"),
    ("ws://e", {"http_proxy": "http://a", "https_proxy": "http://b"}, "http://b"),
    ("ws://e", {"https_proxy": "http://a", "socks_proxy": "socks5://b"}, "socks5://b"),
    ("ws://e", {"socks_proxy": "socks5://a", "ws_proxy": "http://b"}, "http://b"),
    ("wss://e", {"wss_proxy": "http://p"}, "http://p"),
    ("wss://e", {"ws_proxy": "http://p", "http_proxy": "http://p"}, None),
    ("wss://e", {"https_proxy": "http://p"}, "http://p"),
    ("wss://e", {"https_proxy": "http://a", "socks_proxy": "socks5://b"}, "socks5://b"),
    ("wss://e", {"socks_proxy": "socks5://a", "wss_proxy": "http://b"}, "http://b"),
    ("ws://e", {"ws_proxy": "http://p", "no_proxy": "e"}, None),
    ("ws://e", {"ws_proxy": "http://p", "no_proxy": "e:80"}, None),
    ("ws://e:81", {"ws_proxy": "http://p", "no_proxy": "e:80"}, "http://p"),
    ("ws://a.e", {"ws_proxy": "http://p", "no_proxy": "x, .e"}, None),
    ("ws://e", {"ws_proxy": "http://p", "no_proxy": "*"}, None),
    ("ws://[::1]", {"ws_proxy": "http://p", "no_proxy": "::1"}, None),
]


# Without a scheme it is that of HTTP, as with curl and requests.
WITHOUT_SCHEME: list[tuple[dict[str, str], str]] = [
    ({"http_proxy": "127.0.0.1:7890"}, "http://127.0.0.1:7890"),
    ({"HTTP_PROXY": "localhost"}, "http://localhost"),
    ({"https_proxy": "u:p@h:1"}, "http://u:p@h:1"),
    ({"ws_proxy": "[::1]:8"}, "http://[::1]:8"),
    ({"socks_proxy": "h:1"}, "socks5h://h:1"),
]

# Entry of no_proxy, URIs of hosts that it lists, and of others.
NO_PROXY: list[tuple[str, list[str], list[str]]] = [
    ("", [], ["ws://e"]),
    (" , ,,", [], ["ws://e"]),
    ("*", ["ws://e", "ws://e:1", "ws://10.0.0.1", "ws://[::1]"], []),
    ("x, *", ["ws://e"], []),
    ("*:81", ["ws://e:81"], ["ws://e"]),
    ("e.x", ["ws://e.x", "ws://a.e.x", "ws://a.b.e.x"], ["ws://be.x", "ws://e.x.y"]),
    (".e.x", ["ws://e.x", "ws://a.e.x"], ["ws://be.x", "ws://x"]),
    ("*.e.x", ["ws://a.e.x", "ws://a.b.e.x"], ["ws://e.x", "ws://be.x"]),
    ("e.x.", ["ws://e.x", "ws://e.x.", "ws://a.e.x"], []),
    ("e", ["ws://e."], []),
    ("E.x", ["ws://e.X"], []),
    ("a,e", ["ws://a", "ws://e"], ["ws://b"]),
    (" a , e ", ["ws://a", "ws://e"], []),
    ("a e", ["ws://a", "ws://e"], ["ws://ae"]),
    ("e:81", ["ws://e:81", "ws://a.e:81"], ["ws://e", "ws://e:8", "ws://e:811"]),
    ("e:80", ["ws://e"], ["wss://e"]),
    ("e:443", ["wss://e"], ["ws://e"]),
    ("e:", ["ws://e", "ws://e:81"], []),
    (":81", [], ["ws://e:81"]),
    (".", [], ["ws://e", "ws://e."]),
    ("*.", [], ["ws://e"]),
    ("127.0.0.1", ["ws://127.0.0.1", "ws://127.0.0.1:81"], ["ws://127.0.0.2"]),
    ("127.0.0.1:81", ["ws://127.0.0.1:81"], ["ws://127.0.0.1"]),
    ("0.0.1", [], ["ws://127.0.0.1"]),
    (".0.0.1", [], ["ws://127.0.0.1"]),
    ("10.0.0.0/8", ["ws://10.0.0.0", "ws://10.255.0.1:81"], ["ws://11.0.0.0"]),
    ("10.1.2.3/8", ["ws://10.9.9.9"], ["ws://e"]),
    ("10.0.0.0/255.0.0.0", ["ws://10.9.9.9"], ["ws://11.0.0.0"]),
    ("10.0.0.0/33", [], ["ws://10.0.0.0"]),
    ("10.0.0.0/", [], ["ws://10.0.0.0"]),
    ("::1", ["ws://[::1]", "ws://[::1]:81", "ws://[0:0::1]"], ["ws://[::2]"]),
    ("[::1]", ["ws://[::1]", "ws://[::1]:81"], ["ws://[::2]"]),
    ("[::1]:81", ["ws://[::1]:81"], ["ws://[::1]"]),
    ("0:0:0:0:0:0:0:1", ["ws://[::1]"], []),
    ("FD00::/8", ["ws://[fd12::1]", "ws://[fdff::]:81"], ["ws://[fe00::1]"]),
    ("[fd00::/8]", ["ws://[fd12::1]"], ["ws://[fe00::1]"]),
    ("[fd00::]/8", ["ws://[fd12::1]"], ["ws://[fe00::1]"]),
    ("fe80::/10", ["ws://[fe80::1%25eth0]"], ["ws://[::1]"]),
    ("fe80::1%eth0", ["ws://[fe80::1%25eth0]"], []),
    ("10.0.0.0/8", ["ws://[::ffff:10.0.0.1]"], ["ws://[::ffff:11.0.0.1]"]),
    ("::ffff:10.0.0.0/104", ["ws://10.0.0.1"], ["ws://11.0.0.1"]),
    ("::/0", ["ws://[::1]"], ["ws://127.0.0.1", "ws://e"]),
    ("[::1", [], ["ws://127.0.0.1", "ws://e"]),
    ("]:,[:,:::,//,%,[]", [], ["ws://127.0.0.1", "ws://e", "ws://[::1]"]),
]


class TestEnvironment:
    @pytest.fixture
    def choose(
        self, impl: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> Callable[[str, dict[str, str], Callable[[Any], str | None]], str | None]:
        # Whatever system this is, only variables count.
        monkeypatch.setattr(
            "urllib.request.getproxies", _urllib("getproxies_environment")
        )
        monkeypatch.setattr(
            "urllib.request.proxy_bypass", _urllib("proxy_bypass_environment")
        )

        def choose(
            uri: str, variables: dict[str, str], get: Callable[[Any], str | None]
        ) -> str | None:
            with proxy_variables(monkeypatch, variables):
                return get(impl.uri.parse_uri(uri))

        return choose

    def test_choice(self, impl: ModuleType, choose: Any) -> None:
        for uri, variables, wanted in CHOICES:
            found = choose(uri, variables, impl.proxy.get_proxy)
            assert found == wanted, (uri, variables)

    def test_without_scheme(self, impl: ModuleType, choose: Any) -> None:
        for variables, wanted in WITHOUT_SCHEME:
            found = choose("ws://e", variables, impl.proxy.get_proxy)
            assert found == wanted, variables

    def test_hosts_without_proxy(self, impl: ModuleType, choose: Any) -> None:
        for entries, listed, others in NO_PROXY:
            for name in ("no_proxy", "NO_PROXY"):
                variables = {"ws_proxy": "http://p", "wss_proxy": "http://p"}
                variables[name] = entries
                for uri in (*listed, *others):
                    found = choose(uri, variables, impl.proxy.get_proxy)
                    wanted = None if uri in listed else "http://p"
                    assert found == wanted, (entries, uri)

    def test_settings_of_the_system(
        self, impl: ModuleType, choose: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without variables the system also says which hosts need none."""
        asked: list[str] = []

        def bypass(host: str) -> bool:
            asked.append(host)
            return host == "e:80"

        monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": "http://p"})
        monkeypatch.setattr("urllib.request.proxy_bypass", bypass)
        for uri, wanted in (("ws://e", None), ("ws://f:8", "http://p")):
            assert choose(uri, {}, impl.proxy.get_proxy) == wanted
        assert asked == ["e:80", "f:8"]

    @needs_release
    def test_the_same_as_websockets(self, choose: Any) -> None:
        reference = pytest.importorskip("websockets.proxy")
        for uri, variables, wanted in CHOICES:
            found = choose(uri, variables, reference.get_proxy)
            assert found == wanted, (uri, variables)


def _urllib(name: str) -> Any:
    import urllib.request

    return getattr(urllib.request, name)


# Proxy, URI, and lines of the request.
REQUESTS = [
    ("http://p", "ws://h", [b"CONNECT h:80 HTTP/1.1", b"Host: h:80"]),
    ("http://p", "wss://h/x?y", [b"CONNECT h:443 HTTP/1.1", b"Host: h:443"]),
    ("http://p", "ws://u:p@h:1", [b"CONNECT h:1 HTTP/1.1", b"Host: h:1"]),
    ("http://p", "ws://[::1]", [b"CONNECT [::1]:80 HTTP/1.1", b"Host: [::1]:80"]),
    (
        "https://u:p@p",
        "ws://h",
        [
            *(b"CONNECT h:80 HTTP/1.1", b"Host: h:80"),
            b"Proxy-Authorization: Basic dTpw",
        ],
    ),
]

OK = b"HTTP/1.1 200 OK"


class TestTunnel:
    """SPEC-043: asking a proxy for a tunnel, and reading its answer."""

    def test_request(self, impl: ModuleType) -> None:
        for url, uri, lines in REQUESTS:
            request = impl.proxy.prepare_connect_request(
                impl.proxy.parse_proxy(url), impl.uri.parse_uri(uri), None
            )
            assert request == b"\r\n".join([*lines, b"", b""]), (url, uri)

    def test_user_agent(self, impl: ModuleType) -> None:
        arguments = impl.proxy.parse_proxy("http://p"), impl.uri.parse_uri("ws://h")
        for given, sent in (((), impl.http11.USER_AGENT), (("mine",), "mine")):
            request = impl.proxy.prepare_connect_request(*arguments, *given)
            assert f"\r\nUser-Agent: {sent}\r\n".encode() in request

    def test_opened(self, impl: ModuleType) -> None:
        answers = [
            head(start=OK),
            head(start=b"HTTP/1.0 200 Connection established"),
            head(start=b"HTTP/1.1 204 x"),
            head(start=b"HTTP/1.1 103 x") + head(start=OK),
            # Lengths mean nothing here (RFC 9110, section 9.3.6).
            head(b"Content-Length: 5", start=OK),
            head(b"Transfer-Encoding: chunked", start=OK),
            head(b"Content-Length: abc", start=OK),
            head(b"Content-Length: 1", b"Content-Length: 2", start=OK),
            head(b"Content-Length: 1", b"Transfer-Encoding: x", start=OK),
            head(b"Via: a", b" b", start=OK),
        ]
        for answer in answers:
            for tunnel in cuts(impl, answer):
                assert tunnel.decided
                assert tunnel.exc is None, answer
                assert tunnel.response.status_code in (200, 204)

    def test_refused(self, impl: ModuleType) -> None:
        """Whatever is wrong with the body."""
        for status, length in (
            *((b"101", b"5"), (b"302", b"5"), (b"407", b"5"), (b"503", b"5")),
            *((b"407", b"abc"), (b"403", b"99999999"), (b"407", b"1, 2")),
        ):
            line = b"Content-Length: " + length
            answer = head(line, start=b"HTTP/1.1 " + status + b" No")
            for tunnel in cuts(impl, answer + b"why"):
                assert type(tunnel.exc) is impl.exceptions.InvalidProxyStatus
                assert tunnel.exc.response is tunnel.response
                assert str(tunnel.exc).endswith(status.decode())
                assert tunnel.response.body == b""

    def test_not_http(self, impl: ModuleType) -> None:
        answers = [
            b"SSH-2.0-x\r\n",
            b"HTTP/1.1 200 OK\n\n",
            b"HTTP/1.1 200 " + b"x" * 9000,
            head(start=OK) + b"a server that speaks first",
        ]
        for answer in answers:
            tunnel = impl.proxy.Tunnel()
            tunnel.receive_data(answer)
            assert tunnel.decided
            assert type(tunnel.exc) is impl.exceptions.InvalidProxyMessage, answer
            assert str(tunnel.exc).isprintable()

    def test_sec_08_limits(self, impl: ModuleType) -> None:
        limits = {
            "max_status_line": 20,
            "max_header_line": 20,
            "max_headers": 2,
            "max_head_size": 50,
        }
        fits = head(b"A: 1", b"B: 2", start=OK)
        for answer, is_open in [
            (fits, True),
            (head(start=OK + b"x" * 6), False),
            (head(b"A: " + b"x" * 18, start=OK), False),
            (head(b"A: 1", b"B: 2", b"C: 3", start=OK), False),
            (head(b"A: " + b"x" * 15, b"B: " + b"x" * 15, start=OK), False),
        ]:
            tunnel = impl.proxy.Tunnel(**limits)
            tunnel.receive_data(answer)
            assert tunnel.decided
            assert (tunnel.exc is None) is is_open, answer

    def test_end_of_the_stream(self, impl: ModuleType) -> None:
        for data in (b"", b"HTTP/1.1 2"):
            tunnel = impl.proxy.Tunnel()
            tunnel.receive_data(data)
            assert not tunnel.decided
            tunnel.receive_eof()
            assert type(tunnel.exc) is impl.exceptions.InvalidProxyMessage
            assert type(tunnel.exc.__cause__) is EOFError

    def test_nothing_matters_once_it_is_decided(self, impl: ModuleType) -> None:
        tunnel = impl.proxy.Tunnel()
        tunnel.receive_data(head(start=OK))
        response = tunnel.response
        tunnel.receive_data(b"\0")
        tunnel.receive_eof()
        assert (tunnel.response, tunnel.exc) == (response, None)


def cuts(impl: Any, answer: bytes) -> list[Any]:
    """Tunnels that got an answer whole, and byte by byte."""
    tunnels = []
    for size in (len(answer), 1):
        tunnel = impl.proxy.Tunnel()
        for start in range(0, len(answer), size):
            tunnel.receive_data(answer[start : start + size])
        tunnels.append(tunnel)
    return tunnels
