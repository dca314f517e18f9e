"""Slow clients, busy applications, and clients that do wrong, inside of uvicorn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.core.support import BINARY, CLOSE, CONT, FIN, PING, PONG, TEXT

from .support import Run, until
from .uvicorn_support import (
    BOTH,
    OURS,
    Recorder,
    accepted,
    connection_of,
    running,
    turns,
)

ACCEPT = {"type": "websocket.accept"}


class Counter:
    """A transport that counts what is written to another one."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        self.writes += 1
        self.transport.write(data)


class TestFlow:
    def test_reading_pauses_at_the_limit_of_the_queue(self, run: Run) -> None:
        """An application that is busy holds its client back, and loses nothing."""
        go = asyncio.Event()
        count = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal count
            await receive()
            await send(ACCEPT)
            await go.wait()
            while (await receive())["type"] == "websocket.receive":
                count += 1

        async def main() -> None:
            async with (
                running(app, ws_max_queue=2) as server,
                await accepted(server) as peer,
            ):
                for _ in range(100):
                    peer.send_frame(FIN | BINARY, bytes(100_000))
                peer.send_frame(FIN | CLOSE)
                transport = connection_of(server).transport
                await until(lambda: not transport.is_reading())
                await turns(100)
                assert connection_of(server).stats.messages_received <= 3
                go.set()
                await peer.read_all()
                await until(lambda: count == 100)

        run(main())

    @BOTH
    def test_pings_while_the_application_is_busy(self, run: Run, ws: str) -> None:
        """A client that gets no pong takes its server for gone."""
        go = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            await go.wait()

        async def main() -> None:
            async with running(app, ws=ws) as server, await accepted(server) as peer:
                peer.send_frame(FIN | TEXT, b"unread")
                await turns(100)
                peer.send_frame(FIN | PING, b"1")
                pong = asyncio.ensure_future(peer.read_frame())
                if ws == OURS:
                    assert await pong == (FIN | PONG, b"1")
                await turns(100)
                assert pong.done() is (ws == OURS)
                pong.cancel()
                go.set()

        run(main())

    def test_send_waits_for_a_client_that_is_slow(self, run: Run) -> None:
        sent = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal sent
            await receive()
            await send(ACCEPT)
            for _ in range(200):
                await send({"type": "websocket.send", "bytes": bytes(100_000)})
                sent += 1

        async def main() -> None:
            async with running(app) as server:
                peer = await accepted(server)
                peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
                transport = connection_of(server).transport
                seen = -1
                while seen != sent:
                    seen = sent
                    await turns(200)
                assert seen < 200
                assert transport.get_write_buffer_size() < 300_000
                peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
                async with peer:
                    for _ in range(200):
                        assert await peer.read_frame() == (FIN | BINARY, bytes(100_000))

        run(main())

    def test_send_that_waits_when_the_client_goes(self, run: Run) -> None:
        raised: list[BaseException] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            try:
                while True:
                    await send({"type": "websocket.send", "bytes": bytes(100_000)})
            except OSError as exc:
                raised.append(exc)

        async def main() -> None:
            async with running(app) as server:
                peer = await accepted(server)
                peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
                transport = connection_of(server).transport
                await until(lambda: transport.get_write_buffer_size() > 30_000)
                peer.writer.transport.abort()
                await until(lambda: raised)

        run(main())

    def test_answers_to_one_read_leave_in_one_write(self, run: Run) -> None:
        app = Recorder(answers=True)

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                connection = connection_of(server)
                connection.transport = counter = Counter(connection.transport)
                await turns()  # until it waits for a message
                peer.send(b"\x81\x80\0\0\0\0" * 1000)
                assert await peer.reader.readexactly(2000) == b"\x81\0" * 1000
                assert counter.writes < 1000  # 1, unless it takes long

        run(main())


