"""Our client on asyncio through proxies."""

from __future__ import annotations

import socket
import ssl
import sys
from typing import Any

import pytest

from sansocket import (
    InvalidHandshake,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    ProxyError,
)
from sansocket.asyncio import ServerConnection, connect, unix_connect, unix_serve

from .proxies import OK, Proxy, http_proxy, running, socks_proxy
from .support import UNCLOSED, Contexts, Run, echo, port_of, serving

pytestmark = pytest.mark.filterwarnings(UNCLOSED)

MESSAGES: list[str | bytes] = ["", "Wörld", b"\0\xff", "a" * 70_000, bytes(300_000)]
SOCKS = ["socks4", "socks4a", "socks5", "socks5h"]


async def try_echo(client: Any) -> None:
    for message in MESSAGES:
        await client.send(message)
        assert await client.recv() == message


async def speak_first(connection: ServerConnection) -> None:
    await connection.send("hello")
    await echo(connection)


class TestHTTP:
    """SPEC-043; with TLS, SPEC-044."""

    def test_echo(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _), http_proxy() as proxy:
                uri = f"ws://example.com:{port_of(server)}/"
                async with connect(uri, proxy=proxy.url("http")) as client:
                    await try_echo(client)
                    assert client.remote_address == ("127.0.0.1", proxy.port)
                assert client.close_code == 1000
                ((line, host, agent),) = lines_of(proxy)
                target = f"example.com:{port_of(server)}"
                assert line == f"CONNECT {target} HTTP/1.1"
                assert host == f"Host: {target}"
                assert agent.startswith("User-Agent: Python/")

        run(main())

    def test_what_is_sent(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _), http_proxy() as proxy:
                options: dict[str, Any] = {
                    "proxy": proxy.url("http", "me:secr%C3%A9t@"),
                    "user_agent_header": None,
                    "port": port_of(server),
                }
                async with connect("ws://a:b@example.com/", **options):
                    pass
                ((line, _, authorization),) = lines_of(proxy)
                assert line == f"CONNECT example.com:{port_of(server)} HTTP/1.1"
                wanted = "Proxy-Authorization: Basic bWU6c2VjcsOpdA=="
                assert authorization == wanted
                async with connect("ws://x/", host="other", **options):
                    pass
                assert b"CONNECT other:" in proxy.asked[1]

        run(main())

    def test_tls_with_the_server(
        self,
        run: Run,
        contexts: Contexts,
    ) -> None:
        async def main() -> None:
            async with (
                serving(speak_first, ssl=contexts[0]) as (_, url),
                http_proxy() as proxy,
                connect(url, ssl=contexts[1], proxy=proxy.url("http")) as client,
            ):
                assert await client.recv() == "hello"
                await try_echo(client)
                assert client.transport.get_extra_info("ssl_object") is not None

        run(main())

    def test_a_certificate_that_is_not_trusted(
        self,
        run: Run,
        contexts: Contexts,
    ) -> None:
        async def main() -> None:
            async with (
                serving(ssl=contexts[0]) as (_, url),
                http_proxy() as proxy,
            ):
                with pytest.raises(ssl.SSLCertVerificationError):
                    await connect(url, proxy=proxy.url("http"))
                wrong: dict[str, Any] = {"server_hostname": "example.com"}
                with pytest.raises(ssl.SSLCertVerificationError):
                    await connect(
                        url, ssl=contexts[1], proxy=proxy.url("http"), **wrong
                    )

        run(main())

    def test_tls_with_the_proxy(
        self,
        run: Run,
        contexts: Contexts,
    ) -> None:
        async def main() -> None:
            async with (
                serving(speak_first) as (_, url),
                http_proxy(ssl=contexts[0]) as proxy,
            ):
                options: dict[str, Any] = {
                    "proxy": proxy.url("https"),
                    "proxy_ssl_handshake_timeout": 10,
                }
                async with connect(url, proxy_ssl=contexts[1], **options) as client:
                    assert await client.recv() == "hello"
                    await try_echo(client)
                with pytest.raises(ssl.SSLCertVerificationError):
                    await connect(url, **options)
                options |= {"proxy_ssl": contexts[1]}
                options |= {"proxy_server_hostname": "example.com"}
                with pytest.raises(ssl.SSLCertVerificationError):
                    await connect(url, **options)

        run(main())

    @pytest.mark.skipif(
        sys.version_info < (3, 11), reason="asyncio has no TLS inside of TLS"
    )
    def test_tls_with_both(
        self,
        run: Run,
        contexts: Contexts,
    ) -> None:
        async def main() -> None:
            async with (
                serving(speak_first, ssl=contexts[0]) as (_, url),
                http_proxy(ssl=contexts[0]) as proxy,
                connect(
                    url,
                    ssl=contexts[1],
                    proxy=proxy.url("https"),
                    proxy_ssl=contexts[1],
                ) as client,
            ):
                assert await client.recv() == "hello"
                await try_echo(client)

        run(main())

    def test_a_server_that_speaks_first(self, run: Run, contexts: Contexts) -> None:
        """Right after the TLS handshake, before it was asked for anything."""

        async def main() -> None:
            async def talk(reader: Any, writer: Any) -> None:
                writer.write(b"220 mail.example.com\r\n")
                await reader.read()

            server = Proxy()
            async with running(server, talk, ssl=contexts[0]), http_proxy() as proxy:
                with pytest.raises((InvalidHandshake, ConnectionError)):
                    await connect(
                        server.url("wss"), ssl=contexts[1], proxy=proxy.url("http")
                    )

        run(main())

    def test_refused(self, run: Run) -> None:
        async def main() -> None:
            answer = b"HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\nwhy"
            async with serving() as (_, url), http_proxy(answer) as proxy:
                with pytest.raises(InvalidProxyStatus, match="407") as info:
                    await connect(url, proxy=proxy.url("http"))
                assert info.value.response.reason_phrase == "No"

        run(main())

    @pytest.mark.parametrize(
        "answer", [b"", b"HTTP/1.1 2", b"SSH-2.0-x\r\n", OK + b"\x81\x01a"]
    )
    def test_proxies_of_another_kind(self, run: Run, answer: bytes) -> None:
        async def main() -> None:
            async with serving() as (_, url), http_proxy(answer) as proxy:
                with pytest.raises(InvalidProxyMessage):
                    await connect(url, proxy=proxy.url("http"))

        run(main())

    def test_limits(self, run: Run) -> None:
        async def main() -> None:
            answer = OK[:-2] + b"X: 1\r\n" * 9 + b"\r\n"
            async with serving() as (_, url), http_proxy(answer) as proxy:
                with pytest.raises(InvalidProxyMessage, match="more than 8 headers"):
                    await connect(url, proxy=proxy.url("http"), max_headers=8)

        run(main())

    def test_a_proxy_that_resets(self, run: Run) -> None:
        async def main() -> None:
            async def talk(reader: Any, writer: Any) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.transport.abort()

            proxy = Proxy()
            async with running(proxy, talk):
                with pytest.raises((InvalidProxyMessage, ConnectionError)):
                    await connect("ws://x/", proxy=proxy.url("http"))

        run(main())

    def test_a_silent_proxy(self, run: Run) -> None:
        async def main() -> None:
            async def talk(reader: Any, writer: Any) -> None:
                assert await reader.read()  # until the client gives up

            proxy = Proxy()
            async with running(proxy, talk):
                with pytest.raises(TimeoutError, match="took too long"):
                    await connect("ws://x/", proxy=proxy.url("http"), open_timeout=0.05)

        run(main())

    def test_nobody_listens(self, run: Run) -> None:
        async def main() -> None:
            async with http_proxy() as proxy:
                pass
            with pytest.raises(OSError, match=r"Connect|refused"):
                await connect("ws://x/", proxy=proxy.url("http"))

        run(main())

    def test_the_server_is_lost_behind_the_proxy(self, run: Run) -> None:
        """As the proxy reaches nobody, it ends the tunnel."""

        async def main() -> None:
            async with serving() as (_, url):
                pass
            async with http_proxy() as proxy:
                with pytest.raises(Exception, match="stream ended"):
                    await connect(url, proxy=proxy.url("http"))

        run(main())


