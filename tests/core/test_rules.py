"""Every rule of the frame header: the code, and the first byte that can tell."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from .support import (
    BINARY,
    CONT,
    FIN,
    KEY,
    PING,
    RSV1,
    SIDES,
    TEXT,
    Outcome,
    assert_failing,
    cuts,
    deflate,
    deflated,
    feed,
    mask_bit,
    opened,
    sent,
    wire,
)
from .table import each

OPEN_TEXT = (TEXT, b"begun")  # leaves a message under way
HELLO = (FIN | TEXT, b"hello")
EMPTY = (FIN | TEXT, b"")
RSV_BITS = (0x40, 0x20, 0x10)
RESERVED = (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)


class Bad(NamedTuple):
    """A header that breaks a rule.

    The second byte is given without its mask bit, which the test adds; ``wrong_mask``
    inverts that. ``tells`` is the number of bytes needed to know.
    """

    name: str
    header: bytes
    tells: int
    code: int = 1002
    before: tuple[tuple[int, bytes], ...] = (HELLO,)
    options: dict[str, Any] = {}  # noqa: RUF012 - of a named tuple
    deflate: bool = False
    wrong_mask: bool = False


def long(first: int, length: int) -> bytes:
    return bytes((first, 127)) + length.to_bytes(8, "big")


def short(first: int, length: int) -> bytes:
    return bytes((first, 126)) + length.to_bytes(2, "big")


IN_TEXT = (OPEN_TEXT,)
IN_DEFLATED = ((TEXT | RSV1, b""),)
LIMITS: list[tuple[Any, bytes, int]] = [
    # limit, header, bytes needed to know
    (0, bytes((0x82, 1)), 2),
    (100, bytes((0x82, 101)), 2),
    (100, short(0x82, 256), 3),
    (255, short(0x82, 256), 3),
    (200, short(0x82, 201), 4),
    (65535, long(0x82, 65536), 8),
    (65536, long(0x82, 65537), 10),
    (2**20, long(0x82, 2**20 + 1), 10),
    (2**20, long(0x82, 2**31 - 1), 7),
    (2**20, long(0x82, 2**31), 7),
    (2**20, long(0x82, 2**32), 6),
    (2**20, long(0x82, 2**63 - 1), 3),
    ((None, 50), bytes((0x82, 51)), 2),
    ((50, None), bytes((0x82, 51)), 2),
    ((50, 10), bytes((0x82, 11)), 2),
    ((10, 50), bytes((0x82, 11)), 2),
]

BAD = [
    *(
        Bad(f"spec_055 rsv {bit:#x} on {opcode:#x}", bytes((FIN | bit | opcode, 0)), 1)
        for bit in RSV_BITS
        for opcode in (1, 2, 8, 9, 0xA)
    ),
    *(
        Bad(f"spec_055 rsv {b:#x} on cont", bytes((FIN | b, 0)), 1, before=IN_TEXT)
        for b in RSV_BITS
    ),
    *(
        Bad(f"spec_094 rsv1 on {o:#x}", bytes((0xC0 | o, 0)), 1, deflate=True)
        for o in (8, 9, 0xA)
    ),
    Bad(
        "spec_094 rsv1 on continuation",
        bytes((0xC0, 0)),
        1,
        before=IN_DEFLATED,
        deflate=True,
    ),
    *(
        Bad(f"spec_055 {b:#x} with deflate", bytes((0x81 | b, 0)), 1, deflate=True)
        for b in (0x20, 0x10, 0x60, 0x50)
    ),
    *(Bad(f"spec_056 opcode {o:#x}", bytes((FIN | o, 0)), 1) for o in RESERVED),
    *(Bad(f"spec_056 opcode {o:#x}, no FIN", bytes((o, 0)), 1) for o in RESERVED),
    *(Bad(f"spec_071 {o:#x} without FIN", bytes((o, 0)), 1) for o in (8, 9, 0xA)),
    *(
        Bad(f"spec_071 {o:#x} of {n}", bytes((FIN | o, n, 0, 126)), 2)
        for o in (8, 9, 0xA)
        for n in (126, 127)
    ),
    Bad("spec_065 continuation of nothing", bytes((0x80, 0)), 1),
    Bad("spec_065 continuation of nothing, no FIN", bytes((0x00, 0)), 1),
    Bad("spec_065 text in a message", bytes((0x81, 0)), 1, before=IN_TEXT),
    Bad("spec_065 binary in a message", bytes((0x02, 0)), 1, before=IN_TEXT),
    *(
        Bad(
            f"spec_060 spec_061 mask of {o:#x}", bytes((FIN | o, 5)), 2, wrong_mask=True
        )
        for o in (1, 2, 8, 9, 0xA)
    ),
    *(Bad(f"spec_058 16 bits for {n}", short(0x82, n), 4) for n in (0, 1, 5, 124, 125)),
    *(
        Bad(f"spec_058 64 bits for {n}", long(0x82, n), 8)
        for n in (0, 5, 125, 126, 65535)
    ),
    *(
        Bad(
            f"spec_059 sec_11 top bit {n:#x}", long(0x82, n), 3, options={"max_size": m}
        )
        for n in (2**63, 2**63 + 5, 2**64 - 1)
        for m in (2**20, None, (None, None), 2**62)
    ),
    *(
        Bad(f"spec_075 limit {m}", raw, tells, 1009, (EMPTY,), {"max_size": m})
        for m, raw, tells in LIMITS
    ),
    Bad(
        "spec_075 limit of the rest",
        bytes((0x80, 6)),
        2,
        1009,
        before=IN_TEXT,
        options={"max_size": 10},
    ),
    Bad(
        "spec_075 sec_04 too many fragments",
        bytes((0x80, 0)),
        1,
        1009,
        before=(OPEN_TEXT, (CONT, b"")),
        options={"max_fragments": 2},
    ),
    Bad(
        "sec_01 compressed bytes far over the limit",
        short(0xC2, 100 + 12 + 1024 + 1),
        4,
        1009,
        options={"max_size": 100},
        deflate=True,
    ),
]


def parts(bad: Bad, side: str) -> tuple[bytes, bytes]:
    """What comes before the header, and the header with its key."""
    before = b"".join(wire(side, first, payload) for first, payload in bad.before)
    bit = mask_bit(side)
    second = bad.header[1] | (bit ^ 0x80 if bad.wrong_mask else bit)
    return before, bytes((bad.header[0], second)) + bad.header[2:] + KEY


def build(impl: Any, bad: Bad, side: str) -> Any:
    extensions = [deflate(impl)] if bad.deflate else []
    return opened(impl, side, extensions, **bad.options)


@each("side", SIDES)
@each("bad", BAD, ids=[bad.name for bad in BAD])
def test_sec_34_refused_at_the_first_byte_that_can_tell(
    impl: Any, bad: Bad, side: str
) -> None:
    """SEC-34, choice f: no byte later, and none earlier."""
    before, header = parts(bad, side)
    protocol = build(impl, bad, side)
    protocol.receive_data(before)
    for position in range(bad.tells - 1):
        protocol.receive_data(header[position : position + 1])
        assert protocol.parser_exc is None, f"after {position + 1} bytes"
        assert protocol.state.name == "OPEN"
    protocol.receive_data(header[bad.tells - 1 : bad.tells])
    assert_failing(protocol, bad.code)


@each("side", SIDES)
@each("bad", BAD, ids=[bad.name for bad in BAD])
def test_same_refusal_however_it_is_cut(impl: Any, bad: Bad, side: str) -> None:
    """SPEC-029, SEC-34: cut at every byte, with more behind, and all at once."""
    before, header = parts(bad, side)
    stream = before + header + wire(side, FIN | TEXT, b"ignored")
    whole = feed(build(impl, bad, side), [stream])
    assert whole.close_sent == bad.code
    assert whole.error
    assert whole.state == "CLOSING"
    delivered = [(first & 0xF, payload, first >= 0x80) for first, payload in bad.before]
    assert whole.events == delivered
    for chunks in cuts(stream):
        assert feed(build(impl, bad, side), chunks) == whole


GOOD_LENGTHS = [0, 1, 125, 126, 127, 255, 256, 65535, 65536, 65537]


@each("side", SIDES)
@each("length", GOOD_LENGTHS)
def test_spec_057_all_length_forms(impl: Any, side: str, length: int) -> None:
    """SPEC-057: both sides of each border, the header cut at every byte."""
    payload = bytes(range(256)) * (length // 256 + 1)
    payload = payload[:length]
    stream = wire(side, FIN | BINARY, payload)
    wanted = feed(opened(impl, side), [stream])
    assert wanted.events == [(BINARY, payload, True)]
    assert wanted.error == ""
    for position in range(1, 15):
        protocol = opened(impl, side)
        assert feed(protocol, [stream[:position], stream[position:]]) == wanted


@each("length", GOOD_LENGTHS)
@each("side", SIDES)
def test_spec_058_minimal_lengths_are_sent(impl: Any, side: str, length: int) -> None:
    """SPEC-058: ``sent`` compares with the shortest form."""
    protocol = opened(impl, side)
    protocol.send_binary(bytes(length))
    assert sent(protocol) == [(FIN | BINARY, bytes(length))]


@each("size", [2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1])
@each("side", SIDES)
def test_sec_11_huge_lengths_are_awaited_without_a_limit(
    impl: Any, side: str, size: int
) -> None:
    """SEC-11: no arithmetic on a legal length goes wrong; the payload just grows."""
    protocol = opened(impl, side, max_size=None)
    header = long(0x82, size)
    second = header[1] | mask_bit(side)
    stream = bytes((0x82, second)) + header[2:] + (KEY if side == "server" else b"")
    outcome = feed(protocol, [stream, b"x" * 1000])
    assert outcome == Outcome([], [], "", "OPEN", None, None)
    # a message of that size and a further fragment cannot wrap a counter either
    protocol = opened(impl, side, max_size=(None, 2**63))
    outcome = feed(protocol, [wire(side, BINARY, b"x"), stream])
    assert outcome.close_sent == 1002  # a new message inside a message


@pytest.mark.parametrize("side", SIDES)
def test_sec_17_table_of_first_bytes(impl: Any, side: str) -> None:
    """SEC-17, SPEC-055, SPEC-056: all 256 first bytes x in a message x deflate."""
    for first in range(256):
        for in_message in (False, True):
            for compression in (False, True):
                rsv, opcode = first & 0x70, first & 0x0F
                legal = opcode in (0, 1, 2, 8, 9, 10)
                legal &= opcode < 8 or first >= 0x80
                legal &= opcode >= 8 or (opcode == 0) == in_message
                legal &= rsv == 0 or (compression and rsv == RSV1 and 0 < opcode < 8)
                extensions = [deflate(impl)] if compression else []
                protocol = opened(impl, side, extensions)
                if in_message:
                    protocol.receive_data(wire(side, BINARY, b""))
                protocol.receive_data(bytes((first,)))
                assert (protocol.parser_exc is None) == legal, hex(first)
                if not legal:
                    assert protocol.close_sent.code == 1002


def test_reasons_say_what_is_wrong(impl: Any) -> None:
    """Each refusal has its own words, for the log and for the peer."""
    reasons = set()
    for bad in BAD:
        before, header = parts(bad, "server")
        protocol = build(impl, bad, "server")
        protocol.receive_data(before + header)
        reasons.add(protocol.close_sent.reason)
        assert protocol.close_sent.reason == str(protocol.parser_exc)
    # rsv, ten opcodes, fin, control size, two of fragmentation, mask, two of length
    assert len({r for r in reasons if "limit" not in r}) == 1 + 10 + 1 + 1 + 2 + 1 + 2


def test_limits_are_named(impl: Any) -> None:
    """1009 comes with a reason that names the limit."""
    for max_size, header, _ in LIMITS:
        protocol = opened(impl, "client", max_size=max_size)
        protocol.receive_data(header)
        limits = max_size if isinstance(max_size, tuple) else (max_size,)
        least = min(limit for limit in limits if limit is not None)
        assert f"limit of {least} bytes" in protocol.close_sent.reason


@each(
    ("options", "frames", "limit"),
    [
        ({"max_size": (10, 5)}, [(BINARY, b"12345")] * 1 + [(CONT, b"12345")] * 2, 10),
        ({"max_size": (10, 5)}, [(BINARY, b"123456")], 5),
        ({"max_size": (10, 5)}, [(BINARY, b"12"), (CONT, b"123456")], 5),
        ({"max_size": (5, 10)}, [(BINARY, b"123456")], 5),
        (
            {"max_size": 10**5, "max_inflated_size": 10},
            [(RSV1 | BINARY, bytes(2000))],
            10,
        ),
        (
            {"max_size": 100, "max_inflated_size": 10},
            [(FIN | RSV1 | BINARY, deflated(b"1")), (FIN | BINARY, bytes(101))],
            100,
        ),
        ({"max_size": 20, "max_inflated_size": 5}, [(0xC2, deflated(b"123456"))], 5),
        ({"max_size": (20, 5)}, [(0xC2, deflated(b"123456"))], 5),
    ],
)
def test_the_limit_that_was_exceeded_is_named(
    impl: Any, options: dict[str, Any], frames: list[tuple[int, bytes]], limit: int
) -> None:
    """The reason names the limit, whichever of several it was."""
    protocol = opened(impl, "server", [deflate(impl)], **options)
    for first, payload in frames:
        protocol.receive_data(wire("server", first, payload))
    assert_failing(protocol, 1009, f"limit of {limit} bytes")


@pytest.mark.parametrize("side", SIDES)
def test_control_payload_of_125_bytes_is_legal(impl: Any, side: str) -> None:
    """SPEC-071: the other side of the line."""
    protocol = opened(impl, side)
    outcome = feed(protocol, [wire(side, FIN | PING, bytes(125))])
    assert outcome.events == [(PING, bytes(125), True)]
    assert outcome.error == ""
