"""Pings, deadlines, slow and vanished peers of the asyncio driver, on both sides."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import math
import weakref
from typing import Any

import pytest
import websockets.asyncio.client as reference

from sansocket import (
    OPEN,
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ProtocolError,
    ServerProtocol,
    State,
)
from sansocket.asyncio import Connection, ServerConnection, connect
from tests.core.support import CLOSE, FIN, PING, PONG, TEXT, masked

from .clocks import ManualLoop
from .support import Run, opened, serving, until


class TestPings:
    def test_latency(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (_, url), connect(url) as client:
                assert client.latency == 0
                latency = await (await client.ping())
                assert 0 <= latency < 5  # uvloop counts in milliseconds
                assert client.latency == latency
                await (await client.ping("text"))
                await (await client.ping(bytearray(b"bytes")))
                await client.pong()
                await client.pong("unasked")
                await client.send("still open")
                assert await client.recv() == "still open"

        run(main())

    def test_of_the_server(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            waiter = await connection.ping()
            await connection.send(str(await waiter))

        async def main() -> None:
            async with (
                serving(handler) as (_, url),
                reference.connect(url, proxy=None) as client,
            ):
                assert float(await client.recv()) >= 0
                await client.wait_closed()

        run(main())

    def test_a_pong_answers_all_before_it(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _), await opened(server) as peer:
                (connection,) = server.connections
                waiters = [await connection.ping(data) for data in ("1", "2", "3")]
                waiters[0].cancel()
                peer.send_frame(FIN | PONG, b"2")
                assert await waiters[1] >= 0
                assert not waiters[2].done()

        run(main())

    def test_payloads_that_cannot_be_sent(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _), await opened(server):
                (connection,) = server.connections
                await connection.ping("same")
                with pytest.raises(ConcurrencyError):
                    await connection.ping("same")
                with pytest.raises(ProtocolError):
                    await connection.ping(bytes(126))
                with pytest.raises(ProtocolError):
                    await connection.pong(bytes(126))

        run(main())

    def test_a_connection_that_ends_before_the_pong(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _):
                async with await opened(server):
                    (connection,) = server.connections
                    waiter = await connection.ping()
                    await connection.ping()  # nobody looks at this one
                with pytest.raises(ConnectionClosedError):
                    await waiter

        run(main())

    def test_pings_are_answered_while_nobody_receives(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.wait_closed()

        async def main() -> None:
            async with serving(handler) as (_, url), connect(url) as client:
                await client.send("not received")
                await (await client.ping())

        run(main())


class TestDeadlines:
    def test_keepalive(self, run: Run) -> None:
        async def main() -> None:
            async with (
                serving(ping_interval=0.01) as (server, _),
                await opened(server) as peer,
            ):
                for _ in range(3):
                    first, payload = await peer.read_frame()
                    assert first == FIN | PING
                    peer.send_frame(FIN | PONG, payload)
                assert server.connections

        run(main())

    def test_a_peer_that_does_not_answer_pings(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        options: dict[str, Any] = {
            "ping_interval": 0.01,
            "ping_timeout": 0.01,
            "close_timeout": 0.01,
        }

        async def main() -> None:
            async with serving(**options) as (server, _), await opened(server) as peer:
                assert (await peer.read_frame())[0] == FIN | PING
                while (frame := await peer.read_frame())[0] == FIN | PING:
                    pass
                assert frame == (FIN | CLOSE, b"\x03\xf3no answer to a ping")
                await until(lambda: not server._connections)

        run(main())
        assert (
            "connection closed: 1006: closed with 1011 (internal error) "
            "no answer to a ping; the peer did not answer"
        ) in caplog.messages

    def test_the_timer_is_armed_again_only_for_what_is_due_earlier(self) -> None:
        """Messages put no timer into the loop."""

        async def main() -> None:
            async with serving() as (_, url), connect(url) as client:
                await client.send("first")
                await client.recv()
                timers = [*loop.timers]
                assert timers
                for _ in range(5):
                    await client.send("more")
                    await client.recv()
                assert loop.timers == timers

        loop = Counting()
        loop.run_until_complete(main())
        loop.close()

    def test_connections_share_timers(self) -> None:
        """Until the second begins in which something is due."""

        async def main() -> None:
            async with serving() as (server, _), contextlib.AsyncExitStack() as stack:
                for _ in range(50):
                    await stack.enter_async_context(await opened(server))
                assert len(server.connections) == 50
                assert len(loop.timers) < 25

        loop = Counting()
        loop.run_until_complete(main())
        loop.close()

    def test_a_deadline_is_kept_to_the_moment(self) -> None:
        """Of connections that shared a timer until shortly before."""

        async def main() -> None:
            loop.now = 0.75
            async with serving() as (server, _), await opened(server) as peer:
                for due in (20.75, 40.75):
                    reading = asyncio.ensure_future(peer.read_frame())
                    for loop.now in (due - 0.75, due - 0.001):
                        for _ in range(10):
                            await asyncio.sleep(0)
                    assert not reading.done()
                    loop.now = due
                    first, payload = await reading
                    assert first == FIN | PING
                    peer.send_frame(FIN | PONG, payload)

        loop = ManualLoop()
        loop.run_until_complete(main())
        loop.close()

    def test_a_deadline_that_is_dropped(self) -> None:
        """That of the opening handshake, where no pings follow."""

        async def main() -> None:
            async with serving(ping_interval=None) as (server, _), await opened(server):
                for loop.now in (9.5, 10.5, 50):
                    for _ in range(10):
                        await asyncio.sleep(0)
                assert server.connections

        loop = ManualCounting()
        loop.run_until_complete(main())
        loop.close()
        assert loop.timers
        assert all(map(math.isfinite, loop.timers))

    def test_many_deadlines_leave_others_their_turn(self) -> None:
        """Those of a second, though all are due in the same moment."""

        async def main() -> None:
            transports = [Idle() for _ in range(1000)]
            connections = [Connection(ServerProtocol(state=OPEN)) for _ in transports]
            for connection, transport in zip(connections, transports, strict=True):
                connection.connection_made(transport)
            loop.now = 20
            loop.timers.clear()
            steps = []
            while loop.timers.count(20) < 1000:
                before = loop.timers.count(20)
                await asyncio.sleep(0)
                steps.append(loop.timers.count(20) - before)
            assert max(steps) < 300
            await until(lambda: all(transport.written for transport in transports))

        loop = ManualCounting()
        loop.run_until_complete(main())
        loop.close()

    def test_who_is_lost_is_not_held_by_a_deadline(self, run: Run) -> None:
        logger = logging.Logger("whose records nobody keeps")

        async def main() -> None:
            async with serving(logger=logger) as (server, _):
                async with await opened(server):
                    (connection,) = server.connections
                    lost = weakref.ref(connection)
                    del connection
                await until(lambda: not server._connections)
                await until(lambda: gc.collect() is None or lost() is None)

        run(main())


class Idle(asyncio.Transport):
    """A transport that only counts."""

    written = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += len(data)

    def set_write_buffer_limits(
        self, high: int | None = None, low: int | None = None
    ) -> None:
        """There are none."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


