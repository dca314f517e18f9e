"""uvicorn with an echo application, pinned to a core, for the benchmark.

``python -m benchmarks.uvicorn.server WS LOOP`` prints its port and serves until its
standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import uvicorn

CORE = 0


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send each message back; nothing is between it and the server."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": event["bytes"]})


async def main(ws: str) -> None:
    """Serve until standard input ends."""
    config = uvicorn.Config(
        echo, port=0, ws=ws, lifespan="off", log_level="error", ws_ping_interval=None
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110 - it has no event for that
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.should_exit = True
    await serving


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})
    ws, loop = sys.argv[1:]
    if loop == "uvloop":
        import uvloop

        uvloop.run(main(ws))
    else:
        asyncio.run(main(ws))
