"""Our client on asyncio, with the server of the ``websockets`` package and our own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, TypeAlias

import pytest
import websockets.asyncio.server as reference

from sansocket import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatus,
    InvalidURI,
    NegotiationError,
    Request,
    ServerProtocol,
    State,
)
from sansocket.asyncio import ClientConnection, ServerConnection, connect
from tests.core.support import CLOSE, FIN, TEXT, close_payload

from . import support
from .support import Run, echo, until, url_of

Serving: TypeAlias = Callable[..., AbstractAsyncContextManager[tuple[Any, str]]]

MESSAGES: list[str | bytes] = ["", "Wörld", b"\0\xff", "a" * 70_000, bytes(300_000)]


@asynccontextmanager
async def serving_reference(handler: Any = echo, **options: Any) -> Any:
    async with reference.serve(handler, "127.0.0.1", 0, **options) as server:
        yield server, url_of(server)


@pytest.fixture(params=["ours", "websockets"])
def serving(request: pytest.FixtureRequest) -> Serving:
    """Serve with our server, or with that of the ``websockets`` package."""
    return support.serving if request.param == "ours" else serving_reference


class ShiftedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward."""

    shift = 0.0

    def time(self) -> float:
        return super().time() + self.shift


class TestMessages:
    @pytest.mark.parametrize("compression", ["deflate", None])
    def test_echo(self, run: Run, serving: Serving, compression: str | None) -> None:
        async def main() -> None:
            async with (
                serving() as (_, url),
                connect(url, compression=compression) as client,
            ):
                assert len(client.protocol.extensions) == (compression is not None)
                for message in MESSAGES:
                    await client.send(message)
                    assert await client.recv() == message
                await client.send("secret", compress=False)
                assert await client.recv() == "secret"
                await client.send(["frag", "ments"])
                assert await client.recv() == "fragments"

        run(main())

    def test_many_at_once(self, run: Run, serving: Serving) -> None:
        async def main() -> None:
            async with serving() as (_, url), connect(url) as client:
                for number in range(500):
                    await client.send(str(number))
                received = [await client.recv() for _ in range(500)]
                assert received == [str(number) for number in range(500)]

        run(main())

    def test_awaited(self, run: Run, serving: Serving) -> None:
        async def main() -> None:
            async with serving() as (_, url):
                client = await connect(url)
                assert client.state is State.OPEN
                await client.close(1001, "away")
                assert (client.close_code, client.close_reason) == (1001, "away")

        run(main())

    def test_leaving_the_context(self, run: Run, serving: Serving) -> None:
        async def fail(url: str, clients: list[ClientConnection]) -> None:
            async with connect(url) as client:
                clients.append(client)
                raise RuntimeError("a bug")

        async def main() -> None:
            async with serving() as (_, url):
                async with connect(url) as client:
                    pass
                assert client.close_code == 1000
                clients: list[ClientConnection] = []
                with pytest.raises(RuntimeError, match="a bug"):
                    await fail(url, clients)
                assert clients[0].close_code == 1011

        run(main())

    def test_iterating(self, run: Run, serving: Serving) -> None:
        async def handler(connection: Any) -> None:
            await connection.send("a")
            await connection.send(b"b")
            await connection.close(int(await connection.recv()))

        async def main() -> None:
            async with serving(handler) as (_, url):
                async with connect(url) as client:
                    await client.send("1001")
                    assert [message async for message in client] == ["a", b"b"]
                    with pytest.raises(ConnectionClosedOK):
                        await client.recv()
                async with connect(url) as client:
                    await client.send("3000")
                    with pytest.raises(ConnectionClosedError, match="3000"):
                        [message async for message in client]

        run(main())


