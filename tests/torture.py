"""Random and mutated input, fed to both forms of the package.

Run it with ``python -m tests.torture --inputs 1000000``. Whatever comes in, it
asserts that

* nothing is raised out of ``receive_data``,
* no log record has a traceback or more than one line,
* both forms do exactly the same, and the same for any cut of the input,
* the memory held is a small multiple of the bytes received.

``test_equality.py`` uses the same generators and runs a little of it.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import logging
import random
import sys
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

MAX_SIZE = 4096  # bytes in a message, so that the limit is met often
DEBUG_EVERY = 61  # inputs between two that are logged frame by frame
MEMORY_EVERY = 997  # inputs between two whose memory is measured
POOL = 300  # valid streams of each kind that are mutated

HELD_PER_BYTE = 64  # 2 bytes can be a frame, which is an object and its place in a list
HELD_ALWAYS = 200_000  # bytes: zlib's window, HTTP, and what Python itself keeps

Pieces = tuple[bytes, ...]
Generator = Callable[[random.Random], bytes]


# Building frames, without the package


def frame(
    opcode: int,
    data: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = None,
) -> bytes:
    """A frame; ``rsv`` is the three bits as a number, ``key`` the masking key."""
    bit = 0 if key is None else 0x80
    first = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if len(data) < 126:
        head = first + bytes([bit | len(data)])
    elif len(data) < 65536:
        head = first + bytes([bit | 126]) + len(data).to_bytes(2, "big")
    else:
        head = first + bytes([bit | 127]) + len(data).to_bytes(8, "big")
    return head + data if key is None else head + key + xor(data, key)


def xor(data: bytes, key: bytes) -> bytes:
    """``data`` masked with ``key``."""
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


def text_or_binary(rng: random.Random) -> tuple[int, bytes]:
    """Opcode and payload of a message."""
    size = rng.choice((0, 1, 3, 7, 20, 60, 125, 126, 300, 1000))
    if rng.random() < 0.5:
        return 2, rng.randbytes(size)
    letters = rng.choice(("abc ", "aé", "日本語 a", "\U0001f600z\u07ff\uffff"))
    return 1, "".join(rng.choices(letters, k=size)).encode()


def control(rng: random.Random, key: bytes | None) -> bytes:
    """A ping or a pong."""
    return frame(rng.choice((9, 10)), rng.randbytes(rng.choice((0, 4, 125))), key=key)


def message(
    rng: random.Random, key: bytes | None, deflater: zlib._Compress | None
) -> bytes:
    """One message in some fragments, perhaps with control frames between them."""
    opcode, data = text_or_binary(rng)
    rsv = 0
    if deflater is not None and rng.random() < 0.8:
        flush = zlib.Z_FULL_FLUSH if rng.random() < 0.1 else zlib.Z_SYNC_FLUSH
        data, rsv = (deflater.compress(data) + deflater.flush(flush))[:-4] or b"\0", 4
    pieces = cut(rng, data, rng.choice((0, 0, 0, 1, 3)))
    out = []
    for number, piece in enumerate(pieces):
        fin = number == len(pieces) - 1
        first = number == 0
        out.append(
            frame(
                opcode if first else 0, piece, fin=fin, rsv=rsv if first else 0, key=key
            )
        )
        if rng.random() < 0.2:
            out.append(control(rng, key))
    return b"".join(out)


def stream(rng: random.Random, masked: bool, deflate: bool) -> bytes:
    """Valid frames as one side sends them."""
    key = rng.randbytes(4) if masked else None
    deflater = None
    if deflate:
        deflater = zlib.compressobj(rng.randint(1, 9), zlib.DEFLATED, -15, 4)
    out = [message(rng, key, deflater) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.5:
        code = rng.choice((1000, 1001, 1011, 3000, 4999))
        payload = code.to_bytes(2, "big") + rng.choice((b"", b"bye", "é".encode()))
        out.append(frame(8, rng.choice((b"", payload)), key=key))
    return b"".join(out)


KEY = bytes(16)
ACCEPT = base64.b64encode(
    hashlib.sha1(
        base64.b64encode(KEY) + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    ).digest()
).decode()
VALUES = (
    "websocket",
    "Upgrade",
    "keep-alive, Upgrade",
    "13",
    "chat, superchat",
    "permessage-deflate",
    'permessage-deflate; client_max_window_bits="10"; server_max_window_bits=8',
    "permessage-deflate; client_max_window_bits, permessage-deflate",
    "http://example.com",
    "null",
    base64.b64encode(KEY).decode(),
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


def more_headers(rng: random.Random) -> str:
    """Some header lines, valid as HTTP but not always of any sense."""
    lines = [f"{rng.choice(NAMES)}: {rng.choice(VALUES)}\r\n" for _ in range(2)]
    return "".join(lines[: rng.choice((0, 0, 1, 2))])


def request(rng: random.Random) -> bytes:
    """A request that mostly opens a connection, with frames behind it."""
    offer = rng.random() < 0.5
    head = (
        f"GET {rng.choice(('/', '/a?b=c', 'http://example.com/x'))} HTTP/1.1\r\n"
        "Host: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(KEY).decode()}\r\n"
        "Sec-WebSocket-Version: 13\r\n"
    )
    if offer:
        head += f"Sec-WebSocket-Extensions: {rng.choice(VALUES[5:8])}\r\n"
    return f"{head}{more_headers(rng)}\r\n".encode() + stream(rng, True, offer)


def response(rng: random.Random) -> bytes:
    """A response that mostly opens a connection, with frames behind it."""
    agreed = rng.random() < 0.5
    status = rng.choice(("101 Switching Protocols", "101 ", "404 Not Found", "200 OK"))
    head = (
        f"HTTP/1.1 {status}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {ACCEPT}\r\n"
    )
    if agreed:
        head += "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    return f"{head}{more_headers(rng)}\r\n".encode() + stream(rng, False, agreed)


# Mutations


def mutate(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """``data`` with one to three changes, most of them small."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place = rng.randrange(len(changed) + 1)
        kind = rng.randrange(7)
        if kind == 0:
            changed[place : place + 1] = bytes([1 << rng.randrange(8)])
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
        else:
            changed[place:] = other[rng.randrange(len(other) + 1) :]
    return bytes(changed)


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


