"""What the tests inside of uvicorn share: it runs in the loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from tests.core.support import REQUEST_HEADERS

from .support import Raw, raw, until

OURS = "sansocket.uvicorn:WebSocketProtocol"
THEIRS = "websockets-sansio"
BOTH = pytest.mark.parametrize("ws", [OURS, THEIRS], ids=["ours", "theirs"])


class Running:
    """A uvicorn that serves; ``sockets`` is what it listens on."""

    def __init__(self, server: uvicorn.Server) -> None:
        self.server = server
        self.state = server.server_state

    @property
    def sockets(self) -> Any:
        return self.server.servers[0].sockets

    @property
    def url(self) -> str:
        port = self.sockets[0].getsockname()[1]
        return f"ws://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def running(app: Any, **options: Any) -> AsyncIterator[Running]:
    """A uvicorn with an application. At the end all connections must have gone."""
    defaults: dict[str, Any] = {"ws": OURS, "lifespan": "off", "log_config": None}
    config = uvicorn.Config(app, port=0, **defaults | options)
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    await server.on_tick(0)  # it makes the default headers
    try:
        yield Running(server)
        await until(
            lambda: not (server.server_state.connections or server.server_state.tasks)
        )
    finally:
        for listener in server.servers:
            listener.close()


def request_for(
    path: str, *extra: tuple[str, str], without: tuple[str, ...] = ()
) -> bytes:
    """An opening handshake."""
    headers = [pair for pair in REQUEST_HEADERS if pair[0] not in without]
    lines = [f"{name}: {value}" for name, value in (*headers, *extra)]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode("latin-1")


async def asking(
    server: Running,
    path: str = "/",
    *extra: tuple[str, str],
    without: tuple[str, ...] = (),
) -> Raw:
    """Connect, and send an opening handshake."""
    peer = await raw(server)
    peer.send(request_for(path, *extra, without=without))
    return peer


async def accepted(server: Running, path: str = "/", *extra: tuple[str, str]) -> Raw:
    """Connect, and shake hands."""
    peer = await asking(server, path, *extra)
    head = await peer.read_head()
    assert head.startswith(b"HTTP/1.1 101 "), head
    return peer


def connection_of(server: Running) -> Any:
    """The only connection that is open."""
    (connection,) = server.state.connections
    return connection


class Recorder:
    """An application that accepts and notes what it receives.

    Args:
        accepts: whether it accepts at once.
        answers: whether it sends messages back.

    Attributes:
        events: what it received.
        scope: of the latest connection.
        send: of the latest connection.
        done: whether it has received a disconnect.

    """

    def __init__(self, accepts: bool = True, answers: bool = False) -> None:
        self.accepts = accepts
        self.answers = answers
        self.events: list[dict[str, Any]] = []
        self.scope: dict[str, Any] = {}
        self.send: Any = None
        self.done = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.send = scope, send
        while not self.done:
            event = await receive()
            self.events.append(event)
            if event["type"] == "websocket.connect" and self.accepts:
                await send({"type": "websocket.accept"})
            elif event["type"] == "websocket.receive" and self.answers:
                await send(event | {"type": "websocket.send"})
            self.done = event["type"] == "websocket.disconnect"

    @property
    def messages(self) -> list[str | bytes]:
        """The messages that it received."""
        return [
            event["text"] if event.get("text") is not None else event["bytes"]
            for event in self.events
            if event["type"] == "websocket.receive"
        ]

    async def ended(self) -> tuple[int, str]:
        """Wait for the disconnect; give its code and its reason."""
        await until(lambda: self.done)
        last = self.events[-1]
        return last["code"], last.get("reason") or ""


async def turns(number: int = 20) -> None:
    """Let the loop turn, so that what could happen has happened."""
    for _ in range(number):
        await asyncio.sleep(0)
