"""What the tests of a connection share: bytes as peers send them, and outcomes.

``side`` is the side under test, ``"server"`` or ``"client"``; ``wire()`` builds what
its peer sends, masked or not. Nothing here is built with the code under test.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pytest

KEY = bytes.fromhex("37fa213d")
SIDES = ("server", "client")

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN, RSV1, RSV2, RSV3 = 0x80, 0x40, 0x20, 0x10

SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
SAMPLE_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
REQUEST_HEADERS = (
    ("Host", "example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", SAMPLE_KEY),
    ("Sec-WebSocket-Version", "13"),
)
RESPONSE_HEADERS = (
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Accept", SAMPLE_ACCEPT),
)


# Bytes on the wire


def xor(data: bytes, key: bytes = KEY) -> bytes:
    """Mask or unmask, as RFC 6455, section 5.3 puts it."""
    keys = (key * (len(data) // 4 + 1))[: len(data)]
    mixed = int.from_bytes(data, "big") ^ int.from_bytes(keys, "big")
    return mixed.to_bytes(len(data), "big")


def header(first: int, length: int, mask_bit: int) -> bytes:
    """A header with the length in its shortest form, without the key."""
    if length < 126:
        return bytes((first, mask_bit | length))
    if length < 65536:
        return bytes((first, mask_bit | 126)) + length.to_bytes(2, "big")
    return bytes((first, mask_bit | 127)) + length.to_bytes(8, "big")


def masked(first: int, payload: bytes = b"", key: bytes = KEY) -> bytes:
    """A frame of a client."""
    return header(first, len(payload), 0x80) + key + xor(payload, key)


def plain(first: int, payload: bytes = b"") -> bytes:
    """A frame of a server."""
    return header(first, len(payload), 0) + payload


def wire(side: str, first: int, payload: bytes = b"") -> bytes:
    """A frame as it reaches this side."""
    return masked(first, payload) if side == "server" else plain(first, payload)


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + reason


def mask_bit(side: str) -> int:
    return 0x80 if side == "server" else 0


def deflated(data: bytes) -> bytes:
    """A whole message, compressed from an empty window (RFC 7692, section 7.2.1)."""
    stream = zlib.compressobj(wbits=-15)
    return (stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


# Handshake messages


def request_bytes(
    *extra: tuple[str, str], headers: Iterable[tuple[str, str]] = REQUEST_HEADERS
) -> bytes:
    lines = [f"{name}: {value}" for name, value in (*headers, *extra)]
    return "\r\n".join(["GET /chat HTTP/1.1", *lines, "", ""]).encode("latin-1")


def response_bytes(
    *extra: tuple[str, str],
    headers: Iterable[tuple[str, str]] = RESPONSE_HEADERS,
    status: str = "101 Switching Protocols",
) -> bytes:
    lines = [f"{name}: {value}" for name, value in (*headers, *extra)]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def make_request(impl: Any, *extra: tuple[str, str]) -> Any:
    """The same request, as another HTTP parser would give it."""
    headers = impl.datastructures.Headers([*REQUEST_HEADERS, *extra])
    return impl.http11.Request("/chat", headers)


def parse_head(data: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
    """Start line, headers and what follows."""
    head, _, rest = data.partition(b"\r\n\r\n")
    start, *lines = head.decode("latin-1").split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    return start, [(name, value) for name, value in pairs], rest


# Connections


def deflate(impl: Any, *, takeover: bool = True) -> Any:
    """permessage-deflate, both ways alike."""
    kind = impl.extensions.permessage_deflate.PerMessageDeflate
    return kind(not takeover, not takeover, 15, 15)


@functools.cache
def chat(impl: Any) -> Any:
    """The URI that clients here connect to."""
    return impl.uri.parse_uri("ws://example.com/chat")


def opened(impl: Any, side: str, extensions: Iterable[Any] = (), **options: Any) -> Any:
    """A connection whose handshake is done."""
    protocol: Any
    if side == "server":
        protocol = impl.server.ServerProtocol(state=impl.protocol.OPEN, **options)
    else:
        state = impl.protocol.OPEN
        protocol = impl.client.ClientProtocol(chat(impl), state=state, **options)
    protocol.extensions = list(extensions)
    return protocol


def bare(
    impl: Any,
    side: str = "server",
    extensions: Iterable[Any] = (),
    methods: dict[str, Callable[..., Any]] | None = None,
    **options: Any,
) -> Any:
    """A ``Protocol`` used directly, or a subclass that overrides these methods."""
    base = impl.protocol.Protocol
    kind = type("Own", (base,), methods) if methods else base
    protocol: Any = kind(getattr(impl.protocol, side.upper()), **options)
    protocol.extensions = list(extensions)
    return protocol


def user_extension(impl: Any, **methods: Callable[..., Any]) -> Any:
    """An extension of the user's; it changes nothing but in the methods given."""

    def decode(self: Any, frame: Any, *, max_size: int | None = None) -> Any:
        return frame

    def encode(self: Any, frame: Any) -> Any:
        return frame

    namespace = {"name": "x-user", "decode": decode, "encode": encode, **methods}
    return type("User", (impl.extensions.base.Extension,), namespace)()


