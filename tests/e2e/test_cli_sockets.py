"""Unix sockets: whose they are, and who removes them."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .support import HANDSHAKE, Server, Wire, command, frame

pytestmark = [
    pytest.mark.apart,  # many programs start, and some wait for seconds
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="not on Windows"),
]

Serve = Callable[..., Server]


def say_hi(path: Path) -> Any:
    """Send a message through a Unix socket with the command."""
    return command("connect", "ws://localhost/", "--uds", str(path), stdin="hi")


@pytest.mark.parametrize("options", [[], ["--workers", "2"], ["--loop", "uvloop"]])
def test_unix_socket(serve: Serve, tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "socket"
    server = serve("--uds", str(path), *options)
    assert server.url == f"unix:{path}"
    for _ in range(3):
        assert say_hi(path).stdout == "hi\n"
    server.signal()
    assert server.wait() == 0
    assert not path.exists()
    assert server.complaints() == ""


def test_log_names_no_address_of_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = serve("--uds", str(path), "-v")
    with Wire(socket.socket(socket.AF_UNIX)) as wire:
        wire.sock.connect(str(path))
        wire.send(HANDSHAKE + b"\r\n")
        wire.read_head()
    server.signal()
    assert server.wait() == 0
    assert " INFO unix GET /: 101\n" in server.log()


def test_unix_socket_of_a_dead_server(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    serve("--uds", str(path)).end()
    assert path.is_socket()
    serve("--uds", str(path))
    assert say_hi(path).stdout == "hi\n"


def test_path_in_use(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    serve("--uds", str(path))
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "nowhere").symlink_to(tmp_path / "nothing")
    taken = {"socket": "a running server"} | dict.fromkeys(
        ("file", "folder", "link", "nowhere"), "a file that is not a socket"
    )
    for name, by in taken.items():
        done = command("serve", "--uds", str(tmp_path / name))
        assert done.returncode == 1
        message = f"cannot listen on {tmp_path / name}: Address already in use by {by}"
        assert done.stderr == f"sansocket: error: {message}\n"
    assert (tmp_path / "file").read_text() == "mine"
    assert (tmp_path / "link").is_symlink()
    assert say_hi(path).stdout == "hi\n"


def test_a_server_that_lets_nobody_in_is_running(tmp_path: Path) -> None:
    """Its queue of connections is full: one more would wait."""
    path = tmp_path / "socket"
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(0)
        for _ in range(8):
            peer = stack.enter_context(socket.socket(socket.AF_UNIX))
            peer.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                peer.connect(str(path))
        done = command("serve", "--uds", str(path))
    assert done.stderr.endswith(" in use by a running server\n")


@pytest.mark.parametrize("options", [[], ["--workers", "2"]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_socket_of_another_server_stays(
    serve: Serve, tmp_path: Path, options: list[str], number: signal.Signals
) -> None:
    """That has taken the path over, as when one server replaces another."""
    path = tmp_path / "socket"
    older = serve("--uds", str(path), *options)
    path.unlink()
    serve("--uds", str(path))
    older.signal(number)
    assert older.wait() == 0
    assert say_hi(path).stdout == "hi\n"


def test_the_socket_of_another_server_stays_while_the_older_one_stops(
    serve: Serve, tmp_path: Path
) -> None:
    """The older one does not listen any more, but has not ended: the file system may
    have given the number of its socket to the new one."""
    path = tmp_path / "socket"
    older = serve("--uds", str(path), "--close-timeout", "3600")
    with Wire(socket.socket(socket.AF_UNIX)) as wire:
        wire.sock.connect(str(path))
        wire.send(HANDSHAKE + b"\r\n")
        wire.read_head()
        older.signal()
        assert wire.read_frame()[0] == 0x88
        serve("--uds", str(path))
        wire.send(frame(0x88, (1001).to_bytes(2, "big")))
        wire.read_all()
    assert older.wait() == 0
    assert say_hi(path).stdout == "hi\n"


def test_several_servers_want_the_socket_of_a_dead_one(
    serve: Serve, tmp_path: Path
) -> None:
    """One of them gets it, and the others say why they do not."""
    path = tmp_path / "socket"
    serve("--uds", str(path)).end()
    servers = [serve("--uds", str(path), start=False) for _ in range(4)]
    ended: list[Server] = []
    while len(ended) < 3:
        ended = [server for server in servers if server.process.poll() is not None]
    for server in ended:
        assert server.wait() == 1
        assert server.log().endswith(" in use by a running server\n")
    (winner,) = {*servers} - {*ended}
    winner.start()
    assert say_hi(path).stdout == "hi\n"
