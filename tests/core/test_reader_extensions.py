"""Frames that come in through extensions of the user's: their part, and our rules."""

from __future__ import annotations

import dataclasses
import logging
from itertools import product
from typing import Any

import pytest

from .support import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    PONG,
    RSV1,
    RSV2,
    RSV3,
    SIDES,
    TEXT,
    assert_failing,
    bare,
    close_payload,
    cuts,
    deflate,
    deflated,
    events,
    feed,
    mask_bit,
    new_logger,
    sent,
    user_extension,
    wire,
)
from .table import each

HELLO = bytes.fromhex("f248cdc9c90700")
AGAIN = bytes.fromhex("f200110000")  # refers to the message before


def decoding(impl: Any, decode: Any) -> Any:
    """An extension from ``(frame, max_size) -> frame``."""

    def method(self: Any, frame: Any, *, max_size: int | None = None) -> Any:
        return decode(frame, max_size)

    return user_extension(impl, decode=method)


def new_data(impl: Any, data: Any, **changed: Any) -> Any:
    """An extension that puts ``data`` into every frame, and sets attributes."""
    return decoding(
        impl, lambda frame, _: dataclasses.replace(frame, data=data, **changed)
    )


def taking(impl: Any, mark: bytes, bit: str) -> Any:
    """An extension that takes a mark off the end, and a reserved bit away."""

    def decode(frame: Any, max_size: int | None) -> Any:
        if not getattr(frame, bit):
            return frame
        assert frame.data.endswith(mark)
        return dataclasses.replace(frame, data=frame.data[: -len(mark)], **{bit: False})

    return decoding(impl, decode)


@pytest.mark.parametrize("side", SIDES)
def test_frames_are_seen_as_they_came(impl: Any, side: str) -> None:
    seen = []

    def decode(frame: Any, max_size: int | None) -> Any:
        assert type(frame) is impl.frames.Frame
        assert frame.opcode is impl.frames.Opcode(frame.opcode)
        bits = (frame.fin, frame.rsv1, frame.rsv2, frame.rsv3)
        seen.append((frame.opcode, frame.data, bits))
        return impl.frames.Frame(frame.opcode, frame.data, frame.fin)

    protocol = bare(impl, side, [decoding(impl, decode)])
    frames = [
        (RSV1 | TEXT, b"a", (False, True, False, False)),
        (FIN | RSV2 | PING, b"b", (True, False, True, False)),
        (FIN | RSV1 | RSV2 | RSV3 | CONT, b"", (True, True, True, True)),
        (FIN | BINARY, b"c", (True, False, False, False)),
        (FIN | PONG, b"d", (True, False, False, False)),
        (FIN | CLOSE, b"", (True, False, False, False)),
    ]
    stream = b"".join(wire(side, first, data) for first, data, _ in frames)
    outcome = feed(protocol, [stream])
    assert seen == [(first & 0xF, data, bits) for first, data, bits in frames]
    assert outcome.events == [(f & 0xF, data, f >= 0x80) for f, data, _ in frames]
    assert outcome.error == ""
    assert protocol.stats.frames_received == 6
    assert protocol.stats.messages_received == 2


@pytest.mark.parametrize("side", SIDES)
def test_spec_081_the_last_named_decodes_first(impl: Any, side: str) -> None:
    """SPEC-081, SPEC-029: wherever the stream is cut."""

    def new() -> Any:
        bits = ("rsv1", "rsv2", "rsv3")
        marks = (b"1", b"2", b"3")
        extensions = [
            taking(impl, mark, bit) for mark, bit in zip(marks, bits, strict=True)
        ]
        return bare(impl, side, extensions)

    stream = wire(side, 0xF1, b"x123") + wire(side, FIN | RSV2 | BINARY, b"y2")
    stream += wire(side, FIN | PING, b"z")
    whole = feed(new(), [stream])
    wanted = [(TEXT, b"x", True), (BINARY, b"y", True), (PING, b"z", True)]
    assert whole.events == wanted
    for chunks in cuts(stream):
        assert feed(new(), chunks) == whole


