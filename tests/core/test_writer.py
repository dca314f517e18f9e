"""Frames that go out: bytes on the wire, limits, buffers, and what raises."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable
from typing import Any

import pytest

from .support import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    PONG,
    SIDES,
    TEXT,
    WAYS,
    Sent,
    bare,
    carry,
    close_payload,
    deflate,
    everywhere,
    header,
    new_logger,
    on_way,
    opened,
    other,
    sent,
    sent_frames,
    user_extension,
    wire,
    xor,
)
from .table import each

Step = Callable[[Any], object]


def test_send_eof_is_one_object(impl: Any) -> None:
    """Users compare with ``is``; no other chunk is empty."""
    assert impl.protocol.SEND_EOF == b""
    for side in SIDES:
        protocol = bare(impl, side)
        protocol.send_text(b"")
        protocol.send_eof()
        first, last = protocol.data_to_send()
        assert first
        assert last is impl.protocol.SEND_EOF
        assert protocol.eof_sent is True
        assert protocol.data_to_send() == []
        with pytest.raises(AssertionError):
            protocol.send_eof()
        assert protocol.data_to_send() == []


FRAMES: list[tuple[str, tuple[Any, ...], int, bytes]] = [
    ("send_text", ("gr\u00fc\u00df".encode(),), FIN | TEXT, "gr\u00fc\u00df".encode()),
    ("send_text", (b"",), FIN | TEXT, b""),
    ("send_text", (b"x", True), FIN | TEXT, b"x"),
    ("send_text", (b"x", False), TEXT, b"x"),
    ("send_binary", (b"\xff\x00",), FIN | BINARY, b"\xff\x00"),
    ("send_binary", (b"x", False), BINARY, b"x"),
    ("send_ping", (b"1",), FIN | PING, b"1"),
    ("send_ping", (b"",), FIN | PING, b""),
    ("send_ping", (bytes(125),), FIN | PING, bytes(125)),
    ("send_pong", (b"2",), FIN | PONG, b"2"),
    ("send_pong", (bytes(125),), FIN | PONG, bytes(125)),
    ("send_close", (), FIN | CLOSE, b""),
    ("send_close", (None,), FIN | CLOSE, b""),
    ("send_close", (1000,), FIN | CLOSE, b"\x03\xe8"),
    (
        "send_close",
        (4999, "gr\u00fc\u00df"),
        FIN | CLOSE,
        b"\x13\x87gr\xc3\xbc\xc3\x9f",
    ),
    ("send_close", (1000, "x" * 123), FIN | CLOSE, b"\x03\xe8" + b"x" * 123),
    ("fail", (1011, "oops"), FIN | CLOSE, b"\x03\xf3oops"),
]


@pytest.mark.parametrize("side", SIDES)
def test_spec_060_061_frames(impl: Any, side: str) -> None:
    """SPEC-060, SPEC-061, SPEC-071, SPEC-074: ``sent`` checks mask and length form."""
    for method, args, first, payload in FRAMES:
        protocol = bare(impl, side)
        assert getattr(protocol, method)(*args) is None
        wanted: list[Sent] = [(first, payload)]
        if (method, side) == ("fail", "server"):
            wanted.append("EOF")
        assert sent(protocol) == wanted
        assert protocol.data_to_send() == []


@each("side", SIDES)
@each("size", [0, 1, 125, 126, 65535, 65536, 70000])
def test_spec_057_058_lengths(impl: Any, side: str, size: int) -> None:
    """SPEC-057, SPEC-058: in each buffer, on each way."""
    payload = bytes(i * 7 & 0xFF for i in range(size))
    for kind in (bytes, bytearray, memoryview):
        for debug in (False, True):
            protocol = bare(impl, side)
            protocol.debug = debug
            protocol.send_binary(kind(payload))
            assert sent(protocol) == [(FIN | BINARY, payload)]


@everywhere
def test_spec_068_sec_15_sends_in_other_states(impl: Any, side: str, way: str) -> None:
    """SPEC-068, SPEC-079b, SEC-15: refused, and nothing is queued."""
    calls: list[Step] = [
        lambda p: p.send_text(b"x"),
        lambda p: p.send_text("no bytes"),
        lambda p: p.send_binary(b"x", False),
        lambda p: p.send_continuation(b"x", True),
        lambda p: p.send_close(1000),
        lambda p: p.send_ping(b"x"),
        lambda p: p.send_pong(b"x"),
    ]
    ways_there: list[tuple[Step, int]] = [
        (lambda p: p.receive_data(wire(side, FIN | CLOSE)), 7),
        (lambda p: p.receive_data(b"\xff"), 7),
        (lambda p: p.fail(1006), 7),
        (lambda p: p.send_eof(), 7),
        (lambda p: p.receive_eof(), 7),
        (lambda p: setattr(p, "state", impl.protocol.CONNECTING), 7),
        (lambda p: setattr(p, "state", impl.protocol.CLOSED), 7),
        (lambda p: p.send_close(1000), 5),  # control frames still may go out
    ]
    for begin, refused in ways_there:
        protocol = on_way(impl, side, way)
        begin(protocol)
        protocol.data_to_send()
        for call in calls[:refused]:
            with pytest.raises(impl.exceptions.InvalidState):
                call(protocol)
        assert protocol.data_to_send() == []
        for call in calls[refused:]:
            call(protocol)
        assert len(sent(protocol)) == 7 - refused


class TestMessages:
    """SPEC-068: the sequence of opcodes and FIN."""

    @each("side", SIDES)
    @each("compression", [False, True])
    def test_spec_068_fragments(self, impl: Any, side: str, compression: bool) -> None:
        """SPEC-068, SPEC-064: the first has the opcode, the rest 0, the last FIN."""
        ours, theirs = ([deflate(impl)] if compression else [] for _ in "12")
        protocol, peer = bare(impl, side, ours), bare(impl, other(side), theirs)
        protocol.send_text(b"a", fin=False)
        protocol.send_ping(b"between")
        protocol.send_continuation(b"", fin=False)
        protocol.send_pong(b"unasked")
        protocol.send_continuation(b"b", fin=True)
        protocol.send_binary(b"c")
        assert carry(protocol, peer) == [
            (TEXT, b"a", False),
            (PING, b"between", True),
            (CONT, b"", False),
            (PONG, b"unasked", True),
            (CONT, b"b", True),
            (BINARY, b"c", True),
        ]

    @each("side", SIDES)
    @each("compression", [False, True])
    def test_spec_068_wrong_sequences(
        self, impl: Any, side: str, compression: bool
    ) -> None:
        """SPEC-068, SPEC-065, SEC-15: nothing is queued; the right one may follow."""
        error = impl.exceptions.ProtocolError
        protocol = bare(impl, side, [deflate(impl)] if compression else [])
        for fin in (False, True):
            with pytest.raises(error, match="under way"):
                protocol.send_continuation(b"x", fin)
        protocol.send_binary(b"first", False)
        for method in (protocol.send_text, protocol.send_binary):
            for fin in (False, True):
                with pytest.raises(error, match="not finished"):
                    method(b"x", fin)
        with pytest.raises(error, match="not finished"):
            protocol.send_close(1000)
        protocol.send_continuation(b"last", True)
        with pytest.raises(error, match="under way"):
            protocol.send_continuation(b"x", True)
        assert [first & ~0x40 for first, _ in sent_frames(protocol)] == [
            BINARY,
            FIN | CONT,
        ]
        assert protocol.stats.messages_sent == 1
        protocol.send_close(1000)

    def test_continuation_needs_fin(self, impl: Any) -> None:
        protocol = bare(impl)
        protocol.send_text(b"", False)
        with pytest.raises(TypeError):
            protocol.send_continuation(b"x")
        with pytest.raises(TypeError):
            protocol.send_continuation(b"x", True, compress=True)
        assert len(protocol.data_to_send()) == 1


class TestCopies:
    """What is copied, and what is not."""

    @pytest.mark.parametrize("size", [65536, 65537, 2**20])
    def test_large_payloads_are_queued_uncopied(self, impl: Any, size: int) -> None:
        protocol = bare(impl)
        payload = bytes(size)
        protocol.send_binary(payload, False)
        head, body = protocol.data_to_send()
        assert head == header(BINARY, size, 0)
        assert body is payload
        assert protocol.stats.bytes_sent == len(head) + size
        assert protocol.stats.frames_sent == 1

    def test_small_payloads_are_one_chunk(self, impl: Any) -> None:
        protocol = bare(impl)
        for size in (0, 1, 65535):
            protocol.send_text(bytes(size))
            assert len(protocol.data_to_send()) == 1

    @pytest.mark.parametrize("size", [1, 65536])
    def test_spec_062_masked_payloads_are_one_chunk(self, impl: Any, size: int) -> None:
        """SPEC-062: masking has to copy; the payload of the caller is left as it is."""
        protocol = bare(impl, "client")
        buffer = bytearray(b"\x5a" * size)
        protocol.send_binary(bytes(buffer))
        protocol.send_binary(buffer)
        chunks = protocol.data_to_send()
        assert len(chunks) == 2
        assert buffer == b"\x5a" * size

    @each("side", SIDES)
    @each("size", [5, 65536])
    @each("way", ["plain", "debug", "extension", "deflate"])
    def test_spec_062_sec_13_buffers_may_be_reused(
        self, impl: Any, side: str, size: int, way: str
    ) -> None:
        """SPEC-062, SEC-13: a frame that has begun does not change."""
        extensions = {"extension": [user_extension(impl)], "deflate": [deflate(impl)]}
        peers = [deflate(impl)] if way == "deflate" else []
        protocol = bare(impl, side, extensions.get(way, []))
        protocol.debug = way == "debug"
        peer = bare(impl, other(side), peers)
        buffer = bytearray(b"a" * size)
        protocol.send_binary(buffer)
        protocol.send_binary(memoryview(buffer))
        protocol.send_ping(memoryview(buffer)[:5])
        buffer[:] = b"\xff" * size
        buffer.clear()  # fails while anybody holds a view
        wanted = [(BINARY, b"a" * size, True)] * 2
        assert carry(protocol, peer) == [*wanted, (PING, b"aaaaa", True)]

    @pytest.mark.parametrize("size", [5, 65536])
    def test_subclasses_of_bytes(self, impl: Any, size: int) -> None:
        class Own(bytes):
            pass

        protocol = bare(impl)
        protocol.send_binary(Own(size))
        assert all(type(chunk) is bytes for chunk in protocol.data_to_send())

    def test_lists_belong_to_the_caller(self, impl: Any) -> None:
        protocol = bare(impl)
        protocol.send_text(b"1")
        first = protocol.data_to_send()
        assert type(first) is list
        first.append(b"junk")
        protocol.send_text(b"2")
        assert protocol.data_to_send() == [b"\x81\x012"]
        assert first[0] == b"\x81\x011"


class TestMasking:
    """SPEC-062, SEC-37"""

    def test_spec_062_sec_37_a_fresh_key_for_every_frame(self, impl: Any) -> None:
        """SPEC-062, SEC-37: data, control frames, automatic answers, a failure."""
        protocol = bare(impl, "client")
        for _ in range(100):
            protocol.send_text(b"\x00" * 4, False)
            protocol.send_continuation(b"\x00" * 4, True)
            protocol.send_ping(b"\x00" * 4)
            protocol.send_pong(b"\x00" * 4)
            protocol.receive_data(wire("client", FIN | PING, b"\x00" * 4))
            protocol.send_binary(b"\x00" * 4)
        protocol.fail(1000)
        chunks = protocol.data_to_send()
        keys = [chunk[2:6] for chunk in chunks]
        assert [chunk[6:] for chunk in chunks[:-1]] == keys[:-1]  # zeros, masked
        assert xor(chunks[-1][6:], keys[-1]) == close_payload(1000)
        assert len(keys) == 502
        assert len(set(keys)) == len(keys)
        for position in range(4):  # each octet is random; 256 values in 502 draws
            assert len({key[position] for key in keys}) > 150

    def test_sec_37_keys_of_two_connections_differ(self, impl: Any) -> None:
        """SEC-37"""
        keys = set()
        for _ in range(50):
            protocol = bare(impl, "client")
            protocol.send_binary(b"")
            keys.add(protocol.data_to_send()[0][2:])
        assert len(keys) == 50


BAD_DATA: list[tuple[Any, type[Exception]]] = [
    ("text", TypeError),
    (None, TypeError),
    (5, TypeError),
    ([1, 2], TypeError),
    (memoryview(b"abcdef")[::2], BufferError),
    (memoryview(b"abcdef")[::-1], BufferError),
    (memoryview(array("I", [1, 2, 3, 4]))[::2], BufferError),
    (memoryview(bytes(200_000))[::2], BufferError),
]


class TestRefused:
    """SEC-15: nothing is queued when one of the methods raises."""

    @everywhere
    def test_sec_14_15_buffers(self, impl: Any, side: str, way: str) -> None:
        """SEC-14, SEC-15: of every send method; then the next message is right."""
        protocol = on_way(impl, side, way)
        peer = bare(impl, other(side), [deflate(impl)] if way == "deflate" else [])
        protocol.send_text(b"Hello, hello")
        calls: list[Step] = []
        for bad, error in BAD_DATA:
            calls = [
                lambda data: protocol.send_text(data),
                lambda data: protocol.send_binary(data, False),
                lambda data: protocol.send_ping(data),
                lambda data: protocol.send_pong(data),
            ]
            for call in calls:
                with pytest.raises(error):
                    call(bad)
        protocol.send_binary(b"Hello, ", False)
        for bad, error in BAD_DATA:
            with pytest.raises(error):
                protocol.send_continuation(bad, True)
        protocol.send_continuation(b"hello", True)
        data = [payload for _, payload, _ in carry(protocol, peer)]
        assert data == [b"Hello, hello", b"Hello, ", b"hello"]
        stats = protocol.stats
        assert (stats.frames_sent, stats.messages_sent) == (3, 2)

    @everywhere
    def test_sec_14_items_of_several_bytes(
        self, impl: Any, side: str, way: str
    ) -> None:
        """SEC-14: the whole buffer goes out, no byte of other memory."""
        protocol = on_way(impl, side, way)
        peer = bare(impl, other(side), [deflate(impl)] if way == "deflate" else [])
        numbers = array("I", range(20))
        view = memoryview(numbers)
        table = memoryview(bytes(range(24))).cast("B", (4, 6))
        protocol.send_text(view.cast("B")[:4].cast("I"))
        protocol.send_binary(view, False)
        protocol.send_continuation(table, True)
        protocol.send_ping(view)
        seen = carry(protocol, peer)
        raw = numbers.tobytes()
        assert [data for _, data, _ in seen] == [raw[:4], raw, bytes(range(24)), raw]
        with pytest.raises(impl.exceptions.ProtocolError):
            protocol.send_ping(memoryview(array("I", range(32))))  # 128 bytes
        assert protocol.data_to_send() == []

    @everywhere
    def test_spec_071_control_payloads(self, impl: Any, side: str, way: str) -> None:
        """SPEC-071, SEC-15: 126 bytes are one too many."""
        for size in (126, 127, 65536):
            protocol = on_way(impl, side, way)
            for method in (protocol.send_ping, protocol.send_pong):
                with pytest.raises(impl.exceptions.ProtocolError, match="125"):
                    method(bytes(size))
            assert protocol.data_to_send() == []
            assert protocol.stats.frames_sent == 0
            assert protocol.state is impl.protocol.OPEN

    @each("side", SIDES)
    @each("way", WAYS)
    @each("method", ["send_close", "fail"])
    def test_spec_077_078_close(
        self, impl: Any, side: str, way: str, method: str
    ) -> None:
        """SPEC-077, SPEC-078, SPEC-070, SEC-15: refused, and a valid one may follow."""
        protocol = on_way(impl, side, way)
        refused: list[tuple[Any, ...]] = [
            *((code,) for code in (-1, 0, 999, 1004, 1005, 1015, 1016, 2999, 5000)),
            (65536,),
            (1000, "x" * 124),
            (1000, "\u20ac" * 42),
            (1000, "\ud800"),
        ]
        if method == "send_close":
            refused += [(1006,), (None, "reason without a code")]
        if side == "server":
            refused.append((1010,))
        for args in refused:
            with pytest.raises(impl.exceptions.ProtocolError):
                getattr(protocol, method)(*args)
            assert protocol.data_to_send() == []
            assert protocol.state is impl.protocol.OPEN
            assert protocol.close_sent is None
            assert not protocol.eof_sent
        protocol.send_text(b"x")
        getattr(protocol, method)(1000)
        assert len(sent(protocol)) == 2 + (method == "fail" and side == "server")

    def test_sec_15_reason_of_another_type(self, impl: Any) -> None:
        """SEC-14: as ``close()`` of a typed array once sent what memory held."""
        protocol = opened(impl, "server")
        for reason in (array("I", [1]), 5, None, b"bytes"):
            with pytest.raises((TypeError, AttributeError)):
                protocol.send_close(1000, reason)
            assert protocol.data_to_send() == []
        assert protocol.state is impl.protocol.OPEN


class TestLog:
    """One guarded call per direction."""

    def test_silent_without_debug(self, impl: Any) -> None:
        logger, lines = new_logger(logging.INFO)
        protocol = bare(impl, logger=logger)
        assert protocol.debug is False
        protocol.send_text(b"x")
        protocol.receive_data(wire("server", FIN | PING))
        protocol.send_close(1000)
        protocol.data_to_send()
        assert lines == []

    @each("side", SIDES)
    @each("way", ["debug", "deflate", "extension", "send_frame"])
    def test_each_frame_is_a_line(self, impl: Any, side: str, way: str) -> None:
        """Payloads as the application gave them, not compressed."""
        protocol = on_way(impl, side, way)
        protocol.debug = True
        protocol.logger, lines = new_logger()
        protocol.send_text(b"Hello")
        protocol.send_binary(b"\xff", False)
        protocol.send_continuation(bytearray(b"2"), True)
        protocol.send_ping(b"1")
        protocol.receive_data(wire(side, FIN | PING, b"2"))
        protocol.data_to_send()
        protocol.send_close(1000, "bye")
        protocol.send_eof()
        assert [line for line in lines if line[0] == ">"] == [
            "> TEXT 'Hello' [5 bytes]",
            "> BINARY ff [1 byte, continued]",
            "> CONT '2' [text, 1 byte]",
            "> PING '1' [text, 1 byte]",
            "> PONG '2' [text, 1 byte]",
            "> CLOSE 1000 (OK) bye [5 bytes]",
            "> EOF",
        ]

    def test_a_frame_of_the_user_is_a_line(self, impl: Any) -> None:
        logger, lines = new_logger()
        protocol = bare(impl, logger=logger)
        protocol.send_frame(impl.frames.Frame(impl.frames.Opcode.TEXT, b"x"))
        assert lines == ["> TEXT 'x' [1 byte]"]

    def test_logger_adapter(self, impl: Any) -> None:
        logger, lines = new_logger()

        class Adapter(logging.LoggerAdapter):  # type: ignore[type-arg]
            def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
                return f"[7] {msg}", kwargs

        protocol = bare(impl, logger=Adapter(logger, {}))
        assert protocol.debug is True
        protocol.send_text(b"x")
        assert lines == ["[7] > TEXT 'x' [1 byte]"]
