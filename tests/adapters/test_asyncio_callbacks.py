"""Functions that are called with each message, straight from the read."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from sansocket.asyncio import ClientConnection, ServerConnection, connect, serve
from sansocket.exceptions import ConcurrencyError, ConnectionClosed, InvalidState
from tests.core.support import FIN, TEXT, masked, request_bytes

from .support import Run, opened, raw, serving, until


def path_of(connection: ServerConnection) -> str:
    assert connection.request is not None
    return connection.request.path


def echo(connection: Any, message: Any) -> None:
    connection.send_nowait(message)


def test_an_echo(run: Run) -> None:
    """Text and binary, with the reference's client, and no task left for it."""
    websockets = pytest.importorskip("websockets.asyncio.client")

    async def main() -> None:
        async with serving(None, on_message=echo) as (_, url):
            tasks = len(asyncio.all_tasks())
            async with websockets.connect(url, proxy=None) as client:
                for message in ("text é", b"binary", "", b"", bytes(200_000)):
                    await client.send(message)
                    assert await client.recv() == message
                assert await (await client.ping()) >= 0
                theirs = {
                    one for one in asyncio.all_tasks() if "websockets" in str(one)
                }
                assert len(asyncio.all_tasks() - theirs) == tasks
            assert client.close_code == 1000

    run(main())


