"""What goes over the wire in the scenarios: payloads, frames, requests."""

from __future__ import annotations

import itertools
import random
import struct
import zlib
from functools import lru_cache
from typing import NamedTuple

__all__ = [
    "BINARY",
    "CHROMIUM_REQUEST",
    "CONTINUATION",
    "MINIMAL_REQUEST",
    "PING",
    "PONG",
    "TEXT",
    "Wire",
    "binary",
    "compressed",
    "cut",
    "decode",
    "encode",
    "fragments",
    "inflated",
    "json_text",
    "multibyte_text",
    "pings",
    "xor",
]

CONTINUATION, TEXT, BINARY, PING, PONG = 0, 1, 2, 9, 10
EMPTY_BLOCK = b"\x00\x00\xff\xff"

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="

MINIMAL_REQUEST = (
    "GET / HTTP/1.1\r\n"
    "Host: localhost:8765\r\n"
    "Connection: Upgrade\r\n"
    "Upgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {_KEY}\r\n"
    "\r\n"
).encode()

CHROMIUM_REQUEST = (
    "GET /chat?room=42 HTTP/1.1\r\n"
    "Host: localhost:8765\r\n"
    "Connection: Upgrade\r\n"
    "Pragma: no-cache\r\n"
    "Cache-Control: no-cache\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n"
    "Upgrade: websocket\r\n"
    "Origin: http://localhost:8765\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-US,en;q=0.9\r\n"
    "Cookie: session=8c1f0f6e2b7d4c39a5; theme=dark\r\n"
    f"Sec-WebSocket-Key: {_KEY}\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    "\r\n"
).encode()


class Wire(NamedTuple):
    """A frame as it is sent: ``data`` is the payload on the wire, before masking."""

    opcode: int
    data: bytes
    fin: bool = True
    rsv1: bool = False


def json_text(size: int, seed: int) -> bytes:
    """Return ``size`` ASCII bytes that look like the JSON servers exchange."""
    return _text(size, seed, ("alice", "bob", "carol", "dave"))


def multibyte_text(size: int, seed: int) -> bytes:
    """Return ``size`` bytes of valid UTF-8, a third of it beyond ASCII."""
    return _text(size, seed, ("Zoë Müller", "Łukasz", "佐藤 美咲", "Ελένη", "🙂 ok"))


def binary(size: int, seed: int) -> bytes:
    """Return ``size`` random bytes, the same for the same ``seed``."""
    return random.Random(seed).randbytes(size)


def encode(frames: list[Wire]) -> list[bytes]:
    """Return each frame as a client sends it, with a key of its own."""
    keys = random.Random(1)
    return [_encode(frame, keys.randbytes(4)) for frame in frames]


def decode(data: bytes) -> list[Wire]:
    """Return the frames of ``data``, unmasked, which must end with a whole frame."""
    frames, at = [], 0
    while at < len(data):
        first, second = data[at], data[at + 1]
        size, at = second & 127, at + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        key = b""
        if second & 128:
            key, at = data[at : at + 4], at + 4
        payload, at = data[at : at + size], at + size
        if len(payload) != size:
            raise ValueError("the output ends inside a frame")
        payload = xor(payload, key) if key else payload
        frames.append(Wire(first & 15, payload, bool(first & 128), bool(first & 64)))
    return frames


def cut(stream: bytes, size: int) -> list[bytes]:
    """Return ``stream`` in reads of ``size`` bytes."""
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def fragments(opcode: int, message: bytes, size: int) -> list[Wire]:
    """Return ``message`` in fragments of ``size`` bytes."""
    parts = cut(message, size)
    last = len(parts) - 1
    return [
        Wire(opcode if i == 0 else CONTINUATION, part, fin=i == last)
        for i, part in enumerate(parts)
    ]


def compressed(frames: list[Wire], window_bits: int) -> list[Wire]:
    """Return ``frames`` under permessage-deflate, the window kept between them."""
    deflater = zlib.compressobj(wbits=-window_bits)
    result = []
    for frame in frames:
        data = deflater.compress(frame.data) + deflater.flush(zlib.Z_SYNC_FLUSH)
        data = data.removesuffix(EMPTY_BLOCK)
        result.append(frame._replace(data=data, rsv1=True))
    return result


def inflated(frames: list[Wire]) -> list[bytes]:
    """Return the messages of compressed frames, the window kept between them."""
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    return [inflater.decompress(frame.data + EMPTY_BLOCK) for frame in frames]


def pings(count: int) -> list[Wire]:
    """Return pings with payloads of 4 bytes, all different."""
    return [Wire(PING, struct.pack("!I", i)) for i in range(count)]


def xor(data: bytes, key: bytes) -> bytes:
    """Mask or unmask ``data``."""
    size = len(data)
    stream = (key * (size // 4 + 1))[:size]
    number = int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")
    return number.to_bytes(size, "little")


def _encode(frame: Wire, key: bytes) -> bytes:
    first = frame.opcode | frame.fin << 7 | frame.rsv1 << 6
    size = len(frame.data)
    if size < 126:
        head = struct.pack("!BB", first, 128 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 128 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 128 | 127, size)
    return head + key + xor(frame.data, key)


@lru_cache(maxsize=128)  # every contender gets the same large texts
def _text(size: int, seed: int, names: tuple[str, ...]) -> bytes:
    chance = random.Random(seed)
    if size <= 16:
        return f'{{"id":{chance.randrange(10**9):09}}}'.encode()[:size].ljust(size)
    parts, total = [], 0
    for number in itertools.count(chance.randrange(10**6)):
        part = _record(chance, number, names).encode()
        parts.append(part)
        total += len(part)
        if total >= size:
            break
    text = b"".join(parts)[:size].decode(errors="ignore")
    return text.encode().ljust(size)


def _record(chance: random.Random, number: int, names: tuple[str, ...]) -> str:
    return (
        f'{{"id":{number},"type":"trade","user":"{chance.choice(names)}",'
        f'"price":{chance.uniform(1, 900):.4f},"volume":{chance.randrange(5000)},'
        f'"time":"2024-05-{chance.randrange(10, 30)}T{chance.randrange(10, 24)}:'
        f"{chance.randrange(10, 60)}:{chance.randrange(10, 60)}."
        f'{chance.randrange(1000):03}Z","text":"{chance.choice(names)} says hello"}}\n'
    )
