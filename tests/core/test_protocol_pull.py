"""Taking events one by one: ``feed_data`` and ``next_event``."""

from __future__ import annotations

import logging
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
    assert_failing,
    client_with_sample_key,
    close_payload,
    cuts,
    deflate,
    deflated,
    events,
    new_logger,
    opened,
    plain,
    request_bytes,
    response_bytes,
    sent,
    wire,
)

Seen = list[tuple[int, bytes, bool]]

FRAMES = [
    (FIN | TEXT, b"hello"),
    (FIN | PING, b"1"),
    (BINARY, bytes(200)),
    (FIN | PING, b"2"),
    (FIN | CONT, b"end"),
    (FIN | RSV1 | TEXT, deflated(b"squeezed")),
    (FIN | CLOSE, close_payload(1000)),
    (FIN | TEXT, b"late"),
]


def pulled(protocol: Any) -> Seen:
    """All frames that are there, each taken by itself."""
    frames: Seen = []
    while (event := protocol.next_event()) is not None:
        frames.append((int(event.opcode), event.data, event.fin))
    return frames


@pytest.mark.parametrize("side", SIDES)
def test_any_cut_gives_the_events_of_receive_data(impl: Any, side: str) -> None:
    stream = b"".join(wire(side, first, data) for first, data in FRAMES)
    whole = opened(impl, side, [deflate(impl)])
    whole.receive_data(stream)
    expected = events(whole)
    assert len(expected) == 7
    for chunks in cuts(stream):
        protocol = opened(impl, side, [deflate(impl)])
        frames: Seen = []
        for chunk in chunks:
            protocol.feed_data(chunk)
            frames += pulled(protocol)
        assert frames == expected
        assert protocol.close_code is None
        assert protocol.close_rcvd.code == 1000
        assert protocol.stats.bytes_received == len(stream)


@pytest.mark.parametrize("side", SIDES)
def test_nothing_is_read_before_it_is_asked_for(impl: Any, side: str) -> None:
    """A message is answered though a violation stands behind it in the same read."""
    protocol = opened(impl, side)
    protocol.feed_data(wire(side, FIN | TEXT, b"ask") + wire(side, 0x83, b""))
    assert protocol.events_received() == []
    assert protocol.next_event().data == b"ask"
    assert protocol.state.name == "OPEN"
    protocol.send_text(b"answer")
    assert protocol.next_event() is None
    frames = sent(protocol)
    assert [frame[:2] for frame in frames[:1]] == [(FIN | TEXT, b"answer")]
    assert frames[1][0] == FIN | CLOSE
    assert protocol.parser_exc is not None
    assert protocol.next_event() is None
    protocol.feed_data(wire(side, FIN | TEXT, b"late"))
    assert protocol.next_event() is None


@pytest.mark.parametrize("side", SIDES)
def test_pings_are_answered_one_by_one(impl: Any, side: str) -> None:
    protocol = opened(impl, side)
    protocol.feed_data(wire(side, FIN | PING, b"1") + wire(side, FIN | PING, b"2"))
    for payload in (b"1", b"2"):
        assert protocol.next_event().data == payload
        assert [frame[1] for frame in sent(protocol)] == [payload]


def test_receive_data_reads_what_was_only_fed(impl: Any) -> None:
    protocol = opened(impl, "server")
    protocol.feed_data(wire("server", FIN | TEXT, b"1"))
    protocol.receive_data(wire("server", FIN | TEXT, b"2"))
    assert [data for _, data, _ in events(protocol)] == [b"1", b"2"]


def test_frames_that_were_read_together_are_taken_one_by_one(impl: Any) -> None:
    protocol = opened(impl, "server")
    two = (b"one", b"two")
    protocol.receive_data(b"".join(wire("server", FIN | TEXT, data) for data in two))
    for data in two:
        assert protocol.next_event().data == data
    assert protocol.next_event() is None
    assert protocol.events_received() == []


def test_fed_before_and_behind_a_frame_in_parts(impl: Any) -> None:
    protocol = opened(impl, "server")
    stream = wire("server", FIN | TEXT, b"one") + wire("server", FIN | TEXT, b"two")
    protocol.feed_data(stream[:8])
    assert protocol.next_event() is None
    for byte in stream[8:]:
        protocol.feed_data(bytes([byte]))
    assert pulled(protocol) == [(TEXT, b"one", True), (TEXT, b"two", True)]


