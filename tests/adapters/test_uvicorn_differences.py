"""Where ours does better inside of uvicorn than ``websockets-sansio`` of uvicorn 0.54:
``docs/uvicorn.md`` lists it, and what each does is shown here side by side."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from sansocket.uvicorn import WebSocketProtocol
from tests.core.support import BINARY, CLOSE, FIN, TEXT

from .support import Raw, Run, until
from .uvicorn_support import (
    BOTH,
    OURS,
    THEIRS,
    Recorder,
    Running,
    accepted,
    asking,
    connection_of,
    running,
)

ACCEPT = {"type": "websocket.accept"}


async def accept_and_return(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(ACCEPT)


async def accept_and_fail(scope: Any, receive: Any, send: Any) -> None:
    await accept_and_return(scope, receive, send)
    raise ZeroDivisionError("on purpose")


class TestEnds:
    @BOTH
    def test_a_connection_that_is_lost(self, run: Run, ws: str) -> None:
        """1006 says that no close frame came, 1005 that one came without a code."""
        app = Recorder()

        async def main() -> None:
            async with running(app, ws=ws) as server:
                peer = await accepted(server)
                peer.writer.transport.abort()
                code, _ = await app.ended()
                assert code == (1006 if ws == OURS else 1005)

        run(main())

    @BOTH
    def test_an_application_that_returns(self, run: Run, ws: str) -> None:
        async def main() -> None:
            async with (
                running(accept_and_return, ws=ws) as server,
                await accepted(server) as peer,
            ):
                if ws == OURS:
                    assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xe8")
                    peer.send_frame(FIN | CLOSE, b"\x03\xe8")
                assert await peer.read_all() == b""

        run(main())

    @BOTH
    def test_an_application_that_fails(
        self, run: Run, ws: str, may_log_errors: list[str]
    ) -> None:
        may_log_errors.append("Exception in ASGI application\n")

        async def main() -> None:
            async with (
                running(accept_and_fail, ws=ws) as server,
                await accepted(server) as peer,
            ):
                if ws == OURS:
                    assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xf3")
                    peer.send_frame(FIN | CLOSE, b"\x03\xf3")
                assert await peer.read_all() == b""

        run(main())

    @BOTH
    def test_messages_before_a_violation(self, run: Run, ws: str) -> None:
        """They came, so they are received; they are answered, too."""
        app = Recorder(answers=True)

        async def main() -> None:
            async with running(app, ws=ws) as server, await accepted(server) as peer:
                frames = b"\x81\x80\0\0\0\0" * 3 + b"\x83\x80\0\0\0\0"
                peer.send(frames)
                await peer.read_all()
                code, _ = await app.ended()
                assert code == 1002
                assert app.messages == ([""] * 3 if ws == OURS else [])

        run(main())

    def test_a_last_word_to_a_client_that_still_sends(self, run: Run) -> None:
        """To close TCP while bytes lie unread would reset it, and lose the word
        (SPEC-079h)."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await accept_and_return(scope, receive, send)
            await receive()
            await send({"type": "websocket.send", "bytes": bytes(1_000_000)})

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                for _ in range(20):
                    peer.send_frame(FIN | BINARY, bytes(100_000))
                assert await peer.read_frame() == (FIN | BINARY, bytes(1_000_000))
                assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xe8")
                peer.send_frame(FIN | CLOSE, b"\x03\xe8")
                assert await peer.read_all() == b""

        run(main())

    def test_a_client_that_does_not_answer_the_close(self, run: Run) -> None:
        class Impatient(WebSocketProtocol):
            close_timeout = 0.01

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            await send({"type": "websocket.close", "code": 3000})

        async def main() -> None:
            async with (
                running(app, ws=Impatient) as server,
                await accepted(server) as peer,
            ):
                assert await peer.read_frame() == (FIN | CLOSE, b"\x0b\xb8")
                with contextlib.suppress(ConnectionError):
                    await peer.read_all()

        run(main())


