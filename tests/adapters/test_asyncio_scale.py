"""Thousands of connections of the asyncio driver, and a server that is told to stop."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from sansocket import ConnectionClosed
from sansocket.asyncio import ServerConnection, serve
from tests.children import Child
from tests.core.support import CLOSE, FIN, plain
from tests.source import ROOT

from .conftest import LOOPS
from .support import port_of

resource = pytest.importorskip("resource", reason="there is no limit to look at")

CROWD = 1000
MULTITUDE = 10_000
# How long it takes is up to the machine, and none of the crowd answers a ping.
NO_DEADLINES: Any = dict.fromkeys(("open_timeout", "ping_interval", "close_timeout"))
OTHERS = 300  # files that the process of the tests may have open besides


@pytest.fixture
def most() -> Iterator[int]:
    """Connections that this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = MULTITUDE + OTHERS
    if hard < CROWD + OTHERS:
        pytest.skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard - OTHERS
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "size", [CROWD, pytest.param(MULTITUDE, marks=pytest.mark.apart)]
)
@pytest.mark.parametrize("name", sorted(LOOPS))
def test_a_crowd_when_the_server_stops(
    name: str, size: int, most: int, caplog: pytest.LogCaptureFixture
) -> None:
    """All get 1001, each message that was sent arrives, and nothing is left behind."""
    new_loop = LOOPS[name]
    if new_loop is None:
        pytest.skip(f"{name} is not installed")
    loop = new_loop()
    loop.set_debug(False)  # or it notes a traceback for every callback
    count = min(size, most)
    try:
        sent, seen = loop.run_until_complete(meet(count))
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
    close = plain(FIN | CLOSE, (1001).to_bytes(2, "big")).hex()
    assert Counter(end for _, end in seen) == {close: count}
    assert {number: answers for number, (answers, _) in enumerate(seen)} == sent
    gc.collect()
    left = [one for one in gc.get_objects() if isinstance(one, ServerConnection)]
    assert left == []
    assert [record for record in caplog.records if record.exc_info] == []


async def meet(count: int) -> tuple[dict[int, int], list[tuple[int, str]]]:
    """Serve a crowd until all have had an answer and many more; then stop.

    Returns how often each message was sent, and what each client saw.
    """
    sent: Counter[int] = Counter()
    enough = asyncio.Event()

    async def echo(connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in connection:
                await connection.send(message)
                sent[int(message)] += 1
                if sent[int(message)] == 3:  # of all, most have been sent twice then
                    enough.set()

    async with serve(echo, "127.0.0.1", 0, compression=None, **NO_DEADLINES) as server:
        arguments = "tests.adapters.crowd", str(port_of(server)), str(count)
        with Child(
            [sys.executable, "-m", *arguments], cwd=ROOT, stdout=subprocess.PIPE
        ) as process:
            crowd = asyncio.ensure_future(asyncio.to_thread(process.communicate))
            waiting: asyncio.Future[Any] = asyncio.ensure_future(enough.wait())
            await asyncio.wait({waiting, crowd}, return_when="FIRST_COMPLETED")
            waiting.cancel()
            assert enough.is_set(), "the crowd has failed"
            assert len(server.connections) == count
            server.close()
            await server.wait_closed()
            assert server.connections == set()
            output, _ = await crowd
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return sent, json.loads(output)
