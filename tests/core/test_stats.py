"""Counters of a connection."""

from __future__ import annotations

from typing import Any

import pytest

from .support import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    RSV1,
    SIDES,
    TEXT,
    bare,
    deflate,
    deflated,
    make_request,
    masked,
    no_random_bytes,
    opened,
    request_bytes,
    user_extension,
    wire,
)
from .table import each

NAMES = (
    "bytes_received",
    "bytes_sent",
    "deflated_received",
    "deflated_sent",
    "frames_received",
    "frames_sent",
    "inflated_received",
    "inflated_sent",
    "messages_received",
    "messages_sent",
)


def counters(protocol: Any) -> dict[str, int]:
    """The counters that are not 0."""
    stats = protocol.stats
    values = {name: getattr(stats, name) for name in NAMES}
    assert all(type(value) is int for value in values.values())
    return {name: value for name, value in values.items() if value}


def test_the_class(impl: Any) -> None:
    kind = type(bare(impl).stats)
    assert kind.__name__ == "Stats"
    stats = kind()
    assert [getattr(stats, name) for name in NAMES] == [0] * 10
    stats = kind(bytes_sent=5, frames_received=2**63)
    assert (stats.bytes_sent, stats.frames_received) == (5, 2**63)
    assert stats.bytes_received == 0
    text = repr(stats)
    assert text.startswith("Stats(bytes_received=0, bytes_sent=5, ")
    assert all(f"{name}={getattr(stats, name)}" in text for name in NAMES)
    with pytest.raises(AttributeError):
        stats.bytes_set = 1  # a slip of the pen


@pytest.mark.parametrize("side", SIDES)
def test_a_new_connection_counts_nothing(impl: Any, side: str) -> None:
    assert counters(opened(impl, side)) == {}


@pytest.mark.parametrize("side", SIDES)
def test_it_is_a_snapshot(impl: Any, side: str) -> None:
    protocol = bare(impl, side)
    before = protocol.stats
    protocol.send_text(b"x")
    assert before.frames_sent == 0
    assert protocol.stats.frames_sent == 1


@pytest.mark.parametrize("side", SIDES)
def test_what_comes_in(impl: Any, side: str) -> None:
    protocol = bare(impl, side)
    stream = b"".join(
        wire(side, first, data)
        for first, data in (
            (FIN | TEXT, b"hello"),
            (BINARY, b""),
            (FIN | PING, b"1"),
            (FIN | CONT, bytes(200)),
        )
    )
    for i in range(len(stream)):
        protocol.receive_data(stream[i : i + 1])
    assert counters(protocol) == {
        "bytes_received": len(stream),
        "frames_received": 4,
        "messages_received": 2,
    }


@each("side", SIDES)
@each("own", [False, True])
def test_what_goes_out(impl: Any, side: str, own: bool) -> None:
    """Whatever way the frames take."""

    def send_frame(self: Any, frame: Any) -> None:
        impl.protocol.Protocol.send_frame(self, frame)

    protocol = bare(impl, side, methods={"send_frame": send_frame} if own else None)
    protocol.send_text(b"hello")
    protocol.send_binary(b"", False)
    protocol.send_ping(b"1")
    assert protocol.stats.messages_sent == 1
    protocol.send_continuation(bytes(70_000), True)
    protocol.receive_data(wire(side, FIN | PING) + wire(side, FIN | CLOSE))
    written = b"".join(protocol.data_to_send())
    assert {n: v for n, v in counters(protocol).items() if n.endswith("sent")} == {
        "bytes_sent": len(written),
        "frames_sent": 6,
        "messages_sent": 2,
    }


@pytest.mark.parametrize("side", SIDES)
def test_a_frame_of_the_user_counts(impl: Any, side: str) -> None:
    protocol = bare(impl, side)
    protocol.send_frame(impl.frames.Frame(impl.frames.Opcode.PING, b"x"))
    assert protocol.stats.frames_sent == 1
    assert protocol.stats.bytes_sent == len(b"".join(protocol.data_to_send()))


@pytest.mark.parametrize("side", SIDES)
def test_compressed_bytes(impl: Any, side: str) -> None:
    """Before and after; messages that are not compressed do not count."""
    protocol = bare(impl, side, [deflate(impl)])
    packed = deflated(bytes(1000))
    protocol.receive_data(wire(side, RSV1 | BINARY, packed[:4]))
    protocol.receive_data(wire(side, FIN | CONT, packed[4:]))
    protocol.receive_data(wire(side, FIN | BINARY, bytes(10)))
    stats = protocol.stats
    assert stats.deflated_received == len(packed)
    assert stats.inflated_received == 1000
    protocol.send_text(b"a" * 500, False)
    protocol.send_continuation(b"b" * 500, True)
    header_size = 2 if side == "server" else 6
    assert protocol.stats.deflated_sent == protocol.stats.bytes_sent - 2 * header_size
    assert protocol.stats.inflated_sent == 1000
    protocol.send_text(b"secret", compress=False)
    assert protocol.stats.inflated_sent == 1000


@each("side", SIDES)
@each("way", ["send_frame", "recv_frame", "extension"])
def test_compressed_bytes_on_the_long_way(impl: Any, side: str, way: str) -> None:
    """Where a subclass or another extension sees the frames, too."""

    def forward(self: Any, frame: Any) -> None:
        getattr(impl.protocol.Protocol, way)(self, frame)

    extensions = [deflate(impl)]
    if way == "extension":
        extensions.insert(0, user_extension(impl))
    methods = None if way == "extension" else {way: forward}
    protocol = bare(impl, side, extensions, methods)
    packed = deflated(bytes(1000))
    protocol.receive_data(wire(side, FIN | RSV1 | BINARY, packed))
    protocol.send_text(b"a" * 500)
    stats = protocol.stats
    assert (stats.deflated_received, stats.inflated_received) == (len(packed), 1000)
    assert stats.inflated_sent == 500
    assert 0 < stats.deflated_sent < 100


def test_the_handshake_counts_as_bytes_only(impl: Any) -> None:
    protocol = impl.server.ServerProtocol()
    protocol.receive_data(request_bytes())
    protocol.send_response(protocol.accept(make_request(impl)))
    protocol.receive_data(masked(FIN | TEXT, b"x"))
    written = b"".join(protocol.data_to_send())
    assert counters(protocol) == {
        "bytes_received": len(request_bytes()) + 7,
        "bytes_sent": len(written),
        "frames_received": 1,
        "messages_received": 1,
    }


def test_refused_input_counts_as_bytes_only(impl: Any) -> None:
    protocol = bare(impl)
    protocol.receive_data(b"\xff\xff")
    protocol.receive_data(masked(FIN | TEXT, b"late"))
    assert counters(protocol)["bytes_received"] == 12
    assert protocol.stats.frames_received == 0


def test_nothing_is_counted_for_what_is_refused(impl: Any) -> None:
    """SEC-15: a send that raises."""
    protocol = bare(impl, "client", [deflate(impl)])
    for data in ("text", memoryview(b"abcd")[::2]):
        with pytest.raises((TypeError, BufferError)):
            protocol.send_text(data)
    with pytest.raises(impl.exceptions.ProtocolError):
        protocol.send_ping(bytes(126))
    with no_random_bytes(impl), pytest.raises(ZeroDivisionError):
        protocol.send_text(b"Hello")
    assert counters(protocol) == {}
