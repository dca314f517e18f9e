"""The process of a server: ``python -m benchmarks.echo.server CONTENDER LOOP [WHAT]``.

It is pinned to a core, prints its port, and serves until its standard input ends.
``WHAT`` may have ``deflate`` and ``broadcast``. If the contender cannot serve, it
prints why instead.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable

from .contenders import CONTENDERS, Contender, Job, Unavailable

__all__ = ["LOOPS"]

SERVER_CORE = 0
LOOPS = ("asyncio", "uvloop", "asyncio+aiofastnet", "uvloop+aiofastnet")


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes a loop; aiofastnet replaces the transports of either."""
    base, _, transports = name.partition("+")
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    try:
        if base == "uvloop":
            import uvloop

            factory = uvloop.new_event_loop
        if transports:
            from importlib import import_module

            factory = import_module("aiofastnet").loop_factory(factory)
    except ImportError as error:
        raise Unavailable(str(error)) from None
    return factory


async def _serve(contender: Contender, job: Job) -> None:
    """Serve until standard input has a line, or ends."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), told.set)
    serving = await contender.serve(job)
    print(job.sock.getsockname()[1], flush=True)
    await told.wait()
    del serving
    # How a contender stops is not measured; some would wait for their clients.
    os._exit(0)


def main(name: str, loop_name: str, *what: str) -> None:
    """Serve, or print why not."""
    os.sched_setaffinity(0, {SERVER_CORE})
    # With the protocol named, or asyncio would not switch off Nagle's algorithm.
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    job = Job(sock, deflate="deflate" in what, broadcast="broadcast" in what)
    try:
        loop = _loop_factory(loop_name)()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(_serve(CONTENDERS[name], job))
    except Unavailable as error:
        print(error, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
