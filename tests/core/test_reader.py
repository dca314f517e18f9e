"""Valid streams: payloads, fragments, limits, any cut; and taking frames one by one."""

from __future__ import annotations

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
    SIDES,
    TEXT,
    assert_failing,
    close_payload,
    cuts,
    deflate,
    deflated,
    events,
    feed,
    header,
    masked,
    opened,
    sent,
    wire,
    xor,
)
from .table import each

Frames = list[tuple[int, bytes]]

STREAM: Frames = [
    (FIN | TEXT, b"hello"),
    (FIN | BINARY, b""),
    (TEXT, "gr\u00fc\u00df".encode()[:3]),
    (FIN | PING, b"between"),
    (CONT, b""),
    (FIN | PONG, b"unasked"),
    (FIN | CONT, "gr\u00fc\u00df \u20ac \U0001f600".encode()[3:]),
    (FIN | BINARY, bytes(130)),
    (FIN | PING, b""),
    (BINARY, b"dropped"),
    (FIN | CLOSE, close_payload(1000, "\u20ac".encode())),
    (FIN | TEXT, b"behind the close frame"),
]
DEFLATED: Frames = [
    (FIN | RSV1 | TEXT, bytes.fromhex("f248cdc9c90700")),
    (RSV1 | TEXT, bytes.fromhex("f248cd")),
    (FIN | PING, b"between"),
    (FIN | CONT, bytes.fromhex("c9c90700")),
    (FIN | RSV1 | TEXT, bytes.fromhex("f200110000")),
    (FIN | TEXT, b"plain"),
    (FIN | RSV1 | BINARY, bytes.fromhex("00")),
    (RSV1 | BINARY, b""),
    (FIN | CONT, deflated(bytes(200))),
    (FIN | CLOSE, b""),
]


def join(side: str, frames: Frames) -> bytes:
    return b"".join(wire(side, first, payload) for first, payload in frames)


@each("side", SIDES)
@each("compression", [False, True])
def test_spec_029_any_cut_gives_the_same(
    impl: Any, side: str, compression: bool
) -> None:
    """SPEC-029, SPEC-064: at every byte, and byte by byte."""

    def new() -> Any:
        return opened(impl, side, [deflate(impl)] if compression else [])

    stream = join(side, DEFLATED if compression else STREAM)
    whole = feed(new(), [stream])
    assert whole.error == ""
    assert whole.close_sent == (1005 if compression else 1000)
    for chunks in cuts(stream):
        assert feed(new(), chunks) == whole
    assert feed(new(), [b"", *chunks, b"", b""]) == whole


def test_spec_064_066_events_of_the_stream(impl: Any) -> None:
    """SPEC-064, SPEC-066, SPEC-067, choice g: what exactly comes out."""
    outcome = feed(opened(impl, "server"), [join("server", STREAM)])
    assert outcome.events == [
        (first & 0xF, payload, first >= 0x80) for first, payload in STREAM[:-1]
    ]
    assert outcome.output == [
        (FIN | PONG, b""),  # SPEC-073: the latest only
        (FIN | CLOSE, close_payload(1000, "\u20ac".encode())),
        "EOF",
    ]


def test_events_of_the_compressed_stream(impl: Any) -> None:
    """SPEC-066, SPEC-094, SPEC-095: control and plain frames leave the window."""
    outcome = feed(opened(impl, "client", [deflate(impl)]), [join("client", DEFLATED)])
    joined = b"".join(data for opcode, data, _ in outcome.events if opcode < 8)
    assert joined == b"Hello" * 3 + b"plain" + bytes(200)
    assert (PING, b"between", True) in outcome.events
    assert outcome.error == ""


RFC_FRAMES = [
    # RFC 6455, section 5.7
    ("client", "810548656c6c6f", [(TEXT, b"Hello", True)]),
    ("server", "818537fa213d7f9f4d5158", [(TEXT, b"Hello", True)]),
    ("client", "010348656c80026c6f", [(TEXT, b"Hel", False), (CONT, b"lo", True)]),
    ("client", "890548656c6c6f", [(PING, b"Hello", True)]),
    ("server", "8a8537fa213d7f9f4d5158", [(PONG, b"Hello", True)]),
    ("client", "827e0100" + "00" * 256, [(BINARY, bytes(256), True)]),
    ("client", "827f0000000000010000" + "00" * 65536, [(BINARY, bytes(65536), True)]),
]


