"""Floods: input that costs its sender little, of any size, and what it may cost us.

One table for the tests that assert it (``test_costs.py``) and for the page that shows
it (``tests/attacks.py``), which drives another library with the same bytes.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .costs import Cost, cost
from .handshake_support import client, reply
from .support import (
    BINARY,
    CONT,
    FIN,
    PING,
    PONG,
    RSV1,
    SIDES,
    TEXT,
    bare,
    deflate,
    deflated,
    mask_bit,
    opened,
    request_bytes,
    wire,
)

EVENT = {"compiled": 48, "pure": 128, "websockets": 128}
"""Bytes held for a byte of input where two bytes can be a frame, which is an object."""
ALWAYS = 32_768  # bytes: what a connection keeps, whatever comes
LIMIT = 65_536  # of a message, in the floods that are to meet it

Chunks = list[bytes]


class Flood(NamedTuple):
    """A flood: how a connection is made, what comes, and what that may cost.

    ``held`` and ``peak`` are bytes for each byte of input, above ``ALWAYS`` and
    ``room``; 0 says that nothing is kept. ``None`` stands for ``EVENT``.
    """

    name: str
    sec: str
    ends: str  # what becomes of the connection
    size: int  # of the smaller input; the other is four times this
    start: Callable[[Any, str], Any]
    chunks: Callable[[str, int], Chunks]
    step: Callable[[Any, bytes], object]
    held: float | None = 0
    peak: float | None = 2
    room: int = 0
    sides: tuple[str, ...] = SIDES


class Run(NamedTuple):
    """What a flood has done to a connection."""

    cost: Cost
    received: int  # bytes of the input
    ends: str


def run(flood: Flood, impl: Any, side: str, size: int) -> Run:
    """Let a flood of this size come."""
    chunks = flood.chunks(side, size)

    def steps(protocol: Any) -> Iterator[object]:
        for chunk in chunks:
            yield flood.step(protocol, chunk)

    for _ in steps(flood.start(impl, side)):
        pass  # what is made once, such as a table or a cached pattern, is no cost
    protocol = flood.start(impl, side)
    spent = cost(steps(protocol))
    return Run(spent, sum(map(len, chunks)), ending(protocol))


def may_hold(flood: Flood, form: str, received: int) -> tuple[float, float]:
    """Bytes that may be held after a flood, and at its peak."""
    held, peak = (EVENT[form] if n is None else n for n in (flood.held, flood.peak))
    always = ALWAYS + flood.room
    return held * received + always, peak * received + 2 * always


def bound(flood: Flood) -> str:
    """What is asserted of a flood, in words; ``n`` is its size in bytes."""
    held, peak = (
        f"{EVENT['compiled']} n (interpreted {EVENT['pure']} n)"
        if factor is None
        else f"{factor:g} n"
        for factor in (flood.held, flood.peak)
    )
    always, twice = ((ALWAYS + flood.room) * k // 1024 for k in (1, 2))
    return f"held ≤ {held} + {always} KiB, peak ≤ {peak} + {twice} KiB"


def ending(protocol: Any) -> str:
    """What has become of a connection: a close code, a status, a state."""
    if protocol.parser_exc is not None:
        sent = protocol.close_sent
        return "failed" if sent is None else str(int(sent.code))
    written = b"".join(protocol.data_to_send())
    if written.startswith(b"HTTP/1.1 "):
        return written[9:12].decode()
    if protocol.handshake_exc is not None:
        return "failed"
    return str(protocol.state.name).lower()


# Connections


def recv_frame(self: Any, frame: Any) -> None:
    super(type(self), self).recv_frame(frame)


def frames(impl: Any, side: str) -> Any:
    """An open connection; it shows each frame to Python, and so to who counts."""
    return bare(impl, side, methods={"recv_frame": recv_frame})


def compressed(**options: Any) -> Callable[[Any, str], Any]:
    """An open connection with compression."""
    return lambda impl, side: opened(impl, side, [deflate(impl)], **options)


def plain(**options: Any) -> Callable[[Any, str], Any]:
    return lambda impl, side: opened(impl, side, **known(impl, options))


def known(impl: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Options without those that the other library lacks."""
    if hasattr(impl, "_native"):
        return options
    return {name: options[name] for name in options if name != "max_fragments"}


