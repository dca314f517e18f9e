"""Random streams of bytes, valid and mutated, as peers may send them.

A stream is a list of parts: header lines and whole frames. ``mutate`` changes parts
and the bytes in them. Nothing here is built with the package.
"""

from __future__ import annotations

import base64
import hashlib
import random
import zlib
from collections.abc import Sequence

from .core.support import BINARY, CLOSE, CONT, FIN, PING, PONG, RSV1, TEXT, header

Parts = list[bytes]
Pieces = tuple[bytes, ...]

SIZES = (0, 0, 1, 3, 7, 20, 60, 125, 126, 300, 1000)
ALPHABETS = ("abc ", "a\u00e9", "\u65e5\u672c\u8a9e a", "\U0001f600z\u07ff\uffff")
CLOSE_CODES = (1000, 1001, 1003, 1010, 1011, 1012, 3000, 4999)


# Frames


def frame(first: int, data: bytes = b"", key: bytes | None = None) -> bytes:
    """A frame; ``key`` is its masking key, if it has one."""
    if key is None:
        return header(first, len(data), 0) + data
    return header(first, len(data), 0x80) + key + quick_xor(data, key)


def quick_xor(data: bytes, key: bytes) -> bytes:
    """``data`` masked with ``key``, by way of one large number."""
    wide = (key * (len(data) // 4 + 1))[: len(data)]
    number = int.from_bytes(data, "big") ^ int.from_bytes(wide, "big")
    return number.to_bytes(len(data), "big")


def cut(rng: random.Random, data: bytes, most: int) -> Pieces:
    """``data`` in up to ``most`` + 1 pieces."""
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randint(0, most)))
    return tuple(
        data[i:j] for i, j in zip([0, *places], [*places, len(data)], strict=True)
    )


# Valid streams


class Window:
    """Compresses messages one after the other, each with settings of its own.

    ``final`` tells how many of them end in a block with BFINAL.
    """

    def __init__(self, final: float = 0.1) -> None:
        self.history = b""
        self.final = final

    def compress(self, rng: random.Random, data: bytes) -> bytes:
        """A message whose blocks may refer to those before (RFC 7692, 7.2)."""
        level, strategy = rng.randint(0, 9), rng.choice((0, 0, 2, 4))
        deflater = zlib.compressobj(
            level, zlib.DEFLATED, -15, rng.randint(1, 9), strategy, self.history
        )
        self.history = (self.history + data)[-32768:]
        if rng.random() < self.final:  # as in section 7.2.3.4
            return deflater.compress(data) + deflater.flush(zlib.Z_FINISH) + b"\0"
        flush = rng.choice((zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH))
        return (deflater.compress(data) + deflater.flush(flush))[:-4] or b"\0"


def text_or_binary(rng: random.Random) -> tuple[int, bytes]:
    """Opcode and payload of a message."""
    size = rng.choice(SIZES)
    if rng.random() < 0.5:
        return 2, rng.randbytes(size)
    return 1, "".join(rng.choices(rng.choice(ALPHABETS), k=size)).encode()


def control(rng: random.Random, key: bytes | None) -> bytes:
    """A ping or a pong."""
    first = FIN | rng.choice((PING, PONG))
    return frame(first, rng.randbytes(rng.choice((0, 4, 125))), key)


def message(rng: random.Random, key: bytes | None, window: Window | None) -> Parts:
    """One message in some fragments, perhaps with control frames between them."""
    first, data = text_or_binary(rng)
    if window is not None and rng.random() < 0.8:
        first, data = first | RSV1, window.compress(rng, data)
    parts: Parts = []
    pieces = cut(rng, data, rng.choice((0, 0, 0, 1, 3)))
    for number, piece in enumerate(pieces, 1):
        fin = FIN if number == len(pieces) else 0
        parts.append(frame(first | fin, piece, key))
        first = CONT
        if rng.random() < 0.2:
            parts.append(control(rng, key))
    return parts


def stream(rng: random.Random, masked: bool, deflate: bool) -> Parts:
    """Valid frames as one side sends them."""
    key = rng.randbytes(4) if masked else None
    window = Window() if deflate else None
    parts = [
        part for _ in range(rng.randint(1, 4)) for part in message(rng, key, window)
    ]
    if rng.random() < 0.5:
        code = rng.choice(CLOSE_CODES).to_bytes(2, "big")
        reason = rng.choice((b"", b"bye", "\u00e9".encode()))
        parts.append(frame(FIN | CLOSE, rng.choice((b"", code + reason)), key))
    return parts


KEY = base64.b64encode(bytes(16)).decode()
ACCEPT = base64.b64encode(
    hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
).decode()
OFFERS = (
    "permessage-deflate",
    'permessage-deflate; client_max_window_bits="10"; server_max_window_bits=9',
    "permessage-deflate; client_max_window_bits, permessage-deflate",
)
VALUES = (
    *OFFERS,
    "websocket",
    "Upgrade",
    "keep-alive, Upgrade",
    "13",
    "chat, superchat",
    "http://example.com",
    "null",
    KEY,
    "0",
    "5",
    "chunked",
    ', ; = " \\ ,',
    "",
)
NAMES = (
    "Host",
    "Origin",
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Accept",
    "Content-Length",
    "Transfer-Encoding",
    "X-Other",
)