@each(("side", "data", "wanted"), RFC_FRAMES)
def test_rfc_6455_examples(
    impl: Any, side: str, data: str, wanted: list[tuple[int, bytes, bool]]
) -> None:
    outcome = feed(opened(impl, side), [bytes.fromhex(data)])
    assert outcome.events == wanted
    assert outcome.error == ""


@each("size", [0, 1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 1000])
def test_spec_063_unmasking(impl: Any, size: int) -> None:
    """SPEC-063: every length modulo 4, all keys of note, cut at every byte."""
    payload = bytes(i * 7 & 0xFF for i in range(size))
    for key in (KEY, bytes(4), b"\xff" * 4, b"\x00\x00\x00\x01", b"\x80\x00\x00\x00"):
        stream = masked(FIN | BINARY, payload, key)
        for position in range(1, min(len(stream), 80)):
            protocol = opened(impl, "server")
            chunks = [stream[:position], stream[position:]]
            assert feed(protocol, chunks).events == [(BINARY, payload, True)]


def test_spec_064_fragments_of_any_size(impl: Any) -> None:
    """SPEC-064, SPEC-067: empty ones too, first, last and in between."""
    for sizes in ([0, 0, 0], [0, 5, 0], [5, 0, 1], [70000, 0, 126]):
        frames: Frames = [(CONT, b"x" * size) for size in sizes]
        frames[0] = (BINARY, frames[0][1])
        frames[-1] = (FIN | CONT, frames[-1][1])
        protocol = opened(impl, "server")
        outcome = feed(protocol, [join("server", frames)])
        assert [data for _, data, _ in outcome.events] == [b for _, b in frames]
        assert protocol.stats.messages_received == 1


def test_spec_066_control_frames_inside_a_frame_of_a_message(impl: Any) -> None:
    """SPEC-066: a ping between fragments is answered before the message is whole."""
    protocol = opened(impl, "server")
    protocol.receive_data(join("server", [(TEXT, b"a"), (FIN | PING, b"now")]))
    assert sent(protocol) == [(FIN | PONG, b"now")]
    protocol.receive_data(join("server", [(FIN | CONT, b"b")]))
    assert events(protocol)[-1] == (CONT, b"b", True)


class TestInputs:
    """What receive_data takes."""

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_buffers(self, impl: Any, kind: Any) -> None:
        protocol = opened(impl, "server")
        protocol.receive_data(kind(masked(FIN | TEXT, b"x")))
        assert events(protocol) == [(TEXT, b"x", True)]

    def test_sec_13_the_buffer_may_be_reused_at_once(self, impl: Any) -> None:
        """SEC-13: overwrite the input after each call, at every cut."""
        stream = join("server", STREAM)
        whole = feed(opened(impl, "server"), [stream])
        for chunks in cuts(stream):
            protocol = opened(impl, "server")
            seen = []
            for chunk in chunks:
                buffer = bytearray(chunk)
                protocol.receive_data(memoryview(buffer))
                buffer[:] = b"\xff" * len(buffer)
                buffer.clear()  # fails while anybody holds a view
                seen += events(protocol)
            assert seen == whole.events
            assert sent(protocol) == whole.output

    def test_sec_14_items_of_several_bytes_count_in_bytes(self, impl: Any) -> None:
        """SEC-14"""
        stream = masked(FIN | BINARY, bytes(10))
        protocol = opened(impl, "server")
        protocol.receive_data(memoryview(array("I", stream)))
        assert events(protocol) == [(BINARY, bytes(10), True)]

    @each("data", ["text", 5, None, [1, 2]])
    def test_other_types_are_refused(self, impl: Any, data: object) -> None:
        protocol = opened(impl, "server")
        with pytest.raises(TypeError):
            protocol.receive_data(data)
        assert protocol.state is impl.protocol.OPEN

    def test_sec_14_buffers_with_gaps_are_refused(self, impl: Any) -> None:
        """SEC-14"""
        protocol = opened(impl, "server")
        with pytest.raises(BufferError):
            protocol.receive_data(memoryview(masked(FIN | TEXT, b"xyz"))[::2])
        assert protocol.stats.bytes_received == 0


