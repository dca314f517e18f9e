"""Compressed messages on a connection (RFC 7692, section 6)."""

from __future__ import annotations

from typing import Any

import pytest

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
    opened,
    sent,
    wire,
)
from .table import each

HELLO = bytes.fromhex("f248cdc9c90700")
AGAIN = bytes.fromhex("f200110000")  # refers to the message before
VECTORS = [
    # RFC 7692, section 7.2.3
    ("f248cdc9c90700", b"Hello"),
    ("000500faff48656c6c6f00", b"Hello"),
    ("f348cdc9c9070000", b"Hello"),
    ("f24805000000ffffcac9c90700", b"Hello"),
    ("00", b""),
]


@each("side", SIDES)
@each(("data", "wanted"), VECTORS)
def test_spec_097_098_vectors(impl: Any, side: str, data: str, wanted: bytes) -> None:
    """SPEC-097, SPEC-098, SEC-18: each, then two more messages, cut at every byte."""
    stream = wire(side, FIN | RSV1 | TEXT, bytes.fromhex(data))
    stream += wire(side, FIN | RSV1 | TEXT, HELLO)
    stream += wire(side, FIN | RSV1 | TEXT, AGAIN)
    whole = feed(opened(impl, side, [deflate(impl)]), [stream])
    assert whole.events == [(TEXT, text, True) for text in (wanted, b"Hello", b"Hello")]
    assert whole.error == ""
    for chunks in cuts(stream):
        assert feed(opened(impl, side, [deflate(impl)]), chunks) == whole


def test_rfc_7692_fragments(impl: Any) -> None:
    """SPEC-094: RSV1 on the first frame only."""
    protocol = opened(impl, "client", [deflate(impl)])
    outcome = feed(protocol, [bytes.fromhex("4103f248cd8004c9c90700")])
    assert outcome.error == ""
    assert b"".join(data for _, data, _ in outcome.events) == b"Hello"


def test_spec_095_plain_messages_leave_the_window(impl: Any) -> None:
    """SPEC-095"""
    protocol = opened(impl, "server", [deflate(impl)])
    frames = [
        (0xC1, HELLO),
        (0x81, b"plain"),
        (0x02, b"in "),
        (0x80, b"two"),
        (0xC1, AGAIN),
    ]
    stream = b"".join(wire("server", first, data) for first, data in frames)
    outcome = feed(protocol, [stream])
    assert outcome.events[-1] == (TEXT, b"Hello", True)
    assert outcome.error == ""


@pytest.mark.parametrize("side", SIDES)
def test_spec_099_takeover(impl: Any, side: str) -> None:
    """SPEC-099: kept, or not, as agreed, both ways."""
    for takeover in (True, False):
        protocol = opened(impl, side, [deflate(impl, takeover=takeover)])
        protocol.send_text(b"Hello")
        protocol.send_text(b"Hello")
        first, second = (data for _, data in sent(protocol))
        assert (second == first) != takeover
        protocol.receive_data(wire(side, 0xC1, HELLO) + wire(side, 0xC1, AGAIN))
        assert len(events(protocol)) == (2 if takeover else 1)
        if not takeover:
            assert_failing(protocol, 1002)


@pytest.mark.parametrize("side", SIDES)
def test_spec_102_data_cut_off(impl: Any, side: str) -> None:
    """SPEC-102, SEC-19: a message that ends inside a block is never delivered."""
    data = deflated(bytes(range(256)))
    assert data[0] == 0  # by itself an empty message
    for end in range(2, len(data)):
        protocol = opened(impl, side, [deflate(impl)])
        protocol.receive_data(wire(side, FIN | RSV1 | BINARY, data[:end]))
        assert events(protocol) == []
        assert_failing(protocol, 1002)


@each("data", ["07", "ff", "06", "0005000000", "f248cdc9c907ff"])
def test_spec_102_not_deflate(impl: Any, data: str) -> None:
    """SPEC-102"""
    protocol = opened(impl, "server", [deflate(impl)])
    protocol.receive_data(wire("server", FIN | RSV1 | BINARY, bytes.fromhex(data)))
    assert_failing(protocol, 1002)


def test_spec_066_control_frames_inside_a_compressed_message(impl: Any) -> None:
    """SPEC-066: their payload is not decompressed, nor does it harm what is."""
    protocol = opened(impl, "server", [deflate(impl)])
    for i in range(len(HELLO) + 1):
        first = (RSV1 | TEXT) if i == 0 else FIN | CONT if i == len(HELLO) else CONT
        protocol.receive_data(wire("server", first, HELLO[i : i + 1]))
        protocol.receive_data(wire("server", FIN | PING, HELLO))
    seen = events(protocol)
    assert b"".join(data for opcode, data, _ in seen if opcode < 8) == b"Hello"
    assert {data for opcode, data, _ in seen if opcode == PING} == {HELLO}


@pytest.mark.parametrize("side", SIDES)
def test_spec_103_compression_can_be_left_out(impl: Any, side: str) -> None:
    """SPEC-103: for one message; its continuation follows it."""
    protocol = opened(impl, side, [deflate(impl)])
    protocol.send_text(b"secret", compress=False)
    protocol.send_text(b"secret", compress=True)
    protocol.send_binary(b"sec", False, compress=False)
    protocol.send_continuation(b"ret", True)
    protocol.send_binary(b"sec", False)
    protocol.send_continuation(b"ret", True)
    output = sent(protocol)
    assert [first for first, *_ in output] == [
        FIN | TEXT,
        FIN | RSV1 | TEXT,
        BINARY,
        FIN | CONT,
        RSV1 | BINARY,
        FIN | CONT,
    ]
    assert output[0] == (FIN | TEXT, b"secret")
    assert output[3] == (FIN | CONT, b"ret")
    # a message that was left out left the window alone: the peer reads them all
    other = "client" if side == "server" else "server"
    peer = opened(impl, other, [deflate(impl)])
    stream = b"".join(wire(other, first, data) for first, data in output)
    assert b"".join(d for _, d, _ in feed(peer, [stream]).events) == b"secret" * 4


def test_compress_means_nothing_without_the_extension(impl: Any) -> None:
    protocol = opened(impl, "server")
    for compress in (None, True, False):
        protocol.send_text(b"x", compress=compress)
    assert sent(protocol) == [(FIN | TEXT, b"x")] * 3
