"""Small proxies on the loopback address, whatever host is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from .support import port_of, until

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter

OK = b"HTTP/1.1 200 OK\r\n\r\n"


class Proxy:
    """A running proxy.

    Attributes:
        port: where it listens.
        asked: what clients asked for: heads of HTTP, or fields of SOCKS.
    """

    port: int

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def url(self, scheme: str, user_info: str = "") -> str:
        return f"{scheme}://{user_info}127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def http_proxy(answer: bytes = OK, **options: Any) -> AsyncIterator[Proxy]:
    """A proxy of HTTP that sends this answer; a tunnel it opens if that is ``OK``."""
    proxy = Proxy()

    async def talk(reader: Reader, writer: Writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        proxy.asked.append(head)
        writer.write(answer)
        if answer == OK:
            target = head.split()[1].decode()
            await relay(int(target.rpartition(":")[2]), reader, writer)

    async with running(proxy, talk, **options):
        yield proxy


@contextlib.asynccontextmanager
async def socks_proxy(
    user: tuple[str, str] | None = None, answer: bytes | None = None
) -> AsyncIterator[Proxy]:
    """A proxy of SOCKS 4, 4a and 5; what is asked for are version, host, and user.

    Args:
        user: who may use it, with SOCKS 5.
        answer: what it sends instead of what it should.
    """
    proxy = Proxy()

    async def talk(reader: Reader, writer: Writer) -> None:
        version = (await reader.readexactly(1))[0]
        if answer is not None:
            writer.write(answer)
            return
        speak = socks4 if version == 4 else socks5
        target = await speak(reader, writer, user, proxy.asked)
        if target is not None:
            await relay(target, reader, writer)

    async with running(proxy, talk):
        yield proxy


async def socks4(reader: Reader, writer: Writer, user: Any, asked: list[Any]) -> int:
    _, port, address = struct.unpack(">BH4s", await reader.readexactly(7))
    name = (await reader.readuntil(b"\0"))[:-1].decode()
    host = socket.inet_ntoa(address)
    if host.startswith("0.0.0."):  # SOCKS 4a: the name follows
        host = (await reader.readuntil(b"\0"))[:-1].decode()
    asked.append((4, host, name))
    writer.write(bytes([0, 90, 0, 0, 0, 0, 0, 0]))
    return int(port)


async def socks5(
    reader: Reader, writer: Writer, user: Any, asked: list[Any]
) -> int | None:
    await reader.readexactly((await reader.readexactly(1))[0])
    writer.write(bytes([5, 2 if user else 0]))
    sent = None
    if user:
        await reader.readexactly(1)
        name, password = await text(reader), await text(reader)
        sent = name, password
        writer.write(bytes([1, sent != user]))
    if sent != user:
        return None
    kind = (await reader.readexactly(4))[3]
    if kind == 3:
        host = await text(reader)
    else:
        host = socket.inet_ntoa(await reader.readexactly(4))
    asked.append((5, host, sent))
    writer.write(bytes([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
    return int.from_bytes(await reader.readexactly(2), "big")


async def text(reader: Reader) -> str:
    return (await reader.readexactly((await reader.readexactly(1))[0])).decode()


@contextlib.asynccontextmanager
async def running(
    proxy: Proxy, talk: Callable[[Reader, Writer], Awaitable[None]], **options: Any
) -> AsyncIterator[None]:
    tasks: set[Any] = set()  # uvloop does not keep them from being collected

    async def safely(reader: Reader, writer: Writer) -> None:
        tasks.add(asyncio.current_task())
        try:
            # Not only ConnectionError: to be too late to half-close is none.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await talk(reader, writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        finally:
            tasks.discard(asyncio.current_task())

    server = await asyncio.start_server(safely, "127.0.0.1", 0, **options)
    async with server:
        proxy.port = port_of(server)
        yield
        await until(lambda: not tasks)


async def relay(port: int, reader: Reader, writer: Writer) -> None:
    """Carry bytes both ways, until both sides are at their end."""
    their_reader, their_writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(carry(reader, their_writer), carry(their_reader, writer))
    their_writer.close()


async def carry(reader: Reader, writer: Writer) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    if writer.can_write_eof() and not writer.is_closing():
        with contextlib.suppress(OSError):
            writer.write_eof()
    else:
        writer.close()
