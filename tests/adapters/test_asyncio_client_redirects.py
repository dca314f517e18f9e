"""Our client on asyncio follows redirects, and loses nothing to others by it."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets.asyncio.server as reference

from sansocket import InvalidStatus, InvalidURI, SecurityError
from sansocket.asyncio import ServerConnection, connect, unix_connect, unix_serve

from .proxies import http_proxy
from .support import UNCLOSED, Contexts, Run, port_of, serving, url_of

pytestmark = pytest.mark.filterwarnings(UNCLOSED)

SECRETS = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Other": "kept"}


class Redirecting:
    """A server that redirects all but what comes to ``/end``.

    Attributes:
        requests: those that came.
        location: where it redirects to.
        status: how it does.
    """

    def __init__(self, location: str = "/end", status: int = 302) -> None:
        self.requests: list[Any] = []
        self.location = location
        self.status = status

    def process_request(self, connection: Any, request: Any) -> Any:
        self.requests.append(request)
        if request.path.startswith("/end"):
            return None
        response = connection.respond(self.status, "elsewhere\n")
        response.headers["Location"] = self.location
        return response

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]


@asynccontextmanager
async def redirecting(
    location: str = "/end", status: int = 302, **options: Any
) -> AsyncIterator[tuple[Redirecting, str]]:
    """Our server redirects; its URL has user information."""
    here = Redirecting(location, status)
    async with serving(greet, process_request=here.process_request, **options) as (
        _,
        url,
    ):
        yield here, url.replace("://", "://me:secret@")


async def greet(connection: ServerConnection) -> None:
    await connection.send("hello")


async def greeted(uri: str, **options: Any) -> None:
    async with connect(uri, **options) as client:
        assert await client.recv() == "hello"


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_statuses(run: Run, status: int) -> None:
    async def main() -> None:
        async with redirecting(status=status) as (here, url):
            await greeted(url + "start")
            assert here.paths == ["/start", "/end"]

    run(main())


def test_from_the_other_package(run: Run) -> None:
    async def main() -> None:
        here = Redirecting("end?x=1")
        async with reference.serve(
            greet,  # type: ignore[arg-type]
            *("127.0.0.1", 0),
            process_request=here.process_request,
        ) as server:
            await greeted(url_of(server) + "a/b")
            assert here.paths == ["/a/b", *["/a/end?x=1"] * 10]

    with pytest.raises(SecurityError, match="more than 10 redirects"):
        run(main())


class TestHowMany:
    def test_a_loop(self, run: Run) -> None:
        async def main() -> None:
            async with redirecting("/again") as (here, url):
                with pytest.raises(SecurityError, match="more than 10 redirects"):
                    await connect(url)
                assert len(here.paths) == 11
                with pytest.raises(SecurityError, match="more than 2 redirects"):
                    await connect(url, max_redirects=2)
                assert len(here.paths) == 14

        run(main())

    def test_none(self, run: Run) -> None:
        async def main() -> None:
            async with redirecting() as (here, url):
                with pytest.raises(InvalidStatus, match="302"):
                    await connect(url, max_redirects=0)
                assert here.paths == ["/"]

        run(main())


class TestCredentials:
    def test_same_origin(self, run: Run) -> None:
        async def main() -> None:
            async with redirecting() as (here, url):
                await greeted(url, additional_headers={"Cookie": "a=b"})
                first, second = here.requests
                for name in ("Authorization", "Cookie"):
                    assert second.headers[name] == first.headers[name]
                assert second.headers["Authorization"].startswith("Basic ")

        run(main())

    def test_sec_another_origin_gets_none(self, run: Run) -> None:
        """Nor does it get them back, if it redirects to where they came from."""

        async def main() -> None:
            async with (
                redirecting() as (there, other_url),
                redirecting() as (here, url),
            ):
                plain = other_url.replace("me:secret@", "")
                here.location = plain + "second"
                there.location = url.replace("me:secret@", "") + "end"
                await greeted(url, additional_headers=SECRETS)
                first, third = here.requests
                (second,) = there.requests
                assert len(first.headers.get_all("Authorization")) == 2
                for request in (second, third):
                    assert "Authorization" not in request.headers
                    assert "Cookie" not in request.headers
                    assert request.headers["X-Other"] == "kept"

        run(main())

    def test_a_new_attempt_begins_with_them(self, run: Run) -> None:
        async def main() -> None:
            async with (
                redirecting() as (there, other_url),
                redirecting(other_url + "end") as (here, url),
            ):
                again = connect(url, additional_headers={"Cookie": "a=b"})
                for _ in range(2):
                    async with again:
                        pass
                assert ["Cookie" in one.headers for one in here.requests] == [True] * 2
                assert ["Cookie" in one.headers for one in there.requests] == (
                    [False] * 2
                )

        run(main())


class TestFixedPlaces:
    def test_another_origin(self, run: Run) -> None:
        async def main() -> None:
            async with serving(greet) as (_, other), redirecting(other) as (here, url):
                port = int(url.rstrip("/").rpartition(":")[2])
                sock = socket.create_connection(("127.0.0.1", port))
                sock.setblocking(False)
                places: list[dict[str, Any]]
                places = [{"host": "127.0.0.1"}, {"port": port}, {"sock": sock}]
                for fixed in places:
                    (name,) = fixed
                    reason = f"another origin, as {name} is given"
                    with pytest.raises(ValueError, match=reason) as info:
                        await connect(url, **fixed)
                    assert isinstance(info.value.__cause__, InvalidStatus)
                assert len(here.requests) == 3

        run(main())

    def test_same_origin(self, run: Run) -> None:
        async def main() -> None:
            async with redirecting() as (here, url):
                port = int(url.rstrip("/").rpartition(":")[2])
                await greeted("ws://example.com/", host="127.0.0.1", port=port)
                hosts = [request.headers["Host"] for request in here.requests]
                assert hosts == ["example.com"] * 2

        run(main())

    def test_a_socket_leads_nowhere_twice(self, run: Run) -> None:
        """Not even to the same origin: the server may have closed it."""

        async def main() -> None:
            async with redirecting() as (here, url):
                port = int(url.rstrip("/").rpartition(":")[2])
                sock = socket.create_connection(("127.0.0.1", port))
                sock.setblocking(False)
                with pytest.raises(ValueError, match="redirect with sock") as info:
                    await connect(url, sock=sock)
                assert isinstance(info.value.__cause__, InvalidStatus)
                assert here.paths == ["/"]
                sock = socket.create_connection(("127.0.0.1", port))
                sock.setblocking(False)
                with pytest.raises(InvalidStatus, match="302"):
                    await connect(url, sock=sock, max_redirects=0)

        run(main())

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")
    def test_unix_sockets(self, run: Run, socket_path: str) -> None:
        path = socket_path

        async def main() -> None:
            here = Redirecting()
            async with unix_serve(greet, path, process_request=here.process_request):
                async with unix_connect(path) as client:
                    assert await client.recv() == "hello"
                here.location = "ws://example.com/"
                with pytest.raises(ValueError, match="another origin"):
                    await unix_connect(path)

        run(main())


class TestTLS:
    def test_sec_it_is_never_lost(
        self,
        run: Run,
        contexts: Contexts,
    ) -> None:
        async def main() -> None:
            async with (
                serving(greet) as (_, plain),
                redirecting(plain, ssl=contexts[0]) as (here, url),
            ):
                for location in (plain, plain.replace("ws://", "http://")):
                    here.location = location
                    with pytest.raises(SecurityError, match="without TLS"):
                        await connect(url, ssl=contexts[1])

        run(main())

    def test_it_may_begin(self, run: Run, contexts: Contexts) -> None:
        async def main() -> None:
            async with (
                serving(greet, ssl=contexts[0]) as (_, secure),
                redirecting(secure) as (_, url),
            ):
                with pytest.raises(ssl.SSLCertVerificationError):
                    await connect(url)

        run(main())


@pytest.mark.parametrize(
    "location",
    ["ftp://example.com/", "ws://a..b/", f"ws://{'a' * 300}/", "ws://.a/", "//a..b/"],
)
def test_locations_that_are_not_valid(run: Run, location: str) -> None:
    async def main() -> None:
        async with redirecting(location) as (_, url):
            with pytest.raises(InvalidURI):
                await connect(url)

    run(main())


def test_the_proxy_is_chosen_for_each_place(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with (
            serving(greet) as (server, other),
            redirecting(other) as (_, url),
            http_proxy() as proxy,
        ):
            monkeypatch.setenv("ws_proxy", proxy.url("http"))
            monkeypatch.setenv("no_proxy", url.rstrip("/").rpartition("@")[2])
            await greeted(url)
            (head,) = proxy.asked
            assert f"CONNECT 127.0.0.1:{port_of(server)} ".encode() in head

    run(main())
