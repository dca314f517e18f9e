"""uvicorn with our WebSockets under test, as a process of its own: it prints its URL
and serves."""

from __future__ import annotations

import argparse
import importlib
import socket
from typing import Any

import uvicorn

from .echo import LIMITS, add_form, load


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send each message back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send(event | {"type": "websocket.send"})


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.uvicorn_server")
    add_form(parser)
    package = load(parser.parse_args().form)
    protocol: Any = importlib.import_module(f"{package.__name__}.uvicorn")
    protocol.WebSocketProtocol.max_fragments = LIMITS["max_fragments"]
    config = uvicorn.Config(
        echo,
        ws=protocol.WebSocketProtocol,
        ws_max_size=LIMITS["max_size"] or 0,
        lifespan="off",
        log_level="warning",
    )
    with socket.create_server(("127.0.0.1", 0)) as sock:
        print(f"ws://127.0.0.1:{sock.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main()