@each("side", SIDES)
@each("position", [0, 1])
def test_spec_083_with_permessage_deflate(impl: Any, side: str, position: int) -> None:
    """SPEC-083, SPEC-095, SPEC-099: its window is kept, plain messages pass it by."""
    extensions = [user_extension(impl)]
    extensions.insert(position, deflate(impl))
    frames = [
        (FIN | RSV1 | TEXT, HELLO),
        (FIN | TEXT, b"plain"),
        (RSV1 | TEXT, AGAIN[:2]),
        (FIN | PING, b"between"),
        (FIN | CONT, AGAIN[2:]),
        (FIN | RSV1 | BINARY, b"\x00"),
    ]
    protocol = bare(impl, side, extensions)
    outcome = feed(protocol, [b"".join(wire(side, *frame) for frame in frames)])
    assert outcome.error == ""
    data = [payload for opcode, payload, _ in outcome.events if opcode < 8]
    assert data[:2] == [b"Hello", b"plain"]
    assert b"".join(data[2:]) == b"Hello"


@pytest.mark.parametrize("side", SIDES)
def test_a_subclass_of_permessage_deflate(impl: Any, side: str) -> None:
    kind = impl.extensions.permessage_deflate.PerMessageDeflate
    sizes = []

    class Own(kind):  # type: ignore[misc, valid-type]
        def decode(self, frame: Any, *, max_size: int | None = None) -> Any:
            sizes.append(max_size)
            return super().decode(frame, max_size=max_size)

    protocol = bare(impl, side, [Own(False, False, 15, 15)], max_size=100)
    protocol.receive_data(wire(side, FIN | RSV1 | TEXT, HELLO))
    protocol.receive_data(wire(side, FIN | PING))
    assert events(protocol) == [(TEXT, b"Hello", True), (PING, b"", True)]
    assert sizes == [100, None]
    protocol.receive_data(wire(side, FIN | RSV1 | TEXT, deflated(bytes(101))))
    assert_failing(protocol, 1009, "limit of 100 bytes")


class TestLimits:
    """SPEC-075: the limits count what the extension made of a frame."""

    @each(
        ("max_size", "wanted"),
        [
            (100, [100, 90, None, 80, 100]),
            (None, [None] * 5),
            ((100, 50), [50, 50, None, 50, 50]),
            ((100, 85), [85, 85, None, 80, 85]),
            ((None, 50), [50, 50, None, 50, 50]),
        ],
    )
    def test_what_the_extension_is_told(
        self, impl: Any, max_size: Any, wanted: list[int | None]
    ) -> None:
        """What is left of the message, or the limit of a frame; none for control."""
        told = []

        def decode(frame: Any, most: int | None) -> Any:
            told.append(most)
            return dataclasses.replace(frame, data=bytes(10))

        protocol = bare(impl, "server", [decoding(impl, decode)], max_size=max_size)
        for first in (BINARY, CONT, FIN | PING, FIN | CONT, FIN | BINARY):
            protocol.receive_data(wire("server", first, b"x"))
        assert told == wanted
        assert protocol.parser_exc is None

    @each("side", SIDES)
    @each("raises", [False, True])
    @each(
        ("max_size", "text"),
        [(10, "message is over the limit of 10"), ((99, 10), "frame is over the")],
    )
    def test_spec_075_too_big(
        self, impl: Any, side: str, raises: bool, max_size: Any, text: str
    ) -> None:
        """SPEC-075, SEC-03: limit and limit + 1, whether the extension looks or not."""
        for size in (10, 11):

            def decode(frame: Any, most: int | None, size: int = size) -> Any:
                if raises and most is not None and size > most:
                    raise impl.exceptions.PayloadTooBig(size, most)
                return dataclasses.replace(frame, data=bytes(size))

            protocol = bare(impl, side, [decoding(impl, decode)], max_size=max_size)
            protocol.receive_data(wire(side, FIN | BINARY, b"x"))
            assert len(events(protocol)) == 11 - size
        assert_failing(protocol, 1009, text)

    def test_spec_075_over_fragments(self, impl: Any) -> None:
        """SPEC-075: of the message as a whole."""
        protocol = bare(impl, "server", [new_data(impl, bytes(5))], max_size=10)
        protocol.receive_data(wire("server", BINARY) + wire("server", CONT))
        assert protocol.parser_exc is None
        protocol.receive_data(wire("server", CONT))
        assert_failing(protocol, 1009, "limit of 10 bytes")

    def test_max_inflated_size(self, impl: Any) -> None:
        options: dict[str, Any] = {"max_size": 100, "max_inflated_size": 10}
        protocol = bare(impl, "server", [new_data(impl, bytes(11))], **options)
        protocol.receive_data(wire("server", FIN | BINARY, b"x"))
        assert_failing(protocol, 1009, "limit of 10 bytes")

    def test_sec_04_number_of_fragments(self, impl: Any) -> None:
        """SEC-04"""
        protocol = bare(impl, "server", [user_extension(impl)], max_fragments=2)
        protocol.receive_data(wire("server", BINARY) + wire("server", CONT))
        assert protocol.parser_exc is None
        protocol.receive_data(wire("server", CONT))
        assert_failing(protocol, 1009, "limit of 2 fragments")

    def test_bytes_on_the_wire_have_a_bound_too(self, impl: Any) -> None:
        """Choice p, SEC-34: refused at the header, whatever it might become."""
        protocol = bare(impl, "server", [new_data(impl, b"")], max_size=100)
        protocol.receive_data(wire("server", FIN | BINARY, bytes(1000)))
        assert protocol.parser_exc is None
        protocol.receive_data(wire("server", FIN | BINARY, bytes(2000))[:4])
        assert_failing(protocol, 1009)


