"""Where a search begins: the examples of the RFCs, and what else they name."""

from __future__ import annotations

from collections.abc import Iterator

from tests.core.support import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    PONG,
    RSV1,
    TEXT,
    close_payload,
    deflated,
    request_bytes,
    response_bytes,
)
from tests.streams import ACCEPT, frame

KEY = bytes.fromhex("37fa213d")  # RFC 6455, section 5.7
PLAIN, DEFLATE, TIGHT, UNLIMITED = 0x00, 0x01, 0x08, 0x10  # as frames.plan has them
BYTE_BY_BYTE = b"\x01\x01"

# RFC 7692, section 7.2.3: "Hello", in messages of one connection.
MESSAGES = (
    ("f248cdc9c90700", "f200110000"),
    ("000500faff48656c6c6f00",),
    ("f348cdc9c9070000", "f248cdc9c90700", "f200110000"),
    ("f24805000000ffffcac9c90700", "00"),
)
REFUSED = (  # first byte, length, payload
    ("81", "7e0005", b"Hello"),
    ("81", "7e007d", bytes(125)),
    ("82", "7f8000000000000000", b""),
    ("82", "7f000000000000ffff", b""),
    ("89", "7e007e", bytes(126)),
    ("88", "01", b"\x03"),
    ("83", "00", b""),
    ("b1", "00", b""),
    ("09", "00", b""),
    ("80", "00", b""),
)
NO_TEXTS = (b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"a\xce")
CODES = (
    *(0, 999, 1000, 1003, 1004, 1005, 1006, 1007, 1010, 1014, 1015, 1016, 1100),
    *(2000, 2999, 3000, 4999, 5000, 65535),
)


def frames(key: bytes | None) -> Iterator[bytes]:
    """Options, sizes of pieces and a stream; ``key`` masks it, if there is one."""

    def whole(*parts: tuple[int, bytes]) -> bytes:
        return b"".join(frame(first, data, key) for first, data in parts)

    hello = whole((FIN | TEXT, b"Hello"))
    yield bytes([PLAIN, 0, 0]) + hello
    yield bytes([PLAIN]) + BYTE_BY_BYTE + hello
    fragments = whole((TEXT, b"Hel"), (FIN | PING, b"Hello"), (FIN | CONT, b"lo"))
    yield bytes([PLAIN, 0, 0]) + fragments + whole((FIN | PONG, b"Hello"))
    yield bytes([TIGHT, 5, 0]) + fragments * 4
    yield bytes([TIGHT, 0, 0]) + whole((BINARY, b""), *[(CONT, b"")] * 3)
    for sizes in ((60, 40), (60, 41), (61,)):  # of the limits 60 and 100
        parts = [(BINARY if n == 0 else CONT, bytes(s)) for n, s in enumerate(sizes)]
        yield bytes([TIGHT, 0, 0]) + whole(*parts)
    for size in (126, 256, 3000):
        yield bytes([UNLIMITED, 200, 0]) + whole((FIN | BINARY, bytes(size)))
    for messages in MESSAGES:
        parts = [(FIN | RSV1 | TEXT, bytes.fromhex(data)) for data in messages]
        yield bytes([DEFLATE, 0, 0]) + whole(*parts)
        yield bytes([DEFLATE | 2, 3, 200]) + whole(*parts)  # without takeover
    parts = [(RSV1 | TEXT, b"\xf2\x48\xcd"), (FIN | CONT, b"\xc9\xc9\x07\x00")]
    yield bytes([DEFLATE]) + BYTE_BY_BYTE + whole(*parts)
    yield bytes([DEFLATE | 2, 0, 0]) + whole(*parts)
    bomb = deflated(bytes(100_000))
    yield bytes([DEFLATE, 0, 0]) + whole((FIN | RSV1 | BINARY, bomb))
    yield bytes([DEFLATE | UNLIMITED, 0, 0]) + whole((FIN | RSV1 | BINARY, bomb))
    text = deflated("\u65e5\u672c\U0001f600".encode() * 20)
    yield bytes([DEFLATE, 7, 0]) + whole((FIN | RSV1 | TEXT, text))
    for first, length, data in REFUSED:
        head = bytearray.fromhex(first + length)
        head[1] |= 0x80 if key else 0
        yield bytes([UNLIMITED, 0, 0]) + bytes(head) + (key or b"") + data
    for data in NO_TEXTS:
        yield bytes([PLAIN, 0, 0]) + whole((FIN | TEXT, data))
        yield bytes([PLAIN]) + BYTE_BY_BYTE + whole((TEXT, data[:2]), (FIN, data[2:]))
        yield bytes([PLAIN, 0, 0]) + whole((FIN | CLOSE, b"\x03\xe8" + data))
        yield bytes([DEFLATE, 0, 0]) + whole((FIN | RSV1 | TEXT, deflated(data)))
    for code in CODES:
        parts = [(FIN | PING, b"1"), (FIN | CLOSE, close_payload(code, b"bye"))]
        yield bytes([0x80 | PLAIN, 9, 0]) + whole(*parts)
    yield bytes([PLAIN, 0, 0]) + whole((FIN | CLOSE, b""), (FIN | TEXT, b"late"))


