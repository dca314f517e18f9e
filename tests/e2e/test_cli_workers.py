"""Workers that die, at any moment, and the end of them all."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .support import TIMEOUT, Server, command, frame

pytestmark = [
    pytest.mark.apart,  # most of it waits for seconds
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform == "win32", reason="not on Windows"),
]

Serve = Callable[..., Server]

# Its import leaves a file that names the process, and takes as long as there is a file
# "slow". The handler tells its process, then does what a test says.
APP = """
import asyncio, os, pathlib, signal, sys, threading, time

pathlib.Path(f"began-{os.getpid()}").touch()
while os.path.exists("slow"):
    time.sleep(0.01)

async def handler(websocket):
    await websocket.send(str(os.getpid()))
    async for message in websocket:
        await websocket.send(message)

async def begin(websocket):
    await websocket.recv()
    pathlib.Path("here").touch()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a module that has a handler."""
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def append(folder: Path, text: str) -> None:
    """Add to the module."""
    with (folder / "app.py").open("a") as file:
        file.write(text)


def began(folder: Path) -> set[int]:
    """The processes that have begun to import the module so far."""
    return {int(path.name.partition("-")[2]) for path in folder.glob("began-*")}


def wait_for_another(folder: Path, known: set[int], count: int = 1) -> set[int]:
    """Wait until so many more processes have begun; return these."""
    while len(began(folder) - known) < count:
        time.sleep(0.01)
    return began(folder) - known


def wait_for_file(path: Path) -> None:
    """Wait until there is such a file."""
    while not path.exists():
        time.sleep(0.01)


def meet(server: Server) -> int:
    """Connect; return the process that serves the connection."""
    with connect(server.url, proxy=None, open_timeout=TIMEOUT) as peer:
        return int(peer.recv(TIMEOUT))


def meet_all(server: Server, wanted: set[int]) -> None:
    """Connect until all these processes were met."""
    met: set[int] = set()
    while not wanted <= met:
        met.add(meet(server))


# Dying, and being replaced.


def test_a_replacement_that_is_killed_before_it_is_ready(
    serve: Serve, folder: Path
) -> None:
    server = serve("app:handler", "--workers", "2", cwd=folder)
    known = began(folder)
    dead, healthy = known
    (folder / "slow").touch()
    for _ in range(3):
        os.kill(dead, signal.SIGKILL)
        (dead,) = wait_for_another(folder, known)
        known.add(dead)
    (folder / "slow").unlink()
    meet_all(server, {dead, healthy})
    server.signal()
    assert server.wait() == 0
    log = server.log()
    assert log.count(" ended with signal 9; starting a replacement\n") == 1
    late = " ended with signal 9 before it was ready; starting a replacement in "
    assert [log.count(f"{late}{delay} s\n") for delay in ("0.5", "1")] == [1, 1]
    assert log.count("\n") == 3


def test_all_are_killed_at_once_before_they_are_ready(
    serve: Serve, folder: Path
) -> None:
    server = serve("app:handler", "--workers", "3", cwd=folder)
    (folder / "slow").touch()
    victims = known = began(folder)
    for _ in range(2):
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        victims = wait_for_another(folder, known, 3)
        known = began(folder)
    (folder / "slow").unlink()
    meet_all(server, victims)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_a_replacement_whose_code_is_broken(serve: Serve, folder: Path) -> None:
    server = serve("app:handler", "--workers", "2", cwd=folder)
    known = began(folder)
    dead, healthy = known
    (folder / "app.py").write_text("1 / 0")
    os.kill(dead, signal.SIGKILL)
    server.wait_for("cannot serve: cannot import module app: division by zero")
    assert meet(server) == healthy
    (folder / "app.py").write_text(APP)
    meet_all(server, {healthy, *wait_for_another(folder, known)})
    server.signal()
    assert server.wait() == 0
    server.errors.truncate(0)  # the fixture wants no traceback there


@pytest.mark.skipif(sys.platform != "linux", reason="where there are no pidfds")
def test_a_worker_that_dies_and_leaves_a_process(serve: Serve, folder: Path) -> None:
    child = "os.setpgrp()\n    time.sleep(30)\n    os._exit(0)"  # it never serves
    append(folder, f"\nif os.fork() == 0:\n    {child}\n")
    server = serve("app:handler", "--workers", "2", cwd=folder)
    os.kill(meet(server), signal.SIGKILL)
    server.wait_for(" ended with signal 9; starting a replacement\n")


@pytest.mark.parametrize("moment", ["importing", "waiting"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_a_worker_is_replaced(
    serve: Serve, folder: Path, number: signal.Signals, moment: str
) -> None:
    server = serve("app:handler", "--workers", "2", cwd=folder)
    known = began(folder)
    dead = max(known)
    (folder / "slow").touch()
    os.kill(dead, signal.SIGKILL)
    (dead,) = wait_for_another(folder, known)
    if moment == "waiting":
        os.kill(dead, signal.SIGKILL)
        server.wait_for("starting a replacement in ")
    server.signal(number)
    assert server.wait() == 0
    assert not [one for one in known if alive(one)]


def alive(process: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


# Not os._exit(): coverage.py saves what it measured in there, and a worker that is
# told to stop in the middle of that would go on, with half of a file.
@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), 9)", "import posix; posix._exit(7)"]
)
def test_a_worker_that_dies_at_the_first_start(
    folder: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    append(folder, end)
    monkeypatch.chdir(folder)
    done = command("serve", "app:handler", "--port", "0", "--workers", "2")
    assert done.returncode == 1
    assert done.stdout == ""
    fate = "signal 9" if "kill" in end else "status 7"
    assert done.stderr.startswith("sansocket: error: worker ")
    assert done.stderr.endswith(f" ended with {fate} before it was ready\n")
    assert done.stderr.count("\n") == 1


def test_a_worker_that_dies_while_code_is_reloaded(serve: Serve, folder: Path) -> None:
    server = serve("app:handler", "--reload", cwd=folder)
    known = began(folder)
    (folder / "slow").touch()
    append(folder, "\n")
    (dead,) = wait_for_another(folder, known)
    os.kill(dead, signal.SIGKILL)
    (again,) = wait_for_another(folder, known | {dead})
    (folder / "slow").unlink()
    assert meet(server) == again


# The end of them all.


def test_clients_have_the_close_timeout_to_leave(serve: Serve, folder: Path) -> None:
    """One signal is one for workers too, even if they get it themselves as well, as
    from a service manager."""
    append(folder, """
