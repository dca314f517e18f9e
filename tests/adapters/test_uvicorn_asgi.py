"""The rules of ASGI that frameworks hide: what a bare application receives, when it
may send, and what it gets if it must not."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
from uvicorn.protocols.utils import ClientDisconnected
from websockets.asyncio.client import connect, unix_connect

from sansocket import InvalidHeader
from tests.core.support import BINARY, CLOSE, FIN, TEXT
from tests.e2e.conftest import certificate  # noqa: F401 - a fixture

from .support import Run, until
from .uvicorn_support import Recorder, accepted, asking, running, turns

ACCEPT = {"type": "websocket.accept"}
EXPECTATION = "expected 'websocket.send' or 'websocket.close', but got"


def start(status: int = 401, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {
        "type": "websocket.http.response.start",
        "status": status,
        "headers": headers,
    }


def body(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": data, "more_body": more}


class Sender:
    """An application that sends events, and then receives one more.

    Attributes:
        last: what it received after them.
        error: what sending raised, if it did.

    """

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = events
        self.last: dict[str, Any] = {}
        self.error: Exception | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == {"type": "websocket.connect"}
        try:
            for event in self.events:
                await send(event)
        except Exception as exc:
            self.error = exc
            return
        self.last = await receive()


class TestScope:
    def test_what_it_has(self, run: Run) -> None:
        app = Recorder()

        async def main() -> None:
            async with running(app) as server, await accepted(server, "/a?b") as peer:
                peer.send_frame(FIN | CLOSE)
                await app.ended()
                assert app.scope["server"] == server.sockets[0].getsockname()

        run(main())
        scope = app.scope
        assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}
        assert scope["extensions"] == {"websocket.http.response": {}}
        assert (scope["raw_path"], scope["query_string"]) == (b"/a", b"b")
        assert (b"sec-websocket-version", b"13") in scope["headers"]
        assert scope["subprotocols"] == []

    def test_state_of_the_lifespan(self, run: Run) -> None:
        scopes: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "lifespan":
                await receive()
                scope["state"]["database"] = "open"
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await send({"type": "lifespan.shutdown.complete"})
                return
            scopes.append(scope)
            scope["state"]["mine"] = True
            await Recorder()(scope, receive, send)

        async def main() -> None:
            async with running(app, lifespan="on") as server:
                for _ in range(2):
                    async with await accepted(server):
                        pass
                await until(lambda: not server.state.tasks)
                await server.server.lifespan.shutdown()

        run(main())
        assert [scope["state"] for scope in scopes] == [
            {"database": "open", "mine": True}
        ] * 2
        assert scopes[0]["state"] is not scopes[1]["state"]

    @pytest.mark.filterwarnings("ignore:unclosed transport:ResourceWarning")
    def test_tls(self, run: Run, certificate: tuple[Path, Path]) -> None:  # noqa: F811
        """Python 3.10 warns about transports that the peer has closed."""
        app = Recorder(answers=True)
        files = dict(zip(("ssl_certfile", "ssl_keyfile"), certificate, strict=True))
        context = ssl.create_default_context(cafile=str(certificate[0]))

        async def main() -> None:
            async with running(app, **files) as server:
                uri = server.url.replace("ws:", "wss:")
                async with connect(uri, ssl=context, proxy=None) as client:
                    for message in ("secret", bytes(300_000), "still"):
                        await client.send(message)
                        assert await client.recv() == message
                    await client.close(3000)
                assert await app.ended() == (3000, "")

        run(main())
        assert app.scope["scheme"] == "wss"

    def test_a_unix_socket(self, run: Run, tmp_path: Path) -> None:
        app = Recorder(answers=True)
        path = str(tmp_path / "socket")

        async def main() -> None:
            async with running(app, uds=path):
                async with unix_connect(path, "ws://localhost/", proxy=None) as client:
                    await client.send("over a file")
                    assert await client.recv() == "over a file"
                await app.ended()

        run(main())
        assert app.scope["client"] is None
        assert app.scope["server"] == (path, None)


class TestReceiving:
    def test_text_and_binary(self, run: Run) -> None:
        app = Recorder()

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                peer.send_frame(FIN | TEXT, "Wörld".encode())
                peer.send_frame(FIN | BINARY, b"\xff")
                peer.send_frame(FIN | CLOSE, b"\x0f\xa0bye")
                await app.ended()

        run(main())
        assert app.events == [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": "Wörld"},
            {"type": "websocket.receive", "bytes": b"\xff"},
            {"type": "websocket.disconnect", "code": 4000, "reason": "bye"},
        ]

    @pytest.mark.parametrize(
        ("payload", "code"), [(b"", 1005), (b"\x03\xe8", 1000), (b"\x03\xe9", 1001)]
    )
    def test_close_codes(self, run: Run, payload: bytes, code: int) -> None:
        app = Recorder()

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                peer.send_frame(FIN | CLOSE, payload)
                assert await peer.read_frame() == (FIN | CLOSE, payload)
                assert await peer.read_all() == b""
            assert await app.ended() == (code, "")

        run(main())

    def test_the_client_goes_before_the_decision(self, run: Run) -> None:
        app = Recorder(accepts=False)

        async def main() -> None:
            async with running(app) as server:
                async with await asking(server):
                    await until(lambda: app.events)
                assert await app.ended() == (1006, "")

        run(main())

    def test_disconnect_comes_again(self, run: Run) -> None:
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            seen.extend([await receive() for _ in range(3)])

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                peer.send_frame(FIN | CLOSE, b"\x03\xe8")
                await peer.read_all()

        run(main())
        assert [one["code"] for one in seen] == [1000] * 3

    def test_several_tasks_in_turn(self, run: Run) -> None:
        """And one that is cancelled loses nothing."""
        seen: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)

            async def one() -> None:
                seen.append((await receive())["text"])

            tasks = [asyncio.ensure_future(one()) for _ in range(4)]
            await turns()
            tasks[0].cancel()
            tasks[1].cancel()
            await send({"type": "websocket.send", "text": "go"})
            await asyncio.wait(tasks)

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                assert await peer.read_frame() == (FIN | TEXT, b"go")
                peer.send_frame(FIN | TEXT, b"a")
                peer.send_frame(FIN | TEXT, b"b")
                assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xe8")
                peer.send_frame(FIN | CLOSE, b"\x03\xe8")

        run(main())
        assert seen == ["a", "b"]


class TestSending:
    def test_neither_text_nor_bytes(self, run: Run) -> None:
        app = Sender(
            ACCEPT,
            {"type": "websocket.send"},
            {"type": "websocket.send", "text": None, "bytes": b"x"},
            {"type": "websocket.send", "text": "y", "bytes": None},
            {"type": "websocket.send", "text": "", "bytes": None},
        )

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                assert await peer.read_frame() == (FIN | BINARY, b"x")
                assert await peer.read_frame() == (FIN | TEXT, b"y")
                assert await peer.read_frame() == (FIN | TEXT, b"")

        run(main())

    @pytest.mark.parametrize(
        ("event", "payload"),
        [
            ({}, b"\x03\xe8"),
            ({"code": None, "reason": None}, b"\x03\xe8"),
            ({"code": 4001, "reason": "Wörld"}, b"\x0f\xa1W\xc3\xb6rld"),
        ],
    )
    def test_close(self, run: Run, event: dict[str, Any], payload: bytes) -> None:
        """The application gets the disconnect at once, as it asked for it."""
        app = Sender(ACCEPT, {"type": "websocket.close", **event})

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                assert await peer.read_frame() == (FIN | CLOSE, payload)
                await until(lambda: app.last)
                peer.send_frame(FIN | CLOSE, payload)
                assert await peer.read_all() == b""

        run(main())
        assert app.last == {
            "type": "websocket.disconnect",
            "code": event.get("code") or 1000,
            "reason": event.get("reason") or "",
        }

    def test_messages_that_were_there_when_it_closed(self, run: Run) -> None:
        events: list[dict[str, Any]] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(ACCEPT)
            events.append(await receive())
            await send({"type": "websocket.close"})
            events.extend([await receive() for _ in range(3)])

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                frames = [FIN | TEXT] * 2
                for first in frames:
                    peer.send_frame(first, b"hi")
                assert await peer.read_frame() == (FIN | CLOSE, b"\x03\xe8")

        run(main())
        assert [one.get("text") or one["code"] for one in events] == [
            *("hi", "hi"),
            *(1000, 1000),
        ]

    @pytest.mark.parametrize("close", [True, False])
    def test_after_the_client_has_gone(self, run: Run, close: bool) -> None:
        """It raises an OSError, at once, so that nobody else has to wait."""
        app = Recorder()
        assert issubclass(ClientDisconnected, OSError)

        async def main() -> None:
            async with running(app) as server, await accepted(server) as peer:
                if close:
                    peer.send_frame(FIN | CLOSE, b"\x03\xe8")
                    await peer.read_frame()
                else:
                    peer.writer.transport.abort()
                    await app.ended()
                for event in (
                    {"type": "websocket.send", "text": "late"},
                    {"type": "websocket.send", "bytes": b"late"},
                ):
                    with pytest.raises(ClientDisconnected):
                        await app.send(event)

        run(main())

    def test_before_the_decision_when_the_client_has_gone(self, run: Run) -> None:
        app = Recorder(accepts=False)

        async def main() -> None:
            async with running(app) as server:
                async with await asking(server):
                    await until(lambda: app.events)
                await app.ended()
                for event in (ACCEPT, {"type": "websocket.close"}, start()):
                    with pytest.raises(ClientDisconnected):
                        await app.send(event)

        run(main())

    @pytest.mark.parametrize(
        ("events", "message"),
        [
            ([{"type": "websocket.send", "text": "x"}], "expected 'websocket.accept'"),
            ([ACCEPT, ACCEPT], f"{EXPECTATION} 'websocket.accept'"),
            ([ACCEPT, start()], f"{EXPECTATION} 'websocket.http.response.start'"),
            ([ACCEPT, {"type": "http.x"}], f"{EXPECTATION} 'http.x'"),
            ([start(), ACCEPT], "expected 'websocket.http.response.body'"),
            ([start(101)], "HTTP status 101 cannot deny a WebSocket"),
            ([start(600)], "HTTP status 600 cannot deny a WebSocket"),
            (
                [{"type": "websocket.close"}, {"type": "websocket.close"}],
                "expected nothing after the connection was closed",
            ),
        ],
    )
    def test_what_is_out_of_order(self, run: Run, events: Any, message: str) -> None:
        app = Sender(*events)

        async def main() -> None:
            async with running(app) as server, await asking(server) as peer:
                await until(lambda: app.error)
                await until(lambda: not server.state.tasks)
                del peer

        run(main())
        assert isinstance(app.error, RuntimeError)
        assert str(app.error).startswith(message)

    @pytest.mark.parametrize(
        "event",
        [
            {"headers": [(b"x", b"a\r\nb: c")]},
            {"headers": [(b"x\r\ny", b"a")]},
            {"subprotocol": "a\r\nb: c"},
        ],
    )
    def test_sec_32_no_line_can_be_smuggled_into_the_answer(
        self, run: Run, event: dict[str, Any]
    ) -> None:
        app = Sender(ACCEPT | event)

        async def main() -> None:
            async with running(app) as server, await asking(server) as peer:
                answer = await peer.read_all()
                assert answer.startswith(b"HTTP/1.1 500 ")
                assert b"b: c" not in answer

        run(main())
        assert isinstance(app.error, InvalidHeader)


class TestDenial:
    def test_a_body_in_one_event(self, run: Run) -> None:
        app = Sender(start(401, (b"WWW-Authenticate", b"Basic")), body(b"no"))

        async def main() -> None:
            async with running(app) as server, await asking(server) as peer:
                head = (await peer.read_head()).lower().split(b"\r\n")
                assert head[0] == b"http/1.1 401 unauthorized"
                for line in (b"www-authenticate: basic", b"content-length: 2"):
                    assert line in head
                for name in (b"date", b"server", b"connection"):
                    assert len([one for one in head if one.startswith(name)]) == 1
                assert await peer.read_all() == b"no"
            await until(lambda: app.last)

        run(main())
        assert (app.last["type"], app.last["code"]) == ("websocket.disconnect", 1006)

    def test_a_body_that_is_streamed(self, run: Run) -> None:
        """Each part leaves before the next one is there."""
        proceed: list[asyncio.Event] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            proceed.append(asyncio.Event())
            await receive()
            await send(start(503, (b"connection", b"keep-alive")))
            await send(body(b"one", more=True))
            await proceed[0].wait()
            await send(body(b"", more=True))
            await send(body(b"twelve bytes"))

        async def main() -> None:
            async with running(app) as server, await asking(server) as peer:
                head = (await peer.read_head()).lower()
                assert b"transfer-encoding: chunked" in head
                assert b"content-length" not in head
                assert b"connection: close" in head
                assert await peer.reader.readexactly(8) == b"3\r\none\r\n"
                proceed[0].set()
                assert await peer.read_all() == b"c\r\ntwelve bytes\r\n0\r\n\r\n"

        run(main())

    def test_a_length_that_is_announced(self, run: Run) -> None:
        app = Sender(
            start(403, (b"content-length", b"6"), (b"transfer-encoding", b"x")),
            body(b"abc", more=True),
            body(b"def"),
        )

        async def main() -> None:
            async with running(app) as server, await asking(server) as peer:
                head = (await peer.read_head()).lower()
                assert b"content-length: 6" in head
                assert b"transfer-encoding" not in head
                assert await peer.read_all() == b"abcdef"

        run(main())

    @pytest.mark.parametrize("status", [204, 304, 299, 599])
    def test_other_statuses(self, run: Run, status: int) -> None:
        app = Sender(start(status), body(b""))

        async def main() -> None:
            async with running(app) as server, await asking(server) as peer:
                answer = (await peer.read_all()).lower()
                assert answer.startswith(b"http/1.1 %d " % status)
                assert (b"content-length" in answer) is (status not in (204, 304))

        run(main())

    def test_the_application_stops_within(self, run: Run) -> None:
        """The client can tell that the rest is missing."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(start(500))
            await send(body(b"one", more=True))

        async def main() -> None:
            async with running(app) as server, await asking(server) as peer:
                await peer.read_head()
                assert await peer.read_all() == b"3\r\none\r\n"

        run(main())

    def test_a_client_that_goes_within(self, run: Run) -> None:
        raised: list[OSError] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(start(500))
            try:
                while True:
                    await send(body(bytes(65536), more=True))
            except OSError as exc:
                raised.append(exc)

        async def main() -> None:
            async with running(app) as server, await asking(server) as peer:
                await peer.read_head()
                peer.writer.transport.abort()
                await until(lambda: raised)

        run(main())