def test_the_end_of_the_stream(impl: Any) -> None:
    protocol = opened(impl, "server")
    protocol.feed_data(wire("server", FIN | TEXT, b"unread"))
    protocol.receive_eof()
    assert protocol.next_event() is None
    assert protocol.close_code == 1006
    with pytest.raises(EOFError):
        protocol.feed_data(b"")


@pytest.mark.parametrize("side", SIDES)
def test_payload_of_a_frame_that_is_arriving(impl: Any, side: str) -> None:
    protocol = opened(impl, side)
    assert protocol.take_payload() is None
    stream = wire(side, FIN | BINARY, b"0123456789")
    protocol.feed_data(stream[:-7])
    assert protocol.next_event() is None
    assert protocol.take_payload() == (BINARY, b"012")
    assert protocol.take_payload() is None
    for number in range(3, 6):
        protocol.feed_data(stream[number - 10 : number - 9])
        assert protocol.next_event() is None
        assert protocol.take_payload() == (BINARY, b"%d" % number)
    protocol.feed_data(stream[-4:])
    assert protocol.next_event().data == b"6789"


@pytest.mark.parametrize("side", SIDES)
def test_text_that_is_taken_as_it_arrives_is_checked(impl: Any, side: str) -> None:
    protocol = opened(impl, side)
    stream = wire(side, FIN | TEXT, b"\xe2\x82\xacab\xff..")
    taken = []
    for byte in stream[:-3]:
        protocol.feed_data(bytes([byte]))
        assert protocol.next_event() is None
        taken.append(protocol.take_payload())
    assert [part[1] for part in taken if part] == [
        b"\xe2",
        b"\x82",
        b"\xac",
        b"a",
        b"b",
    ]
    protocol.feed_data(stream[-3:-2])
    assert protocol.next_event() is None
    assert_failing(protocol, 1007)
    assert protocol.take_payload() is None


def test_a_frame_that_an_extension_decodes_is_not_taken(impl: Any) -> None:
    protocol = opened(impl, "server", [deflate(impl)])
    protocol.feed_data(wire("server", FIN | RSV1 | TEXT, deflated(b"x" * 99))[:-1])
    assert protocol.next_event() is None
    assert protocol.take_payload() is None


@pytest.mark.parametrize("side", SIDES)
def test_whether_a_message_is_arriving(impl: Any, side: str) -> None:
    """From the end of the header of its first frame to the end of its last frame."""
    protocol = opened(impl, side)
    frames = [wire(side, *frame) for frame in FRAMES[1:5]]
    header = len(frames[1]) - 200
    found = []
    for byte in b"".join(frames):
        protocol.receive_data(bytes((byte,)))
        found.append(protocol.receiving_message)
    before = len(frames[0]) + header - 1
    assert found == [False] * before + [True] * (len(found) - before - 1) + [False]


class TestHandshake:
    def test_server(self, impl: Any) -> None:
        protocol = impl.server.ServerProtocol()
        frames = wire("server", FIN | TEXT, b"early") + wire("server", 0x83, b"")
        protocol.feed_data(request_bytes() + frames)
        request = protocol.next_event()
        assert request.path == "/chat"
        assert protocol.next_event() is None
        protocol.send_response(protocol.accept(request))
        assert protocol.next_event().data == b"early"
        assert protocol.state.name == "OPEN"
        assert protocol.next_event() is None
        assert protocol.state.name == "CLOSING"

    def test_client(self, impl: Any) -> None:
        protocol = client_with_sample_key(impl)
        protocol.send_request(protocol.connect())
        protocol.data_to_send()
        frames = plain(FIN | TEXT, b"early") + plain(0x83)
        protocol.feed_data(response_bytes() + frames)
        assert protocol.next_event().status_code == 101
        assert protocol.next_event().data == b"early"
        assert protocol.state.name == "OPEN"
        assert protocol.next_event() is None
        assert protocol.state.name == "CLOSING"

    def test_more_than_can_be_held_before_the_answer(self, impl: Any) -> None:
        """SEC-24: what fits is read, and then the connection fails."""
        protocol = impl.server.ServerProtocol(logger=new_logger(logging.CRITICAL)[0])
        frame = wire("server", FIN | BINARY, bytes(1000))
        protocol.feed_data(request_bytes() + frame * 70)
        protocol.send_response(protocol.accept(protocol.next_event()))
        protocol.data_to_send()
        assert len(pulled(protocol)) == 65536 // len(frame)
        assert_failing(protocol, 1009)
