"""What the tests of the asyncio driver share: servers, echoes, raw peers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from sansocket.asyncio import Server, ServerConnection, serve
from tests.core.support import masked, request_bytes

Run: TypeAlias = Callable[[Coroutine[Any, Any, Any]], Any]
Contexts: TypeAlias = tuple[ssl.SSLContext, ssl.SSLContext]

# Python 3.10 warns so of TLS that the peer closed, or that never opened.
UNCLOSED = "ignore:unclosed transport:ResourceWarning"


async def echo(connection: ServerConnection) -> None:
    """Send each message back."""
    async for message in connection:
        await connection.send(message)


@contextlib.asynccontextmanager
async def serving(
    handler: Callable[[ServerConnection], Awaitable[None]] | None = echo, **options: Any
) -> AsyncIterator[tuple[Server, str]]:
    """A server on the loopback address, and its URL."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield server, url_of(server, "wss" if options.get("ssl") else "ws")


def url_of(server: Any, scheme: str = "ws") -> str:
    """Where a server listens."""
    return f"{scheme}://127.0.0.1:{port_of(server)}/"


def port_of(server: Any) -> int:
    port: int = next(iter(server.sockets)).getsockname()[1]
    return port


class Raw:
    """A client that sends the bytes it is told to."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer

    async def __aenter__(self) -> Raw:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def send_frame(self, first: int, payload: bytes = b"") -> None:
        self.send(masked(first, payload))

    async def read_head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def read_frame(self) -> tuple[int, bytes]:
        """A frame of a server: its first byte and its payload."""
        first, length = await self.reader.readexactly(2)
        if length >= 126:
            size = await self.reader.readexactly(2 if length == 126 else 8)
            length = int.from_bytes(size, "big")
        return first, await self.reader.readexactly(length)

    async def read_all(self) -> bytes:
        """What comes until the end of the stream."""
        return await self.reader.read()


async def raw(server: Any, tls: ssl.SSLContext | None = None) -> Raw:
    """Connect, and send nothing."""
    return Raw(*await asyncio.open_connection("127.0.0.1", port_of(server), ssl=tls))


async def opened(server: Any, tls: ssl.SSLContext | None = None) -> Raw:
    """Connect, and shake hands."""
    peer = await raw(server, tls)
    peer.send(request_bytes())
    head = await peer.read_head()
    assert head.startswith(b"HTTP/1.1 101 "), head
    return peer


def keep_little(connection: ServerConnection, peer: Raw) -> None:
    """Let the system keep little of what a server sends and its peer does not read:
    else it takes megabytes until the server notices."""
    for transport, option in (
        (connection.transport, socket.SO_SNDBUF),
        (peer.writer.transport, socket.SO_RCVBUF),
    ):
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, option, 4096)


async def until(condition: Callable[[], Any]) -> None:
    """Let the loop turn until something is so; the test times out if it never is."""
    while not condition():  # noqa: ASYNC110 - it looks at what has no event
        await asyncio.sleep(0)
