"""One FastAPI application inside of uvicorn, on ``websockets-sansio`` and on ours: it
must not notice which. Where ours is to behave better: test_uvicorn_differences.py."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from . import uvicorn_app
from .support import Run, until
from .uvicorn_support import OURS, THEIRS, Running, running

# The client of earlier releases, all that Python 3.10 can have, sends UTF-8 instead.
LATIN_1 = "\xfc" if int(version("websockets").partition(".")[0]) >= 17 else "u"

MESSAGES: list[str | bytes] = [
    "",
    "Wörld",
    b"",
    b"\0\xff",
    "a" * 70_000,
    bytes(300_000),
]


@pytest.fixture(params=[OURS, THEIRS], ids=["ours", "theirs"])
def ws(request: pytest.FixtureRequest) -> Any:
    """What speaks WebSocket."""
    return request.param


@pytest.fixture(params=["h11", "httptools"])
def options(request: pytest.FixtureRequest, ws: str) -> dict[str, Any]:
    """Options of uvicorn."""
    if request.param == "httptools":
        pytest.importorskip("httptools")
    return {"ws": ws, "http": request.param}


@pytest.fixture
def ends() -> Iterator[list[tuple[int, str]]]:
    """How connections ended, as the application sees it."""
    uvicorn_app.ends.clear()
    yield uvicorn_app.ends
    uvicorn_app.ends.clear()


def connecting(server: Running, path: str, **arguments: Any) -> connect:
    return connect(server.url + path, proxy=None, **arguments)


async def refused(server: Running, path: str, **arguments: Any) -> Response:
    """The response that refuses a connection."""
    with pytest.raises(InvalidStatus) as caught:
        await connecting(server, path, **arguments)
    return caught.value.response


async def received(server: Running, path: str, **arguments: Any) -> Any:
    """What comes until the server closes, and the connection."""
    async with connecting(server, path, **arguments) as client:
        messages = []
        with contextlib.suppress(ConnectionClosed):
            while True:
                messages.append(await client.recv())
        return messages, client


class TestMessages:
    @pytest.mark.parametrize("compression", [None, "deflate"])
    def test_echo(self, run: Run, options: Any, ends: Any, compression: Any) -> None:
        async def main() -> None:
            async with running(uvicorn_app.app, **options) as server:
                async with connecting(
                    server, "/echo", compression=compression
                ) as client:
                    for message in MESSAGES:
                        await client.send(message)
                        assert await client.recv() == message
                    await client.send(["in ", "two ", "parts"])
                    assert await client.recv() == "in two parts"
                    assert await (await client.ping()) >= 0
                await until(lambda: ends)

        run(main())
        assert ends == [(1000, "")]

    def test_many_at_once(self, run: Run, options: Any, ends: Any) -> None:
        async def main() -> None:
            async with (
                running(uvicorn_app.app, **options) as server,
                connecting(server, "/text") as client,
            ):
                for number in range(500):
                    await client.send(str(number))
                for number in range(500):
                    assert await client.recv() == str(number)

        run(main())

    def test_the_last_message_before_the_server_closes(
        self, run: Run, options: Any
    ) -> None:
        async def main() -> None:
            async with running(uvicorn_app.app, **options) as server:
                messages, client = await received(server, "/farewell")
            assert messages == [bytes([number]) * 1000 for number in range(100)]
            assert (client.close_code, client.close_reason) == (3001, "enough")

        run(main())

    @pytest.mark.parametrize(
        ("code", "reason", "expected"),
        [(1000, "", (1000, "")), (3000, "bye", (3000, "bye"))],
    )
    def test_the_client_closes(
        self, run: Run, options: Any, ends: Any, code: int, reason: str, expected: Any
    ) -> None:
        async def main() -> None:
            async with running(uvicorn_app.app, **options) as server:
                async with connecting(server, "/text") as client:
                    await client.close(code, reason)
                await until(lambda: ends)
            assert client.close_code == code

        run(main())
        assert ends == [expected]

    def test_an_exception_that_closes(self, run: Run, options: Any) -> None:
        async def main() -> None:
            async with running(uvicorn_app.app, **options) as server:
                async with connecting(server, "/policy") as client:
                    with pytest.raises(ConnectionClosed):
                        await client.recv()
                assert (client.close_code, client.close_reason) == (1008, "policy")

        run(main())

    def test_a_message_over_the_limit(self, run: Run, options: Any, ends: Any) -> None:
        async def main() -> None:
            async with running(uvicorn_app.app, ws_max_size=1000, **options) as server:
                async with connecting(server, "/echo", compression=None) as client:
                    await client.send(bytes(1000))
                    assert await client.recv() == bytes(1000)
                    await client.send(bytes(1001))
                    with pytest.raises(ConnectionClosed):
                        await client.recv()
                assert client.close_code == 1009
                await until(lambda: ends)

        run(main())
        assert ends[0][0] == 1009


class TestHandshake:
    def test_subprotocols(self, run: Run, options: Any) -> None:
        offered: Any = ["one", "two"]

        async def main() -> None:
            async with running(uvicorn_app.app, **options) as server:
                messages, client = await received(
                    server, "/subprotocol", subprotocols=offered
                )
                assert [json.loads(one) for one in messages] == [offered]
                assert client.subprotocol == "two"
                messages, client = await received(server, "/subprotocol")
                assert [json.loads(one) for one in messages] == [[]]
                assert client.subprotocol is None

        run(main())

    def test_headers_of_the_answer(self, run: Run, options: Any) -> None:
        async def main() -> None:
            extra = {"headers": [("X-Server", "us")]}
            async with running(uvicorn_app.app, **options | extra) as server:
                _, client = await received(server, "/headers")
            headers = client.response.headers
            assert headers["x-answer"] == "42"
            assert headers["set-cookie"] == "a=b"
            assert headers["x-server"] == "us"
            assert headers["server"] == "uvicorn"
            assert headers.get_all("date") != []

        run(main())

    def test_headers_that_are_switched_off(self, run: Run, options: Any) -> None:
        async def main() -> None:
            extra = {"server_header": False, "date_header": False}
            async with running(uvicorn_app.app, **options | extra) as server:
                _, client = await received(server, "/headers")
            assert "server" not in client.response.headers
            assert "date" not in client.response.headers

        run(main())

    @pytest.mark.parametrize("deflate", [True, False])
    def test_compression(self, run: Run, options: Any, deflate: bool) -> None:
        async def main() -> None:
            extra = {"ws_per_message_deflate": deflate}
            async with running(uvicorn_app.app, **options | extra) as server:
                _, client = await received(server, "/headers")
            agreed = client.response.headers.get("Sec-WebSocket-Extensions", "")
            assert ("permessage-deflate" in agreed) is deflate

        run(main())

    def test_scope(self, run: Run, options: Any) -> None:
        async def main() -> None:
            async with running(uvicorn_app.app, root_path="/api", **options) as server:
                messages, _ = await received(
                    server,
                    "/users/J%C3%BCrgen%20S?page=2&q=%20",
                    additional_headers=[("X-Name", "a"), ("X-Name", LATIN_1)],
                )
            (found,) = map(json.loads, messages)
            assert found == {
                "type": "websocket",
                "http_version": "1.1",
                "scheme": "ws",
                "root_path": "/api",
                "path": "/api/users/Jürgen S",
                "raw_path": "/api/users/J%C3%BCrgen%20S",
                "query_string": "page=2&q=%20",
                "user": "Jürgen S",
                "page": 2,
                "client": "127.0.0.1",
                "x-name": ["a", LATIN_1],
            }

        run(main())

    def test_what_a_proxy_says(
        self, run: Run, options: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        headers = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https"}

        async def main() -> None:
            async with running(uvicorn_app.app, **options) as server:
                messages, _ = await received(
                    server, "/users/me", additional_headers=headers
                )
            (found,) = map(json.loads, messages)
            assert (found["client"], found["scheme"]) == ("1.2.3.4", "wss")

        run(main())
        assert '1.2.3.4:0 - "WebSocket /users/me" [accepted]' in caplog.messages

    def test_log_lines(
        self, run: Run, options: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            async with running(uvicorn_app.app, **options) as server:
                await received(server, "/headers?a=b")
                await refused(server, "/closed")
                await refused(server, "/denied")

        run(main())
        lines = [
            line.partition(" - ")[2]
            for line in caplog.messages
            if "WebSocket /" in line
        ]
        assert lines == [
            '"WebSocket /headers?a=b" [accepted]',
            '"WebSocket /closed" 403',
            '"WebSocket /denied" 418',
        ]


class TestDenial:
    def test_a_response(self, run: Run, options: Any) -> None:
        async def main() -> None:
            async with running(uvicorn_app.app, **options) as server:
                response = await refused(server, "/denied")
            assert response.status_code == 418
            assert response.headers["X-Why"] == "teapot"
            assert response.headers["Content-Type"] == "application/json"
            assert response.headers["Connection"] == "close"
            assert json.loads(response.body or b"") == {"detail": "no"}

        run(main())

    @pytest.mark.parametrize("path", ["/closed", "/forbidden", "/nowhere"])
    def test_without_a_response(self, run: Run, options: Any, path: str) -> None:
        async def main() -> None:
            async with running(uvicorn_app.app, **options) as server:
                response = await refused(server, path)
            assert (response.status_code, response.body) == (403, b"")

        run(main())

    def test_the_application_fails(
        self, run: Run, options: Any, may_log_errors: list[str]
    ) -> None:
        may_log_errors.append("Exception in ASGI application\n")

        async def main() -> None:
            async with running(uvicorn_app.app, **options) as server:
                response = await refused(server, "/fails")
            assert response.status_code == 500
            assert b"purpose" not in (response.body or b"")

        run(main())

    def test_the_application_decides_nothing(
        self, run: Run, options: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def main() -> None:
            async with running(uvicorn_app.app, **options) as server:
                response = await refused(server, "/silent")
            assert response.status_code == 500

        run(main())
        expected = "ASGI callable returned without completing handshake."
        assert expected in caplog.messages


class TestShutdown:
    def test_an_open_connection(self, run: Run, options: Any, ends: Any) -> None:
        async def main() -> None:
            async with (
                running(uvicorn_app.app, **options) as server,
                connecting(server, "/echo") as client,
            ):
                await client.send("before")
                assert await client.recv() == "before"
                await server.server.shutdown()
                with pytest.raises(ConnectionClosed):
                    await client.recv()
                assert client.close_code == 1012

        run(main())
        assert [code for code, _ in ends] == [1012]