class TestText:
    """SPEC-069, SPEC-101: the check is on what the extension made."""

    @each("side", SIDES)
    @each("data", [b"\xff", b"a\xc0\xaf", b"\xed\xa0\x80", b"\xce"])
    def test_spec_101_invalid(self, impl: Any, side: str, data: bytes) -> None:
        """SPEC-069, SPEC-101, SEC-35"""
        protocol = bare(impl, side, [new_data(impl, data)])
        protocol.receive_data(wire(side, FIN | BINARY, b"x"))
        assert events(protocol) == [(BINARY, data, True)]
        protocol.receive_data(wire(side, FIN | TEXT, b"x"))
        assert_failing(protocol, 1007)

    def test_spec_101_over_fragments(self, impl: Any) -> None:
        """SPEC-101: the compressed bytes are not text."""
        parts = iter([b"\xe2\x82", b"", b"\xac"])

        def decode(frame: Any, _: int | None) -> Any:
            if frame.opcode & 0x8:
                return frame
            return dataclasses.replace(frame, data=next(parts))

        protocol = bare(impl, "server", [decoding(impl, decode)])
        for first in (TEXT, FIN | PING, CONT, FIN | CONT):
            protocol.receive_data(wire("server", first, b"\xff"))
        assert protocol.parser_exc is None
        assert len(events(protocol)) == 4

    def test_unchecked(self, impl: Any) -> None:
        extensions = [new_data(impl, b"\xff")]
        protocol = bare(impl, "server", extensions, validate_utf8=False)
        protocol.receive_data(wire("server", FIN | TEXT, b"x"))
        assert events(protocol) == [(TEXT, b"\xff", True)]


class TestFaults:
    """What an extension gets wrong is told from what the peer did."""

    @pytest.mark.parametrize("side", SIDES)
    def test_spec_055_071_frames_that_no_extension_mended(
        self, impl: Any, side: str
    ) -> None:
        """SPEC-055, SPEC-071, SEC-17"""
        cases: list[tuple[int, dict[str, Any]]] = [
            (FIN | TEXT, {"rsv1": True}),
            (FIN | TEXT, {"rsv2": True}),
            (FIN | BINARY, {"rsv3": True}),
            (FIN | PING, {"rsv1": True}),
            (FIN | PING, {"fin": False}),
            (FIN | PONG, {"data": bytes(126)}),
            (FIN | CLOSE, {"data": b"\x00"}),
        ]
        for first, changed in cases:
            extension = new_data(impl, **{"data": b"", **changed})
            protocol = bare(impl, side, [extension])
            protocol.receive_data(wire(side, first))
            assert_failing(protocol, 1002)

    @pytest.mark.parametrize("bit", [RSV1, RSV2, RSV3])
    def test_spec_055_bits_that_nobody_took(self, impl: Any, bit: int) -> None:
        """SPEC-055, SEC-17: agreed extensions that leave a bit."""
        protocol = bare(impl, "server", [user_extension(impl)])
        protocol.receive_data(wire("server", FIN | bit | TEXT, b"x"))
        assert_failing(protocol, 1002, "reserved bits")

    @each(
        ("error", "code"),
        [
            (lambda impl: impl.exceptions.ProtocolError("bad data"), 1002),
            (lambda impl: impl.exceptions.InvalidUTF8("bad text"), 1007),
            (lambda impl: UnicodeDecodeError("utf-8", b"", 0, 1, "bad text"), 1007),
            (lambda impl: impl.exceptions.NegotiationError("bad"), 1002),
            (lambda impl: ValueError("secret of ours"), 1011),
            (lambda impl: MemoryError(), 1011),
            (lambda impl: NotImplementedError(), 1011),
        ],
    )
    def test_exceptions(self, impl: Any, error: Any, code: int) -> None:
        """Nothing is raised out of receive_data; ours is 1011, with no word of it."""
        exc = error(impl)

        def decode(frame: Any, _: int | None) -> Any:
            raise exc

        for side, first in product(SIDES, (FIN | TEXT, FIN | PING, FIN | CLOSE)):
            logger, lines = new_logger(logging.WARNING)
            protocol = bare(impl, side, [decoding(impl, decode)], logger=logger)
            protocol.receive_data(wire(side, first))
            assert protocol.parser_exc is exc
            assert (protocol.close_sent.reason == "") == (code == 1011)
            assert len(lines) == (code == 1011)
            assert_failing(protocol, code)

    def test_no_frame_at_all(self, impl: Any) -> None:
        for nothing in (None, b"data"):

            def decode(frame: Any, _: Any, nothing: Any = nothing) -> Any:
                return nothing

            protocol = bare(impl, "server", [decoding(impl, decode)])
            protocol.logger = new_logger()[0]
            protocol.receive_data(wire("server", FIN | TEXT, b"x"))
            assert_failing(protocol, 1011)

    @each("kind", [bytearray, memoryview])
    @each("first", [FIN | TEXT, FIN | PING])
    def test_events_hold_bytes(self, impl: Any, kind: Any, first: int) -> None:
        """Users hash and decode the payload; and the extension may reuse its buffer."""
        buffer = bytearray(b"data")
        protocol = bare(impl, "server", [new_data(impl, kind(buffer))])
        protocol.receive_data(wire("server", first))
        (frame,) = protocol.events_received()
        buffer[:] = b"\xff" * 4
        assert type(frame.data) is bytes
        assert frame.data == b"data"