class TestRequests:
    @BOTH
    def test_sec_30_underscores_in_names(self, run: Run, ws: str) -> None:
        app = Recorder()

        async def main() -> None:
            async with running(app, ws=ws, http="httptools") as server:
                headers = [("X_Real_IP", "1.2.3.4"), ("X-Real-IP", "5.6.7.8")]
                async with await accepted(server, "/", *headers):
                    pass
                await app.ended()

        pytest.importorskip("httptools")
        run(main())
        found = [value for name, value in app.scope["headers"] if b"real" in name]
        assert found == ([b"5.6.7.8"] if ws == OURS else [b"1.2.3.4", b"5.6.7.8"])

    @BOTH
    def test_a_request_without_a_host(self, run: Run, ws: str) -> None:
        async def main() -> None:
            async with (
                running(Recorder(), ws=ws, http="httptools") as server,
                await asking(server, without=("Host",)) as peer,
            ):
                expected = b"400" if ws == OURS else b"101"
                assert (await peer.read_head()).split()[1] == expected

        pytest.importorskip("httptools")
        run(main())

    def test_a_request_that_is_no_handshake(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            async with (
                running(Recorder()) as server,
                await asking(server, "/x?y", without=("Sec-WebSocket-Key",)) as peer,
            ):
                answer = await peer.read_all()
                assert answer.startswith(b"HTTP/1.1 400 ")
                assert b"Sec-WebSocket-Key" in answer

        run(main())
        assert '"WebSocket /x?y" 400' in caplog.text

    @BOTH
    def test_one_line_in_the_log(
        self, run: Run, ws: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            async with running(Recorder(), ws=ws) as server:
                caplog.clear()
                async with await accepted(server, "/%41?%42"):
                    pass

        run(main())
        lines = [line.partition(" - ")[2] or line for line in caplog.messages]
        expected = ['"WebSocket /A?%42" [accepted]']
        assert lines == expected + (["connection open"] if ws == THEIRS else [])

    def test_an_application_that_does_not_decide(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Impatient(WebSocketProtocol):
            open_timeout = 0.01

        app = Recorder(accepts=False)

        async def main() -> None:
            async with (
                running(app, ws=Impatient) as server,
                await asking(server) as peer,
            ):
                with contextlib.suppress(ConnectionError):
                    assert await peer.read_all() == b""
                assert await app.ended() == (1006, "")

        run(main())
        assert '"WebSocket /" timed out' in caplog.text
        assert "without completing" not in caplog.text

    def test_shutdown_before_the_decision(self, run: Run) -> None:
        app = Recorder(accepts=False)

        async def main() -> None:
            async with running(app) as server, await asking(server) as peer:
                await until(lambda: app.events)
                stopping = asyncio.ensure_future(server.server.shutdown())
                assert (await peer.read_head()).startswith(b"HTTP/1.1 500 ")
                peer.writer.close()
                assert await app.ended() == (1006, "")
                await stopping

        run(main())


class TestShutdown:
    def test_messages_that_came_are_received(self, run: Run) -> None:
        go = asyncio.Event()
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            await go.wait()
            while not seen or seen[-1]["type"] == "websocket.receive":
                seen.append(await receive())

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                await send_and_wait(peer, server)
                stopping = asyncio.ensure_future(server.server.shutdown())
                assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xf4")
                peer.send_frame(FIN | CLOSE, b"\x03\xf4")
                assert await peer.read_all() == b""
                peer.writer.close()
                go.set()
                await stopping

        run(main())
        assert [one.get("text") or one["code"] for one in seen] == ["a", "b", 1012]

    def test_an_application_that_goes_on_is_cancelled(self, run: Run) -> None:
        cancelled: list[bool] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        async def main() -> None:
            async with running(app, timeout_graceful_shutdown=0) as server:
                peer = await accepted(server)
                async with peer:
                    await server.server.shutdown()
                    assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xf4")
                await until(lambda: cancelled)

        run(main())


async def send_and_wait(peer: Raw, server: Running) -> None:
    """Send two messages, and wait until they were read ahead."""
    for text in (b"a", b"b"):
        peer.send_frame(FIN | TEXT, text)
    await until(lambda: connection_of(server).stats.messages_received == 2)
