"""Our client on asyncio where networks and proxies behave oddly."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from sansocket import InvalidHandshake, InvalidProxy
from sansocket.asyncio import connect

from .proxies import OK, Proxy, Reader, Writer, running
from .support import UNCLOSED, Contexts, Run

pytestmark = pytest.mark.filterwarnings(UNCLOSED)


class Unreachable(asyncio.SelectorEventLoop):
    """Its network gives up by itself."""

    async def create_connection(self, *args: Any, **options: Any) -> NoReturn:
        """Fail as ``connect()`` of the operating system does."""
        raise TimeoutError(errno.ETIMEDOUT, "the host does not answer")


def test_a_timeout_of_the_network() -> None:
    """It is raised as it is, since it is not ours."""

    async def main() -> None:
        with pytest.raises(TimeoutError) as excinfo:
            await connect("ws://127.0.0.1:1/")
        assert excinfo.value.errno == errno.ETIMEDOUT

    loop = Unreachable()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_a_proxy_whose_host_is_no_name() -> None:
    """No resolver is asked for it."""
    for host in ("a" * 64, "a..b", "ä" * 60, "a b", "a\0", "[::1%é]", "%61"):
        for scheme in ("", "http://", "socks5://"):
            with pytest.raises(InvalidProxy):
                connect("ws://localhost/", proxy=f"{scheme}{host}:8080")


def test_a_proxy_that_resets_the_connection(run: Run) -> None:
    async def talk(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        sock = writer.get_extra_info("socket")
        at_once = struct.pack("ii", 1, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        writer.transport.abort()

    async def main() -> None:
        proxy = Proxy()
        async with running(proxy, talk):
            with pytest.raises(ConnectionResetError):
                await connect("ws://localhost/", proxy=proxy.url("http"))

    run(main())


def test_a_server_behind_a_proxy_that_speaks_first(
    run: Run, contexts: Contexts
) -> None:
    """A server has nothing to say before it is asked. With TLS 1.2 it can do so in one
    piece with the end of the handshake; no request gets that as its answer."""
    tls, trusting = contexts
    tls.maximum_version = ssl.TLSVersion.TLSv1_2

    async def talk(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        server = Secure(tls, reader, writer)
        await server.shake_hands()
        server.tls.write(b"HTTP/1.1 200 Unasked\r\n\r\n")
        server.flush()
        await reader.read()

    async def main() -> None:
        proxy = Proxy()
        async with running(proxy, talk):
            with pytest.raises((OSError, InvalidHandshake)):
                await connect("wss://127.0.0.1/", proxy=proxy.url("http"), ssl=trusting)

    run(main())


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="asyncio has no TLS inside of TLS"
)
def test_a_proxy_that_opens_a_tunnel_and_ends_tls(run: Run, contexts: Contexts) -> None:
    """In one piece, so that the client sees both before it goes on."""
    tls, trusting = contexts

    async def talk(reader: Reader, writer: Writer) -> None:
        server = Secure(tls, reader, writer)
        await server.shake_hands()
        while b"\r\n\r\n" not in await server.read():
            pass
        server.tls.write(OK)
        with contextlib.suppress(ssl.SSLWantReadError):
            server.tls.unwrap()
        server.flush()
        await reader.read()

    async def main() -> None:
        proxy = Proxy()
        async with running(proxy, talk):
            with pytest.raises(ConnectionResetError):
                await connect(
                    "wss://127.0.0.1/",
                    proxy=proxy.url("https"),
                    ssl=trusting,
                    proxy_ssl=trusting,
                )

    run(main())


class Secure:
    """The server's end of TLS, which writes when it is told to."""

    def __init__(self, context: ssl.SSLContext, reader: Reader, writer: Writer) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._reader = reader
        self._writer = writer

    async def shake_hands(self) -> None:
        """Do so; what completes it is not written yet."""
        await self._until_done(self.tls.do_handshake)

    async def read(self) -> bytes:
        """Some bytes, decrypted."""
        data: bytes = await self._until_done(lambda: self.tls.read(65536))
        return data

    def flush(self) -> None:
        """Write all in one piece."""
        self._writer.write(self._outgoing.read())

    async def _until_done(self, step: Callable[[], Any]) -> Any:
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                return step()
            self.flush()
            self._incoming.write(await self._reader.read(65536))