class TestLimits:
    """SPEC-075: sizes and numbers, on both sides of each line."""

    @each(
        ("max_size", "message", "fragment"),
        [
            (1000, 1000, None),
            (None, None, None),
            (0, 0, None),
            ((1000, 10), 1000, 10),
            ((None, 10), None, 10),
            ((1000, None), 1000, None),
            ((None, None), None, None),
            (2**64, None, None),
            (2**70, None, None),
        ],
    )
    def test_forms_of_max_size(
        self, impl: Any, max_size: Any, message: int | None, fragment: int | None
    ) -> None:
        protocol = opened(impl, "server", max_size=max_size)
        assert protocol.max_message_size in (message, max_size)
        assert protocol.max_fragment_size == fragment

    def test_default_is_1_mib(self, impl: Any) -> None:
        """SEC-08"""
        assert opened(impl, "server").max_message_size == 2**20
        assert opened(impl, "client").max_message_size == 2**20

    def test_negative_limits_are_refused(self, impl: Any) -> None:
        for options in (
            {"max_size": -1},
            {"max_size": (5, -1)},
            {"max_fragments": -1},
            {"max_inflated_size": -5},
        ):
            with pytest.raises(ValueError, match="limit"):
                opened(impl, "server", **options)

    @each("side", SIDES)
    @each("split", [[10], [5, 5], [10, 0], [0, 10], [1] * 10])
    def test_spec_075_message_limit(
        self, impl: Any, side: str, split: list[int]
    ) -> None:
        """SPEC-075: limit and limit + 1, whatever the fragments."""
        for extra, code in ((0, None), (1, 1009)):
            sizes = [*split[:-1], split[-1] + extra]
            frames: Frames = [(CONT, bytes(size)) for size in sizes]
            frames[0] = (BINARY, frames[0][1])
            last, payload = frames[-1]
            frames[-1] = (FIN | last, payload)
            protocol = opened(impl, side, max_size=10)
            protocol.receive_data(join(side, frames))
            if code is None:
                assert protocol.parser_exc is None
            else:
                assert_failing(protocol, code, "limit of 10 bytes")

    def test_message_limit_is_for_each_message(self, impl: Any) -> None:
        frames: Frames = [(BINARY, bytes(5)), (FIN | CONT, bytes(5))] * 3
        frames += [(FIN | TEXT, bytes(10))] * 3
        outcome = feed(opened(impl, "server", max_size=10), [join("server", frames)])
        assert outcome.error == ""
        assert len(outcome.events) == 9

    def test_fragment_limit(self, impl: Any) -> None:
        protocol = opened(impl, "server", max_size=(None, 5))
        frames: Frames = [(BINARY, bytes(5)), (CONT, bytes(5)), (CONT, bytes(6))]
        protocol.receive_data(join("server", frames[:2]))
        assert protocol.parser_exc is None
        protocol.receive_data(join("server", frames[2:]))
        assert_failing(protocol, 1009, "limit of 5 bytes")

    @each("size", [0, 1])
    @each("fin", [False, True])
    def test_sec_04_number_of_fragments(self, impl: Any, size: int, fin: bool) -> None:
        """SEC-04: n - 1, n, n + 1 fragments, empty ones counted."""
        last = wire("server", FIN | CONT if fin else CONT, bytes(size))
        for limit in (1, 2, 7):
            protocol = opened(impl, "server", max_fragments=limit)
            protocol.receive_data(wire("server", BINARY, bytes(size)))
            for _ in range(limit - 1):
                protocol.receive_data(wire("server", CONT, bytes(size)))
            assert protocol.parser_exc is None
            protocol.receive_data(last)
            assert getattr(protocol.parser_exc, "max_fragments", None) == limit
            assert_failing(protocol, 1009, f"limit of {limit} fragments")

    def test_sec_08_default_number_of_fragments(self, impl: Any) -> None:
        """SEC-04, SEC-08: 4096, control frames not counted."""
        protocol = opened(impl, "server")
        protocol.receive_data(join("server", [(BINARY, b""), (FIN | PING, b"")]))
        protocol.receive_data(wire("server", CONT) * 4095)
        assert protocol.parser_exc is None
        protocol.receive_data(wire("server", CONT))
        assert_failing(protocol, 1009)

    def test_number_of_fragments_is_for_each_message(self, impl: Any) -> None:
        frames: Frames = [(BINARY, b""), (FIN | CONT, b"")] * 10
        outcome = feed(
            opened(impl, "server", max_fragments=2), [join("server", frames)]
        )
        assert outcome.error == ""

    @pytest.mark.parametrize("limit", [None, 2**64, 2**70])
    def test_no_limit_of_fragments(self, impl: Any, limit: int | None) -> None:
        protocol = opened(impl, "server", max_fragments=limit)
        protocol.receive_data(wire("server", BINARY) + wire("server", CONT) * 5000)
        assert protocol.parser_exc is None

    def test_limits_can_be_changed(self, impl: Any) -> None:
        protocol = opened(impl, "server")
        protocol.max_message_size, protocol.max_fragment_size = 100, 10
        assert (protocol.max_message_size, protocol.max_fragment_size) == (100, 10)
        protocol.receive_data(wire("server", FIN | BINARY, bytes(10)))
        protocol.receive_data(wire("server", BINARY, bytes(11)))
        assert_failing(protocol, 1009, "limit of 10 bytes")
        protocol.max_message_size = protocol.max_fragment_size = None
        assert protocol.max_message_size is None
        assert protocol.max_fragment_size is None

    def test_a_raised_limit_holds_for_compressed_messages_too(self, impl: Any) -> None:
        for raised in (None, 2000):
            protocol = opened(impl, "server", [deflate(impl)], max_size=1000)
            protocol.max_message_size = raised
            outcome = feed(protocol, [wire("server", 0xC2, deflated(bytes(1500)))])
            assert outcome.error == ""

    def test_a_lowered_limit_holds_for_compressed_messages_too(self, impl: Any) -> None:
        protocol = opened(impl, "server", [deflate(impl)])
        protocol.max_message_size = 10
        protocol.receive_data(wire("server", 0xC2, deflated(bytes(11))))
        assert_failing(protocol, 1009, "limit of 10 bytes")