# Connections to be tried, and what can be seen of them


def _deflate(package: ModuleType) -> list[Any]:
    extension = package.extensions.permessage_deflate.PerMessageDeflate
    return [extension(False, False, 15, 15)]


def _open(side: str, deflate: bool, **limits: Any) -> Callable[..., Any]:
    def make(package: ModuleType, logger: logging.Logger) -> Any:
        protocol = package.protocol.Protocol(
            getattr(package.protocol, side), logger=logger, **limits
        )
        protocol.extensions = _deflate(package) if deflate else []
        return protocol

    return make


def _new_server(package: ModuleType, logger: logging.Logger) -> Any:
    factory = package.extensions.permessage_deflate.ServerPerMessageDeflateFactory
    return package.server.ServerProtocol(
        extensions=[factory()], logger=logger, max_size=MAX_SIZE
    )


def _new_client(package: ModuleType, logger: logging.Logger) -> Any:
    factory = package.extensions.permessage_deflate.ClientPerMessageDeflateFactory
    protocol = package.client.ClientProtocol(
        package.uri.parse_uri("ws://example.com/"),
        extensions=[factory()],
        subprotocols=["chat"],
        logger=logger,
        max_size=MAX_SIZE,
    )
    protocol.key = base64.b64encode(KEY).decode()
    protocol.send_request(protocol.connect())
    return protocol


TIGHT = {"max_size": (100, 60), "max_fragments": 3}
WIDE = {"max_size": MAX_SIZE}

