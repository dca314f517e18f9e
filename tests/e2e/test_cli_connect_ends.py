"""How ``sansocket connect`` ends in pipes, and with which exit status."""

from __future__ import annotations

import contextlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pytest
from websockets.sync.server import ServerConnection

from ..children import Child, run
from .pipes import running, send, send_for_ever, status, wait_for
from .support import TIMEOUT, Server, environment, refused, until_closed

pytestmark = pytest.mark.timeout(120)

Begin = Callable[..., str]

CLOSED_BY_PEER = "peer closed with 1000 (OK), answered with 1000 (OK)"
CLOSED = "closed with 1000 (OK), answered with 1000 (OK)\n"


def test_status_of_a_connection_that_was_not_made(answer: Begin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    error = "sansocket: error: cannot connect: "
    for host in ("127.0.0.1", "localhost"):  # which may have two addresses
        found, line = status(f"ws://{host}:{port}/")
        assert found == 1
        assert line.startswith(f"{error}Connection refused")
    refusing = answer(
        lambda peer: None,
        process_request=lambda peer, request: peer.respond(404, "\x1b[2Jgone\nmore"),
    )
    assert status(refusing) == (
        1,
        f"{error}server refused with HTTP status 404 Not Found: \\x1b[2Jgone",
    )


def test_status_of_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"ws://127.0.0.1:{sock.getsockname()[1]}/"
        code, line = status(url, "--open-timeout", "0.1")
    assert code == 1
    assert line.endswith("cannot connect: the opening handshake took too long")


@pytest.mark.parametrize(
    ("code", "expected"), [(1000, 0), (1001, 0), (1011, 3), (3000, 3)]
)
def test_status_of_a_close_code(answer: Begin, code: int, expected: int) -> None:
    url = answer(lambda peer: peer.close(code, "because"))
    found, line = status(url, "--wait", "none")
    assert found == expected
    assert line.startswith(f"peer closed with {code} (")
    assert "because" in line


def test_status_of_a_close_without_a_code(answer: Begin) -> None:
    def handler(peer: ServerConnection) -> None:
        peer.socket.sendall(b"\x88\x00")
        until_closed(peer)

    assert status(answer(handler), "--wait", "none")[0] == 0


def test_status_of_a_lost_connection(answer: Begin) -> None:
    def handler(peer: ServerConnection) -> None:
        peer.socket.shutdown(socket.SHUT_RDWR)

    found, line = status(answer(handler), "--wait", "none")
    assert (found, line) == (4, "connection lost: no close frame sent or received")


def test_status_of_a_violation(answer: Begin) -> None:
    """The server sends a frame that is masked."""

    def handler(peer: ServerConnection) -> None:
        peer.socket.sendall(b"\x81\x80\x00\x00\x00\x00")
        until_closed(peer)

    found, line = status(answer(handler), "--wait", "none")
    assert found == 3
    assert "1002" in line


def test_status_of_a_message_that_is_too_large(served: Server) -> None:
    found, line = status(served.url, "--max-size", "1K", stdin="a" * 1025)
    assert found == 3
    assert "1009" in line


@pytest.mark.apart  # the peer takes 10 s to close, as it does not read meanwhile
def test_status_of_lines_that_the_server_did_not_wait_for(answer: Begin) -> None:
    def handler(peer: ServerConnection) -> None:
        assert peer.recv() == "one"

    with running(answer(handler), "--wait", "none") as process:
        send(process, b"one\n")
        send_for_ever(process)
        assert process.wait(TIMEOUT) == 5
        assert process.stderr is not None
        errors = process.stderr.read().decode()
    pattern = f".*\nthe input from line [0-9]+ on was not sent\n{CLOSED_BY_PEER}\n"
    assert re.fullmatch(pattern.replace("(OK)", r"\(OK\)"), errors), errors
    for rest, expected in ((b"", 0), (b"half a li", 5)):
        with running(answer(handler), "--wait", "none", "-q") as process:
            send(process, b"one\n" + rest)
            assert process.wait(TIMEOUT) == expected


def test_status_of_bytes_that_the_server_did_not_wait_for(answer: Begin) -> None:
    def handler(peer: ServerConnection) -> None:
        next(peer.recv_streaming())
        peer.close()

    with running(answer(handler), "--binary", "-q") as process:
        send(process, b"one")
        assert process.wait(TIMEOUT) == 5
        assert process.stderr is not None
        assert process.stderr.read() == b"the input was not sent completely\n"


def test_status_of_a_server_that_wants_nothing(answer: Begin) -> None:
    """It is no fault to have nothing to send."""
    for option in ("--wait=none", "--binary"):
        with running(answer(lambda peer: peer.close()), option, "-q") as process:
            assert process.wait(TIMEOUT) == 0


def test_status_of_an_input_that_cannot_be_read(served: Server, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        done = run(
            [sys.executable, "-m", "sansocket", "connect", served.url, "-q"],
            env=environment(),
            stdin=file,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
        )
    assert done.stderr == b"cannot read standard input: Bad file descriptor\n"
    assert done.returncode == 5


@pytest.mark.skipif(sys.platform != "linux", reason="has no /dev/full")
def test_status_of_an_output_that_is_full(served: Server) -> None:
    with (
        open("/dev/full", "wb") as full,
        Child(
            [sys.executable, "-m", "sansocket", "connect", served.url, "-q"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=full,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        _, errors = process.communicate(b"hi\n", timeout=TIMEOUT)
    assert errors == b"cannot write to standard output: No space left on device\n"
    assert process.returncode == 5


def test_input_that_goes_on_while_nobody_reads_the_output(served: Server) -> None:
    """As with ``yes | sansocket connect ... | head -1``."""
    with running(served.url, "-q") as process:
        assert process.stdout is not None
        send(process, b"hi\n")
        assert process.stdout.readline() == b"hi\n"
        process.stdout.close()
        send_for_ever(process)
        assert process.wait(TIMEOUT) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_standard_error_that_is_closed(served: Server) -> None:
    """What belongs there does not get among the messages."""
    arguments = shlex.join([sys.executable, "-m", "sansocket", "connect", served.url])
    done = run(
        ["sh", "-c", f"echo hi | {arguments} 2>&-"],
        env=environment(),
        stdout=subprocess.PIPE,
        timeout=TIMEOUT,
    )
    assert (done.returncode, done.stdout) == (0, b"hi\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_status_of_a_storm_of_signals(answer: Begin, number: signal.Signals) -> None:
    """From the moment that it is connected to its end, one signal is as many."""
    for _ in range(3):
        with running(answer(until_closed)) as process:
            wait_for(process, b"connected to ")
            while process.poll() is None:
                process.send_signal(number)
                time.sleep(0.0002)
            assert process.returncode == 128 + number
            assert process.stderr is not None
            assert b"\n" not in process.stderr.read().rstrip()


def test_a_signal_while_nobody_reads_the_output(answer: Begin) -> None:
    """A second one does not wait for a message to be printed."""

    def handler(peer: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            while True:
                peer.send("more" * 10_000)

    with running(answer(handler), "--wait", "none", "--max-size=none") as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT) in (130, 143)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_status_of_a_signal(answer: Begin, number: signal.Signals) -> None:
    closed: SimpleQueue[int | None] = SimpleQueue()
    begun = threading.Event()

    def handler(peer: ServerConnection) -> None:
        begun.set()
        until_closed(peer)
        closed.put(peer.close_code)

    with running(answer(handler)) as process:
        assert begun.wait(TIMEOUT)
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"connected to ")
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 128 + number
        assert process.stderr.read().decode() == CLOSED
    assert closed.get(timeout=TIMEOUT) == 1000


def test_a_signal_while_connecting() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        running(f"ws://127.0.0.1:{listener.getsockname()[1]}/") as process,
    ):
        sock, _ = listener.accept()
        with sock:
            assert sock.recv(65536)
            process.send_signal(signal.SIGINT)
            assert process.wait(TIMEOUT) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_second_signal_does_not_wait(mute: str) -> None:
    with running(mute, "--close-timeout", "3600", "-vv") as process:
        assert process.stderr is not None
        wait_for(process, b"connected to ")
        process.send_signal(signal.SIGTERM)
        wait_for(process, b"CLOSE")  # it goes out
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 143


def test_a_server_that_does_not_close(mute: str) -> None:
    found, line = status(mute, "--wait", "0", "--close-timeout", "0.1")
    assert (found, line) == (4, "closed with 1000 (OK); the peer did not answer")


def test_ping(served: Server) -> None:
    with running(served.url, "--ping", "0.01") as process:
        for _ in range(3):
            wait_for(process, b"pong after ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "URI"),
        (["http://127.0.0.1/"], "not a WebSocket URI"),
        (["ws://127.0.0.1/", "--header", "name"], "not a header"),
        (["ws://127.0.0.1/", "--header", "na me: x"], "not a header"),
        (["ws://127.0.0.1/", "--header", "name: a\nb: c"], "not a header"),
        (["ws://127.0.0.1/", "--insecure"], "require wss://"),
        (["ws://127.0.0.1/", "--cafile", "x"], "require wss://"),
        (["ws://127.0.0.1/", "--wait", "soon"], "not a time"),
        (["ws://127.0.0.1/", "--wait", "-1"], "--wait"),
        (["ws://127.0.0.1/", "--ping", "0"], "not a time"),
    ],
)
def test_wrong_usage(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert message in refused(["connect", *arguments], monkeypatch, capsys)