class TestFrameByFrame:
    """The parser can be asked for single frames; interpreted form only."""

    def test_pull(self, impl: Any) -> None:
        if impl._native.kernels.COMPILED:
            pytest.skip("internal to the compiled form")
        frames: Frames = [(FIN | PING, b"1"), (BINARY, b"2"), (FIN | CONT, b"3")]
        stream = join("server", frames) + wire("server", FIN | TEXT, b"cut")[:-1]
        protocol = opened(impl, "server")
        protocol._data = stream
        protocol._parse(0)
        assert events(protocol) == []
        for first, payload in frames:
            protocol._parse(1)
            assert events(protocol) == [(first & 0xF, payload, first >= 0x80)]
        protocol._parse(1)
        assert events(protocol) == []
        protocol.receive_data(xor(b"cut")[-1:][:0])
        protocol.receive_data(stream and masked(FIN | TEXT, b"cut")[-1:])
        assert events(protocol) == [(TEXT, b"cut", True)]

    def test_what_is_left_is_read_with_what_comes(self, impl: Any) -> None:
        if impl._native.kernels.COMPILED:
            pytest.skip("internal to the compiled form")
        protocol = opened(impl, "client")
        protocol._data = header(FIN | PING, 0, 0) * 3
        protocol._parse(1)
        protocol.receive_data(header(FIN | PONG, 0, 0))
        assert [opcode for opcode, _, _ in events(protocol)] == [PING] * 3 + [PONG]

    def test_the_base_class_leaves_frames_to_others(self, impl: Any) -> None:
        if impl._native.kernels.COMPILED:
            pytest.skip("internal to the compiled form")
        parser = impl._wire.reader.Reader()
        frame = impl.frames.Frame(impl.frames.Opcode.PING, b"")
        with pytest.raises(NotImplementedError):
            parser._receive_control(frame)
        with pytest.raises(NotImplementedError):
            parser.recv_frame(frame)