WAYS = ("plain", "debug", "deflate", "extension", "send_frame")
STRAIGHT_WAYS = WAYS[:3]


def on_way(impl: Any, side: str, way: str) -> Any:
    """A connection whose frames take this way out."""

    def send_frame(self: Any, frame: Any) -> None:
        impl.protocol.Protocol.send_frame(self, frame)

    extensions = {"deflate": [deflate(impl)], "extension": [user_extension(impl)]}
    methods = {"send_frame": send_frame} if way == "send_frame" else None
    protocol = bare(impl, side, extensions.get(way, []), methods)
    protocol.logger = new_logger()[0]
    protocol.debug = way == "debug"
    return protocol


def everywhere(test: Callable[..., None]) -> Callable[..., None]:
    """Make one case of a test that is to run for both sides, on each way out."""

    def run(*args: Any) -> None:
        for side in SIDES:
            for way in WAYS:
                test(*args, side, way)

    if test.__code__.co_varnames[0] == "self":

        def case(self: Any, impl: Any) -> None:
            run(self, impl)

    else:

        def case(impl: Any) -> None:  # type: ignore[misc]
            run(impl)

    case.__name__, case.__doc__ = test.__name__, test.__doc__
    return case


def new_logger(level: int = logging.DEBUG) -> tuple[logging.Logger, list[str]]:
    """A logger, and the list that its lines go to."""
    logger, lines = logging.Logger("connection", level), list[str]()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger.addHandler(Handler())
    return logger, lines


@contextlib.contextmanager
def no_random_bytes(impl: Any) -> Iterator[None]:
    """Inside, no masking key can be made."""
    source = impl.environment.random_bytes
    impl.environment.random_bytes = lambda size: 1 // 0
    impl._native.kernels.forget_keys()
    try:
        yield
    finally:
        impl.environment.random_bytes = source


def client_with_sample_key(
    impl: Any, uri: str = "ws://example.com/", **opts: Any
) -> Any:
    """A client in CONNECTING state whose key is that of RFC 6455, section 1.3."""
    protocol = impl.client.ClientProtocol(impl.uri.parse_uri(uri), **opts)
    protocol.key = SAMPLE_KEY
    return protocol


Sent = Any  # first byte and payload, or "EOF"


def read_frames(data: bytes, side: str) -> list[Sent]:
    """Decode what this side wrote; its masking and length form must be right."""
    frames: list[Sent] = []
    while data:
        first, second = data[0], data[1]
        assert second & 0x80 == (0x80 if side == "client" else 0)
        length, size = second & 0x7F, 2
        if length > 125:
            size = 4 if length == 126 else 10
            length = int.from_bytes(data[2:size], "big")
        assert data[:size] == header(first, length, second & 0x80)
        if side == "client":
            key = data[size : size + 4]
            payload = xor(data[size + 4 : size + 4 + length], key)
            size += 4
        else:
            payload = data[size : size + length]
        assert len(payload) == length
        frames.append((first, payload))
        data = data[size + length :]
    return frames


def other(side: str) -> str:
    """The side of the peer."""
    return "client" if side == "server" else "server"