class TestBadPeers:
    """Whatever a peer does ends with a code, and without a traceback in the log, which
    the fixture ``run`` looks for."""

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"\x81\x00", 1002),  # not masked
            (b"\xc1\x80\0\0\0\0", 1002),  # a bit that nobody agreed on
            (b"\x80\x80\0\0\0\0", 1002),  # a continuation of nothing
            (b"\x89\xfe\0\x7e\0\0\0\0", 1002),  # a ping that is too long
            (b"\x88\x81\0\0\0\0\0", 1002),  # half a close code
            (b"\x81\x81\0\0\0\0\xff", 1007),  # no UTF-8
            (b"\x01\xfe\7\xff\0\0\0\0a\xff", 1007),  # and more to come
            (b"\x01\x81\0\0\0\0\xf0\x80\x81\0\0\0\0\x80", 1007),
            (b"\x82\xff\0\0\1\0\0\0\0\0\0\0\0\0", 1009),  # a header, and no more
        ],
    )
    def test_violations(self, run: Run, data: bytes, code: int) -> None:
        app = Recorder()

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                peer.send(data)
                first, payload = await peer.read_frame()
                assert first == FIN | CLOSE
                assert int.from_bytes(payload[:2], "big") == code
                assert (await app.ended())[0] == code
                assert await peer.read_all() == b""

        run(main())

    def test_sec_04_many_fragments(self, run: Run) -> None:
        app = Recorder()

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                peer.send_frame(TEXT)
                peer.send(b"\x00\x80\0\0\0\0" * 5000)
                first, payload = await peer.read_frame()
                assert (first, payload[:2]) == (FIN | CLOSE, b"\x03\xf1")
                assert (await app.ended())[0] == 1009

        run(main())

    def test_pings_between_fragments(self, run: Run) -> None:
        app = Recorder()

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                peer.send_frame(TEXT, b"a")
                peer.send_frame(FIN | PING, b"1")
                assert await peer.read_frame() == (FIN | PONG, b"1")
                peer.send_frame(CONT, b"b")
                peer.send_frame(FIN | PONG, b"unasked")
                peer.send_frame(FIN | CONT, b"c")
                await until(lambda: app.messages)

        run(main())
        assert app.messages == ["abc"]

    @pytest.mark.parametrize(
        "data", [b"", b"\x81", b"\x81\xfe", b"\x01\x81\0\0\0\0a", b"\x82\x85\0\0\0\0ab"]
    )
    @pytest.mark.parametrize("reset", [True, False])
    def test_a_connection_that_breaks_off(
        self, run: Run, data: bytes, reset: bool
    ) -> None:
        app = Recorder()

        async def main() -> None:
            async with running(app) as server:
                peer = await accepted(server)
                peer.send(data)
                await turns()
                if reset:
                    peer.writer.transport.abort()
                async with peer:
                    pass
                assert await app.ended() == (1006, "")

        run(main())

    def test_a_vanished_client_is_noticed(self, run: Run) -> None:
        app = Recorder()

        async def main() -> None:
            async with (
                running(app, ws_ping_interval=0.01, ws_ping_timeout=0.01) as server,
                await accepted(server) as peer,
            ):
                first, payload = await peer.read_frame()
                assert (first, len(payload)) == (FIN | PING, 4)
                first, payload = await peer.read_frame()
                assert (first, payload[:2]) == (FIN | CLOSE, b"\x03\xf3")
                assert (await app.ended())[0] == 1011

        run(main())

    @pytest.mark.parametrize("interval", [0, -1, None, 5])
    def test_pings_that_are_switched_off(self, run: Run, interval: Any) -> None:
        """0 is no limit of the answer either."""

        async def main() -> None:
            async with (
                running(
                    Recorder(), ws_ping_interval=interval, ws_ping_timeout=0
                ) as server,
                await accepted(server),
            ):
                deadline = connection_of(server).session.deadline
                assert (deadline == float("inf")) is (interval != 5)

        run(main())

    def test_frames_behind_the_request(self, run: Run) -> None:
        """uvicorn drops them, and the connection goes on with what follows."""
        app = Recorder()

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                peer.send_frame(FIN | TEXT, b"after")
                await until(lambda: app.messages)

        run(main())
