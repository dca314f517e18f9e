"""Both directions flow by themselves, other tasks have their turn, and whoever is alive
is not given up."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import Any

import pytest
import websockets.asyncio.server as reference_server

from sansocket import ConnectionClosed, State
from sansocket.asyncio import ServerConnection, connect
from tests.core.support import CLOSE, FIN, TEXT, request_bytes

from .support import Contexts, Run, opened, port_of, serving, until, url_of

BINARY = 0x82


class TestDirections:
    """Neither waits for the other (the kind of a deadlock)."""

    @pytest.mark.parametrize(("count", "size"), [(300, 100_000), (40, 900_000)])
    def test_a_client_that_sends_all_before_its_echoes_are_wanted(
        self, run: Run, count: int, size: int
    ) -> None:
        async def reference_echo(connection: Any) -> None:
            async for message in connection:
                await connection.send(message)

        async def main() -> None:
            async with (
                reference_server.serve(
                    reference_echo, "127.0.0.1", 0, compression=None
                ) as server,
                connect(url_of(server), compression=None) as client,
            ):
                message = bytes(size)
                receiving = asyncio.ensure_future(receive(client, count))
                for _ in range(count):
                    await client.send(message)
                assert await receiving == [size] * count

        run(main())

    def test_callbacks_that_only_receive(self, run: Run) -> None:
        """The messages of a burst come back while it is still on its way."""
        count, size = 200, 100_000
        sizes: list[int] = []

        def received(connection: Any, message: Any) -> None:
            sizes.append(len(message))

        async def main() -> None:
            async with (
                serving(compression=None) as (_, url),
                connect(url, compression=None, on_message=received) as client,
            ):
                for _ in range(count):
                    client.send_nowait(bytes(size))
                await until(lambda: len(sizes) == count)

        run(main())

    def test_a_burst_of_on_open(self, run: Run) -> None:
        count, size = 200, 100_000
        sizes: list[int] = []

        def burst(connection: Any) -> None:
            for _ in range(count):
                connection.send_nowait(bytes(size))

        def received(connection: Any, message: Any) -> None:
            sizes.append(len(message))

        async def main() -> None:
            async with (
                serving(compression=None) as (_, url),
                connect(url, compression=None, on_open=burst, on_message=received),
            ):
                await until(lambda: len(sizes) == count)

        run(main())

    @pytest.mark.parametrize("secure", [False, True])
    def test_a_handler_that_only_sends_hears_its_peer(
        self, run: Run, contexts: Contexts, secure: bool
    ) -> None:
        heard: list[Any] = []

        async def handler(connection: ServerConnection) -> None:
            sending = asyncio.ensure_future(send_for_ever(connection, bytes(100_000)))
            heard.append(await connection.recv())
            with pytest.raises(ConnectionClosed):
                await connection.recv()
            heard.append(connection.protocol.close_rcvd)
            with pytest.raises(ConnectionClosed):
                await sending

        server_tls, client_tls = contexts if secure else (None, None)

        async def main() -> None:
            async with (
                serving(handler, compression=None, ssl=server_tls) as (server, url),
                connect(url, ssl=client_tls, compression=None, max_queue=1) as client,
            ):
                (connection,) = server.connections
                await until(lambda: connection.bytes_to_write > 2**15)
                await client.ping("while it sends")
                await client.send("stop")
                await until(lambda: heard)
                assert heard == ["stop"]
                await client.close(1001)
                await until(lambda: len(heard) == 2)
                assert heard[1].code == 1001

        run(main())

    @pytest.mark.parametrize("write_limit", [0, 1, (100, 10)])
    def test_tls_with_little_room_to_write(
        self, run: Run, contexts: Contexts, write_limit: Any
    ) -> None:
        server_tls, client_tls = contexts
        options: Any = {"write_limit": write_limit, "compression": None}

        async def main() -> None:
            async with (
                serving(ssl=server_tls, **options) as (_, url),
                connect(url, ssl=client_tls, **options) as client,
            ):
                for size in (0, 1, 100_000, 1_000_000):
                    await client.send(bytes(size))
                    assert await client.recv() == bytes(size)

        run(main())


class TestTurns:
    """A sender lets the loop turn, and learns that nobody is there any more."""

    @pytest.mark.parametrize("message", ["x" * 100, "", ["in", "parts"], b"x" * 70_000])
    @pytest.mark.parametrize("end", ["FIN", "RST", "close frame"])
    def test_sending_without_end(self, run: Run, message: Any, end: str) -> None:
        raised: list[Exception] = []

        async def handler(connection: ServerConnection) -> None:
            try:
                await send_for_ever(connection, message)
            except ConnectionClosed as exc:
                raised.append(exc)
                raise

        async def main() -> None:
            async with (
                serving(handler, close_timeout=0.01) as (server, _),
                await opened(server) as peer,
            ):
                await peer.read_frame()
                if end == "close frame":
                    peer.send_frame(FIN | CLOSE, b"\x03\xe8")
                elif end == "RST":
                    peer.writer.transport.abort()
                else:
                    peer.writer.close()
                await until(lambda: raised)

        run(main())

    @pytest.mark.parametrize("call", ["ping", "pong"])
    def test_control_frames_without_end(self, run: Run, call: str) -> None:
        raised: list[Exception] = []

        async def handler(connection: ServerConnection) -> None:
            try:
                while True:
                    await getattr(connection, call)()
            except ConnectionClosed as exc:
                raised.append(exc)
                raise

        async def main() -> None:
            async with serving(handler) as (server, _), await opened(server) as peer:
                await peer.read_frame()
                peer.writer.transport.abort()
                await until(lambda: raised)

        run(main())

    def test_other_tasks_have_their_turn(self, run: Run) -> None:
        """While one sends as fast as the peer reads, in its own task or in the call
        that has read a message."""
        turns = 0

        async def handler(connection: ServerConnection) -> None:
            await connection.recv()
            while turns < 100:
                await connection.send("x" * 100)

        async def others() -> None:
            nonlocal turns
            while turns < 100:
                await asyncio.sleep(0)
                turns += 1

        async def main() -> None:
            async with serving(handler) as (_, url), connect(url) as client:
                counting = asyncio.ensure_future(others())
                await client.send("go")
                with contextlib.suppress(ConnectionClosed):
                    async for _ in client:
                        pass
                await counting

        run(main())

    def test_messages_leave_while_their_sender_computes(self, run: Run) -> None:
        """One that has nothing else to send, and never lets the loop turn: each is
        on the wire before it goes on."""
        arrived: list[int] = []

        async def handler(connection: ServerConnection) -> None:
            await connection.recv()
            for number in range(5):
                await connection.send(str(number))
                compute(0.002)
                arrived.append(len(peers[0].recv(1000, socket.MSG_PEEK)))

        peers: list[socket.socket] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            async with serving(handler, compression=None) as (server, _):
                with socket.create_connection(("127.0.0.1", port_of(server))) as sock:
                    sock.setblocking(False)
                    peers.append(sock)
                    await loop.sock_sendall(sock, request_bytes())
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        head += await loop.sock_recv(sock, 1)
                    await loop.sock_sendall(sock, b"\x81\x80abcd")
                    await until(lambda: len(arrived) == 5)
            assert arrived == [3, 6, 9, 12, 15]

        run(main())

    def test_a_burst_leaves_in_few_writes(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, _), await opened(server) as peer:
                (connection,) = server.connections
                transport: Any = Counting(connection.transport)
                connection.transport = transport
                for number in range(20):
                    await connection.send(str(number))
                for number in range(20):
                    assert (await peer.read_frame())[1] == str(number).encode()
                assert transport.writes < 10  # 2, unless the machine is slow

        run(main())

    @pytest.mark.parametrize("secure", [False, True])
    @pytest.mark.parametrize("unread", [1, 9])
    def test_a_peer_that_goes_while_nobody_receives(
        self,
        run: Run,
        contexts: Contexts,
        caplog: pytest.LogCaptureFixture,
        secure: bool,
        unread: int,
    ) -> None:
        """With TLS, event loops tell nobody of the end while reading is paused."""
        raised: list[Exception] = []

        async def handler(connection: ServerConnection) -> None:
            try:
                while True:
                    await connection.send("published")
                    await asyncio.sleep(0)
            except ConnectionClosed as exc:
                raised.append(exc)

        tls = contexts if secure else (None, None)

        async def main() -> None:
            options: Any = {"max_queue": 1, "compression": None, "ssl": tls[0]}
            options |= {"ping_interval": 0.05, "ping_timeout": None}
            async with serving(handler, **options) as (server, _):
                with contextlib.suppress(OSError):  # what comes after its end
                    async with await opened(server, tls[1]) as peer:
                        for _ in range(unread):
                            peer.send_frame(BINARY, bytes(10_000))
                        (connection,) = server.connections
                        if unread > 1:
                            await until(lambda: not connection.session.reading)
                await until(lambda: raised)

        run(main())
        assert "SSL connection is closed" not in caplog.messages


class TestSlowPeers:
    def test_a_peer_that_reads_a_large_message_slowly_is_alive(self, run: Run) -> None:
        """The ping waits behind it, in the buffers of both ends."""
        size = 1_500_000

        async def handler(connection: ServerConnection) -> None:
            await connection.recv()
            await connection.send(bytes(size))
            await connection.recv()

        async def main() -> None:
            loop = asyncio.get_running_loop()
            # Both ends may have to wait for the processor, but not for that long.
            options: Any = {"ping_interval": 0.2, "ping_timeout": 0.2}
            async with serving(handler, compression=None, **options) as (server, _):
                with slow_socket(port_of(server)) as sock:
                    await loop.sock_sendall(sock, request_bytes() + b"\x81\x80abcd")
                    received = 0
                    while received < size:
                        await asyncio.sleep(0.1)  # not at the end: it answers no ping
                        # More at a time than the network holds for it: then there is
                        # progress between any two looks, however busy the machine is.
                        wanted = min(received + 100_000, size)
                        while received < wanted:
                            received += len(await loop.sock_recv(sock, 20_000))
                    (connection,) = server.connections
                    assert connection.state is State.OPEN

        run(main())

    def test_one_that_stops_reading_is_given_up(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.send(bytes(10_000_000))

        async def main() -> None:
            loop = asyncio.get_running_loop()
            options: Any = {
                "ping_interval": 0.02,
                "ping_timeout": 0.02,
                "close_timeout": 0.02,
            }
            async with serving(handler, compression=None, **options) as (server, _):
                with slow_socket(port_of(server)) as sock:
                    await loop.sock_sendall(sock, request_bytes())
                    await until(lambda: server.connections)
                    (connection,) = server.connections
                    await connection.wait_closed()
                    assert connection.session.timed_out == "keepalive"

        run(main())

    @pytest.mark.parametrize("count", [20, 500])
    def test_a_close_frame_behind_messages_that_nobody_receives(
        self, run: Run, count: int
    ) -> None:
        codes: list[int | None] = []

        async def handler(connection: ServerConnection) -> None:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await connection.send("published")
                    await asyncio.sleep(0)
            codes.append(connection.close_code)

        async def main() -> None:
            async with (
                serving(handler, close_timeout=None) as (server, _),
                await opened(server) as peer,
            ):
                for number in range(count):
                    peer.send_frame(FIN | TEXT, b"unread %d" % number)
                peer.send_frame(FIN | CLOSE, b"\x03\xe9")
                assert (await peer.read_all()).endswith(b"\x88\x02\x03\xe9")
            assert codes == [1001]

        run(main())


async def receive(connection: Any, count: int) -> list[int]:
    """The lengths of the next messages."""
    return [len(await connection.recv()) for _ in range(count)]


async def send_for_ever(connection: Any, message: Any) -> None:
    while True:
        await connection.send(message)


def compute(seconds: float) -> None:
    """Keep this thread, and so the event loop, busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


class Counting:
    """A transport that counts its writes."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def slow_socket(port: int) -> socket.socket:
    """Connect, with little room for what is not read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
    sock.connect(("127.0.0.1", port))
    sock.setblocking(False)
    return sock