def side_of(protocol: Any) -> str:
    return "client" if protocol.side == 1 else "server"


def sent(protocol: Any) -> list[Sent]:
    """Fetch and decode the output; SEND_EOF is one object, and always the last."""
    chunks = protocol.data_to_send()
    assert type(chunks) is list
    assert b"" not in chunks[:-1]
    eof = chunks[-1:] == [b""]
    frames = read_frames(b"".join(chunks), side_of(protocol))
    return [*frames, "EOF"] if eof else frames


def sent_frames(protocol: Any) -> list[tuple[int, bytes]]:
    """Fetch and decode the output, without the half-close if there is one."""
    return [item for item in sent(protocol) if isinstance(item, tuple)]


def events(protocol: Any) -> list[tuple[int, bytes, bool]]:
    """Fetch the frames received, as opcode, payload and FIN."""
    frames = protocol.events_received()
    assert type(frames) is list
    for frame in frames:
        assert type(frame.data) is bytes
        assert (frame.rsv1, frame.rsv2, frame.rsv3) == (False, False, False)
    return [(int(frame.opcode), frame.data, frame.fin) for frame in frames]


def carry(sender: Any, receiver: Any) -> list[tuple[int, bytes, bool]]:
    """Bring the output of one connection to its peer; return what arrives."""
    receiver.receive_data(b"".join(sender.data_to_send()))
    assert receiver.parser_exc is None
    return events(receiver)


class Outcome(NamedTuple):
    """All that a stream of bytes did to a connection."""

    events: list[tuple[int, bytes, bool]]
    output: list[Sent]
    error: str
    state: str
    close_code: int | None
    close_sent: int | None


def feed(protocol: Any, chunks: Iterable[bytes]) -> Outcome:
    """Feed chunks; the output is fetched once, at the end."""
    seen = []
    for chunk in chunks:
        protocol.receive_data(chunk)
        seen += events(protocol)
    rcvd, gone, error = protocol.close_rcvd, protocol.close_sent, protocol.parser_exc
    return Outcome(
        events=seen,
        output=sent(protocol),
        error=f"{type(error).__name__}: {error}" if error else "",
        state=protocol.state.name,
        close_code=None if rcvd is None else rcvd.code,
        close_sent=None if gone is None else gone.code,
    )


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """The data cut in two at every byte, and into single bytes."""
    for position in range(1, len(data)):
        yield [data[:position], data[position:]]
    yield [data[i : i + 1] for i in range(len(data))]


def assert_failing(protocol: Any, code: int, reason: str | None = None) -> None:
    """The connection has just failed with this close code, and stays failed."""
    assert protocol.state.name == "CLOSING"
    assert protocol.close_expected()
    assert protocol.parser_exc is not None
    assert protocol.close_sent.code == code
    assert protocol.close_rcvd is None
    if reason is not None:
        assert reason in protocol.close_sent.reason
    side = side_of(protocol)
    wanted = protocol.close_sent.reason.encode()
    output = sent(protocol)
    frame: Sent = (FIN | CLOSE, close_payload(code, wanted))
    assert output[-2:] == [frame, "EOF"] if side == "server" else output[-1] == frame
    protocol.events_received()
    # SPEC-076: nothing more is processed, the peer's Close included.
    protocol.receive_data(wire(side, FIN | PING, b"late"))
    protocol.receive_data(wire(side, FIN | CLOSE, close_payload(1000)))
    assert sent(protocol) == []
    assert events(protocol) == []
    assert protocol.close_rcvd is None
    protocol.receive_eof()
    assert protocol.state.name == "CLOSED"
    assert sent(protocol) == ([] if side == "server" else ["EOF"])
    assert protocol.close_code == 1006
    assert protocol.close_exc.__cause__ is protocol.parser_exc
    assert type(protocol.close_exc).__name__ == "ConnectionClosedError"


@contextlib.contextmanager
def proxy_variables(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> Iterator[None]:
    """An environment that names these proxies and no others."""
    with monkeypatch.context() as patch:
        for name in [*os.environ]:
            if name.lower().endswith("_proxy"):
                patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield
