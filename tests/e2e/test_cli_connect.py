"""``sansocket connect`` in pipes: what goes in and out, and how it ends."""

from __future__ import annotations

import contextlib
import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.sync.server import ServerConnection

from sansocket import Request, ServerProtocol

from ..children import Child, run
from .support import TIMEOUT, Server, command, environment

pytestmark = pytest.mark.timeout(120)

Serve = Callable[..., Server]
Begin = Callable[..., str]

CLOSED_BY_PEER = "peer closed with 1000 (OK), answered with 1000 (OK)"
CLOSED = "closed with 1000 (OK), answered with 1000 (OK)\n"


# What goes in, and what comes out.


def test_echo_hi(serve: Serve) -> None:
    url = serve().url
    done = command("connect", url, stdin="hi\n")
    assert done.returncode == 0
    assert done.stdout == "hi\n"
    assert done.stderr == f"connected to {url} with permessage-deflate\n{CLOSED}"


@pytest.mark.parametrize(
    ("stdin", "stdout"),
    [
        ("", ""),
        ("no end of line", "no end of line\n"),
        ("a\r\n\nWörld 🎈\n", "a\n\nWörld 🎈\n"),
        ("/help\n//x\n", "/help\n//x\n"),  # there are no commands in a pipe
        ("\x1b[2J\x00\n", "\x1b[2J\x00\n"),  # nor is anything escaped
    ],
)
def test_lines(serve: Serve, stdin: str, stdout: str) -> None:
    done = command("connect", serve().url, "-q", stdin=stdin)
    assert (done.returncode, done.stdout, done.stderr) == (0, stdout, "")


def test_many_lines(serve: Serve) -> None:
    lines = "".join(f"{number} {'x' * (number % 100)}\n" for number in range(5000))
    done = command("connect", serve().url, "-q", stdin=lines)
    assert done.stdout == lines
    assert done.stderr == ""


def test_a_long_line(serve: Serve) -> None:
    line = "é" * 500_000
    done = command("connect", serve().url, "-q", stdin=f"{line}\n{line}")
    assert done.stdout == f"{line}\n{line}\n"