class TestHandshake:
    def test_what_is_sent(self, run: Run, serving: Serving) -> None:
        seen: list[Any] = []

        async def handler(connection: Any) -> None:
            seen.append(connection.request)

        options: dict[str, Any] = {
            "origin": "https://here",
            "subprotocols": ["chat"],
            "additional_headers": {"X-More": "yes"},
            "user_agent_header": None,
        }

        async def main() -> None:
            async with serving(handler, subprotocols=["chat"]) as (_, url):
                url = url.replace("://", "://me:secret@")
                async with connect(url + "path?query", **options) as client:
                    assert client.subprotocol == "chat"
                    assert client.request is not None
                    assert client.response is not None
                    assert client.response.status_code == 101
                    await client.wait_closed()
                chat: Any = ["chat"]
                async with connect(url, subprotocols=chat) as client:
                    await client.wait_closed()
                more: dict[str, Any] = {"additional_headers": {"User-Agent": "mine"}}
                async with connect(url, subprotocols=chat, **more) as client:
                    await client.wait_closed()

        run(main())
        assert seen[0].path == "/path?query"
        assert seen[0].headers["Origin"] == "https://here"
        assert seen[0].headers["X-More"] == "yes"
        assert seen[0].headers["Authorization"] == "Basic bWU6c2VjcmV0"
        assert "User-Agent" not in seen[0].headers
        assert "sansocket" in seen[1].headers["User-Agent"]
        assert seen[2].headers["User-Agent"] == "mine"

    def test_refused(self, run: Run, serving: Serving) -> None:
        def refuse(connection: Any, request: Any) -> Any:
            return connection.respond(403, "no\n")

        async def main() -> None:
            async with serving(process_request=refuse) as (_, url):
                with pytest.raises(InvalidStatus) as info:
                    await connect(url)
                assert info.value.response.status_code == 403
                assert info.value.response.body == b"no\n"

        run(main())

    @pytest.mark.parametrize(("timeout", "passes"), [(0.5, 0.6), (None, 1), (9, 1)])
    def test_refused_with_a_body_that_does_not_end(
        self, timeout: float | None, passes: float
    ) -> None:
        """The status is not lost, neither to the opening timeout nor without one."""
        loop = ShiftedLoop()

        class Refused(ClientConnection):
            def buffer_updated(self, nbytes: int) -> None:
                super().buffer_updated(nbytes)
                loop.shift += passes

        async def refuse(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\nno")
            await reader.read()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

        async def main() -> None:
            async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
                options: Any = {"create_connection": Refused, "open_timeout": timeout}
                with pytest.raises(InvalidStatus) as info:
                    await connect(url_of(server), **options)
                assert info.value.response.status_code == 403
                assert info.value.response.body == b"no"
            me = asyncio.current_task()
            await until(lambda: asyncio.all_tasks() == {me})

        loop.run_until_complete(main())
        loop.close()

    def test_subprotocol_that_was_not_offered(self, run: Run) -> None:
        def add(connection: Any, request: Any, response: Any) -> None:
            response.headers["Sec-WebSocket-Protocol"] = "other"

        async def main() -> None:
            async with support.serving(process_response=add) as (_, url):
                with pytest.raises(NegotiationError):
                    await connect(url, subprotocols=["chat"])  # type: ignore[list-item]

        run(main())

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200", b"SSH-2.0-x\r\n\r\n"])
    def test_servers_of_another_kind(self, run: Run, answer: bytes) -> None:
        async def talk(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        async def main() -> None:
            async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
                with pytest.raises(InvalidHandshake):
                    await connect(url_of(server))

        run(main())

    def test_a_silent_server(self, run: Run) -> None:
        async def main() -> None:
            with socket.create_server(("127.0.0.1", 0)) as silent:
                url = f"ws://127.0.0.1:{silent.getsockname()[1]}/"
                with pytest.raises(TimeoutError, match="handshake took too long"):
                    await connect(url, open_timeout=0.01)

        run(main())

    def test_nobody_listens(self, run: Run) -> None:
        async def main() -> None:
            with socket.create_server(("127.0.0.1", 0)) as closed:
                url = f"ws://127.0.0.1:{closed.getsockname()[1]}/"
            with pytest.raises(OSError, match=r"Connect|refused"):
                await connect(url)

        run(main())

    def test_frames_right_behind_the_response(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.send("first")

        async def main() -> None:
            async with support.serving(handler) as (_, url), connect(url) as client:
                await client.wait_closed()
                assert await client.recv() == "first"
                with pytest.raises(ConnectionClosedOK):
                    await client.recv()

        run(main())

    def test_a_violation_right_behind_the_response(self, run: Run) -> None:
        """It comes after the handshake, which has not failed."""

        async def talk(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            protocol = ServerProtocol()
            protocol.receive_data(await reader.readuntil(b"\r\n\r\n"))
            (request,) = protocol.events_received()
            assert isinstance(request, Request)
            protocol.send_response(protocol.accept(request))
            writer.writelines([*protocol.data_to_send(), b"\xff\xff"])
            await reader.read(1)
            writer.close()

        async def main() -> None:
            async with (
                await asyncio.start_server(talk, "127.0.0.1", 0) as server,
                connect(url_of(server)) as client,
            ):
                with pytest.raises(ConnectionClosedError, match="1002"):
                    await client.recv()

        run(main())


class TestArguments:
    def test_uris(self) -> None:
        with pytest.raises(InvalidURI):
            connect("http://example.com/")
        with pytest.raises(ValueError, match="needs TLS"):
            connect("wss://example.com/", ssl=None)
        with pytest.raises(ValueError, match="does not use TLS"):
            connect("ws://example.com/", ssl=True)
        with pytest.raises(ValueError, match="compression"):
            connect("ws://example.com/", compression="zip")

    def test_another_host_and_port(self, run: Run, serving: Serving) -> None:
        async def handler(connection: Any) -> None:
            await connection.send(connection.request.headers["Host"])

        async def main() -> None:
            async with serving(handler) as (server, _):
                host, port = "127.0.0.1", support.port_of(server)
                uri = "ws://example.com/"
                async with connect(uri, host=host, port=port) as client:
                    assert await client.recv() == "example.com"
                sock = socket.create_connection((host, port))
                sock.setblocking(False)
                async with connect(uri, sock=sock) as client:
                    assert await client.recv() == "example.com"

        run(main())

    def test_create_connection(self, run: Run, serving: Serving) -> None:
        class Mine(ClientConnection):
            pass

        async def main() -> None:
            async with (
                serving() as (_, url),
                connect(url, create_connection=Mine) as client,
            ):
                assert type(client) is Mine

        run(main())

    def test_max_size(self, run: Run, serving: Serving) -> None:
        async def main() -> None:
            async with serving() as (_, url), connect(url, max_size=10) as client:
                await client.send("12345678901")
                with pytest.raises(ConnectionClosedError, match="1009"):
                    await client.recv()

        run(main())


class TestClosing:
    def test_sec_38_a_server_that_does_not_close(self, run: Run) -> None:
        """It sends a close frame, but keeps the TCP connection."""

        async def main() -> None:
            done = asyncio.Event()

            async def talk(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter
            ) -> None:
                protocol = ServerProtocol()
                protocol.receive_data(await reader.readuntil(b"\r\n\r\n"))
                (request,) = protocol.events_received()
                assert isinstance(request, Request)
                protocol.send_response(protocol.accept(request))
                protocol.send_close(1000)
                writer.writelines(protocol.data_to_send())
                await done.wait()
                writer.close()

            async with (
                await asyncio.start_server(talk, "127.0.0.1", 0) as server,
                connect(url_of(server), close_timeout=0.01) as client,
            ):
                with pytest.raises(ConnectionClosedOK):
                    await client.recv()
                assert client.session.timed_out == "closing"
                done.set()

        run(main())

    def test_the_server_goes_without_a_word(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.recv()
            connection.transport.abort()

        async def main() -> None:
            async with support.serving(handler) as (_, url), connect(url) as client:
                await client.send("a")
                with pytest.raises(ConnectionClosedError, match="no close frame"):
                    await client.recv()
                assert client.close_code == 1006

        run(main())

    def test_both_close_at_once(self, run: Run, serving: Serving) -> None:
        async def main() -> None:
            async with serving() as (server, url), connect(url) as client:
                await until(lambda: server.connections)
                server.close()
                await client.close(1000)
                assert client.close_code in (1000, 1001)

        run(main())

    def test_a_message_before_the_close_is_kept(self, run: Run) -> None:
        async def handler(connection: ServerConnection) -> None:
            await connection.send("last")

        async def main() -> None:
            async with support.serving(handler) as (_, url), connect(url) as client:
                await client.wait_closed()
                assert [message async for message in client] == ["last"]

        run(main())

    def test_frames_on_the_wire(self, run: Run) -> None:
        async def main() -> None:
            async with (
                support.serving() as (server, _),
                await support.opened(server) as peer,
            ):
                peer.send_frame(FIN | TEXT, b"a")
                peer.send_frame(FIN | CLOSE, close_payload(1000, b"bye"))
                assert await peer.read_frame() == (FIN | TEXT, b"a")
                frame = FIN | CLOSE, close_payload(1000, b"bye")
                assert await peer.read_frame() == frame
                assert await peer.read_all() == b""

        run(main())
