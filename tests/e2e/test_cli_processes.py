"""Handlers of one's own, workers, reloading, Unix sockets, the event loop."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK
from websockets.sync.client import ClientConnection, connect

from sansocket.cli.handlers import load_handler
from sansocket.cli.values import CommandError

from .support import HANDSHAKE, TIMEOUT, Server, command, frame

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="not on Windows"),
]

Serve = Callable[..., Server]

# Tells the process, or what it was told to tell, then echoes.
APP = """
import os

async def handler(websocket):
    await websocket.send(%s)
    async for message in websocket:
        await websocket.send(message)
"""
VALUE = "NOTHING = None\n"
WRONG = "must be a coroutine function of connection,"
UNFIT = """
def plain(websocket): pass
async def generates(websocket): yield
class Class:
    async def method(self, websocket): pass
async def older(websocket, path): pass
async def nothing(): pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a module that has a handler."""
    (tmp_path / "app.py").write_text(VALUE + APP % "str(os.getpid())")
    return tmp_path


@pytest.fixture
def unfit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder with what is no handler, and with modules that fail."""
    with (folder / "app.py").open("a") as file:
        file.write(UNFIT)
    (folder / "exits.py").write_text("raise SystemExit(3)\n")
    (folder / "interrupts.py").write_text("raise KeyboardInterrupt\n")
    (folder / "lines.py").write_text("raise ValueError('one\\ntwo')\n")
    (folder / "raises.py").write_text("1 / 0\n")
    (folder / "lacks.py").write_text("import nothing\n")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield folder
    sys.modules.pop("app", None)


@contextlib.contextmanager
def meet(server: Server) -> Iterator[tuple[ClientConnection, int]]:
    """Connect; give the connection and the process that serves it."""
    with connect(server.url, proxy=None, open_timeout=TIMEOUT) as peer:
        yield peer, int(peer.recv(TIMEOUT))


def meet_all(server: Server, wanted: Callable[[set[int]], bool]) -> set[int]:
    """Connect until all processes were met that are wanted; return them."""
    met: set[int] = set()
    while not wanted(met):
        with meet(server) as (_, process):
            met.add(process)
    return met


# Handlers.


def test_a_handler_of_ones_own(serve: Serve, folder: Path) -> None:
    server = serve("app:handler", cwd=folder)
    with meet(server) as (peer, process):
        assert process == server.process.pid
        peer.send("hello")
        assert peer.recv(TIMEOUT) == "hello"


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("nowhere:handler", "cannot find module nowhere"),
        ("app.deeper:handler", "cannot find module app.deeper"),
        ("app:other", "module app has no attribute other"),
        ("app:handler.deeper", "module app has no attribute handler.deeper"),
        ("app:NOTHING", f"app:NOTHING {WRONG} not None"),
        (
            "app:plain",
            f"app:plain {WRONG} but plain() is a plain function that returns nothing; "
            "write 'async def'",
        ),
        (
            "app:generates",
            f"app:generates {WRONG} but generates() is an asynchronous generator; "
            "write 'async def'",
        ),
        ("app:Class", f"app:Class {WRONG} but the class Class takes ()"),
        (
            "app:Class.method",
            f"app:Class.method {WRONG} but Class.method() takes (self, websocket)",
        ),
        ("app:older", f"app:older {WRONG} but older() takes (websocket, path)"),
        ("app:nothing", f"app:nothing {WRONG} but nothing() takes ()"),
        ("exits:handler", "cannot import module exits: SystemExit(3)"),
        (
            "interrupts:handler",
            "cannot import module interrupts: KeyboardInterrupt()",
        ),
        ("lines:handler", "cannot import module lines: one"),
        ("raises:handler", "cannot import module raises: division by zero"),
        ("lacks:handler", "cannot import module lacks: No module named 'nothing'"),
    ],
)
def test_what_is_no_handler(
    unfit: Path, capsys: pytest.CaptureFixture[str], handler: str, message: str
) -> None:
    with pytest.raises(CommandError) as raised:
        load_handler(handler)
    assert str(raised.value) == message
    # Only the fault of a module shows where it is.
    found = not handler.startswith(("app", "nowhere"))
    assert ("Traceback" in capsys.readouterr().err) is found


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("handler", "message"),
    [
        ("app:NOTHING", f"app:NOTHING {WRONG} not None"),
        ("nowhere:handler", "cannot find module nowhere"),
        ("exits:handler", "cannot import module exits: SystemExit(3)"),
        (
            "interrupts:handler",
            "cannot import module interrupts: KeyboardInterrupt()",
        ),
    ],
)
def test_a_handler_that_is_not_there(
    unfit: Path, handler: str, message: str, workers: str
) -> None:
    done = command("serve", handler, "--port", "0", "--workers", workers)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.endswith(f"sansocket: error: {message}\n")
    found = not handler.startswith(("app", "nowhere"))
    assert ("Traceback" in done.stderr) is found


