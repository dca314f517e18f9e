"""UTF-8 in text messages: checked as it arrives (RFC 6455, section 8.1)."""

from __future__ import annotations

from itertools import product
from typing import Any

from .support import (
    BINARY,
    CONT,
    FIN,
    PING,
    RSV1,
    SIDES,
    TEXT,
    assert_failing,
    cuts,
    deflate,
    deflated,
    events,
    feed,
    mask_bit,
    opened,
    wire,
)
from .table import each

# Sequences and how many of their bytes can still be right.
INVALID = [
    (b"\x80", 0),  # a continuation byte by itself
    (b"\xbf", 0),
    (b"\xc0\xaf", 0),  # overlong
    (b"\xc1\xbf", 0),
    (b"\xc3\x28", 1),
    (b"\xe0\x9f\xbf", 1),  # overlong
    (b"\xe2\x82\x28", 2),
    (b"\xed\xa0\x80", 1),  # surrogate
    (b"\xed\xbf\xbf", 1),
    (b"\xf0\x8f\xbf\xbf", 1),  # overlong
    (b"\xf0\x9f\x98\x28", 3),
    (b"\xf4\x90\x80\x80", 1),  # over U+10FFFF
    (b"\xf5\x80\x80\x80", 0),
    (b"\xf8\x88\x80\x80\x80", 0),  # five bytes
    (b"\xfe", 0),
    (b"\xff", 0),
]
VALID = [
    "",
    "ascii",
    "\x00",
    "\x7f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff",
    "\ufeff\u20ac\U0001f600",
]
INVALID_IDS = [sequence.hex() for sequence, _ in INVALID]


@each("side", SIDES)
@each(("sequence", "good"), INVALID, ids=INVALID_IDS)
def test_spec_069_invalid_text(
    impl: Any, side: str, sequence: bytes, good: int
) -> None:
    """SPEC-069, SEC-35: 1007, wherever it is cut."""
    stream = wire(side, FIN | TEXT, b"ab" + sequence + b"cd")
    whole = feed(opened(impl, side), [stream])
    assert whole.close_sent == 1007
    assert whole.events == []
    for chunks in cuts(stream):
        assert feed(opened(impl, side), chunks) == whole
    protocol = opened(impl, side)
    protocol.receive_data(stream)
    assert_failing(protocol, 1007)


@each("side", SIDES)
@each(("sequence", "good"), INVALID, ids=INVALID_IDS)
def test_sec_35_first_impossible_byte(
    impl: Any, side: str, sequence: bytes, good: int
) -> None:
    """SEC-35, choice f: inside a frame that is far from whole."""
    stream = wire(side, TEXT, b"ab" + sequence + bytes(100))
    start = len(stream) - 100 - len(sequence)
    protocol = opened(impl, side)
    for position in range(start + good):
        protocol.receive_data(stream[position : position + 1])
    assert protocol.parser_exc is None
    protocol.receive_data(stream[start + good : start + good + 1])
    assert_failing(protocol, 1007)


@each(("sequence", "good"), INVALID, ids=INVALID_IDS)
def test_spec_069_invalid_text_over_fragments(
    impl: Any, sequence: bytes, good: int
) -> None:
    """SPEC-069: the offence is seen in the fragment that has it; ping between."""
    protocol = opened(impl, "client")
    protocol.receive_data(wire("client", TEXT, b"ok") + wire("client", FIN | PING))
    for i in range(len(sequence)):
        assert protocol.parser_exc is None
        protocol.receive_data(wire("client", CONT, sequence[i : i + 1]))
        if i == good:
            break
    else:
        raise AssertionError("the sequence has no impossible byte")
    assert_failing(protocol, 1007)


@each("side", SIDES)
@each("text", VALID)
def test_spec_069_valid_text(impl: Any, side: str, text: str) -> None:
    """SPEC-069: a sequence may span fragments, cut at every byte."""
    data = text.encode()
    for position in range(len(data) + 1):
        protocol = opened(impl, side)
        stream = wire(side, TEXT, data[:position]) + wire(side, CONT)
        stream += wire(side, FIN | CONT, data[position:])
        outcome = feed(protocol, [stream])
        assert outcome.error == ""
        assert b"".join(part for _, part, _ in outcome.events) == data


@each("side", SIDES)
@each("start", ["ce", "e282", "e2", "f0", "f09f98", "f48fbf"])
def test_spec_069_truncated_at_the_end(impl: Any, side: str, start: str) -> None:
    """SPEC-069: the end of the message can tell; the end of a fragment can't."""
    data = b"x" + bytes.fromhex(start)
    for frames in (
        [(FIN | TEXT, data)],
        [(TEXT, data), (FIN | CONT, b"")],
        [(TEXT, b""), (FIN | CONT, data)],
    ):
        protocol = opened(impl, side)
        for first, payload in frames[:-1]:
            protocol.receive_data(wire(side, first, payload))
        assert protocol.parser_exc is None
        first, payload = frames[-1]
        protocol.receive_data(wire(side, first, payload))
        assert_failing(protocol, 1007)


