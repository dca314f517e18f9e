"""Ten thousand connections of the asyncio driver, and a server that is told to stop."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from sansocket import ConnectionClosed
from sansocket.asyncio import ServerConnection, serve
from tests.core.support import CLOSE, FIN, plain
from tests.source import ROOT

from .conftest import LOOPS
from .support import port_of

resource = pytest.importorskip("resource", reason="there is no limit to look at")

# The driver is the same on all loops, and one such crowd takes seconds.
CROWD = {"asyncio": 10_000, "uvloop": 1000}
OTHERS = 300  # files that the process of the tests may have open besides


@pytest.fixture
def most() -> Iterator[int]:
    """Connections that this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = CROWD["asyncio"] + OTHERS
    if hard < 1000 + OTHERS:
        pytest.skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard - OTHERS
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_a_crowd_when_the_server_stops(
    name: str, most: int, caplog: pytest.LogCaptureFixture
) -> None:
    """All get 1001, each message that was sent arrives, and nothing is left behind."""
    new_loop = LOOPS[name]
    if new_loop is None:
        pytest.skip(f"{name} is not installed")
    loop = new_loop()
    loop.set_debug(False)  # or it notes a traceback for every callback
    count = min(CROWD[name], most)
    try:
        sent, seen = loop.run_until_complete(meet(count))
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

    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.adapters.crowd"),
            *(str(port_of(server)), str(count)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        crowd = asyncio.ensure_future(process.communicate())
        waiting: asyncio.Future[Any] = asyncio.ensure_future(enough.wait())
        try:
            await asyncio.wait({waiting, crowd}, return_when="FIRST_COMPLETED")
            assert enough.is_set(), "the crowd has failed"
            assert len(server.connections) == count
            server.close()
            await server.wait_closed()
            assert server.connections == set()
            output, _ = await crowd
        finally:
            waiting.cancel()
            with suppress(ProcessLookupError):  # it has ended, as it should
                process.kill()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return sent, json.loads(output)