FIT = """
import functools

async def optional(websocket, path=None): await handler(websocket)
async def two(first, websocket): await handler(websocket)
partial = functools.partial(two, None)
class Class:
    async def method(self, websocket): await handler(websocket)
    async def __call__(self, websocket): await handler(websocket)
instance = Class()
@functools.wraps(handler)
def wrapped(websocket): return handler(websocket)
"""


@pytest.mark.parametrize(
    "name", ["optional", "partial", "instance.method", "instance", "wrapped"]
)
def test_what_can_be_a_handler(serve: Serve, folder: Path, name: str) -> None:
    with (folder / "app.py").open("a") as file:
        file.write(FIT)
    server = serve(f"app:{name}", cwd=folder)
    with meet(server) as (_, process):
        assert process == server.process.pid


@pytest.mark.parametrize("handler", ["app", "app:", ":handler", "app:a-b", "../app:x"])
def test_what_is_no_name_of_a_handler(handler: str) -> None:
    done = command("serve", handler)
    assert done.returncode == 2
    assert "is not a handler" in done.stderr


def test_a_handler_that_fails_is_logged_with_its_place(
    serve: Serve, folder: Path
) -> None:
    (folder / "app.py").write_text(APP % "1 / 0")
    server = serve("app:handler", cwd=folder)
    with connect(server.url, proxy=None) as peer, pytest.raises(ConnectionClosed) as e:
        peer.recv(TIMEOUT)
    assert e.value.rcvd is not None
    assert e.value.rcvd.code == 1011
    server.signal()
    assert server.wait() == 0
    log = server.log()
    assert "ZeroDivisionError" in log
    server.errors.truncate(0)  # the fixture wants no traceback there


def test_a_handler_that_does_not_return_does_not_hold_the_server(
    serve: Serve, folder: Path
) -> None:
    text = "import asyncio\nasync def handler(ws):\n    await asyncio.Event().wait()\n"
    (folder / "app.py").write_text(text)
    server = serve("app:handler", "--close-timeout", "0.2", cwd=folder)
    with server.open() as wire:
        server.signal()
        assert wire.read_frame()[0] == 0x88
        wire.send(frame(0x88, (1001).to_bytes(2, "big")))
        assert server.wait() == 0
    assert server.complaints() == ""


# Workers.


def test_workers_share_the_port(serve: Serve, folder: Path) -> None:
    server = serve("app:handler", "--workers", "3", cwd=folder)
    met = meet_all(server, lambda met: len(met) == 3)
    assert server.process.pid not in met


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_workers(
    serve: Serve, folder: Path, number: signal.Signals
) -> None:
    server = serve("app:handler", "--workers", "2", cwd=folder)
    with meet(server) as (peer, process):
        if number == signal.SIGINT:  # the terminal sends it to all of them
            os.kill(process, number)
        server.signal(number)
        with pytest.raises(ConnectionClosedOK) as closed:
            peer.recv(TIMEOUT)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
        1001,
        "server shutting down",
    )
    assert server.wait() == 0
    assert server.complaints() == ""
    assert_gone(process)


def test_a_second_signal_cuts_connections_of_workers_off(
    serve: Serve, folder: Path
) -> None:
    options = ("--workers", "2", "--close-timeout", "3600")
    server = serve("app:handler", *options, cwd=folder)
    with server.open() as wire:
        assert wire.read_frame()[0] == 0x81
        server.signal()
        assert wire.read_frame()[0] == 0x88
        server.signal()
        assert server.wait() == 0


def test_a_worker_that_dies_is_replaced(serve: Serve, folder: Path) -> None:
    server = serve("app:handler", "--workers", "2", cwd=folder)
    before = meet_all(server, lambda met: len(met) == 2)
    dead = before.pop()
    os.kill(dead, signal.SIGKILL)
    # No connection is refused meanwhile: those for the dead one wait for the next.
    after = meet_all(server, lambda met: len(met - {dead}) == 2)
    assert before < after
    assert f"worker {dead} ended with signal 9; starting a replacement" in server.log()


def test_workers_end_when_their_parent_dies(serve: Serve, folder: Path) -> None:
    server = serve("app:handler", "--workers", "2", cwd=folder)
    with meet(server) as (peer, _):
        server.signal(signal.SIGKILL)
        with pytest.raises(ConnectionClosedOK):
            peer.recv(TIMEOUT)


