"""The adapter for Sanic in rare situations; it runs in the loop of the test."""

# mypy: disable-error-code="untyped-decorator"
# Sanic's decorators have no types.

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ..core.support import CLOSE, CONT, FIN, PONG, TEXT, masked, request_bytes
from .support import Raw, port_of, until

sanic = pytest.importorskip("sanic")

TIMEOUT = 120.0  # seconds that nothing here should ever take
Handler = Callable[[Any], Awaitable[object]]


class Outcome:
    """What became of a handler.

    Attributes:
        result: what it returned.
        exc: what it raised.
        over: set once either is known.

    """

    def __init__(self, handler: Handler) -> None:
        self.result: Any = None
        self.exc: BaseException | None = None
        self.over = asyncio.Event()
        self._handler = handler

    async def watch(self, request: Any, ws: Any) -> None:
        """Call the handler."""
        try:
            self.result = await self._handler(ws)
        except BaseException as exc:
            self.exc = exc
            raise
        finally:
            self.over.set()


@contextlib.asynccontextmanager
async def served(
    handler: Handler, prepare: Callable[[Any], None] | None = None
) -> AsyncIterator[tuple[Any, Outcome]]:
    """A running server, and what becomes of its handler."""
    from sansocket.sanic import WebSocketProtocol

    outcome = Outcome(handler)
    app = sanic.Sanic(f"Seldom-{id(outcome)}", configure_logging=False)
    app.config.TOUCHUP = False  # it rewrites classes, which only one application can
    app.add_websocket_route(outcome.watch, "/chat")
    if prepare is not None:
        app.middleware("request")(prepare)
    server = await app.create_server(
        sock=socket.create_server(("127.0.0.1", 0)),
        return_asyncio_server=True,
        protocol=WebSocketProtocol,
    )
    await server.startup()
    await server.before_start()
    await server.after_start()
    try:
        yield server.server, outcome
    finally:
        server.close()
        sanic.Sanic.unregister_app(app)


@contextlib.asynccontextmanager
async def peer_of(
    handler: Handler, behind: bytes = b""
) -> AsyncIterator[tuple[Raw, Outcome]]:
    """A client that is connected to a handler, and has sent bytes right behind."""
    async with served(handler) as (server, outcome):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        async with Raw(reader, writer) as peer:
            peer.send(request_bytes() + behind)
            head = await peer.read_head()
            assert head.startswith(b"HTTP/1.1 101 "), head
            yield peer, outcome


def run(main: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(main(), TIMEOUT))


def test_a_client_that_is_gone_before_the_handshake() -> None:
    """Its handler is not called."""

    async def handler(ws: Any) -> None:
        pytest.fail("it is called")

    def hang_up(request: Any) -> None:
        request.transport.abort()

    async def main() -> None:
        async with served(handler, hang_up) as (server, outcome):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
            async with Raw(reader, writer) as peer:
                peer.send(request_bytes())
                with contextlib.suppress(ConnectionError):
                    assert await peer.read_all() == b""
            assert not outcome.over.is_set()

    run(main)


def test_some_of_a_burst() -> None:
    async def handler(ws: Any) -> Any:
        return [
            *(ws.loop is asyncio.get_running_loop(), ws.ws_proto.state.name),
            await ws.recv(),
            *(await ws.recv_burst(2), await ws.recv_burst()),
        ]

    async def main() -> None:
        behind = b"".join(masked(FIN | TEXT, b"%c" % one) for one in b"abcd")
        async with peer_of(handler, behind) as (_, outcome):
            await outcome.over.wait()
        assert outcome.result == [True, "OPEN", "a", ["b", "c"], ["d"]]

    run(main)


def test_a_burst_of_who_is_gone() -> None:
    """What came is received; only then there is an exception."""

    async def handler(ws: Any) -> Any:
        await ws.wait_for_connection_lost()
        return await ws.recv_burst()

    async def main() -> None:
        behind = masked(FIN | TEXT, b"a") + masked(FIN | TEXT, b"b")
        async with peer_of(handler, behind) as (peer, outcome):
            peer.writer.transport.abort()
            await outcome.over.wait()
        assert outcome.result == ["a", "b"]

    run(main)


@pytest.mark.parametrize("intrudes", [False, True])
def test_parts_that_cannot_be_received(intrudes: bool) -> None:
    from sanic.exceptions import ServerError

    async def receive(ws: Any) -> list[Any]:
        return [part async for part in ws.recv_streaming()]

    async def handler(ws: Any) -> Any:
        receiving = asyncio.ensure_future(receive(ws))
        await asyncio.sleep(0)
        if intrudes:
            with pytest.raises(ServerError):
                await receive(ws)
        await ws.send("ready")
        return await receiving

    async def main() -> None:
        async with peer_of(handler) as (peer, outcome):
            assert await peer.read_frame() == (FIN | TEXT, b"ready")
            peer.send_frame(TEXT, b"a")
            if intrudes:
                peer.send_frame(FIN | CONT, b"b")
            else:
                peer.send_frame(FIN | CLOSE, b"\x03\xe8")
                peer.writer.write_eof()
            await outcome.over.wait()
        if intrudes:
            assert "".join(outcome.result) == "ab"
        else:
            assert isinstance(outcome.exc, asyncio.CancelledError)

    run(main)


def test_a_client_that_goes_while_it_is_slow() -> None:
    """Who sends is told, if a message keeps the handler from being cancelled."""
    from sanic.exceptions import WebsocketClosed

    sockets: list[Any] = []

    async def handler(ws: Any) -> None:
        sockets.append(ws)
        while True:
            await ws.send(bytes(2**20))

    async def main() -> None:
        behind = masked(FIN | TEXT, b"nobody receives it")
        async with peer_of(handler, behind) as (peer, outcome):
            reading: Any = peer.writer.transport
            reading.pause_reading()
            (ws,) = sockets
            await until(lambda: ws._connection.bytes_to_write > 2**15)
            peer.writer.transport.abort()
            await outcome.over.wait()
        assert isinstance(outcome.exc, WebsocketClosed)

    run(main)


def test_a_pong_that_comes_too_late() -> None:
    """Nobody waits for it any more; and none is sent once the connection is closed."""
    from sanic.exceptions import WebsocketClosed

    async def handler(ws: Any) -> Any:
        given_up = await ws.ping(b"1")
        given_up.cancel()
        await (await ws.ping(b"2"))
        await ws.close()
        await ws.pong()
        with pytest.raises(WebsocketClosed):  # it knows now, and is not cancelled
            await ws.send("too late")
        return given_up.cancelled(), await ws.wait_for_connection_lost()

    async def main() -> None:
        async with peer_of(handler) as (peer, outcome):
            for payload in (b"1", b"2"):
                assert (await peer.read_frame())[1] == payload
                peer.send_frame(FIN | PONG, payload)
            assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xe8")
            peer.send_frame(FIN | CLOSE, b"\x03\xe8")
            assert await peer.read_all() == b""
            peer.writer.close()
            await outcome.over.wait()
        assert outcome.result == (True, True)

    run(main)


def test_a_connection_that_the_application_fails() -> None:
    async def handler(ws: Any) -> None:
        ws.fail_connection(1008, "against the rules")

    async def main() -> None:
        async with peer_of(handler) as (peer, _):
            expected = (FIN | CLOSE, b"\x03\xf0against the rules")
            assert await peer.read_frame() == expected

    run(main)
