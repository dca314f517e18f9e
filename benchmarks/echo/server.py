"""An echo server of one of the contenders, pinned to a core, for the benchmark.

``python -m benchmarks.echo.server ours asyncio`` prints its port and serves until
its standard input ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

CORE = 0


async def echo(connection: Any) -> None:
    """Send each message back."""
    async for message in connection:
        await connection.send(message)


def serve_with(name: str) -> Any:
    """The function that serves, of a contender."""
    if name == "ours":
        from sansocket.asyncio import serve

        return serve
    from websockets.asyncio.server import serve as their_serve

    return their_serve


async def main(name: str) -> None:
    """Serve until standard input ends."""
    server = serve_with(name)(echo, "127.0.0.1", 0, compression=None)
    async with server as running:
        print(next(iter(running.sockets)).getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})
    contender, loop = sys.argv[1:]
    if loop == "uvloop":
        import uvloop

        uvloop.run(main(contender))
    else:
        asyncio.run(main(contender))