async def slow(websocket):
    await websocket.send("hello")
    async for message in websocket:
        pass
    while not os.path.exists("go on"):
        await asyncio.sleep(0.01)
    pathlib.Path("done").touch()
""")  # fmt: skip
    server = serve("app:slow", "--workers", "2", cwd=folder)
    with server.open() as wire:
        assert wire.read_frame() == (0x81, b"hello")
        for worker in began(folder):
            os.kill(worker, signal.SIGTERM)
        server.signal(signal.SIGTERM)
        first, payload = wire.read_frame()
        assert (first, payload[:2]) == (0x88, (1001).to_bytes(2, "big"))
        server.wait_for("waiting for 1 connection (127.0.0.1:")
        wire.send(frame(0x88, (1001).to_bytes(2, "big")))
        (folder / "go on").touch()
        assert server.wait() == 0
    assert (folder / "done").exists()


STUBBORN = {
    "swallows the cancellation": """
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            pass
""",
    "blocks the event loop": """
    while True:
        time.sleep(0.01)
""",
    "uses a thread": """
    await asyncio.to_thread(time.sleep, 3600)
""",
    "leaves a thread": """
    threading.Thread(target=time.sleep, args=(3600,)).start()
""",
}


@pytest.mark.parametrize("stubborn", STUBBORN)
@pytest.mark.parametrize(
    "options",
    [(), ("--loop", "uvloop"), ("--workers", "2")],
    ids=["one", "uvloop", "workers"],
)
def test_a_handler_that_never_ends_does_not_hold_the_server(
    serve: Serve, folder: Path, stubborn: str, options: tuple[str, ...]
) -> None:
    text = "\nasync def stubborn(websocket):\n    await begin(websocket)\n"
    append(folder, text + STUBBORN[stubborn].lstrip("\n"))
    server = serve("app:stubborn", "--close-timeout", "0.2", *options, cwd=folder)
    with server.open() as wire:
        wire.send(frame(0x81))
        wait_for_file(folder / "here")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert server.log().endswith(" did not stop in time: exiting without it\n")
    assert server.log().count("\n") <= 2  # the other one tells who is waited for


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one", "workers"])
def test_a_second_signal_ends_a_handler_that_never_ends(
    serve: Serve, folder: Path, options: tuple[str, ...]
) -> None:
    text = "\nasync def stubborn(websocket):\n    await begin(websocket)\n"
    append(folder, text + STUBBORN["blocks the event loop"].lstrip("\n"))
    server = serve("app:stubborn", "--close-timeout", "3600", *options, cwd=folder)
    with server.open() as wire:
        wire.send(frame(0x81))
        wait_for_file(folder / "here")
        server.signal()
        server.wait_for("waiting for 1 connection (")
        server.signal()
        assert server.wait() == 0


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one", "workers"])
def test_users_are_told_who_is_waited_for(
    serve: Serve, folder: Path, options: tuple[str, ...]
) -> None:
    server = serve("app:handler", *options, "--close-timeout", "3600", cwd=folder)
    wires = [server.open() for _ in range(5)]
    for wire in wires:
        assert wire.read_frame()[0] == 0x81
    server.signal()
    server.wait_for("a second Ctrl-C or SIGTERM stops immediately\n")
    assert "WARNING sansocket waiting for 5 connections (127.0.0.1:" in server.log()
    assert " and 2 more) to close; " in server.log()
    addresses = {f"127.0.0.1:{wire.sock.getsockname()[1]}" for wire in wires}
    assert sum(address in server.log() for address in addresses) == 3
    server.signal()
    assert server.wait() == 0
    assert server.log().count("\n") == 1
    for wire in wires:
        wire.__exit__()


@pytest.mark.parametrize("moment", ["importing", "serving", "blocked"])
def test_workers_do_not_outlive_their_supervisor(
    serve: Serve, folder: Path, moment: str
) -> None:
    block = "\nasync def block(websocket):\n    await begin(websocket)\n"
    append(folder, block + STUBBORN["blocks the event loop"].lstrip("\n"))
    name = "block" if moment == "blocked" else "handler"
    options = ("--workers", "2", "--close-timeout", "0.2")
    server = serve(f"app:{name}", *options, cwd=folder)
    workers = began(folder)
    if moment == "importing":
        (folder / "slow").touch()
        os.kill(max(workers), signal.SIGKILL)
        workers = {min(workers), *wait_for_another(folder, workers)}
    with contextlib.ExitStack() as stack:
        if moment == "blocked":
            stack.enter_context(server.open()).send(frame(0x81))
            wait_for_file(folder / "here")
        os.kill(server.process.pid, signal.SIGKILL)
        assert server.process.stdout is not None
        server.process.stdout.read()  # to its end, which each of them holds back
        assert server.wait() == -signal.SIGKILL


# Signals at many moments.


@pytest.mark.parametrize("options", [(), ("--workers", "2"), ("--loop", "uvloop")])
@pytest.mark.parametrize("others", [False, True], ids=["server", "all"])
def test_a_storm_of_signals(
    serve: Serve, folder: Path, options: tuple[str, ...], others: bool
) -> None:
    """From the moment that it serves to its end, signals change nothing."""
    for _ in range(3):
        server = serve("app:handler", *options, cwd=folder)
        processes = {server.process.pid, *(began(folder) if others else ())}
        with server.open():
            while server.process.poll() is None:
                for process in processes:
                    if alive(process):
                        os.kill(process, signal.SIGTERM)
                time.sleep(0.0002)
        assert server.wait() == 0
        assert server.log() == ""
        for file in folder.glob("began-*"):
            file.unlink()


def test_a_signal_before_it_serves(folder: Path, serve: Serve) -> None:
    """An import that takes long is given up."""
    path = folder / "socket"
    (folder / "slow").touch()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        known = began(folder)
        server = serve("app:handler", "--uds", str(path), cwd=folder, start=False)
        wait_for_another(folder, known)
        assert path.is_socket()
        server.signal(number)
        assert server.wait() == 0
        assert not path.exists()
        assert server.log() == ""


# What ends a program ends a handler.


@pytest.mark.parametrize(
    "error",
    ["SystemExit(3)", "KeyboardInterrupt", "GeneratorExit",
     "BaseExceptionGroup('', [SystemExit()])"],
)  # fmt: skip
def test_a_handler_that_raises_what_ends_programs(
    serve: Serve, folder: Path, error: str
) -> None:
    if "Group" in error and sys.version_info < (3, 11):
        pytest.skip("since Python 3.11")
    append(folder, f"""
async def failing(websocket):
    await websocket.send("hello")
    if await websocket.recv() == "fail":
        raise {error}
    await websocket.send("still here")
""")  # fmt: skip
    server = serve("app:failing", cwd=folder)
    with (
        connect(server.url, proxy=None) as peer,
        connect(server.url, proxy=None) as other,
    ):
        assert peer.recv(TIMEOUT) == other.recv(TIMEOUT) == "hello"
        peer.send("fail")
        with pytest.raises(ConnectionClosed) as closed:
            peer.recv(TIMEOUT)
        other.send("go on")
        assert other.recv(TIMEOUT) == "still here"
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    name = error.partition("(")[0]
    assert f"the handler raised {name}" in server.log()
    server.errors.truncate(0)  # the fixture wants no traceback there
