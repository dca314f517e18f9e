"""The server as a process of its own, and bytes to talk to it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

import sansocket
from sansocket.cli import main

from ..children import Child, run

Answer = Callable[[ServerConnection], None]  # what a server does, in a test

TIMEOUT = 60.0  # seconds that nothing here should ever take
WAITING = "; a second Ctrl-C or SIGTERM ends this at once\n"

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)


def need(program: str, *others: str) -> str:
    """Return the path of a program; skip, or fail on CI, where there is none."""
    for name in (program, *others):
        if path := shutil.which(name):
            return path
    message = f"{program} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def until_closed(peer: ServerConnection) -> None:
    """Wait for the end of a connection; websockets 16 has no ``wait_closed()`` here."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            peer.recv()


def environment() -> dict[str, str]:
    """Make a process find the package that the tests themselves import."""
    paths = [str(Path(sansocket.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "no_proxy": "127.0.0.1,localhost",
    }


def refused(
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """Run the command in this process, check that it ends for wrong usage, and return
    what it says."""
    monkeypatch.setattr("sansocket.cli.set_up_logging", lambda verbosity: None)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    output, errors = capsys.readouterr()
    assert output == ""
    return errors


def command(
    *arguments: str, stdin: str | bytes | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    done = run(
        [sys.executable, "-m", "sansocket", *arguments],
        env=environment(),
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        timeout=TIMEOUT,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


class Server:
    """A running ``sansocket serve``."""

    def __init__(self, errors: IO[str], *options: str, cwd: Path | None = None) -> None:
        self.errors = errors
        self.lines = 1 if "--uds" in options else 2
        self.process = Child(
            [sys.executable, "-m", "sansocket", "serve", "--port", "0", *options],
            env=environment(),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )

    def start(self) -> None:
        """Wait until the server tells its addresses."""
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(self.lines)]
        assert all(lines), f"the server did not start: {self.log()}"
        self.url, *pages = (line.split()[0] for line in lines)
        if not pages:  # a Unix socket
            return
        (self.page_url,) = pages
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.host, self.port = parts.hostname, parts.port

    def wait_for(self, text: str) -> None:
        """Wait until the log has this text."""
        while text not in self.log():
            ended = self.process.poll() is not None
            assert not ended or text in self.log(), self.log()
            time.sleep(0.01)

    def log(self) -> str:
        """Return what the server wrote to standard error."""
        number = self.errors.fileno()
        # Not by seeking: the server writes where we would leave the file.
        return os.pread(number, os.fstat(number).st_size, 0).decode()

    def complaints(self) -> str:
        """The log, without whom it waits for as it stops: who is busy tells that."""
        lines = self.log().splitlines(keepends=True)
        return "".join(line for line in lines if not line.endswith(WAITING))

    def signal(self, number: int = signal.SIGINT) -> None:
        """Send a signal to the server."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end of the server; return its exit status."""
        return self.process.wait(TIMEOUT)

    def end(self) -> None:
        """Make sure that the process and its workers are gone."""
        self.process.end()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def connect(self) -> socket.socket:
        """Open a TCP connection."""
        return socket.create_connection((self.host, self.port), TIMEOUT)

    def open(self, *headers: bytes) -> Wire:
        """Open a WebSocket connection whose bytes the test writes and reads."""
        wire = Wire(self.connect())
        try:
            lines = b"".join(line + b"\r\n" for line in headers)
            wire.send(HANDSHAKE + lines + b"\r\n")
            wire.head = wire.read_head()
            assert wire.head.startswith(b"HTTP/1.1 101 "), wire.head
        except BaseException:
            wire.__exit__()
            raise
        return wire

    def exchange(self, data: bytes) -> bytes:
        """Send bytes and read what comes back until the server closes."""
        with Wire(self.connect()) as wire:
            wire.send(data)
            return wire.read_all()


class Wire:
    """A socket that is read by the frame."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")
        self.head = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *exc: object) -> None:
        self.file.close()
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Write all bytes."""
        self.sock.sendall(data)

    def read_head(self) -> bytes:
        """Read to the end of a response's headers."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.file.readline()
            assert line, head
            head += line
        return head

    def read_all(self) -> bytes:
        """Read to the end; a reset counts as one."""
        received = b""
        try:
            while data := self.file.read1():
                received += data
        except ConnectionResetError:
            pass
        return received

    def read_frame(self) -> tuple[int, bytes]:
        """Read a frame that is not masked: its first byte and its payload."""
        first, length = self.file.read(2)
        if length >= 126:
            length = int.from_bytes(self.file.read(2 if length == 126 else 8), "big")
        return first, self.file.read(length)


def frame(first: int, payload: bytes = b"") -> bytes:
    """Make a masked frame, with a key of zeros; ``first`` is its first byte."""
    length = len(payload)
    if length < 126:
        size = bytes([0x80 | length])
    elif length < 65536:
        size = b"\xfe" + length.to_bytes(2, "big")
    else:
        size = b"\xff" + length.to_bytes(8, "big")
    return bytes([first]) + size + bytes(4) + payload


def status_of(response: bytes) -> int:
    """Return the status of an HTTP response."""
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", response)
    assert found is not None, response
    return int(found[1])


def tls(server: Server, certificate: tuple[Path, Path]) -> Wire:
    """Open a TLS connection."""
    context = ssl.create_default_context(cafile=certificate[0])
    return Wire(context.wrap_socket(server.connect(), server_hostname="localhost"))