def test_the_course_of_a_connection(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []

    async def main() -> None:
        async with serving(
            None,
            on_open=lambda one: seen.append(("open", path_of(one))),
            on_message=lambda one, message: seen.append(message),
            on_close=lambda one: seen.append(("close", one.close_code)),
        ) as (_, url):
            async with connect(url + "chat") as client:
                await client.send("first")
                await client.send(["s", "econd"])
            await until(lambda: len(seen) == 4)

    run(main())
    assert seen == [("open", "/chat"), "first", "second", ("close", 1000)]
    assert "connection closed: 1000" in caplog.messages


def test_messages_right_behind_the_request(run: Run) -> None:
    async def main() -> None:
        async with (
            serving(None, on_message=echo) as (server, _),
            await raw(server) as peer,
        ):
            peer.send(request_bytes() + masked(FIN | TEXT, b"early"))
            assert b" 101 " in await peer.read_head()
            assert await peer.read_frame() == (FIN | TEXT, b"early")
            peer.writer.transport.abort()

    run(main())


def test_a_message_before_a_violation_is_answered(run: Run) -> None:
    async def main() -> None:
        async with (
            serving(None, on_message=echo) as (server, _),
            await opened(server) as peer,
        ):
            peer.send(masked(FIN | TEXT, b"fine") + b"\x83\x80")
            assert await peer.read_frame() == (FIN | TEXT, b"fine")
            assert (await peer.read_frame())[1][:2] == b"\x03\xea"

    run(main())


def test_a_refused_handshake_calls_nothing(run: Run) -> None:
    called: list[Any] = []

    async def main() -> None:
        async with serving(
            None, on_open=called.append, on_message=echo, on_close=called.append
        ) as (server, _):
            async with await raw(server) as peer:
                peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert b" 426 " in await peer.read_head()
                assert b"WebSocket" in await peer.read_all()
            await until(lambda: not server._connections)

    run(main())
    assert called == []


def test_methods_of_a_subclass(run: Run) -> None:
    seen: list[Any] = []

    class Chat(ServerConnection):
        def on_open(self) -> None:
            self.send_nowait("welcome")

        def on_message(self, message: Any) -> None:
            self.send_nowait(message)

        def on_close(self) -> None:
            seen.append(self.close_code)

    class Quiet(ClientConnection):
        def on_message(self, message: Any) -> None:
            seen.append(message)
            if message == "again":
                self.protocol.send_close(3000)
            else:
                self.send_nowait("again")

    async def main() -> None:
        async with serving(None, create_connection=Chat) as (_, url):
            client = await connect(url, create_connection=Quiet)
            await client.wait_closed()
            await until(lambda: len(seen) == 3)

    run(main())
    assert seen == ["welcome", "again", 3000]


def test_a_client_that_is_called_back(run: Run) -> None:
    seen: list[Any] = []

    async def greet(connection: ServerConnection) -> None:
        await connection.send("hello")
        assert await connection.recv() == "hello back"

    async def main() -> None:
        async with serving(greet) as (_, url):
            client = await connect(
                url,
                on_open=lambda one: seen.append("open"),
                on_message=lambda one, message: one.send_nowait(f"{message!s} back"),
                on_close=lambda one: seen.append(one.close_code),
            )
            await client.wait_closed()

    run(main())
    assert seen == ["open", 1000]


def test_who_is_called_back_does_not_receive(run: Run) -> None:
    async def main() -> None:
        async with serving() as (_, url), connect(url, on_message=echo) as client:
            with pytest.raises(ConcurrencyError, match="on_message"):
                await client.recv()
            with pytest.raises(ConcurrencyError, match="on_message"):
                await anext(client.recv_streaming())

    run(main())


def test_one_of_both_is_needed() -> None:
    with pytest.raises(TypeError, match="on_message"):
        serve(None)


@pytest.mark.parametrize("name", ["on_open", "on_message", "on_close"])
def test_a_function_that_raises(run: Run, may_log_errors: list[str], name: str) -> None:
    may_log_errors.append("connection handler failed")

    def fail(*args: Any) -> None:
        raise ValueError("a bug")

    async def main() -> None:
        functions: dict[str, Any] = {"on_message": echo, name: fail}
        async with serving(None, **functions) as (_, url), connect(url) as client:
            if name == "on_close":
                return
            with contextlib.suppress(ConnectionClosed):
                await client.send("message")
            await client.wait_closed()
            assert client.close_code == 1011

    run(main())


def test_a_function_that_raised_is_called_no_more(
    run: Run, may_log_errors: list[str]
) -> None:
    may_log_errors.append("connection handler failed")
    seen: list[Any] = []

    def fail(connection: ServerConnection, message: Any) -> None:
        seen.append(message)
        raise ValueError("a bug")

    async def main() -> None:
        async with (
            serving(None, on_message=fail) as (server, _),
            await opened(server) as peer,
        ):
            peer.send(masked(FIN | TEXT, b"first") + masked(FIN | TEXT, b"second"))
            assert (await peer.read_frame())[0] == 0x88
            peer.send_frame(FIN | TEXT, b"third")
            peer.send_frame(0x88, b"\x03\xf3")
            assert await peer.read_all() == b""

    run(main())
    assert seen == ["first"]


def test_what_cannot_be_sent(run: Run) -> None:
    async def main() -> None:
        async with serving() as (_, url):
            client = await connect(url)
            with pytest.raises(TypeError):
                client.send_nowait(5)  # type: ignore[arg-type]
            sending = asyncio.ensure_future(client.send(forever()))
            await until(lambda: client.stats.frames_sent)
            with pytest.raises(ConcurrencyError):
                client.send_nowait("between")
            sending.cancel()
            await until(sending.done)
            with pytest.raises(InvalidState):
                client.send_nowait("too late")
            await client.wait_closed()
            with pytest.raises(ConnectionClosed):
                client.send_nowait("far too late")

    async def forever() -> Any:
        yield "part"
        await asyncio.Event().wait()

    run(main())


def test_messages_while_closing_cannot_be_answered(run: Run) -> None:
    """That is no error of the function's, and nobody is told."""
    seen: list[Any] = []

    def close(connection: ServerConnection, message: Any) -> None:
        seen.append(message)
        if message == "last":
            connection.protocol.send_close(1000)
        connection.send_nowait(message)

    async def main() -> None:
        async with (
            serving(None, on_message=close) as (server, _),
            await opened(server) as peer,
        ):
            peer.send(masked(FIN | TEXT, b"first") + masked(FIN | TEXT, b"last"))
            peer.send(masked(FIN | TEXT, b"behind it"))
            assert await peer.read_frame() == (FIN | TEXT, b"first")
            assert (await peer.read_frame())[0] == 0x88
            peer.send_frame(0x88, b"\x03\xe8")
            assert await peer.read_all() == b""

    run(main())
    assert seen[:2] == ["first", "last"]


def test_nothing_more_is_handed_over_while_the_peer_does_not_read(run: Run) -> None:
    size = 100_000
    count = 0

    def much(connection: ServerConnection, message: Any) -> None:
        nonlocal count
        count += 1
        connection.send_nowait(bytes(size))

    async def main() -> None:
        async with (
            serving(None, on_message=much, compression=None) as (server, _),
            await opened(server) as peer,
        ):
            (connection,) = server.connections
            total = 1000
            for _ in range(total):
                peer.send_frame(FIN | TEXT, b"m" * 200)
            await until(lambda: not connection.transport.is_reading())
            assert count < total
            assert connection.bytes_to_write < 5 * size
            for _ in range(total):
                assert await peer.read_frame() == (0x82, bytes(size))
            assert count == total

    run(main())
