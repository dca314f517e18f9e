"""``python -m sansocket.standin``: a program, and the processes that it starts."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect

from .processes import Program, Start, run_python

STANDIN = ("-m", "sansocket.standin")
OURS = "sansocket.server"
REPORT = "from websockets.server import ServerProtocol as p; print(p.__module__)\n"
RUNNING = r"Uvicorn running on http://(127\.0\.0\.1:\d+)"

APPLICATION = """\
import os
from fastapi import FastAPI, WebSocket
from fastapi.responses import PlainTextResponse
from websockets import ServerProtocol

app = FastAPI()

@app.websocket("/who")
async def who(websocket: WebSocket):
    await websocket.accept()
    await websocket.send_text(f"{os.getpid()} {ServerProtocol.__module__}")
    await websocket.close(4000, "that is all")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an application, and scripts."""
    (tmp_path / "application.py").write_text(APPLICATION)
    (tmp_path / "neighbour.py").write_text("name = 'neighbour'\n")
    return tmp_path


# What it runs


def test_a_file(folder: Path) -> None:
    script = folder / "script.py"
    script.write_text(
        "import sys, neighbour\n" + REPORT + "print(__name__, *sys.argv)\nsys.exit(7)"
    )
    done = run_python(*STANDIN, "--", str(script), "--", "-m", "x")
    assert done.returncode == 7, done.stderr
    assert done.stdout.split() == [OURS, "__main__", str(script), "--", "-m", "x"]


def test_a_module() -> None:
    done = run_python(*STANDIN, "-m", "uvicorn", "--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Running uvicorn {version('uvicorn')} ")


def test_a_command() -> None:
    done = run_python(*STANDIN, "uvicorn", "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage: uvicorn [OPTIONS] APP")


def test_a_command_that_fails() -> None:
    done = run_python(*STANDIN, "--", "uvicorn", "--no-such-option")
    assert done.returncode == 2
    assert "No such option" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no program given; see --help"),
        (["--"], "no program given; see --help"),
        (["-m"], "no program given; see --help"),
        (["-x"], "no program given; see --help"),
        (["nothing"], "no installed package provides a command 'nothing'"),
        (["-m", "nothing.at.all"], "no module named 'nothing.at.all'"),
        (["./nothing"], "no such file: './nothing'"),
        (["nothing.py"], "no such file: 'nothing.py'"),
    ],
)
def test_what_there_is_not(words: list[str], message: str) -> None:
    done = run_python(*STANDIN, *words)
    assert done.returncode == 2
    assert done.stderr == f"python -m sansocket.standin: error: {message}\n"
    assert not done.stdout


def test_it_cannot_come_too_late() -> None:
    script = (
        "import websockets, sys\n"
        "from sansocket.standin.__main__ import main\n"
        "sys.exit(main(['--', 'uvicorn', '--version']))"
    )
    done = run_python("-c", script)
    assert done.returncode == 1
    assert (
        "cannot stand in for websockets: websockets was already imported" in done.stderr
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option: str) -> None:
    done = run_python(*STANDIN, option)
    assert done.returncode == 0
    assert done.stdout.startswith("usage: python -m sansocket.standin [--] PROGRAM")


# Processes


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_processes_of_multiprocessing(folder: Path, method: str) -> None:
    if sys.platform == "win32" and method != "spawn":
        pytest.skip("there is only spawn")
    script = folder / "script.py"
    script.write_text(
        "import multiprocessing\n"
        "def work():\n"
        "    from websockets.server import ServerProtocol\n"
        "    print(ServerProtocol.__module__, flush=True)\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    process = context.Process(target=work)\n"
        "    process.start()\n"
        "    process.join()\n"
    )
    done = run_python(*STANDIN, str(script))
    assert done.stdout.split() == [OURS], done.stderr


def test_processes_of_python(folder: Path) -> None:
    """Of which one starts another."""
    script = folder / "script.py"
    script.write_text(
        "import subprocess, sys\n"
        "inner = 'import subprocess, sys; subprocess.run(sys.argv[1:], check=True)'\n"
        f"inmost = [sys.executable, '-c', {REPORT!r}]\n"
        "subprocess.run([sys.executable, '-c', inner, *inmost], check=True)\n"
    )
    done = run_python(*STANDIN, str(script))
    assert done.stdout.split() == [OURS], done.stderr


def test_processes_without_it_are_left_alone() -> None:
    done = run_python("-c", REPORT)
    assert done.stdout == "websockets.server\n"


# uvicorn


async def connected(uri: str) -> ClientConnection:
    """Connect; workers announce that they are ready before they listen."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return await connect(uri, proxy=None)


async def ask(server: Program) -> str:
    """Who answers; the connection is closed in an orderly way then."""
    uri = f"ws://{server.wait_for(RUNNING)}/who"
    async with await connected(uri) as websocket:
        answer = await websocket.recv()
        assert isinstance(answer, str)
        await websocket.wait_closed()
    assert websocket.close_code == 4000
    assert websocket.close_reason == "that is all"
    return answer


@pytest.mark.parametrize(
    "program",
    [
        ("uvicorn", "--ws", "websockets-sansio"),
        ("uvicorn", "--ws", "auto"),
        ("-m", "uvicorn", "--ws", "websockets-sansio"),
    ],
    ids=["command", "auto", "module"],
)
def test_uvicorn(folder: Path, start: Start, program: tuple[str, ...]) -> None:
    server = start(
        *(*STANDIN, "--", *program, "--port", "0", "--app-dir", str(folder)),
        "application:app",
    )
    pid, module = asyncio.run(ask(server)).split()
    assert module == OURS
    assert int(pid) == server.process.pid


def test_workers_of_uvicorn(folder: Path, start: Start) -> None:
    server = start(
        *(*STANDIN, "--", "uvicorn", "--port", "0", "--app-dir", str(folder)),
        *("--ws", "websockets-sansio", "--workers", "2", "application:app"),
    )

    async def ask_until_both_answer() -> Counter[str]:
        seen: Counter[str] = Counter()
        while len(seen) < 2:
            pid, module = (await ask(server)).split()
            assert module == OURS
            seen[pid] += 1
        return seen

    seen = asyncio.run(ask_until_both_answer())
    assert str(server.process.pid) not in seen


def test_reload_of_uvicorn(folder: Path, start: Start) -> None:
    server = start(
        *(*STANDIN, "--", "uvicorn", "--port", "0", "--app-dir", str(folder)),
        *("--reload", "--reload-dir", str(folder), "application:app"),
    )
    pid, module = asyncio.run(ask(server)).split()
    assert module == OURS
    assert int(pid) != server.process.pid


def test_the_legacy_implementation_of_uvicorn_says_why_not(folder: Path) -> None:
    done = run_python(
        *(*STANDIN, "--", "uvicorn", "--ws", "websockets", "--app-dir", str(folder)),
        *("--port", "0", "application:app"),
    )
    assert done.returncode == 1
    assert re.search(
        "no 'websockets.legacy': sansocket stands in for websockets", done.stderr
    )
