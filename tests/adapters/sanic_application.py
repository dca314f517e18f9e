"""A Sanic application for the tests: ``python sanic_application.py [adapter] ...``.

What becomes of a handler is printed with the name that the request's query gives it.
"""

# mypy: disable-error-code="untyped-decorator"
# Sanic's decorators have no types.

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import Any

from sanic import Request, Sanic, Websocket, text

app = Sanic("Echo")
app.config.WEBSOCKET_MAX_SIZE = 2**20
app.config.USE_UVLOOP = "asyncio" not in sys.argv
app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 2.0


@app.websocket("/feed")
async def feed(request: Request, ws: Websocket) -> None:
    """The example of Sanic's documentation."""
    async for msg in ws:
        await ws.send(msg)


@app.before_server_start
async def prepare(app: Any) -> None:
    app.ctx.go_on = asyncio.Event()


@app.get("/")
async def index(request: Request) -> Any:
    return text("a page")


@app.get("/go-on")
async def let_go_on(request: Request) -> Any:
    app.ctx.go_on.set()
    return text("done")


@contextlib.contextmanager
def watched(request: Request) -> Iterator[None]:
    """Print how a handler ends."""
    name = request.args.get("name", "nobody")
    try:
        yield
    except BaseException as exc:
        print(f"{name} ended with {type(exc).__name__}", flush=True)
        raise
    print(f"{name} ended", flush=True)


@app.websocket("/iterate", subprotocols=["chat", "superchat"])
async def iterate(request: Request, ws: Websocket) -> None:
    with watched(request):
        await ws.send(repr(ws.subprotocol))
        async for msg in ws:
            await ws.send(msg)


@app.websocket("/receive")
async def receive(request: Request, ws: Websocket) -> None:
    with watched(request):
        while True:
            await ws.send(repr(await ws.recv()))


@app.websocket("/after")
async def receive_after_the_end(request: Request, ws: Websocket) -> None:
    """Wait for the page to be asked, whatever the peer does; then go on."""
    with watched(request):
        await ws.send(repr(await ws.recv()))
        await app.ctx.go_on.wait()
        app.ctx.go_on.clear()
        while True:
            print("got", await ws.recv(), flush=True)


@app.websocket("/ping")
async def ping_for_ever(request: Request, ws: Websocket) -> None:
    with watched(request):
        answer = await ws.ping()
        await ws.send("sent")
        await answer


@app.websocket("/send")
async def send_for_ever(request: Request, ws: Websocket) -> None:
    with watched(request):
        while True:
            await ws.send("tick")
            await asyncio.sleep(0)


@app.websocket("/wait")
async def wait(request: Request, ws: Websocket) -> None:
    with watched(request):
        await asyncio.Event().wait()


@app.websocket("/raise")
async def fail(request: Request, ws: Websocket) -> None:
    raise RuntimeError("a bug of the application")


@app.websocket("/parts")
async def parts(request: Request, ws: Any) -> None:
    await ws.send(["a", "b"])


@app.websocket("/close")
async def close(request: Request, ws: Websocket) -> None:
    await ws.close(4001, "bye")


@app.websocket("/drop")
async def drop(request: Request, ws: Websocket) -> None:
    await ws.close(1006)


@app.websocket("/methods")
async def methods(request: Request, ws: Any) -> None:
    """Call what the peer asks for, and tell what came of it."""
    async for what in ws:
        match what:
            case "recv 0":
                answer = await ws.recv(0)
            case "recv soon":
                answer = await ws.recv(0.001)
            case "recv later":
                answer = await ws.recv(timeout=60)
            case "burst":
                await ws.send("ready")
                answer = []
                while "end" not in answer:
                    answer += await ws.recv_burst()
            case "stream":
                await ws.send("ready")
                answer = "".join([part async for part in ws.recv_streaming()])
            case "ping":
                answer = isinstance(await (await ws.ping("Hello")), (float, type(None)))
            case "pings":
                await ws.ping(b"same")
                try:
                    await ws.ping(b"same")
                except ValueError as exc:
                    answer = type(exc)
            case "pong":
                answer = await ws.pong("Hello")
            case "two":
                task = asyncio.ensure_future(ws.recv())
                await asyncio.sleep(0)
                answer = await asyncio.gather(ws.recv(), return_exceptions=True)
                await ws.send("ready")
                answer = type(answer[0]).__name__, await task
            case "wrong":
                answer = await asyncio.gather(
                    ws.send({}), ws.send(1), return_exceptions=True
                )
                answer = [type(one).__name__ for one in answer]
        await ws.send(repr(answer))


if __name__ == "__main__":
    options: dict[str, Any] = {"single_process": True, "motd": False}
    if "adapter" in sys.argv:
        from sansocket.sanic import WebSocketProtocol

        options["protocol"] = WebSocketProtocol
    if "tls" in sys.argv:
        options["ssl"] = {"cert": sys.argv[-2], "key": sys.argv[-1]}
    if "unix" in sys.argv:
        options["unix"] = sys.argv[-1]
    else:
        options["sock"] = socket.create_server(("127.0.0.1", 0))
        print("listening on", options["sock"].getsockname()[1], flush=True)
    app.run(**options)
