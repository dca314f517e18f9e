"""The rules of the header by themselves: what the first bytes of it can tell."""

from __future__ import annotations

from itertools import product
from typing import Any

from .support import BINARY, CONT, FIN, KEY, PING, RSV1, TEXT, header
from .table import each


def rules(impl: Any, **changed: Any) -> Any:
    values: dict[str, Any] = {
        "in_message": False,
        "mode": impl._wire.rules.PLAIN,
        "masked": True,
        "fragments": 0,
        "max_fragments": 4,
        "room": 1000,
        "max_message": 1000,
        "max_frame": 500,
    }
    return impl._wire.rules.HeaderRules(**{**values, **changed})


GOOD = [
    header(FIN | TEXT, 0, 0x80) + KEY,
    header(FIN | BINARY, 125, 0x80) + KEY,
    header(BINARY, 126, 0x80) + KEY,
    header(FIN | PING, 125, 0x80) + KEY,
    header(TEXT, 500, 0x80) + KEY,
]


@each("data", GOOD, ids=bytes.hex)
def test_sec_34_no_prefix_of_a_good_header_is_refused(impl: Any, data: bytes) -> None:
    """SEC-34, SPEC-057"""
    for size in range(1, len(data) + 1):
        assert rules(impl).error(data[:size]) is None


BAD = [
    ("8300", 1, "opcode 0x3 is reserved"),
    ("c100", 1, "reserved bits are set"),
    ("0900", 1, "control frame is fragmented"),
    ("8000", 1, "continuation frame without a message"),
    ("8105", 2, "frame is not masked"),
    ("89fe007e", 2, "control frame is over 125 bytes"),
    ("82fe007d", 4, "length is not in its shortest form"),
    ("82ff000000000000ffff", 8, "length is not in its shortest form"),
    ("82ff8000000000000000", 3, "length has its top bit set"),
    ("82fe01f5", 4, "frame is over the limit of 500 bytes"),
    ("82fe0200", 3, "frame is over the limit of 500 bytes"),
    ("81fe01f5", 4, "frame is over the limit of 500 bytes"),
    ("82ff0000000000010000", 8, "frame is over the limit of 500 bytes"),
]


@each(("data", "tells", "text"), BAD)
def test_sec_34_one_reason_from_the_first_byte_that_can_tell(
    impl: Any, data: str, tells: int, text: str
) -> None:
    """SEC-34, SPEC-055 to SPEC-059: however much more of it is there."""
    raw = bytes.fromhex(data)
    for size in range(1, len(raw) + 1):
        error = rules(impl).error(raw[:size])
        assert (error is None) == (size < tells)
        if error is not None:
            assert str(error) == text


@each("first", [FIN | TEXT, TEXT, FIN | BINARY, FIN | PING])
def test_spec_056_only_frames_of_a_client_are_masked(impl: Any, first: int) -> None:
    """SPEC-056, SPEC-057"""
    client = rules(impl, masked=False)
    assert client.error(bytes((first, 5))) is None
    assert str(client.error(bytes((first, 0x85)))) == "frame is masked"
    assert str(rules(impl).error(bytes((first, 5)))) == "frame is not masked"


def test_spec_065_what_may_not_begin_inside_a_message(impl: Any) -> None:
    """SPEC-065"""
    inside = rules(impl, in_message=True)
    for first in (FIN | TEXT, TEXT, FIN | BINARY, BINARY):
        text = "new message inside a fragmented message"
        assert str(inside.error(bytes((first,)))) == text
    for first in (CONT, FIN | CONT, FIN | PING):
        assert inside.error(bytes((first,))) is None


def test_the_limit_that_binds_is_named(impl: Any) -> None:
    """SPEC-075"""
    raw = header(FIN | CONT, 126, 0x80)
    for room, max_frame, text in (
        (100, 500, "message is over the limit of 1000 bytes"),
        (100, 100, "message is over the limit of 1000 bytes"),
        (100, 99, "frame is over the limit of 99 bytes"),
    ):
        error = rules(impl, in_message=True, room=room, max_frame=max_frame).error(raw)
        assert type(error) is impl.exceptions.PayloadTooBig
        assert str(error) == text


def test_sec_04_number_of_fragments(impl: Any) -> None:
    """SEC-04: the first byte of one too many is refused, a control frame is not."""
    for fragments in (3, 4, 5):
        many = rules(impl, in_message=True, fragments=fragments)
        error = many.error(bytes((CONT,)))
        assert (error is None) == (fragments < 4)
        assert error is None or error.max_fragments == 4
        assert many.error(bytes((FIN | PING, 0x80))) is None


WHOLE_MESSAGES = {
    FIN | TEXT: "WHOLE",
    FIN | BINARY: "WHOLE",
    FIN | RSV1 | TEXT: "DEFLATED",
    FIN | RSV1 | BINARY: "DEFLATED",
}


def test_sec_17_tables_say_the_same(impl: Any) -> None:
    """SEC-17, SPEC-065, SPEC-094: for each first byte, in and out of a message."""
    module = impl._wire.rules
    modes = (module.PLAIN, module.DEFLATE, module.CUSTOM)
    for in_message, mode in product((False, True), modes):
        start = module.IN_MESSAGE * in_message + 256 * mode
        table = module.FIRST_BYTES[start : start + 256]
        assert len(table) == 256
        for first in range(256):
            error = rules(impl, in_message=in_message, mode=mode).error(bytes((first,)))
            assert bool(table[first]) == (error is None)
            if table[first]:
                known = {} if mode == module.CUSTOM else WHOLE_MESSAGES
                assert table[first] == getattr(module, known.get(first, ""), 1)
            if first & 0x0F in (1, 2) and not in_message:
                allowed = {module.PLAIN: 0, module.DEFLATE: RSV1, module.CUSTOM: 0x70}
                assert bool(table[first]) == (not first & 0x70 & ~allowed[mode])
