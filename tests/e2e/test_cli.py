"""The command: arguments, signals, the page, and peers that misbehave."""

from __future__ import annotations

import re
import signal
import socket
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

import sansocket

from .support import (
    HANDSHAKE,
    TIMEOUT,
    Server,
    Wire,
    command,
    frame,
    refused,
    status_of,
    tls,
)

pytestmark = pytest.mark.timeout(120)

Serve = Callable[..., Server]

# How a connection ends that the server cut off: the end, or a reset.
CUT = (b"", ConnectionResetError)


# Arguments.


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"]])
def test_help_names_what_there_is(arguments: list[str]) -> None:
    done = command(*arguments)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "serve" in done.stdout


def test_help_of_serve_names_each_option() -> None:
    text = command("serve", "--help").stdout
    for option in (
        *("host", "port", "uds", "certfile", "keyfile", "origin", "subprotocol"),
        *("no-compression", "max-size", "max-fragments", "open-timeout"),
        *("close-timeout", "ping-interval", "ping-timeout", "workers", "reload"),
        *("loop", "verbose"),
    ):
        assert f"--{option}" in text


def test_version_and_form() -> None:
    done = command("--version")
    assert done.returncode == 0
    form = (
        "compiled"
        if sansocket.frames.__file__.endswith((".so", ".pyd"))
        else "interpreted"
    )
    assert done.stdout == f"sansocket {sansocket.__version__} ({form})\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "command"),
        (["sing"], "sing"),
        (["serve", "--port", "65536"], "not a port"),
        (["serve", "--port", "http"], "not a port"),
        (["serve", "--max-size", "big"], "not a size"),
        (["serve", "--max-size", "0"], "not a size"),
        (["serve", "--max-size", "-1"], "--max-size"),
        (["serve", "--open-timeout", "0"], "not a time"),
        (["serve", "--close-timeout", "nan"], "not a time"),
        (["serve", "--close-timeout", "soon"], "not a time"),
        (["serve", "--keyfile", "key.pem"], "--certfile"),
    ],
)
def test_wrong_usage(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert message in refused(arguments, monkeypatch, capsys)


# Starting.


def assert_cannot_start(*options: str, message: str) -> None:
    """Check that the server ends with status 1 and one line."""
    done = command("serve", *options)
    assert done.returncode == 1
    assert done.stdout == ""
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_port_in_use(serve: Serve) -> None:
    port = str(serve().port)
    assert_cannot_start("--port", port, message=f"127.0.0.1:{port}: Address already")


def test_address_of_another_machine() -> None:
    assert_cannot_start("--host", "192.0.2.1", message="cannot listen on 192.0.2.1:")


def test_host_that_is_no_name() -> None:
    assert_cannot_start("--host", "a" * 64 + ".", message="cannot listen on a")


def test_missing_certificate(tmp_path: Path) -> None:
    path = str(tmp_path / "none.pem")
    assert_cannot_start("--certfile", path, message=f"cannot read {path}: No such")


def test_missing_key(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    path = str(tmp_path / "none.pem")
    options = ("--certfile", str(certificate[0]), "--keyfile", path)
    assert_cannot_start(*options, message=f"cannot read {path}: No such")


def test_certificate_without_its_key(certificate: tuple[Path, Path]) -> None:
    path = str(certificate[0])
    assert_cannot_start("--certfile", path, message="no valid certificate")


def test_addresses_are_printed_first(serve: Serve) -> None:
    server = serve()
    assert re.fullmatch(r"ws://127\.0\.0\.1:[1-9]\d*/", server.url)
    assert server.page_url == server.url.replace("ws:", "http:")


def test_localhost_listens_where_the_machine_can(serve: Serve) -> None:
    server = serve("--host", "localhost")
    assert server.host == "127.0.0.1"
    assert status_of(server.exchange(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")) == 200


def test_wildcard_prints_an_address_that_clients_can_use(serve: Serve) -> None:
    assert serve("--host", "0.0.0.0").host == "127.0.0.1"


# The echo.


def test_frames_behind_the_request_are_echoed(serve: Serve) -> None:
    with Wire(serve().connect()) as wire:
        wire.send(HANDSHAKE + b"\r\n" + frame(0x81, b"early"))
        assert wire.read_head().startswith(b"HTTP/1.1 101 ")
        assert wire.read_frame() == (0x81, b"early")


def test_fragments_come_back_whole(serve: Serve) -> None:
    with serve().open() as wire:
        wire.send(frame(0x01, b"one") + frame(0x89, b"now") + frame(0x80, b"two"))
        received = [wire.read_frame() for _ in range(2)]
        assert sorted(received) == [(0x81, b"onetwo"), (0x8A, b"now")]


def test_echoes_are_compressed_when_agreed(serve: Serve) -> None:
    with serve().open(b"Sec-WebSocket-Extensions: permessage-deflate") as wire:
        assert b"Sec-WebSocket-Extensions: permessage-deflate" in wire.head
        deflate = zlib.compressobj(wbits=-15)
        message = b"again " * 100
        data = deflate.compress(message) + deflate.flush(zlib.Z_SYNC_FLUSH)
        wire.send(frame(0xC1, data[:-4]))
        first, payload = wire.read_frame()
        assert first == 0xC1
        assert len(payload) < 100
        inflated = zlib.decompressobj(wbits=-15).decompress(payload + b"\0\0\xff\xff")
        assert inflated == message


def test_no_compression(serve: Serve) -> None:
    server = serve("--no-compression")
    with server.open(b"Sec-WebSocket-Extensions: permessage-deflate") as wire:
        assert b"Sec-WebSocket-Extensions" not in wire.head


def test_oversize_message(serve: Serve) -> None:
    with serve("--max-size", "1K").open() as wire:
        wire.send(frame(0x82, bytes(1024)))
        assert wire.read_frame() == (0x82, bytes(1024))
        wire.send(frame(0x82, bytes(1025)))
        first, payload = wire.read_frame()
        assert (first, payload[:2]) == (0x88, (1009).to_bytes(2, "big"))
        assert wire.read_all() == b""


def test_oversize_message_over_tls(
    serve: Serve, certificate: tuple[Path, Path]
) -> None:
    """The peer is told, although it is still sending (SPEC-079h)."""
    server = serve("--certfile", str(certificate[0]), "--keyfile", str(certificate[1]))
    with tls(server, certificate) as wire:
        wire.send(HANDSHAKE + b"\r\n")
        assert wire.read_head().startswith(b"HTTP/1.1 101 ")
        wire.send(frame(0x82, bytes(2**22)))
        first, payload = wire.read_frame()
        assert (first, payload[:2]) == (0x88, (1009).to_bytes(2, "big"))
        assert wire.read_all() == b""


@pytest.mark.parametrize("secure", [False, True])
def test_sec_07_a_peer_that_does_not_read_is_not_read(
    serve: Serve, certificate: tuple[Path, Path], secure: bool
) -> None:
    """A slow reader stops its own writing and loses nothing (SEC-07)."""
    message = frame(0x82, bytes(65000))
    options = ["--certfile", certificate[0], "--keyfile", certificate[1]]
    server = serve(*map(str, options if secure else []))
    with tls(server, certificate) if secure else Wire(server.connect()) as wire:
        wire.send(HANDSHAKE + b"\r\n")
        wire.read_head()
        wire.sock.settimeout(0.5)
        sent = send_until_blocked(wire.sock, message, 2**28)
        wire.sock.settimeout(TIMEOUT)
        for _ in range(sent // len(message)):
            assert wire.read_frame() == (0x82, bytes(65000))


def send_until_blocked(sock: socket.socket, message: bytes, limit: int) -> int:
    """Send a message over and over until nothing moves; return the bytes sent."""
    sent = 0
    try:
        while sent < limit:
            sent += sock.send(message[sent % len(message) :])
    except TimeoutError:
        return sent
    pytest.fail("the server goes on reading")


# Peers that misbehave.


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\xff\r\n\r\n",
        b"GET / HTTP/1.1\r\n\x1b]0;owned\x07: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        HANDSHAKE.replace(b"Sec-WebSocket-Key", b"Key") + b"\r\n",
    ],
    ids=["binary", "escape", "tls", "no key"],
)
def test_garbage_is_refused(serve: Serve, data: bytes) -> None:
    assert status_of(serve().exchange(data)) == 400


def test_too_long_request_line_is_refused(serve: Serve) -> None:
    answer = serve().exchange(b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n")
    assert status_of(answer) == 414


@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1\r\nHost:"], ids=["silent", "partial"]
)
def test_sec_24_slow_handshake_is_cut(serve: Serve, data: bytes) -> None:
    """Whoever sends no complete request is cut off (SEC-24)."""
    server = serve("--open-timeout", "0.2", "-v")
    assert server.exchange(data) in CUT
    server.signal()
    assert server.wait() == 0
    assert server.log().count("opening handshake failed: ") == 1


def test_sec_24_slow_tls_handshake_is_cut(
    serve: Serve, certificate: tuple[Path, Path]
) -> None:
    """Whoever never begins TLS is cut off too (SEC-24)."""
    options = "--certfile", str(certificate[0]), "--keyfile", str(certificate[1])
    assert serve("--open-timeout", "0.2", *options).exchange(b"") in CUT


def test_plain_request_to_tls_is_cut(
    serve: Serve, certificate: tuple[Path, Path]
) -> None:
    """TLS comes first, and everything else is inside it (SPEC-039)."""
    server = serve("--certfile", str(certificate[0]), "--keyfile", str(certificate[1]))
    server.exchange(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with tls(server, certificate) as wire:
        wire.send(b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status_of(wire.read_all()) == 200


def test_an_open_connection_outlives_the_opening_timeout(serve: Serve) -> None:
    with serve("--open-timeout", "0.1").open() as wire:
        wire.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            wire.sock.recv(1)
        wire.send(frame(0x81, b"still here"))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"garbage\r\n\r\n",
        HANDSHAKE + b"\r\n" + frame(0x88, (1000).to_bytes(2, "big")),
        HANDSHAKE + b"\r\n\xff\xff",
    ],
    ids=["page", "garbage", "closed", "failed"],
)
def test_the_server_half_closes_when_it_is_done(serve: Serve, data: bytes) -> None:
    """It reads on, so that no reset destroys what it said (SPEC-038, SPEC-079h)."""
    server = serve("--close-timeout", "3600")  # so that no timer does it
    with Wire(server.connect()) as wire:
        wire.send(data)
        assert wire.read_all()
        wire.send(b"more")  # our direction is still open


def test_sec_38_silent_peer_is_cut_after_the_close_timeout(serve: Serve) -> None:
    """A peer that never closes TCP does not hold the connection (SEC-38)."""
    with serve("--close-timeout", "0.2").open() as wire:
        wire.send(frame(0x88, (1000).to_bytes(2, "big")))
        assert wire.read_frame() == (0x88, (1000).to_bytes(2, "big"))
        assert wire.read_all() == b""  # the half-close
        assert_cut(wire)


def test_sec_38_peer_that_sends_on_is_cut_after_the_close_timeout(
    serve: Serve,
) -> None:
    """A failed peer that goes on sending is cut off (SEC-38)."""
    with serve("--close-timeout", "0.2").open() as wire:
        wire.send(b"\xff\xff")
        first, payload = wire.read_frame()
        assert (first, payload[:2]) == (0x88, (1002).to_bytes(2, "big"))
        assert_cut(wire)


def test_sec_38_refused_peer_is_cut_after_the_close_timeout(serve: Serve) -> None:
    """A peer without a handshake does not stay either (SEC-38)."""
    with Wire(serve("--close-timeout", "0.2").connect()) as wire:
        wire.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert status_of(wire.read_all()) == 404
        assert_cut(wire)


def assert_cut(wire: Wire) -> None:
    """Check that the server refuses what we send, soon."""
    wire.sock.settimeout(TIMEOUT)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        send_for_ever(wire)


def send_for_ever(wire: Wire) -> None:
    """Send zeros until the connection breaks."""
    while True:
        wire.send(bytes(1024))


def test_sec_40_log_is_one_printable_line_each(serve: Serve) -> None:
    """Nothing that a peer sends reaches the terminal as it is (SEC-40)."""
    server = serve("-vv")
    escape = b"\x1b]0;owned\x07\x9b31m"
    server.exchange(b"GET /" + escape + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    server.exchange(escape + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
    server.exchange(b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    with server.open(b"X-Name: " + bytes(range(128, 256))) as wire:
        wire.send(frame(0x81, "\x1b[2J \u202e \n\r".encode() * 50))
        wire.read_frame()
        wire.send(frame(0x88, (1000).to_bytes(2, "big") + b"\x1b[2J\r\nforged"))
        wire.read_all()
    server.signal()
    assert server.wait() == 0
    lines = server.log().split("\n")
    assert lines.pop() == ""
    assert len(lines) > 4
    for line in lines:
        assert line.isprintable()
        assert len(line) <= 300
        assert re.match(r"\d\d:\d\d:\d\d [A-Z]+ (127\.0\.0\.1:\d+|sansocket) ", line)


def test_quiet_by_default(serve: Serve) -> None:
    server = serve()
    server.exchange(b"garbage\r\n\r\n")
    with server.open() as wire:
        wire.send(b"\xff\xff")
        wire.read_all()
    server.signal()
    assert server.wait() == 0
    assert server.complaints() == ""


# The end.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_without_connections(
    serve: Serve, number: signal.Signals
) -> None:
    server = serve()
    server.signal(number)
    assert server.wait() == 0
    assert server.complaints() == ""


@pytest.mark.parametrize(
    "begun", [b"", frame(0x01, b"half a mess")], ids=["idle", "in a message"]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_connections_with_1001(
    serve: Serve, number: signal.Signals, begun: bytes
) -> None:
    server = serve()
    with server.open() as wire:
        wire.send(begun + frame(0x89))
        assert wire.read_frame() == (0x8A, b"")
        server.signal(number)
        first, payload = wire.read_frame()
        assert (first, payload[:2]) == (0x88, (1001).to_bytes(2, "big"))
        wire.send(frame(0x88, (1001).to_bytes(2, "big")))
        assert wire.read_all() == b""
    assert server.wait() == 0
    assert server.complaints() == ""


def test_connections_without_a_handshake_do_not_delay_the_end(serve: Serve) -> None:
    server = serve("--close-timeout", "60")
    with Wire(server.connect()) as wire:
        server.exchange(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")  # wire is accepted too
        server.signal()
        assert server.wait() == 0
        assert wire.read_all() == b""


def test_peers_that_began_tls_do_not_delay_the_end(
    serve: Serve, certificate: tuple[Path, Path]
) -> None:
    server = serve("--certfile", str(certificate[0]), "--keyfile", str(certificate[1]))
    with Wire(server.connect()) as wire:
        wire.send(b"\x16\x03\x01")
        tls(server, certificate).__exit__()  # then wire is accepted too
        server.signal()
        assert server.wait() == 0
        assert wire.read_all() == b""
    assert server.complaints() == ""


def test_sec_38_silent_peer_does_not_stop_the_end(serve: Serve) -> None:
    """The server ends although a peer never answers the close (SEC-38)."""
    server = serve("--close-timeout", "0.2")
    with server.open():
        server.signal()
        assert server.wait() == 0
    assert server.complaints() == ""


def test_a_second_signal_cuts_connections_off(serve: Serve) -> None:
    server = serve("--close-timeout", "3600")
    with server.open() as wire:
        server.signal()
        assert wire.read_frame()[0] == 0x88
        server.signal()
        assert server.wait() == 0


def test_new_connections_are_refused_while_closing(serve: Serve) -> None:
    server = serve("--close-timeout", "3600")
    with server.open() as wire:
        server.signal()
        assert wire.read_frame()[0] == 0x88
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((server.host, server.port), TIMEOUT)
        wire.send(frame(0x88, (1001).to_bytes(2, "big")))
        assert wire.read_all() == b""
    assert server.wait() == 0


def test_a_signal_closes_tls_connections_with_1001(
    serve: Serve, certificate: tuple[Path, Path]
) -> None:
    server = serve("--certfile", str(certificate[0]), "--keyfile", str(certificate[1]))
    with tls(server, certificate) as wire:
        wire.send(HANDSHAKE + b"\r\n")
        wire.read_head()
        server.signal()
        first, payload = wire.read_frame()
        assert (first, payload[:2]) == (0x88, (1001).to_bytes(2, "big"))
        wire.send(frame(0x88, (1001).to_bytes(2, "big")))
        assert wire.read_all() == b""
    assert server.wait() == 0
    assert server.complaints() == ""
