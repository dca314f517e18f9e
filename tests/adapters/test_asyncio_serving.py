"""Our server on asyncio: its handlers, its hooks, and how it and they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from sansocket import (
    ConnectionClosed,
    Headers,
    Response,
    State,
)
from sansocket.asyncio import ServerConnection, serve
from tests.core.support import (
    CLOSE,
    FIN,
    TEXT,
    close_payload,
    request_bytes,
)

from .support import Run, opened, port_of, raw, serving, until


class TestHandlers:
    def test_a_handler_that_fails(self, run: Run, may_log_errors: list[str]) -> None:
        may_log_errors.append("connection handler failed")

        async def handler(connection: ServerConnection) -> None:
            raise RuntimeError("a bug")

        async def main() -> None:
            async with serving(handler) as (_, url):
                client = await connect(url, proxy=None)
                await client.wait_closed()
                assert client.close_code == 1011

        run(main())

    def test_a_handler_that_is_cancelled(self, run: Run) -> None:
        tasks: list[Any] = []

        async def handler(connection: ServerConnection) -> None:
            tasks.append(asyncio.current_task())
            await connection.recv()

        async def main() -> None:
            async with serving(handler) as (_, url):
                client = await connect(url, proxy=None)
                await until(lambda: tasks)
                tasks[0].cancel()
                await client.wait_closed()
                assert client.close_code == 1001

        run(main())


class TestServer:
    def test_closing_it_closes_the_connections(self, run: Run) -> None:
        async def main() -> None:
            server = await serve(lambda c: c.wait_closed(), "127.0.0.1", 0)
            assert server.is_serving()
            assert server.get_loop() is asyncio.get_running_loop()
            url = f"ws://127.0.0.1:{port_of(server)}/"
            client = await connect(url, proxy=None)
            silent = await raw(server)
            server.close(code=1012, reason="update")
            assert not server.is_serving()
            assert await silent.read_all() == b""
            await server.wait_closed()
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (1012, "update")
            assert server.sockets == ()
            silent.writer.close()
            await server.wait_closed()

        run(main())

    def test_connections_may_go_on(self, run: Run) -> None:
        async def main() -> None:
            async with serving() as (server, url):
                client = await connect(url, proxy=None)
                server.close(close_connections=False)
                waiting = asyncio.ensure_future(server.wait_closed())
                await client.send("still here")
                assert await client.recv() == "still here"
                assert not waiting.done()
                await client.close()
                await waiting

        run(main())

    def test_it_waits_for_handlers(self, run: Run) -> None:
        steps: list[str] = []

        async def handler(connection: ServerConnection) -> None:
            await connection.wait_closed()
            for _ in range(5):
                await asyncio.sleep(0)
            steps.append("handler returned")

        async def main() -> None:
            async with serving(handler) as (server, url):
                client = await connect(url, proxy=None)
                await until(lambda: server.connections)
                await client.close()
            steps.append("server closed")

        run(main())
        assert steps == ["handler returned", "server closed"]

    def test_serve_forever(self, run: Run) -> None:
        async def main() -> None:
            async with serving(start_serving=False) as (server, url):
                assert not server.is_serving()
                serving_task = asyncio.ensure_future(server.serve_forever())
                await until(server.is_serving)
                async with connect(url, proxy=None) as client:
                    await client.send("a")
                    assert await client.recv() == "a"
                server.close()
                with pytest.raises(asyncio.CancelledError):
                    await serving_task

        run(main())

    def test_a_server_that_was_not_awaited(self) -> None:
        server = serve(lambda c: c.wait_closed(), "127.0.0.1", 0)
        assert not server.is_serving()
        assert server.sockets == ()
        with pytest.raises(RuntimeError, match="await it"):
            server.get_loop()

    def test_sockets_of_the_caller(self, run: Run) -> None:
        import socket

        async def main() -> None:
            sock = socket.create_server(("127.0.0.1", 0))
            async with serve(lambda c: c.send("hi"), sock=sock) as server:
                url = f"ws://127.0.0.1:{port_of(server)}/"
                async with connect(url, proxy=None) as client:
                    assert await client.recv() == "hi"

        run(main())


class TestClosing:
    def test_codes_and_reasons(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            with pytest.raises(Exception, match="1006"):
                await connection.close(1006)
            await connection.close(3000, "because")
            assert connection.close_code == 3000
            await connection.close()
            with pytest.raises(ConnectionClosed):
                await connection.recv()

        async def main() -> None:
            async with serving(handler) as (_, url):
                client = await connect(url, proxy=None)
                await client.wait_closed()
                assert (client.close_code, client.close_reason) == (3000, "because")

        run(main())

    def test_sec_38_a_peer_that_does_not_answer(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.close()
            assert connection.close_code == 1006
            assert connection.session.timed_out == "closing"

        async def main() -> None:
            async with (
                serving(handler, close_timeout=0.01) as (server, _),
                await opened(server) as peer,
            ):
                frame = await peer.read_frame()
                assert frame == (FIN | CLOSE, close_payload(1000))
                await until(lambda: not server._connections)

        run(main())

    def test_send_while_closing_waits_for_the_end(self, run: Run) -> None:
        errors: list[ConnectionClosed] = []

        async def handler(connection: ServerConnection) -> None:
            closing = asyncio.ensure_future(connection.close(1001))
            await until(lambda: connection.state is State.CLOSING)
            try:
                await connection.send("late")
            except ConnectionClosed as exc:
                errors.append(exc)
            await closing

        async def main() -> None:
            async with serving(handler) as (_, url):
                client = await connect(url, proxy=None)
                await client.wait_closed()

        run(main())
        assert errors[0].rcvd is not None

    def test_a_violation_is_told_to_the_peer(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            async with serving() as (server, _), await opened(server) as peer:
                peer.send_frame(FIN | TEXT, b"fine")
                peer.send_frame(FIN | TEXT, b"\xff")
                assert await peer.read_frame() == (FIN | TEXT, b"fine")
                first, payload = await peer.read_frame()
                assert (first, payload[:2]) == (FIN | CLOSE, close_payload(1007)[:2])
                assert await peer.read_all() == b""

        run(main())

    def test_async_with(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            async with connection as same:
                assert same is connection
            assert connection.state is State.CLOSED

        async def main() -> None:
            async with serving(handler) as (_, url):
                client = await connect(url, proxy=None)
                await client.wait_closed()
                assert client.close_code == 1000

        run(main())


class TestHooks:
    def test_process_request(self, run: Run) -> None:
        async def later(connection: ServerConnection, request: Any) -> Any:
            await asyncio.sleep(0)
            return connection.respond(402, f"{request.path}?\n")

        def plain(connection: ServerConnection, request: Any) -> Any:
            return connection.respond(402, f"{request.path}?\n")

        async def main() -> None:
            for hook in (later, plain):
                async with serving(process_request=hook) as (_, url):
                    with pytest.raises(InvalidStatus) as info:
                        await connect(url, proxy=None)
                    assert info.value.response.status_code == 402
                    assert info.value.response.body == b"/?\n"

        run(main())

    def test_process_response(self, run: Run) -> None:
        def change(connection: ServerConnection, request: Any, response: Any) -> None:
            response.headers["X-More"] = "yes"

        async def replace(
            connection: ServerConnection, request: Any, response: Any
        ) -> Response:
            return Response(410, "Gone", Headers({"Content-Length": "0"}))

        async def main() -> None:
            async with (
                serving(process_response=change, server_header=None) as (_, url),
                connect(url, proxy=None) as client,
            ):
                assert client.response is not None
                assert client.response.headers["X-More"] == "yes"
                assert "Server" not in client.response.headers
            async with serving(process_response=replace) as (_, url):
                with pytest.raises(InvalidStatus, match="410"):
                    await connect(url, proxy=None)

        run(main())

    def test_a_hook_that_fails(self, run: Run, may_log_errors: list[str]) -> None:
        may_log_errors.append("opening handshake failed")

        def bug(connection: ServerConnection, request: Any) -> None:
            raise RuntimeError("a bug")

        def splitting(connection: ServerConnection, request: Any) -> Response:
            headers = Headers()
            headers.set_insecure("X", "1\r\n2")
            return Response(200, "OK", headers)

        async def main() -> None:
            for hook in (bug, splitting):
                async with serving(process_request=hook) as (_, url):
                    with pytest.raises(InvalidStatus, match="500"):
                        await connect(url, proxy=None)

        run(main())

    def test_a_client_that_leaves_while_its_request_is_thought_about(
        self, run: Run
    ) -> None:
        thinking: list[str] = []

        async def forever(connection: ServerConnection, request: Any) -> None:
            thinking.append("begun")
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                thinking.append("ended")

        async def main() -> None:
            async with serving(process_request=forever) as (server, _):
                async with await raw(server) as peer:
                    peer.send(request_bytes())
                    await until(lambda: thinking)
                await until(lambda: len(thinking) == 2)

        run(main())

    def test_a_server_that_closes_while_a_request_is_thought_about(
        self, run: Run
    ) -> None:
        async def slow(connection: ServerConnection, request: Any) -> None:
            connection.server.close()
            await asyncio.sleep(0)

        async def main() -> None:
            async with serving(process_request=slow) as (_, url):
                with pytest.raises(InvalidStatus, match="503"):
                    await connect(url, proxy=None)

        run(main())
