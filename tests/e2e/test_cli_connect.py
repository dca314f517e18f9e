"""``sansocket connect`` in pipes: what goes in and out, and what is asked for."""

from __future__ import annotations

import contextlib
import shlex
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

import pytest
from websockets.sync.server import ServerConnection

from sansocket import Request, ServerProtocol

from ..children import run
from .pipes import running, send, status
from .support import TIMEOUT, Answer, Server, command, environment

pytestmark = pytest.mark.timeout(120)

Serve = Callable[..., Server]
Begin = Callable[..., str]

CLOSED = "closed with 1000 (OK), answered with 1000 (OK)\n"


# What goes in, and what comes out.


def echo(count: int) -> Answer:
    """Send so many messages back, and close: nobody has to guess when that is all."""

    def handler(peer: ServerConnection) -> None:
        for _ in range(count):
            peer.send(peer.recv())

    return handler


def test_echo_hi(served: Server) -> None:
    url = served.url
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
def test_lines(answer: Begin, stdin: str, stdout: str) -> None:
    url = answer(echo(stdout.count("\n")))
    done = command("connect", url, "-q", "--wait", "none", stdin=stdin)
    assert (done.returncode, done.stdout, done.stderr) == (0, stdout, "")


def test_many_lines(answer: Begin) -> None:
    lines = "".join(f"{number} {'x' * (number % 100)}\n" for number in range(5000))
    url = answer(echo(5000))
    done = command("connect", url, "-q", "--wait", "none", stdin=lines)
    assert done.stdout == lines
    assert done.stderr == ""


def test_a_long_line(answer: Begin) -> None:
    line = "é" * 500_000
    url = answer(echo(2))
    done = command("connect", url, "-q", "--wait", "none", stdin=f"{line}\n{line}")
    assert done.stdout == f"{line}\n{line}\n"


def test_standard_input_and_output_that_are_closed(served: Server) -> None:
    arguments = shlex.join([sys.executable, "-m", "sansocket", "connect", served.url])
    done = run(
        ["sh", "-c", f"{arguments} <&- >&-"],
        env=environment(),
        stderr=subprocess.PIPE,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0
    assert done.stderr.decode().endswith(CLOSED)


def test_a_line_that_is_not_utf_8(answer: Begin) -> None:
    url = answer(echo(2))
    done = command("connect", url, "-q", "--wait", "none", stdin=b"a\n\xff\nb\n")
    assert done.returncode == 5
    assert done.stdout == "a\nb\n"
    assert done.stderr == "line 2 is not UTF-8 and was not sent\n"


@pytest.mark.parametrize("size", [0, 3, 200_000])
def test_binary(answer: Begin, size: int) -> None:
    data = (bytes(range(256)) * 1000)[:size]
    url = answer(echo(bool(size)))
    done = command("connect", url, "-q", "--binary", "--wait", "none", stdin=data)
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
    closed: SimpleQueue[int | None] = SimpleQueue()

    def handler(peer: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            while True:
                peer.send("more")
        closed.put(peer.close_code)

    with running(answer(handler), "-q", "--wait", "none") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"more\n"
        process.stdout.close()
        assert process.wait(TIMEOUT) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert closed.get(timeout=TIMEOUT) == 1000


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
    error = "sansocket: error: cannot connect: certificate not accepted: self-signed"
    found, line = status(url)
    assert found == 1
    assert line.startswith(error)
    for option in (["--insecure"], ["--cafile", str(certificate[0])]):
        done = command("connect", url, *option, stdin="hi")
        assert (done.returncode, done.stdout) == (0, "hi\n"), done.stderr
    for cafile in (certificate[1], "/nonexistent"):
        found, line = status(url, "--cafile", str(cafile))
        assert found == 1
        assert f"cannot load certificates from {cafile}: " in line


def test_tls_that_is_none(answer: Begin) -> None:
    url = answer(lambda peer: None).replace("ws:", "wss:")
    found, line = status(url)
    assert found == 1
    assert "cannot connect: " in line


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