def shaking(impl: Any, side: str) -> Any:
    """A connection before its handshake."""
    if side == "client":
        return client(impl)
    offers = impl.extensions.permessage_deflate.enable_server_permessage_deflate(None)
    logger = logging.Logger("flood", logging.CRITICAL)
    return impl.server.ServerProtocol(extensions=offers, logger=logger)


def choosing(impl: Any, side: str) -> Any:
    """A server that has to choose a subprotocol."""
    protocol = shaking(impl, side)
    protocol.available_subprotocols = ["none", "p0"]
    return protocol


def undecided(impl: Any, side: str) -> Any:
    """A server that has not answered yet."""
    protocol = shaking(impl, side)
    protocol.receive_data(request_bytes())
    protocol.events_received()
    return protocol


# Steps: what a driver does with one read


def read(protocol: Any, data: bytes) -> None:
    protocol.receive_data(data)


def drive(protocol: Any, data: bytes) -> None:
    protocol.receive_data(data)
    protocol.events_received()
    protocol.data_to_send()


def never_write(protocol: Any, data: bytes) -> None:
    protocol.receive_data(data)
    protocol.events_received()


def reuse(protocol: Any, data: bytes) -> None:
    buffer = bytearray(data)
    protocol.receive_data(buffer)
    buffer[:] = b"\xff" * len(buffer)


def answer(protocol: Any, data: bytes) -> None:
    protocol.receive_data(data)
    for event in protocol.events_received():
        if protocol.side == 0:
            protocol.send_response(protocol.accept(event))


# Input


def cut(data: bytes, size: int = 1) -> Chunks:
    return [data[i : i + size] for i in range(0, len(data), size)]


def fragments(side: str, n: int, part: bytes = b"", first: int = BINARY) -> Chunks:
    """A message that never ends."""
    return [wire(side, first, part), *[wire(side, CONT, part)] * n]


def tiny(side: str, data: bytes, first: int) -> Chunks:
    """A message in frames of one byte, its end left out."""
    start, *rest = cut(data)
    return [wire(side, first, start), *(wire(side, CONT, byte) for byte in rest)]


