"""The asyncio driver in rare situations, each brought about on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Generator
from typing import Any

import pytest

from sansocket import ConcurrencyError, ConnectionClosed, InvalidState
from sansocket.asyncio import ServerConnection, broadcast, connect, serve
from sansocket.asyncio._link import MOST_STREAK
from sansocket.asyncio._waiter import Waiter
from tests.core.support import BINARY, CLOSE, CONT, FIN, TEXT, masked

from .clocks import ManualLoop
from .conftest import LOOPS
from .support import Run, opened, raw, serving, until
from .test_asyncio_endings import run_to_its_end

COUNT = MOST_STREAK * 3


def feed(connection: Any, data: bytes) -> None:
    """Let a connection read bytes, all at once."""
    connection.get_buffer(-1)[: len(data)] = data
    connection.buffer_updated(len(data))


def run_manually(main: Callable[[ManualLoop], Any]) -> None:
    """Run on a loop whose time stands still, unless the test lets it pass."""
    loop = ManualLoop()
    try:
        loop.run_until_complete(main(loop))
    finally:
        loop.close()


class TestCallbacks:
    @pytest.mark.parametrize("slow", [False, True])
    def test_many_messages_of_one_read(self, slow: bool) -> None:
        """Other tasks have their turn in between, if the application takes long."""
        received: list[Any] = []

        async def main(loop: ManualLoop) -> None:
            def on_message(connection: Any, message: Any) -> None:
                received.append(message)
                loop.now += 0.001 if slow else 0

            async with (
                serving(None, on_message=on_message) as (server, _),
                await opened(server),
            ):
                (connection,) = server.connections
                feed(connection, masked(FIN | TEXT, b"x") * COUNT)
                assert len(received) == (MOST_STREAK if slow else COUNT)
                await until(lambda: len(received) == COUNT)

        run_manually(main)

    def test_a_loss_while_messages_are_held_back(self) -> None:
        """All of them are handed over before ``on_close``."""
        seen: list[Any] = []

        async def main(loop: ManualLoop) -> None:
            def on_message(connection: Any, message: Any) -> None:
                if not seen:
                    connection.transport.abort()
                seen.append(message)
                loop.now += 0.001

            async with (
                serving(
                    None,
                    on_message=on_message,
                    on_close=lambda connection: seen.append("closed"),
                ) as (server, _),
                await opened(server),
            ):
                (connection,) = server.connections
                feed(connection, masked(FIN | TEXT, b"x") * COUNT)
                assert len(seen) == MOST_STREAK
                await until(lambda: not server.connections)
                assert seen == ["x"] * COUNT + ["closed"]

        run_manually(main)

    def test_what_they_return(self, run: Run, may_log_errors: list[str]) -> None:
        """Only what had to be awaited is refused."""
        results: list[Any] = [0, [], "x", object()]

        async def main() -> None:
            async with (
                serving(
                    None,
                    on_message=lambda connection, message: results.pop(),
                    on_open=lambda connection: 5,
                ) as (server, _),
                await opened(server) as peer,
            ):
                results.insert(0, asyncio.get_running_loop().create_future())
                while results:
                    left = len(results)
                    peer.send_frame(FIN | TEXT)
                    await until(lambda left=left: len(results) < left)  # type: ignore[misc]
                assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xf3")
                await until(lambda: not server.connections)

        may_log_errors.append("connection handler failed")
        run(main())


class TestWriting:
    def test_a_turn_that_takes_long(self) -> None:
        """What is broadcast does not wait for its end."""

        async def main(loop: ManualLoop) -> None:
            async with serving() as (server, _), await opened(server):
                (connection,) = server.connections
                transport = connection.transport
                broadcast([connection], "first")
                assert connection.bytes_to_write > transport.get_write_buffer_size()
                loop.now += 1
                broadcast([connection], "second")
                assert connection.bytes_to_write == transport.get_write_buffer_size()

        run_manually(main)

    def test_small_behind_large(self, run: Run) -> None:
        large = bytes(100_000)

        async def main() -> None:
            async with (
                serving(compression=None) as (server, _),
                await opened(server) as peer,
            ):
                for message in (large, b"a", b"b"):
                    broadcast(server.connections, message)
                for message in (large, b"a", b"b"):
                    assert await peer.read_frame() == (FIN | BINARY, message)

        run(main())

    def test_a_ping_that_nobody_waits_for_any_more(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _):
                async with await opened(server):
                    (connection,) = server.connections
                    given_up = await connection.ping()
                    waiter = await connection.ping()
                    given_up.cancel()
                with pytest.raises(ConnectionClosed):
                    await waiter
                assert given_up.cancelled()

        run(main())

    def test_a_message_before_the_connection_is_open(self, run: Run) -> None:
        raised: list[str] = []

        async def too_early(connection: ServerConnection, request: Any) -> None:
            try:
                await connection.send("too early")
            except InvalidState as exc:
                raised.append(str(exc))

        async def main() -> None:
            async with (
                serving(process_request=too_early) as (_, url),
                connect(url) as client,
            ):
                await client.send("in time")
                assert await client.recv() == "in time"

        run(main())
        assert len(raised) == 1


class TestReading:
    def test_a_transport_that_closes_is_not_read_again(self) -> None:
        """Neither since a ping is due, nor since that cannot be written."""

        async def main(loop: ManualLoop) -> None:
            async with serving(wait, max_queue=1) as (server, _):
                async with await opened(server) as peer:
                    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
                    (connection,) = server.connections
                    closing: Any = Closing(connection.transport)
                    for _ in range(2):
                        feed(connection, masked(FIN | TEXT, bytes(1000)) * 50)
                    loop.now += 1
                    await until(lambda: not closing.is_reading())
                    while not closing.get_write_buffer_size():
                        closing.write(bytes(100_000))
                    closing.close()
                    connection.transport = closing
                    loop.now += 20
                    await until(lambda: connection.stats.frames_sent == 1)
                    assert closing.reads == 0
                    peer.writer.transport.abort()
                await connection.wait_closed()

        run_manually(main)


class Closing:
    """A transport that counts how often it is told to read on."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.reads = 0

    def resume_reading(self) -> None:
        self.reads += 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class TestReceiving:
    def test_parts_without_content(self, run: Run) -> None:
        """Of a character that is not complete yet, nothing is given."""

        async def main() -> None:
            async with serving(wait) as (server, _), await opened(server):
                (connection,) = server.connections

                async def receive() -> list[Any]:
                    return [part async for part in connection.recv_streaming()]

                receiving = asyncio.ensure_future(receive())
                for first, payload in (
                    *((TEXT, b""), (CONT, b"a"), (CONT, b"\xc3")),
                    *((CONT, b"\xbc"), (FIN | CONT, b"")),
                ):
                    await asyncio.sleep(0)
                    feed(connection, masked(first, payload))
                assert await receiving == ["a", "ü"]

        run(main())

    def test_two_tasks_that_receive_parts(self, run: Run) -> None:
        """The second one would get the rest of the message of the first."""

        async def main() -> None:
            async with serving(wait) as (server, _), await opened(server):
                (connection,) = server.connections
                parts = connection.recv_streaming()
                feed(connection, masked(TEXT, b"first"))
                assert await anext(parts) == "first"

                async def intrude() -> None:
                    async for _ in connection.recv_streaming():
                        pytest.fail("it has got a part")

                with pytest.raises(ConcurrencyError, match="another task"):
                    await asyncio.ensure_future(intrude())
                feed(connection, masked(FIN | CONT, b"last"))
                assert [part async for part in parts] == ["last"]

        run(main())

    def test_a_coroutine_that_no_task_runs(self, run: Run) -> None:
        """It goes on when it is told to, and has the message that came meanwhile."""

        async def main() -> None:
            async with serving(wait) as (server, _), await opened(server):
                (connection,) = server.connections
                receiving = connection.recv()
                receiving.send(None)
                feed(connection, masked(FIN | TEXT, b"message"))
                with pytest.raises(StopIteration) as excinfo:
                    receiving.send(None)
                assert excinfo.value.value == "message"

        run(main())


