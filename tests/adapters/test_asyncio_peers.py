"""Peers that misbehave for as long as they can: bounded in memory and in time.

Most tests end only because the server ends the connection, and each asserts the most
that Python's allocators gave out meanwhile. What lies in the buffers of the kernel is
not counted: that is as much as they hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import pytest

from sansocket import ConnectionClosed, State
from sansocket.asyncio import ServerConnection, broadcast
from tests.core.support import (
    BINARY,
    CLOSE,
    FIN,
    PING,
    TEXT,
    header,
    masked,
    request_bytes,
)

from .clocks import ManualLoop
from .support import Contexts, Raw, Run, echo, keep_little, opened, raw, serving, until

SHORT = 0.05  # seconds: of any deadline
PATIENCE: Any = {
    "ping_interval": SHORT,
    "ping_timeout": SHORT,
    "close_timeout": SHORT,
    "compression": None,
}
# Bytes: a server, the peer beside it and a loop take a third of that.
ROOM = 2 * 2**20


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """Never is more allocated than there is room for."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < ROOM


Handler: TypeAlias = Callable[[ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def misbehaving(
    handler: Handler = echo,
) -> AsyncIterator[tuple[ServerConnection, Raw]]:
    """A connection of a server, and a peer that never ends it: that the server does."""
    made: list[ServerConnection] = []

    async def handle(connection: ServerConnection) -> None:
        made.append(connection)
        await handler(connection)

    async with serving(handle, **PATIENCE) as (server, _), await opened(server) as peer:
        await until(lambda: made)
        yield made[0], peer
        await made[0].wait_closed()
        assert made[0].close_code == 1006
        assert server.connections == set()
        peer.writer.transport.abort()  # what it has not sent nobody will take


def stop_reading(peer: Raw) -> None:
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]


async def send_for_ever(peer: Raw, data: bytes, connection: ServerConnection) -> None:
    """Send as long as somebody takes it, until the connection is no more."""
    while connection.state is not State.CLOSED:
        if peer.writer.transport.get_write_buffer_size() < len(data):
            peer.send(data)
        await asyncio.sleep(0)


async def send_pings(
    peer: Raw,
    connection: ServerConnection,
    seconds: float,
    enough: Callable[[], Any],
) -> None:
    """Send pings, some at a time, each after so many seconds of a manual clock."""
    frames = masked(FIN | PING, bytes(100)) * 500
    loop: Any = asyncio.get_running_loop()
    while not enough():
        before = connection.stats.bytes_received
        peer.send(frames)
        await until(lambda: connection.stats.bytes_received - before >= len(frames))  # noqa: B023
        if seconds:
            loop.now += seconds
            await asyncio.sleep(0)


class TestNeverReads:
    def test_sec_07_echoes(self, run: Run) -> None:
        """SEC-07: neither they pile up nor what is not read, and it is given up."""
        frames = masked(FIN | BINARY, bytes(100)) * 500

        async def main() -> None:
            async with misbehaving() as (connection, peer):
                keep_little(connection, peer)
                stop_reading(peer)
                await send_for_ever(peer, frames, connection)

        run(main())

    @pytest.mark.parametrize("secure", [False, True])
    def test_sec_07_pongs(self, run: Run, contexts: Contexts, secure: bool) -> None:
        """SEC-07: they do not pile up."""
        tls = contexts if secure else (None, None)

        async def main() -> None:
            options = PATIENCE | {"ping_interval": None}
            async with (
                serving(ssl=tls[0], **options) as (server, _),
                await opened(server, tls[1]) as peer,
            ):
                (connection,) = server.connections
                keep_little(connection, peer)
                stop_reading(peer)
                await send_pings(peer, connection, 0, lambda: connection.session.stuck)
                most = connection.stats.bytes_received + 1_000_000
                await send_pings(
                    peer, connection, 0, lambda: connection.stats.bytes_received > most
                )
                assert connection.bytes_to_write < 2**18
                assert connection.state is State.OPEN
                peer.writer.transport.abort()

        run(main())

    def test_who_sends_pings_is_alive(self) -> None:
        """However little it takes of the answers."""
        loop = ManualLoop()

        async def main() -> None:
            async with (
                serving(**PATIENCE) as (server, _),
                await opened(server) as peer,
            ):
                (connection,) = server.connections
                keep_little(connection, peer)
                stop_reading(peer)
                await send_pings(
                    peer, connection, SHORT / 2, lambda: connection.session.stuck
                )
                ends_at = loop.now + 100 * SHORT
                await send_pings(
                    peer, connection, SHORT / 2, lambda: loop.now >= ends_at
                )
                assert connection.state is State.OPEN
                while connection.close_code is None:
                    loop.now += SHORT
                    await asyncio.sleep(0)
                assert connection.session.timed_out == "keepalive"

        try:
            loop.run_until_complete(main())
        finally:
            loop.close()

    def test_messages(self, run: Run) -> None:
        """Who sends to it waits, and then learns that it is gone."""
        errors: list[ConnectionClosed] = []

        async def handler(connection: ServerConnection) -> None:
            try:
                while True:
                    await connection.send(bytes(10_000))
            except ConnectionClosed as exc:
                errors.append(exc)

        async def main() -> None:
            async with misbehaving(handler) as (_, peer):
                stop_reading(peer)
            assert [exc.code for exc in errors] == [1006]

        run(main())


class TestNeverCloses:
    def test_sec_38_who_does_not_answer_and_sends_on(self, run: Run) -> None:
        """SEC-38: what it sends meanwhile is neither answered nor kept."""
        frames = masked(FIN | TEXT, bytes(100)) * 500

        async def main() -> None:
            async with misbehaving(ServerConnection.close) as (connection, peer):
                await send_for_ever(peer, frames, connection)

        run(main())

    def test_sec_38_who_answers_and_sends_on(self, run: Run) -> None:
        """SEC-38: the closing handshake is done, but the TCP connection stays."""
        closed: list[int | None] = []

        async def handler(connection: ServerConnection) -> None:
            await connection.close()
            closed.append(connection.close_code)

        async def main() -> None:
            async with (
                serving(handler, **PATIENCE) as (server, _),
                await opened(server) as peer,
            ):
                assert (await peer.read_frame())[0] == FIN | CLOSE
                peer.send_frame(FIN | CLOSE, b"\x03\xe8")
                while not closed:
                    peer.send_frame(FIN | TEXT, bytes(100))
                    await asyncio.sleep(0)
            assert closed == [1000]

        run(main())


class TestByteByByte:
    def test_sec_24_the_request(self, run: Run) -> None:
        """SEC-24: each byte is too little, and too late."""

        async def main() -> None:
            async with (
                serving(open_timeout=SHORT) as (server, _),
                await raw(server) as peer,
            ):
                reading = asyncio.ensure_future(peer.read_all())
                peer.send(request_bytes()[:-2])
                while not reading.done():
                    peer.send(b"X")
                    await asyncio.sleep(0)
                with contextlib.suppress(ConnectionError):
                    assert await reading == b""

        run(main())

    def test_sec_38_a_message(self, run: Run) -> None:
        """SEC-38: a message that is under way does not put off the end."""
        head = header(FIN | BINARY, 2**20, 0x80)

        async def handler(connection: ServerConnection) -> None:
            # If the loop stands still for long, the keepalive may end it before.
            await until(
                lambda: (
                    connection.stats.bytes_received > 1000
                    or connection.state is not State.OPEN
                )
            )
            await connection.close()

        async def main() -> None:
            async with misbehaving(handler) as (connection, peer):
                peer.send(head)
                await send_for_ever(peer, b"x", connection)

        run(main())


class TestVanishes:
    def test_sec_39_while_it_is_waited_for(self, run: Run) -> None:
        """SEC-39: without a word, and without an end of the stream."""

        async def main() -> None:
            async with misbehaving() as (_, peer):
                stop_reading(peer)

        run(main())

    def test_sec_39_while_it_is_sent_to(self, run: Run) -> None:
        """SEC-39: what is broadcast tells nothing about who gets it."""

        async def main() -> None:
            async with misbehaving() as (connection, peer):
                stop_reading(peer)
                while connection.state is not State.CLOSED:
                    broadcast([connection], "news")
                    await asyncio.sleep(0)
                assert connection.bytes_to_write == 0

        run(main())