KINDS: dict[str, tuple[Callable[..., Any], Generator]] = {
    "server": (_open("SERVER", False, **WIDE), lambda r: stream(r, True, False)),
    "client": (_open("CLIENT", False, **WIDE), lambda r: stream(r, False, False)),
    "server-deflate": (_open("SERVER", True, **WIDE), lambda r: stream(r, True, True)),
    "client-deflate": (_open("CLIENT", True, **WIDE), lambda r: stream(r, False, True)),
    "server-tight": (_open("SERVER", True, **TIGHT), lambda r: stream(r, True, True)),
    "client-tight": (
        _open("CLIENT", False, **TIGHT),
        lambda r: stream(r, False, False),
    ),
    "request": (_new_server, request),
    "response": (_new_client, response),
}


def run(
    package: ModuleType, kind: str, pieces: Pieces, logger: logging.Logger
) -> dict[str, Any]:
    """Feed a new connection; return all that can be seen of it."""
    protocol = KINDS[kind][0](package, logger)
    for piece in pieces:
        protocol.receive_data(piece)
    events = protocol.events_received()
    if kind == "request" and events:
        protocol.send_response(protocol.accept(events[0]))
        events += protocol.events_received()
    seen = {
        "events": [_event(event) for event in events],
        "open": (int(protocol.state), protocol.close_expected()),
        "error": _error(protocol.parser_exc),
    }
    protocol.receive_eof()
    seen["output"] = b"".join(protocol.data_to_send())
    seen["close"] = (int(protocol.state), protocol.close_code, protocol.close_reason)
    seen["verdict"] = _error(protocol.close_exc)
    seen["handshake"] = _error(protocol.handshake_exc)
    seen["stats"] = repr(protocol.stats)
    return seen


def _event(event: Any) -> Any:
    data = getattr(event, "data", None)
    if data is None:
        return repr(event)
    flags = (event.fin, event.rsv1, event.rsv2, event.rsv3)
    return int(event.opcode), data, *map(bool, flags)


def _error(exc: BaseException | None) -> tuple[str, str] | None:
    return None if exc is None else (type(exc).__name__, str(exc))


# The tests


