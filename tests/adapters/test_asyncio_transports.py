"""The asyncio driver over TLS and over Unix sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from typing import Any

import pytest
import websockets.asyncio.client as reference

from sansocket import ConnectionClosedOK, Response
from sansocket.asyncio import (
    ServerConnection,
    connect,
    serve,
    unix_connect,
    unix_serve,
)

from .support import UNCLOSED, Contexts, Run, echo, serving, until

MESSAGES: list[str | bytes] = ["", "Wörld", b"\0\xff", "a" * 70_000, bytes(300_000)]


@pytest.mark.filterwarnings(UNCLOSED)
class TestTLS:
    def test_echo(self, run: Run, contexts: Contexts) -> None:
        server, client = contexts

        async def main() -> None:
            async with serving(ssl=server) as (_, url):
                async with reference.connect(url, ssl=client, proxy=None) as one:
                    for message in MESSAGES:
                        await one.send(message)
                        assert await one.recv() == message
                async with connect(url, ssl=client) as two:
                    for message in MESSAGES:
                        await two.send(message)
                        assert await two.recv() == message
                    assert await (await two.ping()) >= 0
                assert two.close_code == 1000

        run(main())

    def test_the_server_closes(self, run: Run, contexts: Contexts) -> None:
        server, client = contexts

        async def handler(connection: ServerConnection) -> None:
            for number in range(50):
                await connection.send(str(number))
            await connection.close(3000, "done")

        async def main() -> None:
            async with (
                serving(handler, ssl=server) as (_, url),
                connect(url, ssl=client) as one,
            ):
                received = [await one.recv() for _ in range(50)]
                assert received == [str(number) for number in range(50)]
                await one.wait_closed()
                assert (one.close_code, one.close_reason) == (3000, "done")

        run(main())

    def test_messages_before_the_close_are_kept(
        self, run: Run, contexts: Contexts
    ) -> None:
        """Also if there are more than the queue takes."""
        server, client = contexts
        received: list[Any] = []

        async def main() -> None:
            go = asyncio.Event()

            async def handler(connection: ServerConnection) -> None:
                await go.wait()
                while True:
                    received.append(await connection.recv())

            async with serving(handler, ssl=server, max_queue=4) as (running, url):
                one = await connect(url, ssl=client)
                for number in range(10):
                    await one.send(str(number))
                await until(lambda: running.connections)
                one.flush()
                one.transport.close()
                go.set()
                await until(lambda: not running._tasks)
                assert received == [str(number) for number in range(10)]

        run(main())

    def test_a_violation_is_told_to_the_peer(
        self, run: Run, contexts: Contexts, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sansocket.asyncio._link.LINGER", 0.01)
        server, client = contexts

        async def main() -> None:
            async with (
                serving(ssl=server, max_size=10) as (_, url),
                connect(url, ssl=client) as one,
            ):
                await one.send(bytes(100_000))
                await one.wait_closed()
                assert one.close_code == 1009

        run(main())

    def test_sockets_of_the_caller(self, run: Run, contexts: Contexts) -> None:
        server, client = contexts

        async def main() -> None:
            listening = socket.create_server(("127.0.0.1", 0))
            async with serve(echo, sock=listening, ssl=server):
                sock = socket.create_connection(listening.getsockname())
                sock.setblocking(False)
                async with connect("wss://127.0.0.1/", sock=sock, ssl=client) as one:
                    await one.send("a")
                    assert await one.recv() == "a"

        run(main())

    def test_a_client_that_does_not_trust(self, run: Run, contexts: Contexts) -> None:
        async def main() -> None:
            async with serving(ssl=contexts[0]) as (_, url):
                with pytest.raises(ssl.SSLCertVerificationError):
                    await connect(url)

        run(main())

    def test_refused(self, run: Run, contexts: Contexts) -> None:
        def refuse(connection: Any, request: Any) -> Response:
            response: Response = connection.respond(403, "no\n")
            return response

        async def main() -> None:
            async with serving(ssl=contexts[0], process_request=refuse) as (_, url):
                with pytest.raises(Exception, match="403"):
                    await connect(url, ssl=contexts[1])

        run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")
class TestUnixSockets:
    def test_echo(self, run: Run, socket_path: str) -> None:
        path = socket_path

        async def main() -> None:
            async with unix_serve(echo, path):
                async with reference.unix_connect(path) as one:
                    await one.send("a")
                    assert await one.recv() == "a"
                async with unix_connect(path) as two:
                    await two.send("b")
                    assert await two.recv() == "b"
                async with unix_connect(path, "ws://example.com/x") as three:
                    assert three.request is not None
                    assert three.request.path == "/x"
                    assert three.request.headers["Host"] == "example.com"

        run(main())

    def test_sockets_of_the_caller(self, run: Run, socket_path: str) -> None:
        path = socket_path

        async def main() -> None:
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(path)
            async with unix_serve(echo, sock=listening):
                sock = socket.socket(socket.AF_UNIX)
                sock.connect(path)
                sock.setblocking(False)
                async with unix_connect(sock=sock) as one:
                    await one.send("a")
                    assert await one.recv() == "a"

        run(main())

    def test_tls(self, run: Run, socket_path: str, contexts: Contexts) -> None:
        path = socket_path

        async def main() -> None:
            async with (
                unix_serve(lambda c: c.send("hi"), path, ssl=contexts[0]),
                unix_connect(path, ssl=contexts[1]) as one,
            ):
                assert await one.recv() == "hi"
                with pytest.raises(ConnectionClosedOK):
                    await one.recv()

        run(main())
