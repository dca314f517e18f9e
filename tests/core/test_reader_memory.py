"""Floods: what is held, counted in bytes and objects, never in time."""

from __future__ import annotations

from typing import Any

import pytest

from .costs import held
from .support import (
    BINARY,
    CONT,
    FIN,
    PING,
    PONG,
    RSV1,
    SIDES,
    TEXT,
    assert_failing,
    deflate,
    deflated,
    events,
    feed,
    mask_bit,
    opened,
    sent,
    wire,
)
from .table import each

MIB = 2**20


def feed_all(protocol: Any, data: bytes, size: int) -> None:
    for start in range(0, len(data), size):
        protocol.receive_data(data[start : start + size])


@each("side", SIDES)
@each("size", [2**31, 2**32, 2**62, 2**63 - 1])
def test_sec_09_nothing_is_allocated_for_an_announced_length(
    impl: Any, side: str, size: int
) -> None:
    """SEC-09: a header of 2^62 bytes and one byte."""
    stream = bytes((0x82, 127 | mask_bit(side))) + size.to_bytes(8, "big") + b"k123x"
    protocol = opened(impl, side, max_size=None)
    _, peak = held(lambda: protocol.receive_data(stream))
    assert peak < 8192
    _, peak = held(lambda: protocol.receive_data(bytes(10_000)))
    assert peak < 60_000


@each("side", SIDES)
@each(("step", "size"), [(1, 5000), (7, 30_000), (1000, 300_000), (65536, 300_000)])
def test_sec_05_an_unfinished_payload_is_held_once(
    impl: Any, side: str, step: int, size: int
) -> None:
    """SEC-05, SEC-09: bytes held / bytes received < 4, however small the reads."""
    stream = wire(side, FIN | BINARY, bytes(size))[:-1]
    protocol = opened(impl, side)
    now, peak = held(lambda: feed_all(protocol, stream, step))
    assert now < 2.5 * size
    assert peak < 4 * size
    protocol.receive_data(wire(side, FIN | BINARY, bytes(size))[-1:])
    assert events(protocol) == [(BINARY, bytes(size), True)]


