"""Routing: the path of the request chooses the handler."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import pytest
import websockets.asyncio.client as reference
from werkzeug.routing import Map, Rule

from sansocket import InvalidStatus, Request, Response
from sansocket.asyncio import ServerConnection, connect, unix_connect
from sansocket.asyncio.router import Router, route, unix_route
from tests.core.support import request_bytes

from .support import UNCLOSED, Contexts, Run, raw, url_of

pytestmark = pytest.mark.filterwarnings(UNCLOSED)

HERE = ("127.0.0.1", 0)


async def show(connection: ServerConnection, **arguments: Any) -> None:
    """Send what the router gives a handler."""
    await connection.send(repr(arguments))


async def other(connection: ServerConnection) -> None:
    await connection.send("other")


def url_map(**options: Any) -> Map:
    return Map(
        [
            Rule("/show", endpoint=show),
            Rule("/show/<int:number>/<name>", endpoint=show),
            Rule("/defaults", endpoint=show, defaults={"a": 1}),
            Rule("/bücher/<name>", endpoint=show),
            Rule("/other/", endpoint=other),
            Rule("/http", endpoint=other, websocket=False),
            Rule("/post", endpoint=other, methods=["POST"]),
            Rule("/old", redirect_to="show"),
        ],
        **options,
    )


async def received(url: str, **options: Any) -> Any:
    async with connect(url, **options) as client:
        return await client.recv()


async def answered(server: Any, path: str, host: str | None = "x:1") -> bytes:
    """The head of what a server answers to a request for a path."""
    data = request_bytes().replace(b"/chat", path.encode())
    wanted = b"" if host is None else f"Host: {host}\r\n".encode()
    start = data.index(b"Host:")
    end = data.index(b"\r\n", start) + 2
    async with await raw(server) as peer:
        peer.send(data[:start] + wanted + data[end:])
        return await peer.read_head()


class TestPaths:
    def test_found(self, run: Run) -> None:
        async def main() -> None:
            async with route(url_map(), *HERE) as server:
                url = url_of(server)
                for path, wanted in [
                    ("show", "{}"),
                    ("show?x=1", "{}"),
                    ("show/3/it", "{'number': 3, 'name': 'it'}"),
                    ("show/3/a%20b%2525", "{'number': 3, 'name': 'a b%25'}"),
                    ("defaults", "{'a': 1}"),
                    ("b%C3%BCcher/%C3%A9", "{'name': 'é'}"),
                    ("other/", "other"),
                    ("http", "other"),
                ]:
                    assert await received(url + path) == wanted, path
                async with reference.connect(url + "show/1/x", proxy=None) as client:
                    assert await client.recv() == "{'number': 1, 'name': 'x'}"

        run(main())

    def test_not_found(self, run: Run) -> None:
        async def main() -> None:
            async with route(url_map(), *HERE) as server:
                url = url_of(server)
                for path in ("", "nothing", "show/x/y", "post", "%FF", "show/"):
                    with pytest.raises(InvalidStatus, match="404"):
                        await connect(url + path)

        run(main())

    def test_redirects(self, run: Run) -> None:
        async def main() -> None:
            async with route(url_map(), *HERE) as server:
                url = url_of(server)
                assert await received(url + "other") == "other"
                assert await received(url + "old") == "{}"
                head = await answered(server, "/other?a=b")
                assert head.startswith(b"HTTP/1.1 302 ")
                assert b"\r\nLocation: ws://x:1/other/?a=b\r\n" in head

        run(main())

    @pytest.mark.parametrize("host", [None, "", "a b", "x\r\nHost: y", "a" * 70])
    def test_hosts_that_are_not_valid(self, run: Run, host: str | None) -> None:
        async def main() -> None:
            async with route(url_map(), *HERE) as server:
                head = await answered(server, "/other", host)
                assert head.startswith(b"HTTP/1.1 40"), head
                assert b"Location" not in head

        run(main())


class TestNames:
    def test_of_the_server(self, run: Run) -> None:
        async def main() -> None:
            named: dict[str, Any] = {"server_name": "example.com"}
            async with route(url_map(), *HERE, **named) as server:
                head = await answered(server, "/other")
                assert b"\r\nLocation: ws://example.com/other/\r\n" in head
                head = await answered(server, "/show", None)
                assert head.startswith(b"HTTP/1.1 400 ")
            async with route(url_map(), *HERE, **named, ssl=True) as server:
                head = await answered(server, "/other")
                assert b"\r\nLocation: wss://example.com/other/\r\n" in head

        run(main())

    def test_of_hosts(self, run: Run) -> None:
        async def main() -> None:
            hosts = Map(
                [Rule("/", endpoint=other, host="example.com")], host_matching=True
            )
            async with route(hosts, *HERE) as server:
                head = await answered(server, "/", "example.com")
                assert head.startswith(b"HTTP/1.1 101 ")
                head = await answered(server, "/", "example.org")
                assert head.startswith(b"HTTP/1.1 404 ")

        run(main())


class TestOptions:
    def test_of_serve(self, run: Run) -> None:
        async def main() -> None:
            async with (
                route(url_map(), *HERE, server_header=None) as server,
                connect(url_of(server) + "show") as client,
            ):
                assert client.response is not None
                assert "Server" not in client.response.headers

        run(main())

    def test_process_request(self, run: Run) -> None:
        """It comes first."""
        seen: list[str] = []

        def plain(connection: ServerConnection, request: Request) -> Response | None:
            seen.append(request.path)
            return connection.respond(403, "no\n") if len(seen) == 1 else None

        async def later(
            connection: ServerConnection, request: Request
        ) -> Response | None:
            return plain(connection, request)

        async def main() -> None:
            for function in (plain, later):
                seen.clear()
                async with route(url_map(), *HERE, process_request=function) as server:
                    url = url_of(server)
                    with pytest.raises(InvalidStatus, match="403"):
                        await connect(url + "nothing")
                    with pytest.raises(InvalidStatus, match="404"):
                        await connect(url + "nothing")
                    assert await received(url + "show") == "{}"
                    assert seen == ["/nothing", "/nothing", "/show"]

        run(main())

    def test_create_router(self, run: Run) -> None:
        class Mine(Router):
            def not_found(self, connection: ServerConnection) -> Response:
                return connection.respond(410, "gone\n")

            async def handler(self, connection: ServerConnection) -> None:
                await connection.send("mine")
                await super().handler(connection)

        async def main() -> None:
            async with route(url_map(), *HERE, create_router=Mine) as server:
                url = url_of(server)
                with pytest.raises(InvalidStatus, match="410"):
                    await connect(url + "nothing")
                async with connect(url + "other/") as client:
                    assert [one async for one in client] == ["mine", "other"]

        run(main())

    def test_tls(self, run: Run, contexts: Contexts) -> None:
        async def main() -> None:
            async with route(url_map(), *HERE, ssl=contexts[0]) as server:
                url = url_of(server, "wss")
                assert await received(url + "other", ssl=contexts[1]) == "other"

        run(main())

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")
    def test_unix_sockets(self, run: Run, socket_path: str) -> None:
        path = socket_path

        async def main() -> None:
            async with (
                unix_route(url_map(), path),
                unix_connect(path, "ws://localhost/other") as client,
            ):
                assert await client.recv() == "other"

        run(main())

    def test_without_the_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rules = url_map()
        monkeypatch.setitem(sys.modules, "werkzeug", None)
        monkeypatch.setitem(sys.modules, "werkzeug.routing", None)
        with pytest.raises(ImportError, match=r"sansocket\[router\]"):
            route(rules, *HERE)

    @pytest.mark.parametrize("name", ["route", "unix_route", "Router"])
    def test_names_and_arguments(self, name: str) -> None:
        theirs: Any = pytest.importorskip("websockets.asyncio.router")
        ours = inspect.getmodule(route)
        wanted = inspect.signature(getattr(theirs, name)).parameters.values()
        found = inspect.signature(getattr(ours, name)).parameters.values()
        assert [(one.name, one.kind, one.default) for one in found] == [
            (one.name, one.kind, one.default) for one in wanted
        ]
        if name == "Router":
            methods = {one for one in vars(theirs.Router) if not one.startswith("_")}
            assert methods <= {*dir(Router)}