class Counting(asyncio.SelectorEventLoop):
    """Notes for when timers are set."""

    def __init__(self) -> None:
        super().__init__()
        self.timers: list[float] = []

    def call_at(  # type: ignore[override]
        self, when: float, *args: Any, **kwargs: Any
    ) -> asyncio.TimerHandle:
        self.timers.append(when)
        return super().call_at(when, *args, **kwargs)


class ManualCounting(Counting, ManualLoop):
    """The same, with a time that is set."""


async def send_all(connection: Any, messages: list[str]) -> None:
    for message in messages:
        await connection.send(message)


class Slow:
    """A transport, not a socket, whose peer takes some bytes between one look and the
    next."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._waiting = 10_000
        self.progress = 1
        self.looks = 0

    def get_write_buffer_size(self) -> int:
        self.looks += 1
        self._waiting -= self.progress
        return self._waiting

    def get_extra_info(self, name: str) -> None:
        return None

    def write(self, data: bytes) -> None:
        self._waiting += len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class TestSlowPeers:
    def test_send_waits_until_the_peer_reads(self, run: Run) -> None:
        sent: list[int] = []

        async def handler(connection: ServerConnection) -> None:
            for number in range(200):
                await connection.send(bytes(100_000))
                sent.append(number)

        async def main() -> None:
            async with (
                serving(handler, compression=None) as (server, _),
                await opened(server) as peer,
            ):
                (connection,) = server.connections
                await until(lambda: connection.bytes_to_write > 2**15)
                for _ in range(100):
                    await asyncio.sleep(0)
                assert len(sent) < 150
                assert connection.bytes_to_write < 1_000_000
                for _ in range(200):
                    assert await peer.read_frame() == (0x82, bytes(100_000))
                assert (await peer.read_frame())[0] == FIN | CLOSE
                peer.send_frame(FIN | CLOSE, b"\x03\xe8")
                assert len(sent) == 200

        run(main())

    def test_nothing_is_read_from_who_does_not_read(self, run: Run) -> None:
        """A flood of messages whose echoes nobody takes does not fill the memory."""

        async def main() -> None:
            async with (
                serving(compression=None, ping_interval=None) as (server, _),
                await opened(server) as peer,
            ):
                (connection,) = server.connections
                frame = masked(0x82, bytes(1_000_000))
                while connection.transport.is_reading():
                    if not peer.writer.transport.get_write_buffer_size():
                        peer.send(frame)
                    await asyncio.sleep(0)
                assert connection.bytes_to_write < 2_000_000
                while not connection.transport.is_reading():
                    assert await peer.read_frame() == (0x82, bytes(1_000_000))
                assert connection.bytes_to_write < 2_000_000
                peer.writer.transport.abort()

        run(main())

    def test_reading_pauses_while_the_application_is_behind(self, run: Run) -> None:
        async def main() -> None:
            go = asyncio.Event()

            async def handler(connection: ServerConnection) -> None:
                await go.wait()
                for _ in range(100):
                    await connection.send(await connection.recv())

            async with (
                serving(handler, max_queue=4) as (server, url),
                connect(url) as client,
            ):
                await until(lambda: server.connections)
                (connection,) = server.connections
                texts = [str(number) * 10_000 for number in range(100)]
                sending = asyncio.ensure_future(send_all(client, texts))
                await until(lambda: not connection.transport.is_reading())
                go.set()
                assert [await client.recv() for _ in range(100)] == texts
                await sending
                assert connection.transport.is_reading()

        run(main())

    def test_a_peer_that_reads_slowly_is_alive(self, run: Run) -> None:
        """Though it is not read from, so that its pongs are not seen."""

        async def main() -> None:
            options: Any = {"ping_interval": 0.01, "ping_timeout": 0.3}
            async with (
                serving(close_timeout=0.01, **options) as (server, _),
                await opened(server),
            ):
                (connection,) = server.connections
                slow: Any = Slow(connection.transport)
                connection.transport = slow
                await until(lambda: slow.looks >= 20)
                assert connection.state is State.OPEN
                slow.progress = 0
                await until(lambda: connection.session.timed_out == "keepalive")

        run(main())

    def test_a_peer_that_vanishes_while_send_waits(self, run: Run) -> None:
        errors: list[ConnectionClosed] = []

        async def handler(connection: ServerConnection) -> None:
            try:
                while True:
                    await connection.send(bytes(100_000))
            except ConnectionClosed as exc:
                errors.append(exc)
                raise

        async def main() -> None:
            async with serving(handler, compression=None) as (server, _):
                async with await opened(server) as peer:
                    (connection,) = server.connections
                    await until(lambda: connection.bytes_to_write > 2**15)
                    peer.writer.transport.abort()
                await until(lambda: errors)
                assert errors[0].code == 1006

        run(main())

    def test_a_sender_that_never_receives_learns_of_the_loss(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            while True:
                await connection.send("tick")
                await asyncio.sleep(0)

        async def main() -> None:
            async with serving(handler, max_queue=2) as (server, _):
                async with await opened(server) as peer:
                    for _ in range(10):
                        peer.send_frame(FIN | TEXT, bytes(10_000))
                    (connection,) = server.connections
                    await until(lambda: not connection.transport.is_reading())
                    peer.writer.transport.abort()
                await until(lambda: not server._tasks)
                assert connection.state is State.CLOSED

        run(main())

    def test_close_while_the_peer_does_not_read(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            sending = asyncio.ensure_future(connection.send(bytes(50_000_000)))
            await until(lambda: connection.bytes_to_write > 2**15)
            await connection.close()
            assert connection.session.timed_out == "closing"
            with pytest.raises(ConnectionClosedError):
                await sending

        async def main() -> None:
            options: Any = {"close_timeout": 0.01, "compression": None}
            async with (
                serving(handler, **options) as (server, _),
                await opened(server),
            ):
                await until(lambda: not server._tasks)

        run(main())

    def test_a_peer_that_ends_its_direction_and_never_reads(self, run: Run) -> None:
        """What it does not take is not kept for ever."""

        async def handler(connection: ServerConnection) -> None:
            with pytest.raises(ConnectionClosedError):
                await connection.send(bytes(50_000_000))

        async def main() -> None:
            options: Any = {"close_timeout": 0.01, "compression": None}
            async with (
                serving(handler, **options) as (server, _),
                await opened(server) as peer,
            ):
                (connection,) = server.connections
                await until(lambda: connection.bytes_to_write > 2**15)
                # Now it is not read from; so let the loop see the end of the stream.
                connection.transport.resume_reading()
                peer.writer.write_eof()
                await until(lambda: not server._connections)

        run(main())

    def test_two_senders_wait(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            sends = [
                asyncio.ensure_future(connection.send(bytes(5_000_000)))
                for _ in range(3)
            ]
            await until(lambda: connection.stats.messages_sent == 3)
            sends[1].cancel()
            await asyncio.gather(sends[0], sends[2])

        async def main() -> None:
            async with (
                serving(handler, compression=None) as (_, url),
                connect(url, max_size=None) as client,
            ):
                received = [message async for message in client]
                assert received == [bytes(5_000_000)] * 3

        run(main())


def test_answered_pings_are_not_kept(run: Run) -> None:
    """Neither those of the keepalive, nor others."""

    async def main() -> None:
        async with serving(ping_interval=0.001) as (server, url), connect(url):
            await until(lambda: server.connections)
            (connection,) = server.connections
            await until(lambda: connection.stats.frames_received > 5)
            assert connection.session.pings_answered() == []
            await (await connection.ping())
            assert connection.session.pings_answered() == []

    run(main())
