"""Whoever cancels a client of ours on asyncio has cancelled it, at any time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sansocket.asyncio import ClientConnection, connect, unix_connect, unix_serve

from .clocks import ManualLoop
from .proxies import http_proxy, socks_proxy
from .support import UNCLOSED, Contexts, Run, echo, serving, until
from .test_asyncio_client_redirects import redirecting

pytestmark = pytest.mark.filterwarnings(UNCLOSED)

WAYS = ["plain", "tls", "redirected", "http", "http_tls", "https", "socks4", "socks5h"]
TIMEOUTS = [None, 10.0]
AT_MOST = 500  # turns of the loop that connecting may take
DESCRIPTORS = Path("/proc/self/fd")


class Recorded(ClientConnection):
    """Is remembered once it has a transport."""

    seen: list[ClientConnection]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.seen.append(self)


@contextlib.asynccontextmanager
async def reachable(
    way: str, contexts: Contexts
) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """A server, and how to get to it: URL and arguments."""
    async with contextlib.AsyncExitStack() as stack:
        options: dict[str, Any] = {}
        secure = way in ("tls", "http_tls")
        if way == "redirected":
            _, url = await stack.enter_async_context(redirecting())
        else:
            tls: dict[str, Any] = {"ssl": contexts[0]} if secure else {}
            tls["open_timeout"] = None  # only ours is to be up
            _, url = await stack.enter_async_context(serving(**tls))
        if secure:
            options["ssl"] = contexts[1]
        if way in ("http", "http_tls"):
            proxy = await stack.enter_async_context(http_proxy())
            options["proxy"] = proxy.url("http")
        elif way == "https":
            proxy = await stack.enter_async_context(http_proxy(ssl=contexts[0]))
            options |= {"proxy": proxy.url("https"), "proxy_ssl": contexts[1]}
        elif way.startswith("socks"):
            proxy = await stack.enter_async_context(socks_proxy())
            options["proxy"] = proxy.url(way)
        yield url, options | {"create_connection": Recorded}


def descriptors() -> int:
    """How many files and sockets are open, where that can be told."""
    return len(os.listdir(DESCRIPTORS)) if DESCRIPTORS.exists() else 0


def is_gone(client: ClientConnection) -> bool:
    """Whether it has been told that it is lost."""
    is_uvloop = "uvloop" in type(asyncio.get_running_loop()).__module__
    return is_uvloop or client.close_code is not None


async def cancelled_after(turns: int, start: Callable[[], Awaitable[Any]]) -> Any:
    """Cancel what is started after so many turns; what it gives if it was earlier."""
    task = asyncio.ensure_future(start())
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        return task.result()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return None


async def try_all(
    start: Callable[[], Awaitable[Any]], close: Callable[[Any], Awaitable[object]]
) -> None:
    """Cancel it after any number of turns; nothing may be left of it."""
    before = asyncio.all_tasks()
    Recorded.seen = []
    await close(await start())  # loops open what they need with the first one
    await until(lambda: asyncio.all_tasks() == before)
    for _ in range(10):
        await asyncio.sleep(0)
    open_before = descriptors()
    for turns in itertools.count():
        Recorded.seen = []
        client = await cancelled_after(turns, start)
        if client is not None:
            await close(client)
        await until(lambda: asyncio.all_tasks() == before)
        await until(lambda: descriptors() <= open_before)
        for one in Recorded.seen:
            # uvloop may close it behind its back, if it is not ready yet.
            await until(partial(is_gone, one))
        if client is not None:
            break
        assert turns < AT_MOST


@pytest.mark.parametrize("open_timeout", TIMEOUTS)
@pytest.mark.parametrize("way", WAYS)
def test_awaiting(
    run: Run, contexts: Contexts, way: str, open_timeout: float | None
) -> None:
    async def main() -> None:
        async with reachable(way, contexts) as (url, options):

            async def start() -> ClientConnection:
                return await connect(url, open_timeout=open_timeout, **options)

            await try_all(start, ClientConnection.close)

    run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")
@pytest.mark.parametrize("open_timeout", TIMEOUTS)
def test_unix_sockets(run: Run, tmp_path: Any, open_timeout: float | None) -> None:
    path = str(tmp_path / "socket")
    options: dict[str, Any] = {"create_connection": Recorded}

    async def start() -> ClientConnection:
        return await unix_connect(path, open_timeout=open_timeout, **options)

    async def main() -> None:
        async with unix_serve(echo, path):
            await try_all(start, ClientConnection.close)

    run(main())


@pytest.mark.parametrize("way", ["plain", "tls", "http"])
def test_inside_of_a_context(run: Run, contexts: Contexts, way: str) -> None:
    """In the body, too, and while it is being left."""

    async def main() -> None:
        async with reachable(way, contexts) as (url, options):

            async def start() -> str:
                async with connect(url, **options) as client:
                    await client.send("a")
                    await client.recv()
                return "left"

            await try_all(start, nothing)

    run(main())


@pytest.mark.parametrize("way", ["plain", "tls", "http"])
def test_iterating(run: Run, contexts: Contexts, way: str) -> None:
    """While it connects, in the body, and between two connections."""

    async def main() -> None:
        async with reachable(way, contexts) as (url, options):

            async def start() -> str:
                turns = 0
                async for client in connect(url, stable_after=0, **options):
                    await client.send("a")
                    await client.recv()
                    turns += 1
                    if turns == 2:
                        break
                return "left"

            await try_all(start, nothing)

    run(main())


@pytest.mark.parametrize("way", ["plain", "tls", "http", "socks5h"])
def test_the_time_is_up(contexts: Contexts, way: str) -> None:
    """After any number of turns; nothing is left of that either."""
    loop = ManualLoop()

    async def main() -> None:
        async with reachable(way, contexts) as (url, options):
            before = asyncio.all_tasks()
            expired = 0
            for turns in itertools.count(1):  # it begins in the first one
                Recorded.seen = []
                task = asyncio.ensure_future(begin(url, options))
                for _ in range(turns):
                    await asyncio.sleep(0)
                was_done = task.done()
                loop.now += 11
                try:
                    client = await task
                except TimeoutError as exc:
                    assert str(exc) == "the opening handshake took too long"  # noqa: PT017
                    assert not was_done
                    expired += 1
                else:  # the time was up when the connection was just there
                    await client.close()
                await until(lambda: asyncio.all_tasks() == before)
                for one in Recorded.seen:
                    await until(partial(is_gone, one))
                if was_done:
                    break
                assert turns < AT_MOST
            assert expired > 3

    async def begin(url: str, options: dict[str, Any]) -> ClientConnection:
        return await connect(url, **options)

    try:
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def nothing(result: object) -> None:
    """What has closed itself already."""