@each("side", SIDES)
@each(
    ("data", "tells"),
    [
        ("83", 1),  # SPEC-056: a reserved opcode
        ("80", 1),  # SPEC-065: a continuation of nothing
        ("09", 1),  # SPEC-071: a fragmented ping
        ("897e", 2),  # SPEC-071: a long ping
        ("827e007d", 4),  # SPEC-058: not the shortest form
        ("827f000000000000ffff", 8),
        ("827f8000000000000000", 3),  # SPEC-059: the top bit
        ("827f0000000000200001", 8),  # SPEC-075: over any limit
    ],
)
def test_sec_34_extensions_lift_no_other_rule(
    impl: Any, side: str, data: str, tells: int
) -> None:
    """SEC-34, SPEC-056, SPEC-058, SPEC-059: byte by byte, and all at once."""
    raw = bytearray.fromhex(data)
    if len(raw) > 1:
        raw[1] |= mask_bit(side)
    code = 1009 if data == "827f0000000000200001" else 1002
    for extensions in ([], [user_extension(impl)], [deflate(impl)]):
        protocol = bare(impl, side, extensions)
        for position in range(tells):
            assert protocol.parser_exc is None
            protocol.receive_data(raw[position : position + 1])
        assert_failing(protocol, code)
        protocol = bare(impl, side, extensions)
        protocol.receive_data(raw + bytes(20))
        assert_failing(protocol, code)


@pytest.mark.parametrize("side", SIDES)
def test_spec_060_061_masking_rules(impl: Any, side: str) -> None:
    """SPEC-060, SPEC-061: an extension does not lift them either."""
    for extensions in ([], [user_extension(impl)]):
        protocol = bare(impl, side, extensions)
        protocol.receive_data(bytes((FIN | TEXT, 0x80 ^ mask_bit(side))))
        assert_failing(protocol, 1002, "masked")


def test_what_they_send_is_not_what_they_read(impl: Any) -> None:
    """decode() has no part in what goes out, encode() none in what comes in."""
    protocol = bare(impl, "server", [new_data(impl, b"in")])
    protocol.receive_data(wire("server", FIN | TEXT, b"x"))
    protocol.send_text(b"out")
    assert events(protocol) == [(TEXT, b"in", True)]
    assert sent(protocol) == [(FIN | TEXT, b"out")]


def test_a_close_frame_is_decoded_too(impl: Any) -> None:
    payload = close_payload(4000, b"decoded")
    protocol = bare(impl, "client", [new_data(impl, payload)])
    protocol.receive_data(wire("client", FIN | CLOSE))
    assert protocol.close_rcvd == impl.frames.Close(4000, "decoded")
