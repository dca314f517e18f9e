"""Inside of uvicorn: rare situations, and options that few know of."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest
import uvicorn
from uvicorn.logging import TRACE_LOG_LEVEL
from uvicorn.server import ServerState

from sansocket.uvicorn import WebSocketProtocol
from tests.core.support import CLOSE, FIN, TEXT

from .clocks import SkippingLoop
from .support import Raw, Run, until
from .uvicorn_support import (
    Recorder,
    accepted,
    asking,
    request_for,
    running,
)

ACCEPT = {"type": "websocket.accept"}
START = {"type": "websocket.http.response.start", "status": 403}
BODY = {"type": "websocket.http.response.body", "body": b"x", "more_body": True}

WAITS = WebSocketProtocol.open_timeout or 0

colour = ContextVar("colour", default="none")


@contextlib.asynccontextmanager
async def peer_of(app: Any) -> AsyncIterator[Raw]:
    """A client of a protocol that stands by itself, without a server around it."""
    loop = asyncio.get_running_loop()
    config = uvicorn.Config(app, log_config=None)
    state = ServerState()
    ours, theirs = socket.socketpair()
    await loop.connect_accepted_socket(
        lambda: WebSocketProtocol(config, state, {}), ours
    )
    async with Raw(*await asyncio.open_connection(sock=theirs)) as peer:
        yield peer
    await until(lambda: not (state.connections or state.tasks))


def run_skipping(coroutine: Any) -> None:
    """Run where time passes at once."""
    loop = SkippingLoop()
    try:
        loop.run_until_complete(coroutine)
    finally:
        loop.close()


def test_a_protocol_without_a_server(run: Run) -> None:
    """It loads the configuration, as uvicorn's own protocols do."""
    recorder = Recorder(answers=True)

    async def main() -> None:
        async with peer_of(recorder) as peer:
            peer.send(request_for("/"))
            assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
            peer.send_frame(FIN | TEXT, b"Hello")
            assert await peer.read_frame() == (FIN | TEXT, b"Hello")

    run(main())
    assert recorder.scope["http_version"] == "1.1"
    assert recorder.done


def test_a_client_that_sends_no_request() -> None:
    """It has to go, and no application hears of it."""
    recorder = Recorder()

    async def main() -> None:
        async with peer_of(recorder) as peer:
            assert await peer.read_all() == b""
            assert asyncio.get_running_loop().time() >= WAITS

    run_skipping(main())
    assert recorder.events == []


def test_a_denial_that_takes_too_long() -> None:
    """The client is dropped, and the application is told that it is gone."""
    raised = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        await asyncio.sleep(WAITS + 1)
        try:
            await send(BODY)
        except OSError:
            raised.set()

    async def main() -> None:
        async with peer_of(app) as peer:
            peer.send(request_for("/"))
            assert await peer.read_all() == b""
            assert asyncio.get_running_loop().time() >= WAITS
            await raised.wait()

    run_skipping(main())


def test_a_client_that_ends_the_stream_of_its_denial(run: Run) -> None:
    """The application need not go on, though the connection is not lost yet."""
    go = asyncio.Event()
    raised: list[OSError] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        go.set()
        try:
            while True:
                await send(BODY)
        except OSError as exc:
            raised.append(exc)

    async def main() -> None:
        async with running(app) as server, await asking(server) as peer:
            await go.wait()
            peer.writer.write_eof()
            await until(lambda: raised)
            answer = await peer.read_all()
            assert answer.startswith(b"HTTP/1.1 403 ")
            assert not answer.endswith(b"0\r\n\r\n")  # it is cut short

    run(main())


def test_a_task_without_the_servers_context(run: Run) -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(colour.get())
        await receive()
        await send({"type": "websocket.close"})

    async def main() -> None:
        colour.set("red")
        for resets in (False, True):
            async with (
                running(app, reset_contextvars=resets) as server,
                await asking(server) as peer,
            ):
                await peer.read_all()

    run(main())
    assert seen == ["red", "none"]


def test_a_result_that_nobody_asked_for(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, as with uvicorn's own protocols."""

    async def app(scope: Any, receive: Any, send: Any) -> str:
        await receive()
        await send(ACCEPT)
        return "result"

    async def main() -> None:
        async with running(app) as server, await accepted(server) as peer:
            assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xe8")

    run(main())
    expected = "ASGI callable should return None, but returned 'result'."
    assert expected in caplog.messages


def test_connections_are_traced(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    """With the address of the client, also when it is gone."""
    addresses: list[str] = []

    async def main() -> None:
        caplog.set_level(TRACE_LOG_LEVEL, "uvicorn.error")
        async with running(Recorder()) as server, await accepted(server) as peer:
            addresses.append("{}:{}".format(*peer.writer.get_extra_info("sockname")))

    run(main())
    messages = [one for one in caplog.messages if "WebSocket connection" in one]
    assert messages == [
        f"{addresses[0]} - WebSocket connection {event}" for event in ("made", "lost")
    ]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_loop_that_is_closed_too_early(caplog: pytest.LogCaptureFixture) -> None:
    """The application is told by the interpreter, and nothing by us, as there is
    nobody left to wait."""
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await receive()
            await send(ACCEPT)
            await receive()
        except GeneratorExit:
            ended.append("closed")
            raise

    async def main() -> None:
        server = running(app)
        left.append(server)
        left.append(await accepted(await server.__aenter__()))

    left: list[Any] = []
    caplog.set_level(logging.INFO)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, context: None)
    loop.run_until_complete(main())
    loop.close()
    left.clear()
    del loop
    gc.collect()
    assert ended == ["closed"]
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
