"""How clients of the soak behave: as they should, and in all other ways."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

from sansocket import ConnectionClosed, InvalidHandshake
from sansocket.asyncio import ClientConnection, connect
from tests.adapters.support import Raw
from tests.core.support import BINARY, CLOSE, FIN, PING, TEXT, masked, request_bytes

from .servers import DEADLINES, Place

Behaviour: TypeAlias = Callable[[Place, random.Random], Awaitable[None]]

# What a client has to expect; anything else is a fault.
EXPECTED = (ConnectionClosed, InvalidHandshake, OSError, EOFError, TimeoutError)
LINGER = struct.pack("ii", 1, 0)  # to close is to reset


def some_message(chance: random.Random) -> str | bytes:
    """Mostly small, now and then large."""
    size = chance.choice((0, 1, 10, 100, 1000, 1000, 20_000, 200_000))
    return "é" * (size // 2) if chance.random() < 0.5 else chance.randbytes(size)


# Those who behave


def connected(place: Place, chance: random.Random) -> connect:
    scheme = "wss" if place.tls else "ws"
    return connect(
        f"{scheme}://127.0.0.1:{place.port}/",
        ssl=place.tls,
        compression=chance.choice(("deflate", None)),
        proxy=None,
        **DEADLINES,  # type: ignore[arg-type]
    )


async def talk(place: Place, chance: random.Random) -> None:
    """Say something, and listen a while to what comes."""
    async with connected(place, chance) as client:
        for _ in range(chance.randrange(20)):
            await client.send(some_message(chance))
            await listen(client, 0.05)
        if chance.random() < 0.3:
            await client.send(["in ", "two ", "fragments"])
        await at_most(0.5, await client.ping())  # behind messages that nobody receives
        await listen(client, chance.random())


async def listen(client: ClientConnection, seconds: float) -> None:
    await at_most(seconds, client.recv())


async def at_most(seconds: float, awaited: Awaitable[object]) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(awaited, seconds)


async def chatter(place: Place, chance: random.Random) -> None:
    """Send many, and receive none."""
    async with connected(place, chance) as client:
        for _ in range(200):
            await client.send("all the same")


async def be_cancelled(place: Place, chance: random.Random) -> None:
    """Wherever it is just then."""
    task = asyncio.ensure_future(chance.choice((talk, chatter))(place, chance))
    if chance.random() < 0.5:
        for _ in range(chance.randrange(30)):
            await asyncio.sleep(0)
    else:
        await asyncio.sleep(chance.random() / 5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


# Those who do not: they write the bytes


@contextlib.asynccontextmanager
async def socket_to(place: Place) -> AsyncIterator[Raw]:
    """A peer that has not said anything; TLS is there, if there is any."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", place.port, ssl=place.tls
    )
    try:
        yield Raw(reader, writer)
    except RuntimeError as exc:  # uvloop's, if the server was first to end it
        raise ConnectionError from exc
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def opened(place: Place, chance: random.Random) -> AsyncIterator[Raw]:
    """One that has shaken hands."""
    offer = [("Sec-WebSocket-Extensions", "permessage-deflate")]
    async with socket_to(place) as peer:
        peer.send(request_bytes(*offer[: chance.randrange(2)]))
        head = await peer.read_head()
        if head.startswith(b"HTTP/1.1 101 "):
            yield peer
        else:
            raise ConnectionError("refused")


async def never_read(place: Place, chance: random.Random) -> None:
    async with opened(place, chance) as peer:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        first = chance.choice((FIN | TEXT, FIN | BINARY, FIN | PING))
        frame = masked(first, bytes(100))
        for _ in range(chance.randrange(50)):
            if is_over(peer):
                return
            if peer.writer.transport.get_write_buffer_size() < 100_000:
                peer.send(frame * 100)
            await asyncio.sleep(0.01)
        await asyncio.sleep(2 * chance.random())


async def send_garbage(place: Place, chance: random.Random) -> None:
    if chance.random() < 0.5:
        plain = place._replace(tls=None)  # so that TLS gets garbage as well
        async with socket_to(plain) as peer:
            peer.send(chance.randbytes(200) + b"\r\n\r\n")
            await peer.read_all()
    else:
        async with opened(place, chance) as peer:
            peer.send(chance.randbytes(200))
            await peer.read_all()


async def vanish(place: Place, chance: random.Random) -> None:
    """With a reset, wherever the connection is."""
    async with opened(place, chance) as peer:
        for _ in range(chance.randrange(4)):
            peer.send_frame(FIN | BINARY, chance.randbytes(5000))
            await asyncio.sleep(chance.random() / 20)
        sock = peer.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)


async def half_close(place: Place, chance: random.Random) -> None:
    async with opened(place, chance) as peer:
        peer.send_frame(FIN | TEXT, b"the last word")
        if peer.writer.can_write_eof():
            peer.writer.write_eof()
        await peer.read_all()


async def be_slow(place: Place, chance: random.Random) -> None:
    """Byte by byte, in the opening handshake or behind it."""
    if chance.random() < 0.5:
        async with socket_to(place) as peer:
            await send_slowly(peer, request_bytes(), chance)
    else:
        async with opened(place, chance) as peer:
            await send_slowly(peer, masked(FIN | TEXT, bytes(50)) * 3, chance)


async def send_slowly(peer: Raw, data: bytes, chance: random.Random) -> None:
    pause = chance.choice((0.0, 0.001, 0.02))
    for position in range(len(data)):
        if is_over(peer):
            return
        peer.send(data[position : position + 1])
        await asyncio.sleep(pause)


def is_over(peer: Raw) -> bool:
    """Whether it would only fill the log with warnings of asyncio to send more."""
    return peer.reader.at_eof() or peer.writer.transport.is_closing()


async def end_inside_a_message(place: Place, chance: random.Random) -> None:
    """With a close frame, an end of the stream, or half a frame."""
    async with opened(place, chance) as peer:
        peer.send_frame(TEXT, b"the first fragment")
        match chance.randrange(3):
            case 0:
                peer.send_frame(FIN | CLOSE, b"\x03\xe8")
                await peer.read_all()
            case 1:
                peer.send(masked(FIN, bytes(1000))[:500])


async def never_answer_a_close(place: Place, chance: random.Random) -> None:
    async with opened(place, chance) as peer:
        peer.send_frame(FIN | TEXT, b"a" * chance.choice((3, 100, 200_000)))
        await peer.read_all()  # close frames and pings too, without an answer


async def say_nothing(place: Place, chance: random.Random) -> None:
    async with socket_to(place) as peer:
        if place.name == "uvicorn":  # which waits for ever
            await asyncio.sleep(1)
        else:
            await peer.read_all()


BEHAVIOURS: dict[Behaviour, int] = {  # and how often they are seen
    talk: 10,
    chatter: 3,
    be_cancelled: 5,
    never_read: 3,
    send_garbage: 3,
    vanish: 5,
    half_close: 3,
    be_slow: 3,
    end_inside_a_message: 3,
    never_answer_a_close: 2,
    say_nothing: 1,
}
