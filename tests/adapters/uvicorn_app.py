"""A FastAPI application with WebSocket routes, for the tests inside of uvicorn."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI, WebSocket, WebSocketException, status
from fastapi.responses import JSONResponse
from starlette.websockets import WebSocketDisconnect

app = FastAPI()
ends: list[tuple[int, str]] = []  # codes and reasons of disconnects


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    """Send each message back."""
    await websocket.accept()
    while (event := await websocket.receive())["type"] == "websocket.receive":
        await websocket.send({**event, "type": "websocket.send"})
    ends.append((event["code"], event.get("reason") or ""))


@app.websocket("/text")
async def text(websocket: WebSocket) -> None:
    """Send text back, by the methods that FastAPI's users know."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect as exc:
        ends.append((exc.code, exc.reason or ""))


@app.websocket("/subprotocol")
async def subprotocol(websocket: WebSocket) -> None:
    """Take the last subprotocol that is offered, and send all that are."""
    offered = websocket.scope["subprotocols"]
    await websocket.accept(subprotocol=offered[-1] if offered else None)
    await websocket.send_json(offered)
    await websocket.close()


@app.websocket("/headers")
async def headers(websocket: WebSocket) -> None:
    """Accept with headers."""
    await websocket.accept(headers=[(b"X-Answer", b"42"), (b"set-cookie", b"a=b")])
    await websocket.close()


@app.websocket("/users/{user}")
async def scope(websocket: WebSocket, user: str, page: int = 1) -> None:
    """Send what the scope tells."""
    await websocket.accept()
    found: dict[str, Any] = {
        name: websocket.scope[name]
        for name in ("type", "http_version", "scheme", "root_path", "path")
    }
    found |= {"user": user, "page": page, "client": websocket.scope["client"][0]}
    found["raw_path"] = websocket.scope["raw_path"].decode()
    found["query_string"] = websocket.scope["query_string"].decode()
    found["x-name"] = websocket.headers.getlist("x-name")
    await websocket.send_json(found)
    await websocket.close()


@app.websocket("/denied")
async def denied(websocket: WebSocket) -> None:
    """Deny with a response."""
    await websocket.send_denial_response(
        JSONResponse({"detail": "no"}, status_code=418, headers={"X-Why": "teapot"})
    )


@app.websocket("/closed")
async def closed(websocket: WebSocket) -> None:
    """Close instead of accepting."""
    await websocket.close()


def forbid() -> None:
    raise WebSocketException(code=status.WS_1008_POLICY_VIOLATION)


@app.websocket("/forbidden", dependencies=[Depends(forbid)])
async def forbidden(websocket: WebSocket) -> None:
    """It is never called."""


@app.websocket("/policy")
async def policy(websocket: WebSocket) -> None:
    """Accept, and end by an exception that FastAPI turns into a close frame."""
    await websocket.accept()
    raise WebSocketException(code=status.WS_1008_POLICY_VIOLATION, reason="policy")


@app.websocket("/farewell")
async def farewell(websocket: WebSocket) -> None:
    """Send messages, and close right behind them."""
    await websocket.accept()
    for number in range(100):
        await websocket.send_bytes(bytes([number]) * 1000)
    await websocket.close(3001, "enough")


@app.websocket("/fails")
async def fails(websocket: WebSocket) -> None:
    """Raise before anything was decided."""
    raise ZeroDivisionError("on purpose")


@app.websocket("/silent")
async def silent(websocket: WebSocket) -> None:
    """Return before anything was decided."""