def head(rng: random.Random, start: str, lines: Sequence[str]) -> Parts:
    """The lines of a head; some more than needed, which may make no sense."""
    more = [f"{rng.choice(NAMES)}: {rng.choice(VALUES)}" for _ in range(2)]
    return [
        f"{line}\r\n".encode()
        for line in (start, *lines, *more[: rng.choice((0, 0, 1, 2))], "")
    ]


def request(rng: random.Random) -> Parts:
    """A request that mostly opens a connection, with frames behind it."""
    target = rng.choice(("/", "/a?b=c", "http://example.com/x"))
    lines = [
        "Host: example.com",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
    ]
    offer = rng.random() < 0.5
    if offer:
        lines.append(f"Sec-WebSocket-Extensions: {rng.choice(OFFERS)}")
    return head(rng, f"GET {target} HTTP/1.1", lines) + stream(rng, True, offer)


def response(rng: random.Random) -> Parts:
    """A response that mostly opens a connection, with frames behind it."""
    status = rng.choice(("101 Switching Protocols", "101 ", "404 Not Found", "200 OK"))
    lines = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {ACCEPT}",
    ]
    agreed = rng.random() < 0.5
    if agreed:
        lines.append("Sec-WebSocket-Extensions: permessage-deflate")
    return head(rng, f"HTTP/1.1 {status}", lines) + stream(rng, False, agreed)


# Mutations

SPICES = (
    b"\x81\xfe\x00\x05",
    b"\x82\xff\x80" + bytes(7),
    b"\x82\x7f" + b"\xff" * 8,
    b"\x82\xff\x00\x00\x00\x00\x7f\xff\xff\xff",
    b"\x88\x81",
    b"\x80\x80" + bytes(4),
    b"\xc1\x80" + bytes(4),
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n \t",
    b"\n",
    b"\x00",
    b"\x1b[31m",
    b'"\\',
    b",,,;;;===",
    b": ",
    b"Content-Length: 1\r\n",
)


def mutate(rng: random.Random, parts: Parts, other: Parts) -> bytes:
    """``parts`` with one to three changes, most of them small."""
    changed = parts.copy()
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if rng.random() < 0.3:
            _mutate_order(rng, changed, other)
        else:
            place = rng.randrange(len(changed))
            changed[place] = _mutate_part(rng, changed[place], rng.choice(other))
    return b"".join(changed)


def _mutate_order(rng: random.Random, parts: Parts, other: Parts) -> None:
    """Drop, repeat, move or bring in a part; at least one remains."""
    place = rng.randrange(len(parts))
    kind = rng.randrange(4)
    if kind == 0 and len(parts) > 1:
        del parts[place]
    elif kind == 1:
        parts[place:place] = [parts[place]] * rng.choice((1, 1, 8))
    elif kind == 2:
        parts.append(parts.pop(place))
    else:
        parts.insert(place, rng.choice(other))


def _mutate_part(rng: random.Random, part: bytes, other: bytes) -> bytes:
    changed = bytearray(part)
    # The first bytes of a frame mean more than the others.
    place = rng.randrange(rng.choice((2, len(changed))) + 1)
    kind = rng.randrange(8)
    if kind == 0 and place < len(changed):
        changed[place] ^= 1 << rng.randrange(8)
    elif kind == 1:
        changed[place : place + 1] = rng.randbytes(1)
    elif kind == 2:
        del changed[place : place + rng.choice((1, 2, 4, 100))]
    elif kind == 3:
        changed[place:place] = rng.randbytes(rng.choice((1, 2, 4, 30)))
    elif kind == 4:
        changed[place:place] = rng.choice(SPICES)
    elif kind == 5:
        size = rng.choice((1, 2, 6, 40))
        changed[place:place] = changed[place : place + size] * rng.choice((1, 8))
    elif kind == 6:
        size = rng.choice((2, 8))
        length = rng.choice((0, 124, 125, 126, 127, 65535, 65536)) % 256**size
        form = changed[1:2] and changed[1] & 0x80 | (126 if size == 2 else 127)
        changed[1:2] = bytes([form or 0]) + length.to_bytes(size, "big")
    else:
        changed[place:] = other[rng.randrange(len(other) + 1) :]
    return bytes(changed)


# Floods


def flood(rng: random.Random, masked: bool, size: int) -> bytes:
    """Frames as small as they can be, which cost a receiver the most for a byte."""
    key = bytes(4) if masked else None
    unit = rng.choice(
        (
            [frame(FIN | PING, b"", key)],
            [frame(FIN | PONG, b"1", key)],
            [frame(FIN | TEXT, b"", key)],
            [frame(FIN | BINARY, b"22", key)],
            [frame(TEXT, b"", key), frame(FIN | CONT, b"", key)],
            [frame(TEXT, b"", key), frame(FIN | PING, b"", key), frame(FIN, b"", key)],
        )
    )
    opening = rng.choice((b"", frame(BINARY, b"", key)))
    small = frame(CONT, rng.choice((b"", b"1")), key) if opening else b"".join(unit)
    return opening + small * (size // len(small))