def test_sec_35_all_short_sequences_as_cpython_judges(impl: Any) -> None:
    """SEC-35: each first byte with second bytes of every class, and further ones."""
    protocol = opened(impl, "client")
    second = (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF)
    for first, next_, tail in product(
        range(256), second, (b"", b"\x80", b"\xbf\x80", b"a")
    ):
        data = bytes((first, next_)) + tail
        try:
            data.decode()
        except UnicodeDecodeError:
            valid = False
        else:
            valid = True
        protocol.receive_data(wire("client", FIN | TEXT, data))
        assert (protocol.parser_exc is None) == valid, data
        if not valid:
            assert protocol.close_sent.code == 1007
            protocol = opened(impl, "client")


@each("side", SIDES)
@each("size", [15, 16, 31, 32, 63, 64, 65, 127])
def test_sec_35_borders_of_blocks(impl: Any, side: str, size: int) -> None:
    """SEC-35: a character across a border that a fast path may have."""
    for text, code in (
        (b"\xe2\x82\xac", None),
        (b"\xe2\x82\x28", 1007),
        (b"\xed\xa0\x80", 1007),
    ):
        for tail in (0, 1, 70):
            protocol = opened(impl, side)
            data = b"a" * size + text + b"b" * tail
            protocol.receive_data(wire(side, FIN | TEXT, data))
            assert (protocol.close_sent and protocol.close_sent.code) == code


def test_binary_is_not_checked(impl: Any) -> None:
    outcome = feed(opened(impl, "client"), [wire("client", FIN | BINARY, b"\xff")])
    assert outcome.error == ""


class TestCompressed:
    """SPEC-101: the check is on the decompressed data."""

    def test_spec_101_compressed_bytes_are_not_text(self, impl: Any) -> None:
        """SPEC-101"""
        text = "\u20ac" * 50
        protocol = opened(impl, "server", [deflate(impl)])
        stream = wire("server", FIN | RSV1 | TEXT, deflated(text.encode()))
        assert feed(protocol, [stream]).events == [(TEXT, text.encode(), True)]

    @each(("sequence", "good"), INVALID, ids=INVALID_IDS)
    def test_spec_101_invalid(self, impl: Any, sequence: bytes, good: int) -> None:
        """SPEC-101, SEC-35: at the first fragment that has an impossible byte."""
        protocol = opened(impl, "server", [deflate(impl)])
        data = deflated(b"ab" + sequence)
        # all but the end-of-message mark: the byte is there, FIN is not
        protocol.receive_data(wire("server", RSV1 | TEXT, data))
        assert_failing(protocol, 1007)

    def test_spec_101_truncated(self, impl: Any) -> None:
        """SPEC-101"""
        protocol = opened(impl, "server", [deflate(impl)])
        stream = wire("server", FIN | RSV1 | TEXT, deflated(b"\xe2\x82"))
        protocol.receive_data(stream)
        assert_failing(protocol, 1007)

    def test_spec_101_character_over_fragments(self, impl: Any) -> None:
        """SPEC-101"""
        euro = "\u20ac".encode()
        data = deflated(euro * 20)
        for position in range(len(data)):
            protocol = opened(impl, "server", [deflate(impl)])
            stream = wire("server", RSV1 | TEXT, data[:position])
            stream += wire("server", FIN | CONT, data[position:])
            outcome = feed(protocol, [stream])
            assert outcome.error == ""
            assert b"".join(part for _, part, _ in outcome.events) == euro * 20


class TestUnchecked:
    """validate_utf8=False leaves text to the caller."""

    @each("side", SIDES)
    @each(("sequence", "good"), INVALID, ids=INVALID_IDS)
    def test_delivered_as_it_is(
        self, impl: Any, side: str, sequence: bytes, good: int
    ) -> None:
        protocol = opened(impl, side, validate_utf8=False)
        outcome = feed(protocol, [wire(side, FIN | TEXT, sequence)])
        assert outcome.events == [(TEXT, sequence, True)]
        assert outcome.error == ""

    def test_compressed(self, impl: Any) -> None:
        protocol = opened(impl, "server", [deflate(impl)], validate_utf8=False)
        outcome = feed(protocol, [wire("server", 0xC1, deflated(b"\xff"))])
        assert outcome.events == [(TEXT, b"\xff", True)]

    def test_the_caller_fails_the_connection(self, impl: Any) -> None:
        protocol = opened(impl, "server", validate_utf8=False)
        protocol.receive_data(wire("server", FIN | TEXT, b"\xff"))
        protocol.fail(1007, "not UTF-8")
        assert protocol.close_sent.code == 1007

    def test_close_reasons_are_checked_all_the_same(self, impl: Any) -> None:
        """SPEC-077"""
        protocol = opened(impl, "server", validate_utf8=False)
        protocol.receive_data(wire("server", 0x88, b"\x03\xe8\xff"))
        assert_failing(protocol, 1007)

    def test_it_can_be_switched_between_messages(self, impl: Any) -> None:
        protocol = opened(impl, "client", validate_utf8=False)
        protocol.receive_data(wire("client", TEXT, b"\xff"))
        protocol.validate_utf8 = True
        protocol.receive_data(wire("client", FIN | CONT, b"\xff"))
        assert len(events(protocol)) == 2
        protocol.receive_data(bytes((FIN | TEXT, 9 | mask_bit("client"))) + b"\xff")
        assert_failing(protocol, 1007)
