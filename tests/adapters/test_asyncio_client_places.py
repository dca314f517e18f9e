"""Where our client on asyncio is sent to, and what it says if that is no place."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from sansocket import InvalidProxy, InvalidURI, State
from sansocket.asyncio import ClientConnection, connect

from .proxies import http_proxy, socks_proxy
from .support import UNCLOSED, Contexts, Run, port_of, serving, until

pytestmark = pytest.mark.filterwarnings(UNCLOSED)

# Python cannot encode them for the resolver, which raises UnicodeError.
NO_NAMES = ["a" * 300, "a..b", ".a", "a" * 64, f"b.{'a' * 64}.c"]
# The C library cannot take these.
NO_TEXT = ["a\0b", "a b", "a\r\nX: y", "a\tb", "127.0.0.1\n"]


class TestNames:
    @pytest.mark.parametrize("name", NO_NAMES)
    def test_in_the_uri(self, name: str) -> None:
        for scheme in ("ws", "wss"):
            with pytest.raises(InvalidURI):
                connect(f"{scheme}://{name}/")

    @pytest.mark.parametrize("name", [*NO_NAMES, *NO_TEXT])
    def test_instead_of_that_in_the_uri(self, name: str) -> None:
        with pytest.raises(InvalidURI, match="host is not valid"):
            connect("ws://example.com/", host=name)
        with pytest.raises(InvalidURI, match="server_hostname is not valid"):
            connect("wss://example.com/", server_hostname=name)

    @pytest.mark.parametrize("name", NO_NAMES)
    def test_of_proxies(self, name: str) -> None:
        for scheme in ("http", "https", "socks4", "socks4a", "socks5", "socks5h"):
            with pytest.raises(InvalidProxy):
                connect("ws://example.com/", proxy=f"{scheme}://{name}")
        with pytest.raises(InvalidProxy, match="proxy_server_hostname is not valid"):
            connect("ws://x/", proxy="https://x", proxy_server_hostname=name)

    def test_of_proxies_of_the_system(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ws_proxy", "http://a..b")

        async def main() -> None:
            with pytest.raises(InvalidProxy):
                await connect("ws://example.com/")

        run(main())

    def test_that_are_not_ascii(self, run: Run) -> None:
        """They are sent to proxies as the resolver would be asked for them."""

        async def main() -> None:
            async with serving() as (server, _), http_proxy() as http:
                options: Any = {"host": "bücher.example", "port": port_of(server)}
                async with connect("ws://x/", proxy=http.url("http"), **options):
                    assert b"CONNECT xn--bcher-kva.example:" in http.asked[0]
            async with serving() as (server, _), socks_proxy() as socks:
                options |= {"port": port_of(server)}
                async with connect("ws://x/", proxy=socks.url("socks5h"), **options):
                    assert socks.asked[0][1] == "xn--bcher-kva.example"

        run(main())


class TestPorts:
    @pytest.mark.parametrize("port", [-1, 65536, 99999, 2**70])
    def test_out_of_range(self, port: int) -> None:
        with pytest.raises(
            ValueError, match=f"port must be from 0 to 65535, not {port}"
        ):
            connect("ws://example.com/", port=port)

    def test_of_this_side(self, run: Run) -> None:
        """Loops differ in what they raise, but it is nothing else."""

        async def main() -> None:
            async with serving() as (_, url):
                for local in (("127.0.0.1", 2**70), ("a..b", 0)):
                    with pytest.raises((ValueError, OSError)) as info:
                        await connect(url, local_addr=local)
                    assert not isinstance(info.value, UnicodeError)

        run(main())


class TestProxyWithoutScheme:
    def test_of_the_system(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        async def main() -> None:
            async with serving() as (_, url), http_proxy() as proxy:
                monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
                async with connect(url):
                    assert len(proxy.asked) == 1

        run(main())

    def test_as_argument(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (_, url), http_proxy() as proxy:
                client = await connect(url, proxy=f"127.0.0.1:{proxy.port}")
                await client.close()
                assert len(proxy.asked) == 1

        run(main())
        with pytest.raises(InvalidProxy):
            connect("ws://example.com/", proxy="")


class TestMoreThanOnce:
    """An object that ``connect()`` makes is not used up by a connection."""

    def test_awaited(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (_, url):
                attempt = connect(url)
                one, other = await attempt, await attempt
                assert one is not other
                for client in (one, other):
                    await client.send("a")
                    assert await client.recv() == "a"
                    await client.close()

        run(main())

    def test_as_contexts_inside_of_each_other(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (_, url):
                attempt = connect(url)
                async with attempt as one:
                    async with attempt as other:
                        assert one is not other
                    assert (one.state, other.state) == (State.OPEN, State.CLOSED)
                assert one.state is State.CLOSED

        run(main())

    def test_as_contexts_of_several_tasks(self, run: Run) -> None:
        """Each task closes the connection that it opened."""

        async def main() -> None:
            entered: list[ClientConnection] = []
            leave = [asyncio.Event() for _ in range(3)]

            async def enter(attempt: connect) -> None:
                async with attempt as client:
                    number = len(entered)
                    entered.append(client)
                    await leave[number].wait()

            async with serving() as (_, url):
                attempt = connect(url)
                tasks = [asyncio.ensure_future(enter(attempt)) for _ in range(3)]
                await until(lambda: len(entered) == 3)
                for number in (1, 0):
                    leave[number].set()
                    await entered[number].wait_closed()
                    await entered[2].send("still open")
                    assert await entered[2].recv() == "still open"
                leave[2].set()
                await asyncio.gather(*tasks)
                assert all(one.close_code == 1000 for one in entered)

        run(main())

    def test_a_context_that_is_left_in_another_task(self, run: Run) -> None:
        """As fixtures of some test frameworks are."""

        async def main() -> None:
            async with serving() as (_, url):
                attempt = connect(url)
                client = await asyncio.ensure_future(attempt.__aenter__())
                await attempt.__aexit__(None, None, None)
                assert client.close_code == 1000

        run(main())

    def test_but_a_socket_is_used_up(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, url):
                sock = socket.create_connection(("127.0.0.1", port_of(server)))
                sock.setblocking(False)
                attempt = connect(url, sock=sock)
                async with attempt:
                    pass
                with pytest.raises(ValueError, match="again with sock"):
                    await attempt
                sock = socket.create_connection(("127.0.0.1", port_of(server)))
                sock.setblocking(False)
                turns = 0

                async def iterate() -> None:
                    nonlocal turns
                    async for _client in connect(url, sock=sock, stable_after=0):
                        turns += 1

                with pytest.raises(ValueError, match="again with sock"):
                    await iterate()
                assert turns == 1

        run(main())


def test_spec_044_the_host_is_named_in_tls(run: Run, contexts: Contexts) -> None:
    """SPEC-039, SPEC-044: the URI's, wherever the connection leads."""
    names: list[str | None] = []
    contexts[0].sni_callback = lambda _, name, __: names.append(name)

    async def main() -> None:
        async with serving(ssl=contexts[0]) as (server, _):
            uri = f"wss://localhost:{port_of(server)}/"
            async with connect(uri, ssl=contexts[1], host="127.0.0.1") as client:
                await client.send("a")
                assert await client.recv() == "a"

    run(main())
    assert names == ["localhost"]


def test_tls_with_a_name_of_a_proxy(run: Run, contexts: Contexts) -> None:
    """Names for TLS only are not looked up."""

    async def main() -> None:
        async with serving(ssl=contexts[0]) as (_, url):
            options: Any = {"ssl": contexts[1], "server_hostname": "localhost"}
            async with connect(url, **options) as client:
                await client.send("a")
                assert await client.recv() == "a"

    run(main())
