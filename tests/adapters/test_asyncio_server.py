"""Our server on asyncio, with the client of the ``websockets`` package."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from sansocket import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedOK,
    State,
)
from sansocket.asyncio import ServerConnection, serve
from tests.core.support import (
    CONT,
    FIN,
    PING,
    TEXT,
    masked,
    request_bytes,
)

from .support import Run, opened, raw, serving, until

MESSAGES: list[str | bytes] = ["", "Wörld", b"\0\xff", "a" * 70_000, bytes(300_000)]


class TestMessages:
    @pytest.mark.parametrize("compression", ["deflate", None])
    def test_echo(self, run: Run, compression: str | None) -> None:
        async def main() -> None:
            async with (
                serving(compression=compression) as (server, url),
                connect(url, proxy=None) as client,
            ):
                assert len(client.protocol.extensions) == (compression is not None)
                for message in MESSAGES:
                    await client.send(message)
                    assert await client.recv() == message
                assert len(server.connections) == 1

        run(main())

    def test_many_at_once(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (_, url), connect(url, proxy=None) as client:
                for number in range(500):
                    await client.send(str(number))
                received = [await client.recv() for _ in range(500)]
                assert received == [str(number) for number in range(500)]

        run(main())

    def test_answers_to_one_read_leave_in_one_write(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _), await opened(server) as peer:
                writes: list[bytes] = []
                (connection,) = server.connections
                transport: Any = Recorder(connection.transport, writes)
                connection.transport = transport
                for number in range(10):
                    peer.send_frame(FIN | TEXT, b"%d" % number)
                for number in range(10):
                    assert await peer.read_frame() == (FIN | TEXT, b"%d" % number)
                assert len(writes) < 10  # 1, unless the machine is very busy

        run(main())

    def test_what_is_sent_does_not_pile_up(self, run: Run) -> None:
        """Even if the handler never lets the loop turn, and messages are empty."""
        sizes: list[int] = []

        async def handler(connection: ServerConnection) -> None:
            for _ in range(50_000):
                await connection.send("")
                sizes.append(connection.bytes_to_write)

        async def main() -> None:
            async with (
                serving(handler, compression=None, ping_interval=None) as (server, _),
                await opened(server) as peer,
            ):
                for _ in range(50_000):
                    assert await peer.read_frame() == (FIN | TEXT, b"")

        run(main())
        assert max(sizes) < 2**17

    def test_decoding_is_up_to_the_receiver(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.send(repr(await connection.recv(decode=False)))
            await connection.send(repr(await connection.recv(decode=True)))
            await connection.send(b"text", text=True)
            await connection.send("binary", text=False)

        async def main() -> None:
            async with (
                serving(handler) as (_, url),
                connect(url, proxy=None) as client,
            ):
                await client.send("a")
                await client.send(b"b")
                received = [message async for message in client]
                assert received == ["b'a'", "'b'", "text", b"binary"]

        run(main())

    def test_fragments(self, run: Run) -> None:
        async def parts() -> Any:
            yield b"c"
            await asyncio.sleep(0)
            yield bytearray(b"d")

        async def handler(connection: ServerConnection) -> None:
            await connection.send(["a", "b"])
            await connection.send(parts())
            await connection.send([])
            await connection.send([b"e", b"f"], text=True)

        async def main() -> None:
            async with (
                serving(handler) as (_, url),
                connect(url, proxy=None) as client,
            ):
                assert [message async for message in client] == ["ab", b"cd", "ef"]

        run(main())

    def test_fragmented_messages_do_not_interleave(self, run: Run) -> None:
        async def slow(letter: str) -> Any:
            for _ in range(5):
                yield letter
                await asyncio.sleep(0)

        async def handler(connection: ServerConnection) -> None:
            await asyncio.gather(
                connection.send(slow("a")),
                connection.send("whole"),
                connection.send(slow("b")),
            )

        async def main() -> None:
            async with (
                serving(handler) as (_, url),
                connect(url, proxy=None) as client,
            ):
                received = [message async for message in client]
                assert received == ["aaaaa", "whole", "bbbbb"]

        run(main())

    @pytest.mark.parametrize("wrong", [1, None, {"a": "b"}, [1]])
    def test_what_is_no_message(self, run: Run, wrong: Any) -> None:
        async def handler(connection: ServerConnection) -> None:
            with pytest.raises(TypeError, match="message"):
                await connection.send(wrong)

        async def main() -> None:
            async with (
                serving(handler) as (_, url),
                connect(url, proxy=None) as client,
            ):
                assert [message async for message in client] == []

        run(main())

    def test_a_message_that_cannot_be_finished_fails_the_connection(
        self, run: Run
    ) -> None:
        async def handler(connection: ServerConnection) -> None:
            with pytest.raises(TypeError, match="all str or all bytes-like"):
                await connection.send(["a", b"b"])

        async def main() -> None:
            async with (
                serving(handler) as (_, url),
                connect(url, proxy=None) as client,
            ):
                with pytest.raises(ConnectionClosedError):
                    await client.recv()
                assert client.close_code == 1011

        run(main())

    def test_attributes(self, run: Run) -> None:
        seen: list[ServerConnection] = []

        async def handler(connection: ServerConnection) -> None:
            seen.append(connection)
            assert connection.state is State.OPEN
            assert connection.close_code is None
            assert connection.close_reason is None
            await connection.send("hello")
            assert connection.bytes_to_write == 0  # nothing keeps it back
            await connection.recv()

        async def main() -> None:
            async with serving(handler, subprotocols=["chat"]) as (server, url):
                options: Any = {"subprotocols": ["chat"], "proxy": None}
                async with connect(url + "path?query", **options) as client:
                    assert client.response is not None
                    assert "sansocket" in client.response.headers["Server"]
                    assert await client.recv() == "hello"
                    (connection,) = seen
                    assert connection.local_address == client.remote_address
                    assert connection.remote_address == client.local_address
                    await client.close(1001, "away")
                assert connection.request is not None
                assert connection.request.path == "/path?query"
                assert connection.response is not None
                assert connection.response.status_code == 101
                assert connection.subprotocol == "chat"
                assert connection.id == connection.protocol.id
                assert connection.server is server
                await connection.wait_closed()
                assert connection.state is State.CLOSED
                assert connection.close_code == 1001
                assert connection.close_reason == "away"
                assert connection.stats.messages_sent == 1
                assert connection.bytes_to_write == 0
                assert connection.logger.extra == {"websocket": connection}  # type: ignore[union-attr]

        run(main())


class Recorder:
    """A transport that notes what is written."""

    def __init__(self, transport: Any, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class TestReceiving:
    def test_two_receivers(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            first = asyncio.ensure_future(connection.recv())
            await asyncio.sleep(0)
            with pytest.raises(ConcurrencyError):
                await connection.recv()
            await connection.send(await first)

        async def main() -> None:
            async with (
                serving(handler) as (_, url),
                connect(url, proxy=None) as client,
            ):
                await client.send("a")
                assert await client.recv() == "a"

        run(main())

    @pytest.mark.parametrize("message", ["text \u20ac" * 30_000, bytes(200_000)])
    @pytest.mark.parametrize("fragmented", [False, True])
    def test_a_message_in_parts(
        self, run: Run, message: str | bytes, fragmented: bool
    ) -> None:
        """Nothing of it is lost, however it arrives; then whole messages again."""
        received: list[list[Any]] = []

        async def handler(connection: ServerConnection) -> None:
            received.append([part async for part in connection.recv_streaming()])
            await connection.send(await connection.recv())

        async def main() -> None:
            async with (
                serving(handler) as (_, url),
                connect(url, proxy=None, compression=None) as client,
            ):
                half = len(message) // 2
                parts: Any = [message[:half], message[half:]]
                await client.send(parts if fragmented else message)
                await client.send("next")
                assert await client.recv() == "next"

        run(main())
        (parts,) = received
        assert type(message)().join(parts) == message

    def test_parts_of_a_single_frame_as_they_arrive(self, run: Run) -> None:
        seen: list[Any] = []

        async def handler(connection: ServerConnection) -> None:
            async for part in connection.recv_streaming():
                seen.append(part)  # noqa: PERF401  # looked at meanwhile

        async def main() -> None:
            async with serving(handler) as (server, _), await opened(server) as peer:
                frame = masked(FIN | TEXT, b"onetwo")
                peer.send(frame[:-3])
                await until(lambda: seen == ["one"])
                peer.send(frame[-3:])
                await until(lambda: seen == ["one", "two"])

        run(main())

    def test_a_message_in_parts_that_does_not_end(self, run: Run) -> None:
        seen: list[Any] = []

        async def take(connection: ServerConnection) -> None:
            async for part in connection.recv_streaming():
                seen.append(part)
                with pytest.raises(ConcurrencyError):
                    await connection.recv()

        async def handler(connection: ServerConnection) -> None:
            with pytest.raises(ConnectionClosed):
                await take(connection)
            seen.append("end")

        async def main() -> None:
            async with serving(handler) as (server, _), await opened(server) as peer:
                peer.send_frame(TEXT, b"part")
                await until(lambda: seen == ["part"])

        run(main())
        assert seen == ["part", "end"]

    def test_cancelling_loses_nothing(self, run: Run) -> None:
        """Neither before the message comes, nor when it is there already."""

        async def handler(connection: ServerConnection) -> None:
            waiting = asyncio.ensure_future(connection.recv())
            await connection.send("ready")
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await connection.send("go")
            await until(lambda: connection.protocol.stats.messages_received == 1)
            waiting = asyncio.ensure_future(connection.recv())
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await connection.send([str(await connection.recv()), " again"])

        async def main() -> None:
            async with (
                serving(handler) as (_, url),
                connect(url, proxy=None) as client,
            ):
                assert await client.recv() == "ready"
                assert await client.recv() == "go"
                await client.send("once")
                assert await client.recv() == "once again"

        run(main())

    def test_messages_before_the_close_are_received(self, run: Run) -> None:
        received: list[Any] = []

        async def handler(connection: ServerConnection) -> None:
            await connection.wait_closed()
            received.extend([message async for message in connection])
            with pytest.raises(ConnectionClosedOK):
                await connection.recv()
            with pytest.raises(ConnectionClosedOK):
                await connection.send("late")
            with pytest.raises(ConnectionClosedOK):
                await connection.ping()
            with pytest.raises(ConnectionClosedOK):
                await connection.pong()

        async def main() -> None:
            async with serving(handler) as (_, url):
                async with connect(url, proxy=None) as client:
                    await client.send("a")
                    await client.send("b")
                await until(lambda: received)

        run(main())
        assert received == ["a", "b"]

    def test_iterating_ends_with_an_error_if_the_closure_was_none(
        self, run: Run
    ) -> None:
        errors: list[ConnectionClosed] = []

        async def handler(connection: ServerConnection) -> None:
            try:
                async for _ in connection:
                    pass
            except ConnectionClosed as exc:
                errors.append(exc)
                raise

        async def main() -> None:
            async with serving(handler) as (server, _):
                async with await opened(server) as peer:
                    peer.send_frame(FIN | TEXT, b"a")
                await until(lambda: errors)
                assert errors[0].code == 1006

        run(main())


class TestHandshake:
    def test_spec_refused(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _):
                for request in (
                    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
                    b"nonsense\r\n\r\n",
                ):
                    async with await raw(server) as peer:
                        peer.send(request)
                        answer = await peer.read_all()
                        assert answer.startswith(b"HTTP/1.1 4")
                assert not server.connections

        run(main())

    def test_frames_right_behind_the_request(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _), await raw(server) as peer:
                peer.send(request_bytes())
                peer.send_frame(FIN | PING, b"p")
                peer.send_frame(TEXT, b"a")
                peer.send_frame(FIN | CONT, b"b")
                await peer.read_head()
                assert await peer.read_frame() == (0x8A, b"p")
                assert await peer.read_frame() == (FIN | TEXT, b"ab")

        run(main())

    def test_sec_24_a_silent_client_is_dropped(self, run: Run) -> None:
        async def main() -> None:
            async with (
                serving(open_timeout=0.01) as (server, _),
                await raw(server) as peer,
            ):
                assert await peer.read_all() == b""

        run(main())

    def test_a_client_that_leaves_before_it_asks(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            async with serving() as (server, _):
                async with await raw(server) as peer:
                    peer.send(b"GET / HT")
                await until(lambda: "opening handshake failed: " in caplog.text)

        run(main())

    def test_select_subprotocol(self, run: Run) -> None:
        def select(connection: ServerConnection, offered: Any) -> Any:
            assert isinstance(connection, ServerConnection)
            return offered[-1]

        async def main() -> None:
            async with serving(select_subprotocol=select) as (_, url):
                options: Any = {"subprotocols": ["a", "b"], "proxy": None}
                async with connect(url, **options) as client:
                    assert client.subprotocol == "b"

        run(main())

    def test_origins(self, run: Run) -> None:
        async def main() -> None:
            async with serving(origins=["https://here"]) as (_, url):
                with pytest.raises(InvalidStatus, match="403"):
                    await connect(url, proxy=None)

        run(main())

    def test_create_connection(self, run: Run) -> None:
        class Mine(ServerConnection):
            pass

        async def handler(connection: ServerConnection) -> None:
            await connection.send(type(connection).__name__)

        async def main() -> None:
            async with (
                serving(handler, create_connection=Mine) as (_, url),
                connect(url, proxy=None) as client,
            ):
                assert await client.recv() == "Mine"

        run(main())

    def test_compression_of_another_name(self) -> None:
        with pytest.raises(ValueError, match="compression"):
            serve(None, compression="zip")