@pytest.mark.parametrize("side", SIDES)
def test_sec_05_work_does_not_grow_with_what_is_held(impl: Any, side: str) -> None:
    """SEC-05: a byte costs no more allocation late in a payload than early."""
    protocol = opened(impl, side, max_size=None)
    size = 1_000_000
    stream = wire(side, FIN | BINARY, bytes(size))
    protocol.receive_data(stream[: size // 2])
    protocol.receive_data(stream[size // 2 : size - 100_000])
    byte = b"\x00"

    def some() -> None:
        for _ in range(50):
            protocol.receive_data(byte)

    peaks = [held(some)[1] for _ in range(3)]
    # growing the buffer may copy it, once in a long while; each byte may not
    assert sorted(peaks)[1] < 8192


FLOODS = [(FIN | PING, 1), (FIN | PONG, 1), (FIN | BINARY, 1), (CONT, 1)]


@each("side", SIDES)
@each(("first", "factor"), FLOODS)
def test_sec_06_floods_of_empty_frames(
    impl: Any, side: str, first: int, factor: int
) -> None:
    """SEC-06, SEC-04: what comes in one call is held in a small multiple of it."""
    protocol = opened(impl, side, max_fragments=None)
    if first == CONT:
        protocol.receive_data(wire(side, BINARY))
        protocol.events_received()
    frame = wire(side, first)
    compiled = impl._native.kernels.COMPILED
    count = (16384 if compiled else 2048) // len(frame)
    now, _ = held(lambda: protocol.receive_data(frame * count))
    overhead = 100 if compiled else 220  # bytes of an event and its place in the list
    assert now < count * overhead + 8192
    assert len(protocol.events_received()) == count
    assert len(sent(protocol)) == (1 if first == FIN | PING else 0)


@pytest.mark.parametrize("side", SIDES)
def test_sec_07_one_pong_stays_queued(impl: Any, side: str) -> None:
    """SEC-07, SPEC-073, choice o: to a peer that never reads, in many calls."""
    protocol = opened(impl, side)
    for i in range(2000):
        protocol.receive_data(wire(side, FIN | PING, b"%d" % i))
        protocol.events_received()
    assert sent(protocol) == [(FIN | PONG, b"1999")]
    assert sent(protocol) == []
    protocol.receive_data(wire(side, FIN | PING, b"again"))
    assert sent(protocol) == [(FIN | PONG, b"again")]


@each("side", SIDES)
@each("way", ["extension", "send_frame", "debug"])
def test_sec_07_one_pong_stays_queued_on_the_long_way_too(
    impl: Any, side: str, way: str
) -> None:
    """SEC-07: with an extension of the user's, a subclass, or frames in the log."""
    protocol = opened(impl, side)
    if way == "extension":

        class Nothing(impl.extensions.base.Extension):  # type: ignore[misc]
            def decode(self, frame: Any, *, max_size: int | None = None) -> Any:
                return frame

            def encode(self, frame: Any) -> Any:
                return frame

        protocol.extensions = [Nothing()]
    elif way == "debug":
        protocol.debug = True
    else:
        kind = type(protocol)

        class Own(kind):  # type: ignore[misc, valid-type]
            def send_frame(self, frame: Any) -> None:
                super().send_frame(frame)

        protocol = (
            Own(state=impl.protocol.OPEN)
            if side == "server"
            else Own(protocol.uri, state=impl.protocol.OPEN)
        )
    protocol.receive_data(b"".join(wire(side, 0x89, b"%d" % i) for i in range(500)))
    assert sent(protocol) == [(FIN | PONG, b"499")]


@each(("step", "most"), [(1, 128), (100, 256), (10**6, 4096)])
def test_sec_04_memory_of_many_small_fragments(impl: Any, step: int, most: int) -> None:
    """SEC-04, SEC-08: a default object bounds one message to 4096 frames."""
    options: Any = {} if most == 4096 else {"max_fragments": most}
    protocol = opened(impl, "server", **options)
    stream = wire("server", BINARY, b"x") + wire("server", CONT, b"x") * (most + 100)
    now, _ = held(lambda: feed_all(protocol, stream, step))
    assert len(protocol.events_received()) == most
    assert_failing(protocol, 1009)
    assert now < most * 300


def test_input_is_dropped_after_a_failure(impl: Any) -> None:
    """Nothing that comes later is kept."""
    protocol = opened(impl, "server")
    protocol.receive_data(b"\xff")
    protocol.data_to_send()
    data = bytes(100_000)
    _, peak = held(lambda: [protocol.receive_data(data) for _ in range(20)])
    assert peak < 8192
    assert protocol.stats.bytes_received == 2_000_001


class TestBombs:
    """SEC-01 to SEC-03: what a compressed message may become."""

    @each("excess", [-1, 0, 1, 2, 3])
    @each("step", [None, 1, 5])
    @each("content", [b"\x00", b"random"])
    def test_sec_03_exact_limit(
        self, impl: Any, excess: int, step: int | None, content: bytes
    ) -> None:
        """SEC-01, SEC-03, SPEC-101: limit and a few bytes over, in any fragments."""
        limit = 1000
        size = limit + excess
        data = bytes(i * i * 31 >> 3 & 0xFF for i in range(size))
        if content == b"\x00":
            data = bytes(size)
        packed = deflated(data)
        step = step or len(packed)
        pieces = [packed[i : i + step] for i in range(0, len(packed), step)]
        firsts = [RSV1 | BINARY] + [CONT] * (len(pieces) - 1)
        firsts[-1] |= FIN
        stream = b"".join(
            wire("server", first, piece)
            for first, piece in zip(firsts, pieces, strict=True)
        )
        protocol = opened(impl, "server", [deflate(impl)], max_size=limit)
        if excess > 0:
            protocol.receive_data(stream)
            assert len(protocol.events_received()) < len(pieces)
            assert_failing(protocol, 1009, "limit of 1000 bytes")
        else:
            outcome = feed(protocol, [stream])
            assert outcome.error == ""
            assert b"".join(part for _, part, _ in outcome.events) == data

    def test_sec_01_memory(self, impl: Any) -> None:
        """SEC-01: ratio 1000:1, peak below the limit and a constant."""
        bomb = deflated(bytes(10 * MIB))
        stream = wire("server", 0xC2, bomb)
        protocol = opened(impl, "server", [deflate(impl)], max_size=100_000)
        _, peak = held(lambda: protocol.receive_data(stream))
        assert peak < 3 * 100_000 + 3 * len(stream)
        assert_failing(protocol, 1009)

    def test_sec_02_nothing_left_is_not_no_limit(self, impl: Any) -> None:
        """SEC-02: a first fragment that fits exactly, then a bomb."""
        limit = 4096
        packed = deflated(bytes(limit))
        bomb = deflated(bytes(5 * MIB))
        protocol = opened(impl, "server", [deflate(impl)], max_size=limit)
        protocol.receive_data(wire("server", RSV1 | BINARY, packed + b"\0\0\xff\xff"))
        assert [len(data) for _, data, _ in events(protocol)] == [limit]
        _, peak = held(lambda: protocol.receive_data(wire("server", CONT, bomb)))
        assert peak < 10 * (len(bomb) + limit) + 65536
        assert_failing(protocol, 1009)

    def test_limit_of_expansion(self, impl: Any) -> None:
        """max_inflated_size binds compressed messages only."""
        options = {"max_size": 1000, "max_inflated_size": 100}
        good = [(0xC2, deflated(bytes(100))), (0x82, bytes(1000))]
        protocol = opened(impl, "server", [deflate(impl)], **options)
        for first, payload in good:
            protocol.receive_data(wire("server", first, payload))
        assert protocol.parser_exc is None
        protocol.receive_data(wire("server", 0xC2, deflated(bytes(101))))
        assert_failing(protocol, 1009, "limit of 100 bytes")

    def test_fragment_limit_of_expansion(self, impl: Any) -> None:
        protocol = opened(impl, "server", [deflate(impl)], max_size=(1000, 10))
        protocol.receive_data(wire("server", 0xC1, deflated(b"x" * 10)))
        assert protocol.parser_exc is None
        protocol.receive_data(wire("server", 0xC1, deflated(b"x" * 11)))
        assert_failing(protocol, 1009, "limit of 10 bytes")

    def test_compressed_bytes_have_a_bound_too(self, impl: Any) -> None:
        """Choice p: DEFLATE that expands to nothing is no way around the limit."""
        nothing = b"\x00\x00\x00\xff\xff" * 300
        protocol = opened(impl, "server", [deflate(impl)], max_size=100)
        protocol.receive_data(wire("server", RSV1 | TEXT, nothing[:1000]))
        assert protocol.parser_exc is None
        protocol.receive_data(wire("server", CONT, nothing[1000:]))
        assert_failing(protocol, 1009)


@pytest.mark.parametrize("first", [FIN | TEXT, FIN | BINARY])
def test_sec_08_default_object_refuses_over_1_mib(impl: Any, first: int) -> None:
    """SEC-08: announced, and as compressed data."""
    protocol = opened(impl, "server")
    protocol.receive_data(wire("server", first, bytes(MIB + 1))[:14])
    assert_failing(protocol, 1009, f"limit of {MIB} bytes")
    protocol = opened(impl, "server", [deflate(impl)])
    protocol.receive_data(wire("server", first | RSV1, deflated(bytes(MIB + 1))))
    assert_failing(protocol, 1009, f"limit of {MIB} bytes")