def test_standard_input_and_output_that_are_closed(serve: Serve) -> None:
    arguments = shlex.join([sys.executable, "-m", "sansocket", "connect", serve().url])
    done = run(
        ["sh", "-c", f"{arguments} <&- >&-"],
        env=environment(),
        stderr=subprocess.PIPE,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0
    assert done.stderr.decode().endswith(CLOSED)


def test_a_line_that_is_not_utf_8(serve: Serve) -> None:
    done = command("connect", serve().url, "-q", stdin=b"a\n\xff\nb\n")
    assert done.returncode == 5
    assert done.stdout == "a\nb\n"
    assert done.stderr == "line 2 is not UTF-8, and was not sent\n"


@pytest.mark.parametrize("size", [0, 3, 200_000])
def test_binary(serve: Serve, size: int) -> None:
    data = (bytes(range(256)) * 1000)[:size]
    done = command("connect", serve().url, "-q", "--binary", stdin=data)
    assert done.returncode == 0
    assert done.stdout == f"{data.hex()}\n" * bool(size)


def test_binary_needs_no_whole_input(answer: Begin) -> None:
    """It goes out as it comes, in fragments of one message."""
    first = threading.Event()

    def handler(peer: ServerConnection) -> None:
        parts = peer.recv_streaming()
        assert next(parts) == b"one"
        first.set()
        peer.send(b"".join(map(bytes, parts)))  # type: ignore[arg-type]

    with running(answer(handler), "--binary", "-q") as process:
        send(process, b"one")
        assert first.wait(TIMEOUT)
        send(process, b"two")
        assert process.communicate(timeout=TIMEOUT)[0] == b"two".hex().encode() + b"\n"


def test_messages_that_come_late(answer: Begin) -> None:
    """After the end of the input it waits; each message makes it wait again."""

    def handler(peer: ServerConnection) -> None:
        assert peer.recv() == "go"
        for number in range(10):
            assert peer.ping().wait(TIMEOUT)  # the input has ended before long
            peer.send(str(number))

    done = command("connect", answer(handler), "-q", "--wait", "none", stdin="go")
    assert done.stdout == "".join(f"{number}\n" for number in range(10))
    assert done.returncode == 0


def answer_the_close(listener: socket.socket) -> None:
    """Serve one connection: what it sends first is taken for its close frame."""
    sock, _ = listener.accept()
    with sock:
        protocol = ServerProtocol()
        while not (events := protocol.events_received()):
            protocol.receive_data(sock.recv(65536))
        (request,) = events
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        sock.sendall(b"".join(protocol.data_to_send()))
        assert sock.recv(65536)
        sock.sendall(b"\x81\x02hi" + b"\x88\x02\x03\xe8")
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass


def test_answers_that_come_after_the_close() -> None:
    """With --wait 0 the connection is closed at once; all is printed nonetheless."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = threading.Thread(target=answer_the_close, args=(listener,))
        serving.start()
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
        done = command("connect", url, "-q", "--wait", "0", stdin="")
        serving.join()
    assert done.stdout == "hi\n"


def test_output_that_nobody_reads(answer: Begin) -> None:
    """As with ``head``: it ends in an orderly way."""
    closed: list[int | None] = []

    def handler(peer: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            while True:
                peer.send("more")
        closed.append(peer.close_code)

    with running(answer(handler), "-q", "--wait", "none") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"more\n"
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert closed == [1000]


# How it ends.


def status(*arguments: str, stdin: str = "") -> tuple[int, str]:
    """The exit status, and the last line on standard error."""
    done = command("connect", *arguments, stdin=stdin)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.splitlines()[-1]


def test_status_of_a_connection_that_was_not_made(answer: Begin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    error = "sansocket: error: no connection: "
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
    assert line.endswith("no connection: the opening handshake took too long")


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
        peer.wait_closed()

    assert status(answer(handler), "--wait", "none")[0] == 0


def test_status_of_a_lost_connection(answer: Begin) -> None:
    def handler(peer: ServerConnection) -> None:
        peer.socket.shutdown(socket.SHUT_RDWR)

    found, line = status(answer(handler), "--wait", "none")
    assert (found, line) == (4, "connection lost, no close frame either way")


def test_status_of_a_violation(answer: Begin) -> None:
    """The server sends a frame that is masked."""

    def handler(peer: ServerConnection) -> None:
        peer.socket.sendall(b"\x81\x80\x00\x00\x00\x00")
        peer.wait_closed()

    found, line = status(answer(handler), "--wait", "none")
    assert found == 3
    assert "1002" in line


def test_status_of_a_message_that_is_too_large(serve: Serve) -> None:
    found, line = status(serve().url, "--max-size", "1K", stdin="a" * 1025)
    assert found == 3
    assert "1009" in line


def test_status_of_lines_that_the_server_did_not_wait_for(answer: Begin) -> None:
    def handler(peer: ServerConnection) -> None:
        assert peer.recv() == "one"

    with running(answer(handler), "--wait", "none") as process:
        send(process, b"one\n")
        send_for_ever(process)
        assert process.wait(TIMEOUT) == 5
        assert process.stderr is not None
        errors = process.stderr.read().decode()
    pattern = f".*\nline [0-9]+ and what follows it were not sent\n{CLOSED_BY_PEER}\n"
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
        assert process.stderr.read() == b"the input was not sent to its end\n"


def test_status_of_a_server_that_wants_nothing(answer: Begin) -> None:
    """It is no fault to have nothing to send."""
    for option in ("--wait=none", "--binary"):
        with running(answer(lambda peer: peer.close()), option, "-q") as process:
            assert process.wait(TIMEOUT) == 0


def test_status_of_an_input_that_cannot_be_read(serve: Serve, tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file:
        done = run(
            [sys.executable, "-m", "sansocket", "connect", serve().url, "-q"],
            env=environment(),
            stdin=file,
            stderr=subprocess.PIPE,
            timeout=TIMEOUT,
        )
    assert done.stderr == b"cannot read standard input: Bad file descriptor\n"
    assert done.returncode == 5


@pytest.mark.skipif(sys.platform != "linux", reason="has no /dev/full")
def test_status_of_an_output_that_is_full(serve: Serve) -> None:
    with (
        open("/dev/full", "wb") as full,
        Child(
            [sys.executable, "-m", "sansocket", "connect", serve().url, "-q"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=full,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        _, errors = process.communicate(b"hi\n", timeout=TIMEOUT)
    assert errors == b"cannot write to standard output: No space left on device\n"
    assert process.returncode == 5


def test_input_that_goes_on_while_nobody_reads_the_output(serve: Serve) -> None:
    """As with ``yes | sansocket connect ... | head -1``."""
    with running(serve().url, "-q") as process:
        assert process.stdout is not None
        send(process, b"hi\n")
        assert process.stdout.readline() == b"hi\n"
        process.stdout.close()
        send_for_ever(process)
        assert process.wait(TIMEOUT) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_standard_error_that_is_closed(serve: Serve) -> None:
    """What belongs there does not get among the messages."""
    arguments = shlex.join([sys.executable, "-m", "sansocket", "connect", serve().url])
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
        with running(answer(lambda peer: peer.wait_closed())) as process:
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
    closed: list[int | None] = []
    begun = threading.Event()

    def handler(peer: ServerConnection) -> None:
        begun.set()
        peer.wait_closed()
        closed.append(peer.close_code)

    with running(answer(handler)) as process:
        assert begun.wait(TIMEOUT)
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"connected to ")
        process.send_signal(number)
        assert process.wait(TIMEOUT) == 128 + number
        assert process.stderr.read().decode() == CLOSED
    assert closed == [1000]


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
    assert (found, line) == (4, "closed with 1000 (OK), which nobody answered")


def test_ping(serve: Serve) -> None:
    with running(serve().url, "--ping", "0.01") as process:
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
        (["ws://127.0.0.1/", "--insecure"], "are for wss://"),
        (["ws://127.0.0.1/", "--cafile", "x"], "are for wss://"),
        (["ws://127.0.0.1/", "--wait", "soon"], "not a time"),
        (["ws://127.0.0.1/", "--wait", "-1"], "--wait"),
        (["ws://127.0.0.1/", "--ping", "0"], "not a time"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str) -> None:
    done = command("connect", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


# What is asked for.


def test_request(answer: Begin) -> None:
    def handler(peer: ServerConnection) -> None:
        assert peer.request is not None
        headers = peer.request.headers
        assert headers.get_all("X-A") == ["1", "2: 3"]
        assert headers["Origin"] == "https://example.com"
        assert headers["Sec-WebSocket-Protocol"] == "a, b"
        assert "Sec-WebSocket-Extensions" not in headers
        peer.send("as it should be")

    options = ["--subprotocol=a", "--subprotocol=b", "--no-compression"]
    url = answer(handler, subprotocols=["b"])
    done = command(
        *("connect", url, *options, "--origin=https://example.com"),
        *("--header=X-A:1", "--header", "X-A: 2: 3", "--wait=none"),
        stdin="",
    )
    assert done.stdout == "as it should be\n"
    assert done.stderr.splitlines()[0] == f"connected to {url} with subprotocol b"


def test_tls(serve: Serve, certificate: tuple[Path, Path]) -> None:
    options = "--certfile", str(certificate[0]), "--keyfile", str(certificate[1])
    url = serve(*options).url
    error = "sansocket: error: no connection: certificate not accepted: self-signed"
    found, line = status(url)
    assert found == 1
    assert line.startswith(error)
    for option in (["--insecure"], ["--cafile", str(certificate[0])]):
        done = command("connect", url, *option, stdin="hi")
        assert (done.returncode, done.stdout) == (0, "hi\n"), done.stderr
    for cafile in (certificate[1], "/nonexistent"):
        found, line = status(url, "--cafile", str(cafile))
        assert found == 1
        assert f"no certificates in {cafile}: " in line


def test_tls_that_is_none(answer: Begin) -> None:
    url = answer(lambda peer: None).replace("ws:", "wss:")
    found, line = status(url)
    assert found == 1
    assert "no connection: " in line


def test_a_certificate_for_another_name(
    answer: Begin, certificate: tuple[Path, Path]
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    url = answer(lambda peer: None, ssl=context).replace("127.0.0.1", "127.0.0.2")
    assert status(url, "--cafile", str(certificate[0]))[0] == 1


# Help.


def test_help_names_each_option() -> None:
    text = command("connect", "--help").stdout
    for option in (
        *("header", "origin", "subprotocol", "no-compression", "uds", "cafile"),
        *("insecure", "open-timeout", "close-timeout", "binary", "wait", "ping"),
        *("max-size", "no-history", "quiet", "verbose"),
    ):
        assert f"--{option}" in text
    assert "exit status" in text


# A process whose input stays open.


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command; it is ended with the block, if it has not ended before."""
    process = Child(
        [sys.executable, "-m", "sansocket", "connect", *arguments],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        yield process


def send(process: subprocess.Popen[bytes], data: bytes) -> None:
    """Write to standard input."""
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


def send_for_ever(process: subprocess.Popen[bytes]) -> None:
    """Write lines to standard input until nobody reads them."""
    with contextlib.suppress(BrokenPipeError):
        while True:
            send(process, b"more\n" * 1000)


def wait_for(process: subprocess.Popen[bytes], part: bytes) -> None:
    """Wait for a line on standard error that has this in it."""
    assert process.stderr is not None
    for line in process.stderr:
        if part in line:
            return
    raise AssertionError(f"no line with {part!r}")
