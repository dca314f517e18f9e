"""The timed scenarios: what each feeds, and how its result is checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import wire
from .contenders import WINDOW_BITS, Contender, Run
from .wire import BINARY, PING, PONG, TEXT, Wire

__all__ = ["SCENARIOS", "Scenario", "Task", "WrongResult"]

KIB, MIB = 1 << 10, 1 << 20
READ = 64 * KIB
SEGMENT = 1448
HANDSHAKES = 50

Payload = Callable[[int, int], bytes]


class WrongResult(Exception):
    """A contender did not do what the scenario asks; it is not timed."""


@dataclass(frozen=True)
class Task:
    """A pass of one contender, checked, with the operations it holds.

    ``verify`` checks once more after the timing; it raises ``WrongResult``.
    """

    run: Run
    operations: int
    verify: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Scenario(ABC):
    """One line of the report. ``name`` is its identity, used by the targets too."""

    group: str
    name: str

    @abstractmethod
    def prepare(self, contender: Contender) -> Task | None:
        """Check the contender and return its pass; None where it has none.

        Raises ``WrongResult``.
        """


@dataclass(frozen=True)
class Receive(Scenario):
    """Feeds frames, cut in reads of ``size`` bytes, or a frame a read with 0."""

    frames: Callable[[], list[Wire]]
    size: int = READ
    deflate: bool = False
    per_byte: bool = False

    def prepare(self, contender: Contender) -> Task:
        plain = self.frames()
        sent = wire.compressed(plain, WINDOW_BITS) if self.deflate else plain
        encoded = wire.encode(sent)
        stream = b"".join(encoded)
        reads = wire.cut(stream, self.size) if self.size else encoded
        connection = contender.server(self.deflate)
        verify = partial(self._check, contender, connection, reads, plain)
        for _ in range(2):  # what a connection keeps must not spoil the next pass
            verify()
        operations = len(reads) if self.per_byte else len(plain)
        return Task(contender.receiving(connection, reads), operations, verify)

    @staticmethod
    def _check(
        contender: Contender, connection: object, reads: list[bytes], plain: list[Wire]
    ) -> None:
        result = contender.received(connection, reads)
        if result.messages != _messages(plain):
            raise WrongResult("other messages than were sent")
        if result.frames not in (None, len(plain)):
            raise WrongResult(f"{result.frames} frames for {len(plain)}")
        pongs = wire.decode(result.output)
        if any(pong.opcode != PONG for pong in pongs):
            raise WrongResult("output that is no pong")
        asked = [frame.data for frame in plain if frame.opcode == PING]
        # An endpoint may answer only the latest ping (RFC 6455, 5.5.3).
        if [pong.data for pong in pongs][-1:] != asked[-1:]:
            raise WrongResult("the latest ping has no pong")


@dataclass(frozen=True)
class Send(Scenario):
    """Sends messages, each taken with ``data_to_send()`` at once."""

    opcode: int
    payload: Payload
    size: int
    client: bool = False
    deflate: bool = False

    def prepare(self, contender: Contender) -> Task:
        # With deflate enough text that none of it is in the window a second time.
        count = max(1, min(64, 4 * MIB // self.size))
        if self.deflate:
            count = max(count, 2 * (1 << WINDOW_BITS) // self.size)
        payloads = [self.payload(self.size, seed) for seed in range(count)]
        make = contender.client if self.client else contender.server
        connection = make(self.deflate)
        verify = partial(self._check, contender, connection, payloads)
        verify()
        run = contender.sending(connection, self.opcode, payloads)
        # Compressed output cannot be read later without all that went before.
        return Task(run, count) if self.deflate else Task(run, count, verify)

    def _check(
        self, contender: Contender, connection: object, payloads: list[bytes]
    ) -> None:
        frames = wire.decode(contender.sent(connection, self.opcode, payloads))
        if not all(frame.fin and frame.opcode == self.opcode for frame in frames):
            raise WrongResult("other frames than asked for")
        if not self.deflate:
            if [frame.data for frame in frames] != payloads:
                raise WrongResult("other payloads than were sent")
            return
        if not all(frame.rsv1 for frame in frames):
            raise WrongResult("a frame is not compressed")
        if wire.inflated(frames) != payloads:
            raise WrongResult("does not inflate to what was sent")


@dataclass(frozen=True)
class Handshake(Scenario):
    """From constructing the protocol to the bytes of its response."""

    request: bytes
    deflate: bool = False

    def prepare(self, contender: Contender) -> Task | None:
        run = contender.handshaking(self.request, self.deflate, HANDSHAKES)
        if run is None:
            return None
        _, response = contender.shaken(self.request, self.deflate)
        lines = response.lower().split(b"\r\n")
        accepted = b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="
        deflated = any(b"permessage-deflate" in line for line in lines)
        if lines[0].split()[1] != b"101" or accepted not in lines:
            raise WrongResult(f"the handshake failed: {response!r}")
        if deflated != self.deflate or not response.endswith(b"\r\n\r\n"):
            raise WrongResult(f"another response than expected: {response!r}")
        return Task(run, HANDSHAKES)


def _messages(frames: list[Wire]) -> list[tuple[int, bytes]]:
    messages: list[tuple[int, bytes]] = []
    opcode, parts = 0, b""
    for frame in frames:
        opcode, parts = frame.opcode or opcode, parts + frame.data
        if frame.fin:
            messages.append((opcode, parts))
            parts = b""
    return messages


# ---- the list ----


def _many(opcode: int, payload: Payload, size: int) -> Callable[[], list[Wire]]:
    """About two reads of small frames, 1 MiB of large ones."""
    total = 2 * READ if size <= 4 * KIB else max(size, MIB)
    count = max(1, total // (size + 8))

    def frames() -> list[Wire]:
        return [Wire(opcode, payload(size, seed)) for seed in range(count)]

    return frames


def _fragmented(size: int, parts: int, messages: int) -> Callable[[], list[Wire]]:
    def frames() -> list[Wire]:
        texts = (wire.json_text(size * parts, seed) for seed in range(messages))
        return [part for text in texts for part in wire.fragments(TEXT, text, size)]

    return frames


def _byte_by_byte() -> list[Wire]:
    sizes = [16] * 8 + [256] * 4
    return [Wire(TEXT, wire.json_text(size, seed)) for seed, size in enumerate(sizes)]


def _receive() -> list[Scenario]:
    def line(name: str, frames: Callable[[], list[Wire]], size: int = READ) -> Receive:
        return Receive("receive", name, frames, size)

    kinds: list[tuple[str, int, Payload]] = [
        ("text", TEXT, wire.json_text),
        ("binary", BINARY, wire.binary),
        ("utf-8", TEXT, wire.multibyte_text),
    ]
    sizes = {"16 B": 16, "256 B": 256, "4 KiB": 4 * KIB, "64 KiB": READ, "1 MiB": MIB}
    scenarios: list[Scenario] = []
    for kind, opcode, payload in kinds:
        for label, size in sizes.items():
            if kind == "utf-8" and size == 16:
                continue
            frames = _many(opcode, payload, size)
            scenarios.append(line(f"{label} {kind}, 64 KiB reads", frames))
    for kind, opcode, payload in kinds[:2]:
        for label in ("16 B", "256 B", "4 KiB"):
            frames = _many(opcode, payload, sizes[label])
            scenarios.append(line(f"{label} {kind}, a frame a call", frames, 0))
    for kind, opcode, payload in kinds[:2]:
        frames = _many(opcode, payload, MIB)
        scenarios.append(line(f"1 MiB {kind}, 1448 B reads", frames, SEGMENT))
    flood = _fragmented(1, 512, 8)
    return [
        *scenarios,
        line("256 B fragments, 16 a message", _fragmented(256, 16, 32)),
        line("1 B fragments, 512 a message", flood),
        line("pings answered, 64 KiB reads", lambda: wire.pings(5000)),
        line("pings answered, a frame a call", lambda: wire.pings(2000), 0),
        Receive("receive", "byte by byte", _byte_by_byte, 1, per_byte=True),
    ]


def _send() -> list[Scenario]:
    text, raw = wire.json_text, wire.binary
    sizes = {"16 B": 16, "256 B": 256, "4 KiB": 4 * KIB, "64 KiB": READ, "1 MiB": MIB}
    scenarios: list[Scenario] = []
    for suffix, client in (("", False), (", masked", True)):
        for label, size in sizes.items():
            name = f"{label} text{suffix}"
            scenarios.append(Send("send", name, TEXT, text, size, client))
        for label in ("16 B", "1 MiB"):
            name = f"{label} binary{suffix}"
            scenarios.append(Send("send", name, BINARY, raw, sizes[label], client))
    return scenarios


def _deflate() -> list[Scenario]:
    scenarios: list[Scenario] = []
    for label, size in (("256 B", 256), ("4 KiB", 4 * KIB)):
        frames = _many(TEXT, wire.json_text, size)
        scenarios += [
            Receive("deflate", f"receive {label} text", frames, deflate=True),
            Receive(
                "deflate", f"receive {label} text, a frame a call", frames, 0, True
            ),
            Send(
                "deflate", f"send {label} text", TEXT, wire.json_text, size, False, True
            ),
        ]
    name = "send 256 B text, masked"
    scenarios.append(Send("deflate", name, TEXT, wire.json_text, 256, True, True))
    return scenarios


SCENARIOS: list[Scenario] = [
    *_receive(),
    *_send(),
    *_deflate(),
    Handshake("handshake", "minimal", wire.MINIMAL_REQUEST),
    Handshake("handshake", "browser, deflate", wire.CHROMIUM_REQUEST, deflate=True),
]