def payload(side: str, n: int, first: int = FIN | BINARY, unit: bytes = b"x") -> bytes:
    """A frame without its last byte."""
    return wire(side, first, unit * (n // len(unit)))[:-1]


def head(side: str, *lines: tuple[str, str]) -> bytes:
    """A handshake message with these lines too; its end is there."""
    if side == "server":
        return request_bytes(*lines)
    return reply(403, *(f"{name}: {value}" for name, value in lines))


def endless_head(side: str, n: int) -> bytes:
    """One that is in its last line yet."""
    return head(side, ("X", "x" * n))[:-4]


def offers(pattern: str, prefix: str = "") -> Callable[[str, int], Chunks]:
    """A request whose offers of extensions are made of a pattern."""
    return lambda side, n: [
        request_bytes(
            ("Sec-WebSocket-Extensions", prefix + pattern * (n // len(pattern)))
        )
    ]


def protocols(side: str, n: int) -> Chunks:
    names = ", ".join(f"p{i}" for i in range(n))
    return [request_bytes(("Sec-WebSocket-Protocol", names))]


def announced(size: int, first: int = FIN | BINARY) -> Callable[[str, int], Chunks]:
    """A header that announces this size, then some of it."""

    def chunks(side: str, n: int) -> Chunks:
        header = bytes((first, 127 | mask_bit(side))) + size.to_bytes(8, "big")
        return [header + b"k123", *[bytes(1024)] * n]

    return chunks


def noise(n: int) -> bytes:
    """Bytes that can hardly be compressed."""
    return random.Random(7).randbytes(n)


def bomb(side: str, n: int) -> Chunks:
    return [wire(side, FIN | RSV1 | BINARY, deflated(bytes(n)))]


def bomb_behind_full(side: str, n: int) -> Chunks:
    full = deflated(bytes(LIMIT)) + b"\x00\x00\xff\xff"
    return [
        wire(side, RSV1 | BINARY, full),
        wire(side, FIN | CONT, deflated(bytes(n))),
    ]


def blocks(block: bytes, end: bytes = b"") -> Callable[[str, int], Chunks]:
    """One compressed message of many blocks."""
    return lambda side, n: [wire(side, FIN | RSV1 | BINARY, block * n + end)]


def upgrade_with_body(side: str, n: int) -> Chunks:
    return [request_bytes(("Content-Length", "9")), *[b"x" * 256] * n]


def chunked(side: str, n: int) -> Chunks:
    return cut(reply(403, "Transfer-Encoding: chunked", body=b"1\r\nx\r\n" * n))


SERVER = ("server",)
CLIENT = ("client",)

FLOODS = [
    # Many frames in one read
    Flood("messages of 100 bytes", "SEC-06", "open", 30, frames,
          lambda side, n: [wire(side, FIN | BINARY, bytes(100)) * n], read, 8, 16),
    Flood("pings of 100 bytes", "SEC-06", "open", 30, frames,
          lambda side, n: [wire(side, FIN | PING, bytes(100)) * n], read, 8, 16),
    Flood("fragments of 100 bytes", "SEC-05", "open", 30, frames,
          lambda side, n: [b"".join(fragments(side, n, bytes(100)))], read, 8, 16),
    Flood("empty messages", "SEC-06", "open", 30, frames,
          lambda side, n: [wire(side, FIN | BINARY) * n], read, None, None),
    Flood("pings", "SEC-06", "open", 20, frames,
          lambda side, n: [wire(side, FIN | PING) * n], read, None, None),
    Flood("pongs", "SEC-06", "open", 20, frames,
          lambda side, n: [wire(side, FIN | PONG) * n], read, None, None),
    Flood("empty fragments", "SEC-04", "open", 20, frames,
          lambda side, n: [b"".join(fragments(side, n))], read, None, None),
    Flood("fragments of 1 byte", "SEC-04", "open", 20, frames,
          lambda side, n: [b"".join(fragments(side, n, b"x"))], read, None, None),
    # Small reads
    Flood("fragments of 1 byte, a read each", "SEC-04", "open", 12, frames,
          lambda side, n: fragments(side, n, b"x"), drive),
    Flood("fragments over the limit", "SEC-08", "1009", 30, plain(max_fragments=25),
          fragments, never_write, room=8192),
    Flood("frames byte by byte", "SEC-05", "open", 4, frames,
          lambda side, n: cut(wire(side, FIN | BINARY, b"abc") * n), drive),
    Flood("payload byte by byte", "SEC-05", "open", 80, plain(),
          lambda side, n: cut(payload(side, n)), drive, 3, 4),
    Flood("text byte by byte", "SEC-35", "open", 60, plain(),
          lambda side, n: cut(payload(side, n, FIN | TEXT, "€".encode())), drive,
          3, 4),
    Flood("text in fragments of 1 byte", "SEC-35", "open", 4, frames,
          lambda side, n: tiny(side, "€".encode() * n, TEXT), drive),
    Flood("pings to a peer that does not read", "SEC-07", "open", 16, frames,
          lambda side, n: [wire(side, FIN | PING, bytes(100))] * n, never_write),
    Flood("a buffer that is used again", "SEC-13", "open", 50, plain(),
          lambda side, n: cut(payload(side, n * 64), 64), reuse, 3, 4),
    # Announced lengths
    Flood("2^62 bytes announced, no limit", "SEC-09", "open", 50,
          plain(max_size=None), announced(2**62), drive, 3, 4),
    Flood("2^62 bytes announced", "SEC-09", "1009", 20, plain(),
          announced(2**62), drive),
    Flood("2^63 bytes announced, no limit", "SEC-11", "1002", 20,
          plain(max_size=None), announced(2**63), drive),
    Flood("a control frame of 2^62 bytes", "SEC-34", "1002", 20, plain(),
          lambda side, n: announced(2**62, FIN | PING)(side, n), drive),
    # Compression
    Flood("bomb", "SEC-01", "1009", 200_000, compressed(max_size=LIMIT),
          bomb, read, room=2 * LIMIT),
    Flood("bomb behind a fragment that fills the limit", "SEC-02", "1009", 200_000,
          compressed(max_size=LIMIT), bomb_behind_full, read, room=2 * LIMIT),
    Flood("compressed data in fragments of 1 byte", "SEC-03", "open", 12,
          compressed(), lambda side, n: tiny(side, deflated(noise(n)), RSV1 | BINARY),
          drive, room=LIMIT),
    Flood("empty blocks", "SEC-01", "open", 400, compressed(),
          blocks(b"\x00\x00\x00\xff\xff", b"\x00"), drive, room=LIMIT),
    Flood("blocks with BFINAL", "SEC-18", "open", 40, compressed(),
          blocks(b"\x03\x00", b"\x00"), drive, room=2 * LIMIT),
    Flood("compressed data without an end", "SEC-19", "1002", 4000, compressed(),
          lambda side, n: [wire(side, FIN | RSV1 | BINARY, deflated(noise(n))[:-3])],
          drive, 4, 16, room=LIMIT),
    # Handshakes
    Flood("head in reads of 8 bytes", "SEC-05", "connecting", 480, shaking,
          lambda side, n: cut(endless_head(side, n), 8), read, 3, 8),
    Flood("header lines", "SEC-22", "connecting", 30, shaking,
          lambda side, n: [head(side, *[("X", "")] * n)], read, 16, 24),
    Flood("header lines over the number", "SEC-22", "431", 300, shaking,
          lambda side, n: [head(side, *[("X", "")] * n)], read, 16, 64, sides=SERVER),
    Flood("a line without end", "SEC-24", "431", 10_000, shaking,
          lambda side, n: cut(endless_head(side, n), 512), read, 2, 4, sides=SERVER),
    Flood("a line without end", "SEC-24", "failed", 10_000, shaking,
          lambda side, n: cut(endless_head(side, n), 512), read, 2, 4, sides=CLIENT),
    Flood("body of 1-byte chunks, byte by byte", "SEC-22", "connecting", 5, shaking,
          chunked, read, 2, 4, sides=CLIENT),
    Flood("an upgrade with a body", "SEC-26", "400", 20, shaking,
          upgrade_with_body, answer, 0, 2, sides=SERVER),
    Flood("bytes before the decision", "SEC-24", "connecting", 30, undecided,
          lambda side, n: [bytes(512)] * n, read, 1.5, 4, sides=SERVER),
    Flood("bytes before the decision, over the limit", "SEC-24", "connecting", 80,
          undecided, lambda side, n: [bytes(1024)] * n, read, 0, 0, LIMIT,
          sides=SERVER),
    Flood("offers", "SEC-23", "101", 10, shaking,
          lambda side, n: offers("permessage-deflate; x, ")(side, 23 * n),
          answer, 64, 64, sides=SERVER),
    Flood("subprotocols", "SEC-23", "101", 30, choosing, protocols,
          answer, 64, 64, sides=SERVER),
    *(
        Flood(f"offers: {title}", "SEC-23", ends, size, shaking,
              offers(pattern, prefix), answer, 64, 96, sides=SERVER)
        for title, pattern, prefix, size, ends in (
            ("commas", ",", "", 1900, "400"),
            ("semicolons", ";", "a", 1900, "400"),
            ("quotes", '" ', 'a; b="', 1900, "400"),
            ("backslashes", '\\"', 'a; b="', 1900, "400"),
            ("spaces", " ", "a;", 1900, "400"),
            ("parameters", "; a", "a", 150, "101"),
        )
    ),
]  # fmt: skip