class TestWaiter:
    def test_cancelled_before_a_task_waits(self) -> None:
        async def main(loop: ManualLoop) -> None:
            waiter = Waiter(loop)
            waiter.begin()
            assert waiter.cancel("enough")
            assert not waiter.cancel("again")
            waiter.wake_now()
            with pytest.raises(asyncio.CancelledError, match="enough"):
                waiter.result()

        run_manually(main)

    def test_awaited_by_a_generator(self) -> None:
        class Awaitable:
            def __init__(self, waiter: Waiter) -> None:
                self.waiter = waiter

            def __await__(self) -> Generator[Any, None, str]:
                yield from self.waiter
                return "woken"

        async def main(loop: ManualLoop) -> None:
            waiter = Waiter(loop)
            waiter.begin()
            loop.call_soon(waiter.wake_now)
            assert await Awaitable(waiter) == "woken"

        run_manually(main)


class TestLogs:
    def test_frames(self, run: Run, caplog: pytest.LogCaptureFixture) -> None:
        """They are logged for who debugs, and the records tell the connection."""
        connections: list[Any] = []

        async def main() -> None:
            caplog.set_level(logging.DEBUG, "sansocket.server")
            async with serving() as (server, url), connect(url) as client:
                connections.extend(server.connections)
                await client.send("message")
                await client.recv()

        run(main())
        (frame,) = [
            record
            for record in caplog.records
            if record.levelno == logging.DEBUG
            and record.getMessage().startswith("< TEXT 'message'")
        ]
        assert [frame.websocket] == connections  # type: ignore[attr-defined]

    def test_a_logger_of_its_own(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        def choose(connection: ServerConnection) -> None:
            connection.logger = logging.getLogger("mine")

        async def main() -> None:
            async with serving(on_open=choose) as (server, url):
                async with connect(url):
                    pass
                await until(lambda: not server.connections)

        run(main())
        mine = [one.getMessage() for one in caplog.records if one.name == "mine"]
        assert mine == ["connection closed: 1000"]


class TestServer:
    def test_closed_before_it_began(self, run: Run) -> None:
        async def main() -> None:
            server = serve(wait, "127.0.0.1", 0)
            server.close()
            await server.wait_closed()

        run(main())

    def test_awaited_twice(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _):
                before = [sock.getsockname() for sock in server.sockets]
                assert await server is server
                assert [sock.getsockname() for sock in server.sockets] == before

        run(main())

    def test_a_connection_that_comes_while_it_closes(self, run: Run) -> None:
        """It is dropped, and holds the server up no longer."""

        def make(protocol: Any, server: Any, **options: Any) -> ServerConnection:
            asyncio.get_running_loop().call_soon(server.close)
            return ServerConnection(protocol, server, **options)

        async def main() -> None:
            async with serving(create_connection=make) as (server, _):
                async with await raw(server) as peer:
                    with contextlib.suppress(ConnectionError):
                        assert await peer.read_all() == b""
                await server.wait_closed()

        run(main())

    @pytest.mark.filterwarnings("ignore::ResourceWarning")
    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
    @pytest.mark.parametrize("loop", sorted(LOOPS))
    def test_a_factory_that_ends_the_program(self, loop: str, kind: Any) -> None:
        def make(*args: Any, **options: Any) -> ServerConnection:
            raise kind

        async def main() -> None:
            async with serving(create_connection=make) as (server, _):
                async with await raw(server) as peer:
                    await peer.read_all()
                await asyncio.Event().wait()

        run_to_its_end(LOOPS[loop], main, kind)

    def test_a_connection_is_initialised_once(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _), await opened(server) as peer:
                (connection,) = server.connections
                with pytest.raises(RuntimeError, match="only once"):
                    ServerConnection.__init__(connection, connection.protocol, server)
                peer.send_frame(FIN | TEXT, b"goes on")
                assert await peer.read_frame() == (FIN | TEXT, b"goes on")

        run(main())


class TestHandlers:
    def test_that_end_with_the_end_of_another_connection(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It is told, as nothing in its own connection does."""

        async def hang_up(connection: ServerConnection) -> None:
            await connection.close(3001, "upstream")

        async def main() -> None:
            async with serving(hang_up) as (_, upstream):

                async def relay(connection: ServerConnection) -> None:
                    async with connect(upstream) as other:
                        await connection.send(await other.recv())

                async with serving(relay) as (server, url):
                    async with connect(url) as client:
                        with pytest.raises(ConnectionClosed):
                            await client.recv()
                        assert client.close_code == 1011
                    await until(lambda: not server.connections)

        run(main())
        (told,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
        assert told.getMessage().startswith("connection handler failed: ")
        assert "upstream" in told.getMessage()

    def test_hooks_that_fail_once_the_peer_is_gone(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        """There is nobody to apologise to."""
        thinking = asyncio.Event()

        async def think(connection: ServerConnection, request: Any) -> None:
            try:
                thinking.set()
                await asyncio.Event().wait()
            finally:
                raise ValueError("because it was cancelled")

        async def main() -> None:
            async with serving(process_request=think) as (server, url):
                connecting = asyncio.ensure_future(connect(url).__aenter__())
                await thinking.wait()
                connecting.cancel()
                await until(lambda: not server._tasks)

        run(main())
        told = [one for one in caplog.messages if one.startswith("opening handshake")]
        assert told == [
            "opening handshake failed: the stream ended before the response"
        ]


async def wait(connection: ServerConnection) -> None:
    """Receive nothing."""
    await connection.wait_closed()
