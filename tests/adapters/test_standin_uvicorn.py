"""uvicorn's ``websockets-sansio`` on the real ``websockets`` and on the stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from .processes import Program

pytest.importorskip("fastapi")

TIMEOUT = 120.0  # seconds that nothing here should ever take
OPTIONS = ["--ws", "websockets-sansio", "--port", "0", "--ws-max-size", "1000000"]
RUNNING = r"Uvicorn running on http://127\.0\.0\.1:(\d+)"

APPLICATION = """\
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from starlette.responses import JSONResponse

app = FastAPI()


@app.websocket("/echo")
async def echo(websocket: WebSocket, name: str = "nobody"):
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"], message.get("reason"))
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect as exc:
        print(f"{name} left: {exc.code} {exc.reason!r}", flush=True)


@app.websocket("/items/{item}")
async def item(websocket: WebSocket, item: int, q: str = ""):
    await websocket.accept(subprotocol="json", headers=[(b"x-item", b"%d" % item)])
    await websocket.send_json({"item": item, "q": q})
    await websocket.close(3000, "done")


@app.websocket("/refused")
async def refused(websocket: WebSocket):
    await websocket.send_denial_response(JSONResponse({"no": "way"}, 401))


@app.websocket("/closed")
async def closed(websocket: WebSocket):
    await websocket.close()
"""


@pytest.fixture(scope="module", params=["websockets", "standin"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    """A FastAPI application in uvicorn."""
    folder = tmp_path_factory.mktemp("application")
    Path(folder, "fastapi_application.py").write_text(APPLICATION)
    by = ["-m", "sansocket.standin", "--"] if request.param == "standin" else []
    command = [*by, "-m", "uvicorn", *OPTIONS, "--app-dir", str(folder)]
    program = Program(*command, "fastapi_application:app")
    yield program
    program.end()
    assert "Traceback" not in program.log, program.log


def to(server: Program, path: str, **options: Any) -> connect:
    return connect(
        f"ws://127.0.0.1:{server.wait_for(RUNNING)}{path}", proxy=None, **options
    )


def run(coroutine: Any) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, TIMEOUT))


@pytest.mark.parametrize("compression", ["deflate", None])
def test_echo(server: Program, compression: str | None) -> None:
    async def main() -> None:
        async with to(server, "/echo", compression=compression) as client:
            assert bool(client.protocol.extensions) is bool(compression)
            for message in ("Hello", "grüß dich 🙂", b"\x00\xff", bytes(300_000)):
                await client.send(message)
                assert await client.recv() == message
            await client.send(["frag", "ments"])
            assert await client.recv() == "fragments"
            assert await (await client.ping()) >= 0
        assert client.close_code == 1000

    run(main())


def test_many_messages_at_once(server: Program) -> None:
    async def main() -> list[Any]:
        async with to(server, "/echo") as client:
            for number in range(200):
                await client.send(str(number))
            return [await client.recv() for _ in range(200)]

    assert run(main()) == [str(number) for number in range(200)]


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (4321, "see you")])
def test_the_peer_closes(server: Program, code: int, reason: str) -> None:
    name = f"closing{code}"

    async def main() -> None:
        async with to(server, f"/echo?name={name}") as client:
            await client.close(code, reason)
        assert (client.close_code, client.close_reason) == (code, reason)

    run(main())
    server.wait_for(f"({name} left: {code} {reason!r})")


def test_the_peer_is_gone(server: Program) -> None:
    async def main() -> None:
        async with to(server, "/echo?name=gone") as client:
            client.transport.abort()

    run(main())
    server.wait_for("(gone left: 100[56] )")


def test_the_application_closes(server: Program) -> None:
    async def main() -> None:
        path = "/items/5?q=x%20y"
        async with to(server, path, subprotocols=["xml", "json"]) as client:
            assert client.subprotocol == "json"
            assert client.response is not None
            assert client.response.headers["X-Item"] == "5"
            assert await client.recv() == '{"item":5,"q":"x y"}'
            await client.wait_closed()
        assert (client.close_code, client.close_reason) == (3000, "done")

    run(main())


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/refused", 401, b'{"no":"way"}'), ("/closed", 403, b""), ("/nowhere", 403, b"")],
)
def test_denial(server: Program, path: str, status: int, body: bytes) -> None:
    async def main() -> None:
        with pytest.raises(InvalidStatus) as caught:
            await to(server, path)
        response = caught.value.response
        assert (response.status_code, response.body) == (status, body)

    run(main())


def test_too_long_a_message(server: Program) -> None:
    async def main() -> None:
        async with to(server, "/echo?name=long") as client:
            await client.send(bytes(1_000_001))
            with pytest.raises(ConnectionClosed):
                await client.recv()
        assert client.close_code == 1009

    run(main())
    server.wait_for("(long left: 1009 )")