def test_workers_speak_tls(
    serve: Serve, folder: Path, certificate: tuple[Path, Path]
) -> None:
    files = "--certfile", str(certificate[0]), "--keyfile", str(certificate[1])
    server = serve("app:handler", "--workers", "2", *files, cwd=folder)
    done = command(
        "connect", server.url, "--cafile", str(certificate[0]), stdin="over TLS"
    )
    assert done.stdout.endswith("\nover TLS\n"), done.stderr


def assert_gone(process: int) -> None:
    """Check that there is no such process."""
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


# Reloading.


def told(server: Server) -> str | bytes:
    """What a new connection is told first."""
    with connect(server.url, proxy=None, open_timeout=TIMEOUT) as peer:
        return peer.recv(TIMEOUT)


def test_reload(serve: Serve, folder: Path) -> None:
    def write(text: str) -> None:
        (folder / "helper.py").write_text(f"TEXT = {text}\n")

    write("'1'")
    app = (APP % "TEXT").replace("import os", "from helper import TEXT")
    (folder / "app.py").write_text(app)
    server = serve("app:handler", "--reload", cwd=folder)
    with connect(server.url, proxy=None) as peer:
        assert peer.recv(TIMEOUT) == "1"
        write("'2'")
        with pytest.raises(ConnectionClosedOK):
            peer.recv(TIMEOUT)
    with connect(server.url, proxy=None, open_timeout=TIMEOUT) as peer:
        assert peer.recv(TIMEOUT) == "2"
        write("'")  # who connects now waits until it can be imported
        with pytest.raises(ConnectionClosedOK):
            peer.recv(TIMEOUT)
    while "waiting for a change" not in server.log():
        assert server.process.poll() is None
    write("'3'")
    assert told(server) == "3"
    server.signal()
    assert server.wait() == 0
    assert server.log().count("helper.py changed: restarting") == 2
    assert "cannot import module app: unterminated string" in server.log()
    server.errors.truncate(0)


def test_reload_is_for_code_of_ones_own() -> None:
    done = command("serve", "--reload")
    assert done.returncode == 2
    assert "--reload requires your own handler" in done.stderr


@pytest.mark.parametrize(
    ("module", "options"),
    [("watchfiles", ["--reload"]), ("uvloop", ["--loop", "uvloop"])],
)
def test_an_extra_that_is_not_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, options: list[str]
) -> None:
    (folder / f"{module}.py").write_text(f"raise ImportError({module!r})\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.chdir(folder)
    done = command("serve", "app:handler", "--port", "0", *options)
    assert done.returncode == 1
    extra = {"watchfiles": "cli", "uvloop": "uvloop"}[module]
    assert f"requires {module}: pip install 'sansocket[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_uvloop(serve: Serve, folder: Path) -> None:
    app = APP.replace("import os", "import asyncio")
    (folder / "app.py").write_text(app % "repr(asyncio.get_running_loop())")
    server = serve("app:handler", "--loop", "uvloop", cwd=folder)
    assert "uvloop.Loop" in str(told(server))
    server.signal()
    assert server.wait() == 0
    assert server.complaints() == ""


# Options that reach the driver.


def test_origins(serve: Serve) -> None:
    server = serve("--origin", "https://example.com", "--origin", "none")
    server.open().__exit__()
    server.open(b"Origin: https://example.com").__exit__()
    request = HANDSHAKE + b"Origin: https://example.org\r\n\r\n"
    assert server.exchange(request).startswith(b"HTTP/1.1 403 ")


def test_subprotocols(serve: Serve) -> None:
    server = serve("--subprotocol", "b", "--subprotocol", "a")
    with server.open(b"Sec-WebSocket-Protocol: a, b") as wire:
        assert b"Sec-WebSocket-Protocol: b\r\n" in wire.head


def test_fragments(serve: Serve) -> None:
    with serve("--max-fragments", "2").open() as wire:
        wire.send(frame(0x01) + frame(0x80))
        assert wire.read_frame() == (0x81, b"")
        wire.send(frame(0x01) + frame(0x00) + frame(0x80))
        first, payload = wire.read_frame()
        assert (first, payload[:2]) == (0x88, (1009).to_bytes(2, "big"))


def test_pings(serve: Serve) -> None:
    with serve("--ping-interval", "0.1", "--ping-timeout", "0.1").open() as wire:
        assert wire.read_frame()[0] == 0x89
        first, payload = wire.read_frame()
        assert (first, payload[:2]) == (0x88, (1011).to_bytes(2, "big"))
