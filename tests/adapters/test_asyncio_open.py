"""Connections whose opening handshake was done elsewhere."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from sansocket import CLIENT, OPEN, SERVER, ClientProtocol, ServerProtocol, parse_uri
from sansocket.asyncio import ClientConnection
from sansocket.asyncio.connection import Connection
from sansocket.protocol import Protocol

from .support import Run, until

URI = parse_uri("ws://example.com/")
SERVERS: list[Callable[..., Connection]] = [
    lambda **options: Connection(Protocol(SERVER, state=OPEN), **options),
    lambda **options: Connection(ServerProtocol(state=OPEN), **options),
]
CLIENTS: list[Callable[..., Connection]] = [
    lambda **options: Connection(Protocol(CLIENT, state=OPEN), **options),
    lambda **options: Connection(ClientProtocol(URI, state=OPEN), **options),
    lambda **options: ClientConnection(ClientProtocol(URI, state=OPEN), **options),
]


async def connected(one: Any, other: Any) -> None:
    """Connect two ends with each other."""
    loop = asyncio.get_running_loop()
    here, there = socket.socketpair()
    await loop.create_connection(lambda: one, sock=here)
    await loop.create_connection(lambda: other, sock=there)


@pytest.mark.parametrize("new_server", SERVERS)
@pytest.mark.parametrize("new_client", CLIENTS)
def test_all_works(
    run: Run, new_server: Callable[..., Any], new_client: Callable[..., Any]
) -> None:
    async def main() -> None:
        server, client = new_server(), new_client()
        await connected(server, client)
        for sender, receiver in ((server, client), (client, server)):
            for message in ("text", b"binary", "x" * 200_000):
                await sender.send(message)
                assert await receiver.recv() == message
            assert await (await sender.ping()) >= 0
        await client.close(1001, "bye")
        await server.wait_closed()
        assert (server.close_code, client.close_code) == (1001, 1001)

    run(main())


def test_callbacks(run: Run) -> None:
    async def main() -> None:
        seen: list[Any] = []
        server = SERVERS[0](
            on_open=lambda _: seen.append("open"),
            on_message=lambda _, message: seen.append(message),
            on_close=lambda _: seen.append("close"),
        )
        client = CLIENTS[0]()
        await connected(server, client)
        assert seen == ["open"]
        await client.send("text")
        await client.close()
        await until(lambda: len(seen) == 3)
        assert seen == ["open", "text", "close"]

    run(main())


def test_the_peer_goes(run: Run) -> None:
    async def main() -> None:
        server, client = SERVERS[0](), CLIENTS[0]()
        await connected(server, client)
        client.transport.abort()
        await server.wait_closed()
        await client.wait_closed()
        assert server.close_code == client.close_code == 1006

    run(main())


def test_connections_of_a_loop_share_a_buffer() -> None:
    """Also where loops take turns."""

    async def make() -> Connection:
        return Connection(ServerProtocol(state=OPEN))

    loops = [asyncio.new_event_loop() for _ in range(2)]
    made = [loop.run_until_complete(make()) for loop in loops * 2]
    first, other, again, _ = (connection.get_buffer(-1) for connection in made)
    assert first is again
    assert first is not other
    for loop in loops:
        loop.close()
