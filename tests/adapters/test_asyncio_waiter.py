"""What a task awaits that receives, by itself."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from sansocket.asyncio import ServerConnection, connect
from tests.core.support import masked

from .clocks import ManualLoop
from .support import Run, opened, serving, until

colour = ContextVar("colour", default="none")


def test_a_task_goes_on_inside_of_the_read(run: Run) -> None:
    """In its own context, as its own task."""
    seen: list[Any] = []

    async def handler(connection: ServerConnection) -> None:
        colour.set("red")
        me = asyncio.current_task()
        async for message in connection:
            seen.append((message, colour.get(), asyncio.current_task() is me))
            await connection.send(message)

    async def main() -> None:
        async with serving(handler) as (_, url), connect(url) as client:
            for number in range(3):
                await client.send(str(number))
                assert await client.recv() == str(number)

    run(main())
    assert seen == [(str(number), "red", True) for number in range(3)]


def test_a_task_is_not_entered_inside_of_another(run: Run) -> None:
    """Bytes may also come from a task; then it goes on when that one waits."""
    order: list[Any] = []

    async def receive(connection: ServerConnection) -> None:
        order.append(await connection.recv())

    async def main() -> None:
        async with serving(receive) as (server, _), await opened(server) as peer:
            await until(lambda: server.connections)
            (connection,) = server.connections
            frame = masked(0x81, b"message")
            connection.get_buffer(-1)[: len(frame)] = frame
            connection.buffer_updated(len(frame))
            order.append("fed")
            assert (await peer.read_frame())[0] == 0x88

    run(main())
    assert order == ["fed", "message"]


def test_a_cancelled_task_takes_no_message(run: Run) -> None:
    async def main() -> None:
        async with serving() as (_, url), connect(url) as client:
            receiving = asyncio.ensure_future(client.recv())
            await asyncio.sleep(0)
            receiving.cancel("enough")
            receiving.cancel("again")
            with pytest.raises(asyncio.CancelledError):
                await receiving
            await client.send("kept")
            assert await client.recv() == "kept"

    run(main())


def test_waiting_with_a_timeout(run: Run) -> None:
    async def main() -> None:
        async with serving() as (_, url), connect(url) as client:
            for _ in range(3):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.recv(), 0.001)
            await client.send("in time")
            assert await asyncio.wait_for(client.recv(), 10) == "in time"

    run(main())


def test_two_do_not_receive_at_once(run: Run) -> None:
    async def main() -> None:
        async with serving() as (_, url), connect(url) as client:
            receiving = asyncio.ensure_future(client.recv())
            await asyncio.sleep(0)
            with pytest.raises(Exception, match="another task is receiving"):
                await client.recv()
            await client.send("for the first")
            assert await receiving == "for the first"

    run(main())


def test_answers_to_one_read_leave_in_one_write() -> None:
    """While it takes no time, as here, however many they are."""
    writes: list[int] = []

    class Counting(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(Watched(transport, writes))  # type: ignore[arg-type]

    async def main() -> None:
        async with (
            serving(create_connection=Counting, compression=None) as (server, _),
            await opened(server) as peer,
        ):
            await until(lambda: server.connections)
            writes.clear()
            peer.send(b"".join(masked(0x81, b"%d" % number) for number in range(16)))
            for number in range(16):
                assert await peer.read_frame() == (0x81, b"%d" % number)
            assert len(writes) == 1

    loop = ManualLoop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


class Watched:
    """A transport that notes what is written."""

    def __init__(self, transport: Any, writes: list[int]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(len(data))
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
