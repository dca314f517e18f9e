"""What the soak connects to: servers with all options, in the loop of their clients."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

from sansocket.asyncio import ServerConnection, broadcast, serve
from tests.adapters.support import echo, port_of
from tests.adapters.uvicorn_support import OURS, running
from tests.children import run

# Seconds: short, so that the end of those who have gone without a word is seen.
DEADLINES = {
    "open_timeout": 1,
    "ping_interval": 1,
    "ping_timeout": 1,
    "close_timeout": 1,
}
SMALL: dict[str, Any] = {**DEADLINES, "max_size": 100_000, "max_queue": (4, 1)}


class Place(NamedTuple):
    """A server.

    Attributes:
        name: what it is.
        port: where it listens, on the loopback address.
        tls: for its clients, if it speaks TLS.
        members: tells how many connections it has.

    """

    name: str
    port: int
    tls: ssl.SSLContext | None
    members: Callable[[], int]


async def publish(connection: ServerConnection) -> None:
    """Send, and never receive."""
    for number in range(50):
        await connection.send(f"{number} " * number)


async def fail(connection: ServerConnection) -> None:
    """End in all the ways that a handler has."""
    async for message in connection:
        match len(message) % 4:
            case 0:
                await connection.send([message[:1], message[1:]])
            case 1:
                raise ValueError("an error of the handler")
            case 2:
                return
            case _:
                await connection.close(4000, "enough")


async def wait_a_moment(connection: ServerConnection) -> None:
    """Receive with a timeout, and ask whether the peer is alive."""
    with contextlib.suppress(asyncio.TimeoutError):
        while True:
            message = await asyncio.wait_for(connection.recv(), 0.2)
            waiter = await connection.ping()
            await connection.send(message)
            await asyncio.wait_for(waiter, 0.2)


class Room:
    """Whoever comes is told what anybody says."""

    def __init__(self) -> None:
        self.members: set[ServerConnection] = set()

    def come(self, connection: ServerConnection) -> None:
        self.members.add(connection)

    def say(self, connection: ServerConnection, message: str | bytes) -> None:
        connection.send_nowait(message)
        if random.random() < 0.02:
            broadcast(self.members, message[:100])

    def go(self, connection: ServerConnection) -> None:
        self.members.discard(connection)


def refuse(connection: ServerConnection, request: Any) -> Any:
    """Refuse one of four."""
    return connection.respond(403, "no\n") if random.random() < 0.25 else None


async def application(scope: Any, receive: Any, send: Any) -> None:
    """An echo for uvicorn."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send(event | {"type": "websocket.send"})


@contextlib.asynccontextmanager
async def all_servers(folder: Path) -> AsyncIterator[list[Place]]:
    """All of them."""
    contexts = certificate(folder)
    room = Room()
    callbacks = {"on_open": room.come, "on_message": room.say, "on_close": room.go}
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "echo": (echo, {}),
        "small": (echo, SMALL),
        "plain": (echo, {"compression": None, "write_limit": 0, "max_queue": 1}),
        "TLS": (echo, {"ssl": contexts[0]}),
        "publisher": (publish, {}),
        "failing": (fail, {}),
        "waiting": (wait_a_moment, {}),
        "refusing": (echo, {"process_request": refuse}),
        "callbacks": (None, callbacks),
        "callbacks, TLS": (None, callbacks | {"ssl": contexts[0]}),
    }
    async with contextlib.AsyncExitStack() as stack:
        places = []
        for name, (handler, options) in kinds.items():
            options = {**DEADLINES, "backlog": 4096, **options}
            server = await stack.enter_async_context(
                serve(handler, "127.0.0.1", 0, **options)
            )
            tls = contexts[1] if "ssl" in options else None
            places.append(Place(name, port_of(server), tls, lengths(server)))
        web = await stack.enter_async_context(
            running(application, ws=OURS, ws_ping_interval=1, ws_ping_timeout=1)
        )
        places.append(
            Place("uvicorn", port_of(web), None, lambda: len(web.state.connections))
        )
        yield places


def lengths(server: Any) -> Callable[[], int]:
    return lambda: len(server.connections)


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS of the servers, and of clients that trust them."""
    paths = folder / "certificate.pem", folder / "key.pem"
    options = (
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    )
    run(
        ["openssl", *options.split(), "-out", paths[0], "-keyout", paths[1]],
        check=True,
        capture_output=True,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*paths)
    return server, ssl.create_default_context(cafile=str(paths[0]))