class Records(logging.Handler):
    """Fails on a record that a peer should not be able to cause."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info or not text.isprintable():
            self.bad.append(ascii(text))


class Failure(Exception):
    """An input that broke one of the promises."""


class Torture:
    """Tries inputs on both forms."""

    def __init__(self, forms: dict[str, ModuleType], seed: int) -> None:
        self.forms = list(forms.values())
        self.rng = random.Random(seed)
        self.count = 0
        self.records = Records()
        self.loggers = {}
        for level in (logging.WARNING, logging.DEBUG):
            logger = logging.Logger(f"torture.{level}", level)
            logger.addHandler(self.records)
            self.loggers[level] = logger
        self.pools = {
            kind: [generate(self.rng) for _ in range(POOL)]
            for kind, (_, generate) in KINDS.items()
        }
        self.kinds = list(KINDS)

    def next_input(self) -> tuple[str, Pieces]:
        """Another kind of connection and the pieces that it is fed."""
        rng = self.rng
        kind = self.kinds[self.count % len(self.kinds)]
        pool = self.pools[kind]
        choice = rng.random()
        if choice < 0.05:
            data = rng.choice(pool)
        elif choice < 0.1:
            data = rng.randbytes(rng.randrange(40))
        else:
            data = mutate(rng, rng.choice(pool), rng.choice(pool))
        return kind, cut(rng, data, 3)

    def step(self) -> None:
        """Try one input; raise Failure if a promise does not hold."""
        kind, pieces = self.next_input()
        self.count += 1
        try:
            if self.count % MEMORY_EVERY == 0:
                self.measure(kind, pieces)
            else:
                self.compare(kind, pieces)
        except Exception as exc:
            shown = [piece.hex() for piece in pieces]
            raise Failure(f"{exc!r}\n  {kind}, input {self.count}: {shown}") from exc

    def compare(self, kind: str, pieces: Pieces) -> None:
        """All forms must do the same, whatever the cut."""
        debug = self.count % DEBUG_EVERY == 0
        logger = self.loggers[logging.DEBUG if debug else logging.WARNING]
        expected = run(self.forms[0], kind, pieces, logger)
        for form in self.forms[1:]:
            differ(expected, run(form, kind, pieces, logger), form.__name__)
        if not debug:
            whole = run(self.forms[-1], kind, (b"".join(pieces),), logger)
            differ(expected, whole, "in one piece")
        if self.records.bad:
            raise AssertionError(f"log: {self.records.bad}")

    def measure(self, kind: str, pieces: Pieces) -> None:
        """What a connection holds must follow what it received."""
        size = sum(map(len, pieces)) + (MAX_SIZE if "tight" not in kind else 0)
        protocol = KINDS[kind][0](self.forms[-1], self.loggers[logging.WARNING])
        tracemalloc.start()
        try:
            for piece in pieces:
                protocol.receive_data(piece)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        if peak > HELD_PER_BYTE * size + HELD_ALWAYS:
            raise AssertionError(f"{peak} bytes held for {size}")


def differ(one: dict[str, Any], other: dict[str, Any], what: str) -> None:
    """Raise AssertionError if two connections did not do the same."""
    for name, value in one.items():
        if value != other[name]:
            raise AssertionError(f"{name}, {what}: {value!r} != {other[name]!r}")


@contextlib.contextmanager
def same_environment(forms: dict[str, ModuleType]) -> Iterator[None]:
    """Give all forms the same masking keys and the same clock."""
    before = [
        (form.environment, form.environment.random_bytes, form.environment.wall_clock)
        for form in forms.values()
    ]
    for form in forms.values():
        form.environment.random_bytes = lambda n: (b"\x12\x34\x56\x78" * n)[:n]
        form.environment.wall_clock = lambda: 1_000_000_000.0
        form._kernels.forget_keys()
    try:
        yield
    finally:
        for module, random_bytes, wall_clock in before:
            module.random_bytes, module.wall_clock = random_bytes, wall_clock
        for form in forms.values():
            form._kernels.forget_keys()


# The command


def show(done: float, count: int, rate: float) -> None:
    """Draw the progress bar."""
    bar = "#" * round(40 * done)
    print(
        f"\r[{bar:<40}] {done:4.0%} {count:,} inputs, {rate:,.0f}/s",
        end="",
        file=sys.stderr,
        flush=True,
    )


def work(torture: Torture, inputs: int, seconds: float) -> float:
    """Try so many inputs, or as many as the time allows; return the seconds taken."""
    start = shown = time.perf_counter()
    while torture.count < inputs:
        torture.step()
        if torture.count % 64 == 0:
            now = time.perf_counter()
            done = max(torture.count / inputs, (now - start) / seconds)
            if sys.stderr.isatty() and now - shown > 0.2:
                shown = now
                show(min(done, 1), torture.count, torture.count / (now - start))
            if now - start >= seconds:
                break
    return time.perf_counter() - start


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns its exit status."""
    from .conftest import FORMS

    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--inputs", type=int, help="how many (default: 1000000)")
    parser.add_argument("--minutes", type=float, help="how long at most")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    options = parser.parse_args(arguments)
    inputs = options.inputs or (sys.maxsize if options.minutes else 1_000_000)
    seconds = 60 * options.minutes if options.minutes else float("inf")
    torture = Torture(FORMS, options.seed)
    print(f"forms: {', '.join(FORMS)}; seed {options.seed}")
    try:
        with same_environment(FORMS):
            taken = work(torture, inputs, seconds)
    except Failure as failure:
        print(f"\nFAILED: {failure}", file=sys.stderr)
        return 1
    if sys.stderr.isatty():
        print(file=sys.stderr)
    rate = torture.count / taken
    print(f"{torture.count:,} inputs in {taken:.1f} s, {rate:,.0f} a second: all well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
