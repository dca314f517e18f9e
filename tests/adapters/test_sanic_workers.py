"""Sanic with several processes: each gets the stand-in, and the adapter."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect

import sansocket
from tests.ports import free_port

from .processes import TIMEOUT, Start

pytest.importorskip("sanic")
pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Sanic shares no socket there"
)

# Sanic's own processes may log tracebacks if they are ended while they start others.
OURS = str(Path(sansocket.__file__).parent)

APPLICATION = """\
import os
import sys
from sanic import Request, Sanic, Websocket
from websockets.server import ServerProtocol

app = Sanic("Workers")

@app.websocket("/who")
async def who(request: Request, ws: Websocket):
    await ws.send(f"{os.getpid()} {ServerProtocol.__module__} {type(ws).__module__}")

if __name__ == "__main__":
    from sansocket.sanic import WebSocketProtocol
    port = int(sys.argv[1])
    app.run("127.0.0.1", port, workers=2, protocol=WebSocketProtocol)
"""


async def connected(uri: str) -> ClientConnection:
    """Connect, once somebody listens."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return await connect(uri, proxy=None, open_timeout=TIMEOUT)


async def ask_until_two_answer(port: str) -> set[str]:
    """Connect until both have answered; return what they agree on."""
    processes: set[str] = set()
    modules: set[str] = set()
    while len(processes) < 2:
        async with await connected(f"ws://127.0.0.1:{port}/who") as websocket:
            answer = await websocket.recv()
        assert isinstance(answer, str)
        process, *rest = answer.split()
        processes.add(process)
        modules.add(" ".join(rest))
    return modules


def ask(port: str) -> set[str]:
    return asyncio.run(asyncio.wait_for(ask_until_two_answer(port), TIMEOUT))


def test_the_command_under_the_standin(tmp_path: Path, start: Start) -> None:
    Path(tmp_path, "workers.py").write_text(APPLICATION)
    port = str(free_port())
    start(
        *("-m", "sansocket.standin", "--", "sanic", "workers:app"),
        *("--port", port, "--workers", "2"),
        folder=tmp_path,
        blamed=OURS,
    )
    assert ask(port) == {"sansocket.server sanic.server.websockets.impl"}


def test_the_adapter(tmp_path: Path, start: Start) -> None:
    script = Path(tmp_path, "workers.py")
    script.write_text(APPLICATION)
    port = str(free_port())
    start(str(script), port, blamed=OURS)
    assert ask(port) == {"websockets.server sansocket.sanic"}


def test_a_traceback_of_ours_is_seen(start: Start) -> None:
    program = start("-c", "raise OSError", blamed="nowhere")
    program.wait_for("(OSError)")
    assert not program.has_failed()
    program.blamed = "<string>"
    assert program.has_failed()
    program.blamed = "nowhere"
