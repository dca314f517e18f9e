"""The transports of aiofastnet, which its loops make, carry connections as well."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import pytest

from sansocket.asyncio import connect

from .support import Contexts, opened, serving

LOOPS: list[Any] = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param("uvloop", id="uvloop"),
]


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Any:
    """Run a coroutine on a loop whose transports are those of aiofastnet."""
    fastnet: Any = pytest.importorskip("aiofastnet")
    factory = request.param
    if factory == "uvloop":
        pytest.importorskip("uvloop")
        factory = importlib.import_module("uvloop").new_event_loop
    loop = fastnet.loop_factory(factory)()
    yield loop.run_until_complete
    loop.close()


Run = Callable[[Any], Any]


@pytest.mark.parametrize("secure", [False, True])
def test_messages_and_the_end(run: Run, contexts: Contexts, secure: bool) -> None:
    server, client = contexts if secure else (None, None)
    messages: list[Any] = ["text", b"binary", "", bytes(3_000_000)]

    async def main() -> None:
        async with (
            serving(ssl=server, max_size=None) as (_, url),
            connect(url, ssl=client, max_size=None) as one,
        ):
            assert "aiofastnet" in type(one.transport).__module__
            for message in messages:
                await one.send(message)
                assert await one.recv() == message
            assert await (await one.ping()) >= 0
        assert one.close_code == 1000

    run(main())


def test_a_peer_that_does_not_read(run: Run) -> None:
    async def main() -> None:
        async with serving(compression=None) as (server, _):
            peer = await opened(server)
            (connection,) = server.connections
            while connection.transport.is_reading():
                peer.send_frame(0x82, bytes(1_000_000))
                await asyncio.sleep(0)
            assert connection.bytes_to_write < 5_000_000
            peer.writer.transport.abort()

    run(main())