class TestSOCKS:
    @pytest.mark.parametrize("scheme", SOCKS)
    def test_echo(self, run: Run, scheme: str) -> None:
        """The proxy, or the client, looks up the name."""

        async def main() -> None:
            async with serving(speak_first) as (server, _), socks_proxy() as proxy:
                uri = f"ws://localhost:{port_of(server)}/"
                async with connect(uri, proxy=proxy.url(scheme)) as client:
                    assert await client.recv() == "hello"
                    await try_echo(client)
                ((version, host, _),) = proxy.asked
                assert version == int(scheme[5])
                assert host == ("localhost" if scheme[6:] else "127.0.0.1")

        run(main())

    def test_user(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (_, url), socks_proxy(("me", "secret")) as proxy:
                url5 = proxy.url("socks5", "me:secret@")
                async with connect(url, proxy=url5) as client:
                    await try_echo(client)
                assert proxy.asked == [(5, "127.0.0.1", ("me", "secret"))]
                with pytest.raises(ProxyError):
                    await connect(url, proxy=proxy.url("socks5", "me:wrong@"))

        run(main())

    def test_tls(self, run: Run, contexts: Contexts) -> None:
        async def main() -> None:
            async with (
                serving(ssl=contexts[0]) as (_, url),
                socks_proxy() as proxy,
            ):
                proxied: dict[str, Any] = {"proxy": proxy.url("socks5h")}
                async with connect(url, ssl=contexts[1], **proxied) as client:
                    await try_echo(client)
                with pytest.raises(ssl.SSLCertVerificationError):
                    await connect(url, **proxied)

        run(main())

    @pytest.mark.parametrize("scheme", SOCKS)
    @pytest.mark.parametrize("answer", [b"", b"\5", b"HTTP/1.1 400 Bad\r\n\r\n"])
    def test_proxies_of_another_kind(
        self, run: Run, scheme: str, answer: bytes
    ) -> None:
        async def main() -> None:
            async with serving() as (_, url), socks_proxy(answer=answer) as proxy:
                with pytest.raises((ProxyError, ConnectionError)) as info:
                    await connect(url, proxy=proxy.url(scheme))
                assert str(info.value).isprintable()

        run(main())

    def test_nobody_listens(self, run: Run) -> None:
        async def main() -> None:
            async with socks_proxy() as proxy:
                pass
            with pytest.raises(OSError, match="connect to proxy"):
                await connect("ws://127.0.0.1/", proxy=proxy.url("socks5"))

        run(main())

    def test_without_the_library(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "python_socks", None)

        async def main() -> None:
            with pytest.raises(ImportError, match=r"sansocket\[socks\]"):
                await connect("ws://127.0.0.1/", proxy="socks5://127.0.0.1")

        run(main())


class TestChoice:
    def test_variables(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        async def main() -> None:
            async with serving() as (_, url), http_proxy() as proxy:
                monkeypatch.setenv("ws_proxy", proxy.url("http"))
                async with connect(url):
                    assert len(proxy.asked) == 1
                async with connect(url, proxy=None):
                    assert len(proxy.asked) == 1
                monkeypatch.setenv("no_proxy", "127.0.0.1")
                async with connect(url):
                    assert len(proxy.asked) == 1
                monkeypatch.delenv("no_proxy")
                monkeypatch.setenv("ws_proxy", "no URL")
                with pytest.raises(InvalidProxy):
                    await connect(url)

        run(main())

    def test_no_proxy_for_what_is_connected(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, url), http_proxy() as proxy:
                sock = socket.create_connection(("127.0.0.1", port_of(server)))
                sock.setblocking(False)
                async with connect(url, sock=sock, proxy=proxy.url("http")) as client:
                    await try_echo(client)
                assert proxy.asked == []

        run(main())

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")
    def test_no_proxy_for_unix_sockets(self, run: Run, socket_path: str) -> None:
        path = socket_path

        async def main() -> None:
            async with unix_serve(echo, path), http_proxy() as proxy:
                async with unix_connect(path, proxy=proxy.url("http")) as client:
                    await try_echo(client)
                assert proxy.asked == []

        run(main())

    def test_arguments(self, run: Run) -> None:
        with pytest.raises(InvalidProxy, match="scheme"):
            connect("ws://x/", proxy="ftp://127.0.0.1")

        async def main() -> None:
            with pytest.raises(ValueError, match="does not use TLS"):
                await connect("ws://x/", proxy="http://127.0.0.1", proxy_ssl=True)
            with pytest.raises(ValueError, match="needs TLS"):
                await connect("ws://x/", proxy="https://127.0.0.1", proxy_ssl=None)

        run(main())


def lines_of(proxy: Any) -> list[list[str]]:
    """The lines of the heads that a proxy got."""
    return [head.decode().split("\r\n")[:-2] for head in proxy.asked]
