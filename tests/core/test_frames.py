"""Frames as values, as bytes and as a line in the log."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from array import array
from typing import Any

import pytest

from .support import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    KEY,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    TEXT,
    bare,
    close_payload,
    masked,
    user_extension,
    xor,
)
from .table import each

FIELDS = ("opcode", "data", "fin", "rsv1", "rsv2", "rsv3")


def new(impl: Any, opcode: int, data: Any = b"", *args: Any, **named: Any) -> Any:
    return impl.frames.Frame(impl.frames.Opcode(opcode), data, *args, **named)


def test_public_names(impl: Any) -> None:
    assert {"Close", "CloseCode", "Frame", "Opcode"} <= set(impl.frames.__all__)
    assert impl.frames.Close is impl._base.closing.Close


class TestValue:
    """Frame is a dataclass in all that its users do with it."""

    def test_defaults(self, impl: Any) -> None:
        frame = new(impl, TEXT, b"x")
        assert frame.opcode is impl.frames.Opcode.TEXT
        assert frame.data == b"x"
        assert frame.fin is True
        assert (frame.rsv1, frame.rsv2, frame.rsv3) == (False, False, False)

    def test_all_arguments_by_place_and_by_name(self, impl: Any) -> None:
        values = (impl.frames.Opcode.BINARY, b"x", False, True, False, True)
        by_name = impl.frames.Frame(**dict(zip(FIELDS, values, strict=True)))
        assert by_name == impl.frames.Frame(*values)
        assert tuple(getattr(by_name, name) for name in FIELDS) == values

    def test_attributes_can_be_set(self, impl: Any) -> None:
        frame = new(impl, TEXT)
        frame.opcode, frame.data = impl.frames.Opcode.BINARY, b"y"
        frame.fin, frame.rsv1, frame.rsv2, frame.rsv3 = False, True, True, True
        assert frame == new(impl, BINARY, b"y", False, True, True, True)

    @each(
        "changed",
        [
            {"opcode": BINARY},
            {"data": b"y"},
            {"fin": False},
            {"rsv1": True},
            {"rsv2": True},
            {"rsv3": True},
        ],
    )
    def test_equality(self, impl: Any, changed: dict[str, Any]) -> None:
        values: dict[str, Any] = {"opcode": TEXT, "data": b"x"}
        assert new(impl, **values) == new(impl, **values)
        assert new(impl, **values) != new(impl, **{**values, **changed})
        replaced = dataclasses.replace(new(impl, **values), **changed)
        assert replaced == new(impl, **{**values, **changed})
        assert replaced != new(impl, **values)

    def test_equality_with_others(self, impl: Any) -> None:
        class Further(impl.frames.Frame):  # type: ignore[misc]
            pass

        frame = new(impl, TEXT, b"x")
        assert frame != (impl.frames.Opcode.TEXT, b"x")
        assert frame != b"x"
        assert frame is not None
        assert frame == new(impl, TEXT, bytearray(b"x"))
        assert frame == new(impl, TEXT, memoryview(b"x"))
        assert Further(impl.frames.Opcode.TEXT, b"x") == frame

        class Equal:
            def __eq__(self, _: object) -> bool:
                return True

            __hash__ = None  # type: ignore[assignment]

        assert frame == Equal()  # the other one is asked as well

    def test_not_hashable(self, impl: Any) -> None:
        with pytest.raises(TypeError, match="unhashable"):
            hash(new(impl, TEXT))

    def test_dataclass_functions(self, impl: Any) -> None:
        frame = new(impl, TEXT, b"x", rsv1=True)
        assert all(dataclasses.is_dataclass(x) for x in (frame, impl.frames.Frame))
        assert tuple(f.name for f in dataclasses.fields(frame)) == FIELDS
        assert dataclasses.asdict(frame) == {
            "opcode": TEXT,
            "data": b"x",
            "fin": True,
            "rsv1": True,
            "rsv2": False,
            "rsv3": False,
        }
        changed = dataclasses.replace(frame, data=b"y", rsv1=False)
        assert type(changed) is impl.frames.Frame
        assert changed == new(impl, TEXT, b"y")
        assert frame.data == b"x"

    def test_base_of_a_dataclass(self, impl: Any) -> None:
        @dataclasses.dataclass
        class Dated(impl.frames.Frame):  # type: ignore[misc]
            at: float = 0.0

        frame = Dated(impl.frames.Opcode.TEXT, b"x", at=1.5)
        assert (frame.data, frame.fin, frame.at) == (b"x", True, 1.5)

    def test_copies(self, impl: Any) -> None:
        frame = new(impl, TEXT, b"x", False, True)
        pickled = [
            pickle.loads(pickle.dumps(frame, protocol))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ]
        for twin in (copy.copy(frame), copy.deepcopy(frame), *pickled):
            assert twin == frame
            assert twin is not frame

    def test_copies_of_a_subclass(self, impl: Any) -> None:
        class Dated(impl.frames.Frame):  # type: ignore[misc]
            def __init__(self, at: list[int]) -> None:
                super().__init__(impl.frames.Opcode.TEXT, b"x", False)
                self.at = at

        frame = Dated([1])
        for twin in (copy.copy(frame), copy.deepcopy(frame)):
            assert twin == frame
            assert (type(twin), twin.at) == (Dated, [1])
        assert copy.copy(frame).at is frame.at
        assert copy.deepcopy(frame).at is not frame.at

    def test_match(self, impl: Any) -> None:
        kind, opcodes = impl.frames.Frame, impl.frames.Opcode
        match new(impl, TEXT, b"x", False):
            case kind(opcodes.BINARY):
                pytest.fail("another opcode")
            case kind(opcodes.TEXT, data, True):
                pytest.fail("not final")
            case kind(opcodes.TEXT, data, fin, False, False, False):
                assert (data, fin) == (b"x", False)
            case _:
                pytest.fail("no match")
        match new(impl, PING, b"y"):
            case kind(opcode=opcodes.PING, data=b"y", rsv1=False):
                pass
            case _:
                pytest.fail("no match by name")

    def test_repr_can_be_read(self, impl: Any) -> None:
        text = repr(new(impl, TEXT, b"x", False, rsv2=True))
        assert text == (
            "Frame(opcode=<Opcode.TEXT: 1>, data=b'x', fin=False, "
            "rsv1=False, rsv2=True, rsv3=False)"
        )


WIRE = [
    # RFC 6455, section 5.7
    ((TEXT, b"Hello"), "810548656c6c6f"),
    ((TEXT, b"Hel", False), "010348656c"),
    ((CONT, b"lo"), "80026c6f"),
    ((PING, b"Hello"), "890548656c6c6f"),
    ((BINARY, bytes(256)), "827e0100" + "00" * 256),
    ((BINARY, bytes(65536)), "827f0000000000010000" + "00" * 65536),
    ((BINARY, b""), "8200"),
    ((CLOSE, b"\x03\xe8"), "880203e8"),
    ((PONG, bytes(125)), "8a7d" + "00" * 125),
]


class TestBytes:
    """serialize() and check()."""

    @each(("values", "wanted"), WIRE)
    def test_unmasked(self, impl: Any, values: tuple[Any, ...], wanted: str) -> None:
        assert new(impl, *values).serialize(mask=False) == bytes.fromhex(wanted)

    @each("size", [0, 1, 125, 126, 65535, 65536])
    def test_spec_061_masked(self, impl: Any, size: int) -> None:
        """SPEC-061, SPEC-062: with a key of its own each time."""
        payload = bytes(i & 0xFF for i in range(size))
        plain = new(impl, BINARY, payload).serialize(mask=False)
        keys = set()
        for _ in range(3):
            data = new(impl, BINARY, payload).serialize(mask=True)
            start = len(plain) - size
            assert data[0] == plain[0]
            assert data[1] == plain[1] | 0x80
            assert data[2:start] == plain[2:start]
            key = data[start : start + 4]
            assert xor(data[start + 4 :], key) == payload
            keys.add(key)
        assert len(keys) == 3

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_sec_14_buffers(self, impl: Any, kind: Any) -> None:
        """SEC-14"""
        frame = new(impl, BINARY, kind(b"abc"))
        assert frame.serialize(mask=False) == b"\x82\x03abc"

    def test_sec_14_lengths_are_in_bytes(self, impl: Any) -> None:
        """SEC-14: nothing of our memory goes out, and nothing of theirs is lost."""
        view = memoryview(array("I", [1, 2, 3]))
        for mask in (False, True):
            data = new(impl, BINARY, view).serialize(mask=mask)
            assert data[1] & 0x7F == view.nbytes
            assert len(data) == 2 + 4 * mask + view.nbytes
        for data in (memoryview(b"abcdef")[::2], memoryview(b"abcdef")[::-1]):
            with pytest.raises(BufferError):
                new(impl, BINARY, data).serialize(mask=False)

    @each(
        ("values", "text"),
        [
            ((TEXT, b"", True, True), "reserved bits"),
            ((TEXT, b"", True, False, True), "reserved bits"),
            ((TEXT, b"", True, False, False, True), "reserved bits"),
            ((PING, b"", True, True), "reserved bits"),
            ((PING, b"", False), "fragmented"),
            ((PONG, b"", False), "fragmented"),
            ((CLOSE, b"", False), "fragmented"),
            ((PING, bytes(126)), "125 bytes"),
            ((PONG, memoryview(array("I", bytes(128)))), "125 bytes"),
            ((CLOSE, bytes(126)), "125 bytes"),
        ],
    )
    def test_spec_071_invalid_frames(
        self, impl: Any, values: tuple[Any, ...], text: str
    ) -> None:
        """SPEC-071, SPEC-055: never sent."""
        frame = new(impl, *values)
        with pytest.raises(impl.exceptions.ProtocolError, match=text):
            frame.check()
        for mask in (False, True):
            with pytest.raises(impl.exceptions.ProtocolError, match=text):
                frame.serialize(mask=mask, extensions=[user_extension(impl)])

    def test_valid_frames(self, impl: Any) -> None:
        for values in ((PING, bytes(125)), (CLOSE, b""), (TEXT, bytes(126), False)):
            new(impl, *values).check()

    def test_spec_081_extensions_apply_in_order(self, impl: Any) -> None:
        """SPEC-081: the first named is applied first; they may set reserved bits."""

        def adding(mark: bytes, bit: str) -> Any:
            def encode(self: Any, frame: Any) -> Any:
                data = bytes(frame.data) + mark
                return dataclasses.replace(frame, data=data, **{bit: True})

            return user_extension(impl, encode=encode)

        extensions = [adding(b"1", "rsv1"), adding(b"2", "rsv2"), adding(b"3", "rsv3")]
        frame = new(impl, TEXT, b"x", False)
        data = frame.serialize(mask=False, extensions=extensions)
        assert data == bytes((RSV1 | RSV2 | RSV3 | TEXT, 4)) + b"x123"
        assert frame == new(impl, TEXT, b"x", False)  # left as it was
        for none in (None, (), list[Any]()):
            assert frame.serialize(mask=False, extensions=none) == b"\x01\x01x"


LONG = "a" * 50 + "b" * 300 + "c" * 25
LINES = [
    ((TEXT, b"Hello"), "TEXT 'Hello' [5 bytes]"),
    ((TEXT, b""), "TEXT '' [0 bytes]"),
    ((TEXT, b"x", False), "TEXT 'x' [1 byte, continued]"),
    ((TEXT, "gr\u00fc\u00df".encode()), "TEXT 'gr\\xfc\\xdf' [6 bytes]"),
    ((TEXT, b"\xff\x00"), "TEXT ff 00 [2 bytes]"),
    ((TEXT, LONG.encode()), f"TEXT '{'a' * 49}...{'c' * 24}' [375 bytes]"),
    ((BINARY, b"\x80\x81\xfe"), "BINARY 80 81 fe [3 bytes]"),
    ((BINARY, b"Hello"), "BINARY 'Hello' [text, 5 bytes]"),
    ((BINARY, b""), "BINARY '' [text, 0 bytes]"),
    ((CONT, b"\xff", False), "CONT ff [1 byte, continued]"),
    ((CONT, b"end"), "CONT 'end' [text, 3 bytes]"),
    ((PING, b"\xff\xfe"), "PING ff fe [2 bytes]"),
    ((PONG, b"abc"), "PONG 'abc' [text, 3 bytes]"),
    ((CLOSE, b""), "CLOSE 1005 (no status received [internal]) [0 bytes]"),
    ((CLOSE, close_payload(1000)), "CLOSE 1000 (OK) [2 bytes]"),
    ((CLOSE, close_payload(1001, b"bye")), "CLOSE 1001 (going away) bye [5 bytes]"),
    ((CLOSE, b"\x03"), "CLOSE '\\x03' [invalid, 1 byte]"),
    ((CLOSE, close_payload(1005)), "CLOSE 03 ed [invalid, 2 bytes]"),
    ((CLOSE, close_payload(1000, b"\xff")), "CLOSE 03 e8 ff [invalid, 3 bytes]"),
]


class TestLine:
    """str(): one short printable line for the log."""

    @each(("values", "wanted"), LINES)
    def test_lines(self, impl: Any, values: tuple[Any, ...], wanted: str) -> None:
        assert str(new(impl, *values)) == wanted

    @pytest.mark.parametrize("kind", [bytearray, memoryview])
    def test_buffers(self, impl: Any, kind: Any) -> None:
        assert str(new(impl, TEXT, kind(b"Hello"))) == "TEXT 'Hello' [5 bytes]"

    def test_sec_14_items_of_several_bytes(self, impl: Any) -> None:
        """SEC-14: lengths count bytes here too."""
        line = str(new(impl, BINARY, memoryview(array("I", b"abcdefgh"))))
        assert line == "BINARY 'abcdefgh' [text, 8 bytes]"

    def test_opcodes_of_others(self, impl: Any) -> None:
        assert str(impl.frames.Frame(0x3, b"x")).startswith("3 'x' [")

    def test_sec_40_one_printable_line(self, impl: Any) -> None:
        """SEC-40: whatever the payload, a close reason included."""
        samples = [bytes((octet,)) * size for octet in range(256) for size in (1, 90)]
        samples += ["\x1b[31m\u2028\u202e\x85\r\n".encode() * n for n in (1, 9, 60)]
        for data in samples:
            for opcode in (TEXT, BINARY, PING):
                line = str(new(impl, opcode, data))
                assert line.isascii(), line
                assert line.isprintable(), line
                assert len(line) < 130
            line = str(new(impl, CLOSE, close_payload(1000, data)))
            assert line.isascii(), line
            assert line.isprintable(), line
            assert len(line) < 130

    @each("opcode", [TEXT, BINARY])
    @each("text", ["a  b", "it's", "'", '"', "a\\b", "x" * 74])
    def test_short_text_is_shown_as_it_is(
        self, impl: Any, opcode: int, text: str
    ) -> None:
        line = str(new(impl, opcode, text.encode()))
        assert ascii(text)[:48] in line
        assert ("[text, " in line) == (opcode == BINARY)

    @each("shift", range(4))
    @each("character", ["\u00fc", "\u20ac", "\U0001f600"])
    def test_long_text_is_shown_as_text(
        self, impl: Any, shift: int, character: str
    ) -> None:
        """Wherever it is cut to be short."""
        shown = ascii(character)[1:-1]
        for end in range(4):
            text = "a" * shift + character * 1000 + "b" * end
            line = str(new(impl, TEXT, text.encode()))
            assert line.startswith(f"TEXT '{'a' * shift}{shown}")
            assert line.endswith(f"{'b' * end}' [{len(text.encode())} bytes]")

    @each(
        "data",
        [
            b"a" * 700 + b"\xff",
            b"\xff" + b"a" * 700,
            b"a" * 400 + b"\x80" * 400,
            b"\x80" * 2000,
        ],
        ids=["end", "start", "second half", "all"],
    )
    def test_long_data_that_is_no_text(self, impl: Any, data: bytes) -> None:
        line = str(new(impl, BINARY, data))
        assert line.startswith(f"BINARY {data[:16].hex(' ')} ")
        assert f" {data[-8:].hex(' ')} [{len(data)} bytes]" in line
        assert len(line) < 120

    def test_cost_does_not_grow_with_the_payload(self, impl: Any) -> None:
        """Of a long payload only both ends are shown."""
        line = str(new(impl, BINARY, b"start" + bytes(2**22) + b"end"))
        assert line.startswith("BINARY 'start\\x00")
        assert line.endswith("end' [text, 4194312 bytes]")
        assert len(line) < 120


def test_received_frames_are_frames_like_any_other(impl: Any) -> None:
    protocol = bare(impl)
    protocol.receive_data(masked(BINARY, b"x") + masked(FIN | CONT, b"y"))
    first, second = protocol.events_received()
    assert first == new(impl, BINARY, b"x", False)
    assert second == new(impl, CONT, b"y")
    assert first.opcode is impl.frames.Opcode.BINARY
    assert type(first) is impl.frames.Frame
    assert hash(first.data) == hash(b"x")
    assert dataclasses.replace(second, data=b"z").serialize(mask=False) == b"\x80\x01z"


def test_first_byte(impl: Any) -> None:
    """The header's first byte, for each flag and opcode."""
    for first in range(256):
        if first & 0x0F in (0, 1, 2, 8, 9, 0xA):
            flags = [bool(first & bit) for bit in (FIN, RSV1, RSV2, RSV3)]
            frame = new(impl, first & 0x0F, b"", *flags)
            assert impl.frames.first_byte(frame) == first


def test_masking_key_is_not_zero_by_default(impl: Any) -> None:
    """SPEC-062: the key of another library's tests is not ours either."""
    keys = {new(impl, BINARY, b"").serialize(mask=True)[2:6] for _ in range(200)}
    assert len(keys) == 200
    assert KEY not in keys