ACCEPTED = {"Upgrade": "websocket", "Connection": "Upgrade"}
OFFERS = (
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    'permessage-deflate; server_max_window_bits="10"; client_no_context_takeover',
    "permessage-deflate; server_max_window_bits=8, permessage-deflate",
    "x-other; a=b;c, permessage-deflate; client_max_window_bits=8",
)
EXTENSIONS, PROTOCOL = "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"


def requests() -> Iterator[bytes]:
    """Options, sizes of pieces and a request."""
    extras: list[tuple[tuple[str, str], ...]] = [
        (),
        ((PROTOCOL, "superchat, chat"), ("Origin", "http://example.com")),
        (("Content-Length", "0"),),
        (("Content-Length", "5"),),
        (("Content-Length", "0"), ("Content-Length", "0")),
        (("Transfer-Encoding", "chunked"),),
        (("Sec-WebSocket-Version", "8"),),
        *(((EXTENSIONS, offer),) for offer in OFFERS),
    ]
    for extra in extras:
        yield bytes([0x0E, 0, 0]) + request_bytes(*extra) + frame(0x81, b"Hi", KEY)
    head = request_bytes()
    yield b"\x00" + BYTE_BY_BYTE + b"\r\n" + head
    yield b"\x01\x00\x00" + head
    yield b"\x40\x28\x00" + head[:-2]
    yield b"\xa2\x50\x00" + head.replace(b"/chat", b"http://example.com:80/?a") * 2
    for old, new in (
        (b"\r\n", b"\n"),
        (b": ", b":\t"),
        (b"Host", b" Host"),
        (b"Upgrade: ", b"Upgrade : "),
        (b"HTTP/1.1", b"HTTP/2.0"),
        (b"GET ", b"POST "),
        (b"13", b"13\x00"),
    ):
        yield b"\x00\x00\x00" + head.replace(old, new)


def responses() -> Iterator[bytes]:
    """Options, sizes of pieces and a response."""
    accepted = [*ACCEPTED.items(), ("Sec-WebSocket-Accept", ACCEPT)]
    extras: list[tuple[tuple[str, str], ...]] = [
        (),
        ((PROTOCOL, "chat"),),
        ((PROTOCOL, "other"),),
        *(((EXTENSIONS, offer),) for offer in OFFERS),
    ]
    for extra in extras:
        head = response_bytes(*extra, headers=accepted)
        yield bytes([0x06, 0, 0]) + head + frame(0x81, b"Hi")
    head = response_bytes(headers=accepted)
    yield b"\x00" + BYTE_BY_BYTE + head
    yield b"\x01\x00\x00" + head
    yield b"\x00\x20\x00HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + head
    yield b"\x00\x00\x00HTTP/1.0 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"
    yield b"\x40\x00\x00HTTP/1.0 500 \r\n\r\nuntil the end"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nWiki\r\n"
    yield b"\x00\x09\x01" + chunked + b"0\r\nTrailer: x\r\n\r\n"


VALUES = (
    (
        0,
        "keep-alive, Upgrade",
        ", ,\tUpgrade ,",
        "a" + ",a" * 128,
        "a" + "," * 130,
        "a b",
    ),
    (1, "websocket", "HTTP/2.0, IRC/6.9, RTA/x11", "a/b/c"),
    (2, "chat, superchat", "chat, chat"),
    (3, *OFFERS, 'a;b="\\c\\d";e="', ",,a ; b = c,,", "a" + "," * 130, 'a; b="c d"'),
    (4, "Basic dGVzdDoxMjPCow==", "basic  QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Digest x"),
    (5, "example.com:80", "[::1]:65535", "a%2db", "[::1", "h:65536", "host:", "a b"),
    (6, "wss://user:p%40ss@example.com:8443/a/b?c=d", "ws://[fe80::1%25eth0]:80/"),
    (6, "ws://b\u00fccher.example/\u00e4?\u00f6", "ws:/x", "ws://h#f", "ws://u@h"),
)


def grammars() -> Iterator[bytes]:
    """Number of a function and its argument."""
    for number, *texts in VALUES:
        for text in texts:
            yield bytes([int(number)]) + str(text).encode()


def parameters() -> Iterator[bytes]:
    """Configurations of a client and a server, and a header."""
    for number, offer in enumerate(OFFERS):
        yield bytes([number, 0o71, number, 0o12]) + offer.encode()
        yield bytes([3, 0o40, 7, 0o44]) + offer.encode()
        yield bytes([2, 0o70, 1, 0]) + offer.encode()
        yield bytes([0, 0o77, 0, 0]) + offer.encode()


def seeds(target: str) -> list[bytes]:
    """First inputs for a target."""
    generators = {
        "server": lambda: frames(KEY),
        "client": lambda: frames(None),
        "request": requests,
        "response": responses,
        "grammars": grammars,
        "parameters": parameters,
    }
    return list(generators[target]())
