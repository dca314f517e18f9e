"""Pongs: pings are answered, of several in one go only the latest (section 5.5.3)."""

from __future__ import annotations

from typing import Any

from .support import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    PONG,
    STRAIGHT_WAYS,
    TEXT,
    Sent,
    bare,
    close_payload,
    events,
    everywhere,
    new_logger,
    on_way,
    sent,
    wire,
)

ENDS = {"server": ["EOF"], "client": []}


def ping(side: str, *payloads: bytes) -> bytes:
    return b"".join(wire(side, FIN | PING, payload) for payload in payloads)


@everywhere
def test_spec_072_identical_payload(impl: Any, side: str, way: str) -> None:
    """SPEC-072: each ping by itself."""
    protocol = on_way(impl, side, way)
    for payload in (b"", b"x", b"\x00\xff" * 62, bytes(125)):
        protocol.receive_data(ping(side, payload))
        assert sent(protocol) == [(FIN | PONG, payload)]
        assert events(protocol) == [(PING, payload, True)]
    assert protocol.stats.frames_sent == 4


@everywhere
def test_spec_073_sec_07_the_latest_of_several(impl: Any, side: str, way: str) -> None:
    """SPEC-073, SEC-06, SEC-07: in one read; every ping is an event all the same."""
    protocol = on_way(impl, side, way)
    payloads = [b"%d" % i for i in range(100)]
    protocol.receive_data(ping(side, *payloads))
    assert sent(protocol) == [(FIN | PONG, b"99")]
    assert [payload for _, payload, _ in events(protocol)] == payloads
    protocol.receive_data(ping(side, b"again"))
    assert sent(protocol) == [(FIN | PONG, b"again")]


@everywhere
def test_spec_073_sec_07_the_latest_over_reads(impl: Any, side: str, way: str) -> None:
    """SPEC-073, SEC-07: as long as nobody fetched it; its place is the first's."""
    if way not in STRAIGHT_WAYS:
        return  # there, one pong for each read
    protocol = on_way(impl, side, way)
    protocol.send_binary(b"1", compress=False)
    for i in range(100):
        protocol.receive_data(ping(side, b"%d" % i))
        protocol.send_binary(b"2", compress=False)
    output = sent(protocol)
    assert output[:3] == [
        (FIN | BINARY, b"1"),
        (FIN | PONG, b"99"),
        (FIN | BINARY, b"2"),
    ]
    assert len([item for item in output if item[0] == FIN | PONG]) == 1


@everywhere
def test_spec_072_before_the_answer_of_the_application(
    impl: Any, side: str, way: str
) -> None:
    """SPEC-072: as soon as practical, in the same output as what follows."""
    protocol = on_way(impl, side, way)
    protocol.receive_data(ping(side, b"1") + wire(side, FIN | TEXT, b"question"))
    protocol.send_text(b"answer", compress=False)
    assert sent(protocol) == [(FIN | PONG, b"1"), (FIN | TEXT, b"answer")]


@everywhere
def test_spec_066_072_inside_messages_both_ways(impl: Any, side: str, way: str) -> None:
    """SPEC-066, SPEC-072: between the fragments of ours and of theirs."""
    protocol = on_way(impl, side, way)
    protocol.send_text(b"a", False, compress=False)
    protocol.receive_data(wire(side, TEXT, b"x") + ping(side, b"1"))
    protocol.send_continuation(b"b", True)
    protocol.receive_data(wire(side, FIN | CONT, b"y"))
    assert sent(protocol) == [(TEXT, b"a"), (FIN | PONG, b"1"), (FIN | CONT, b"b")]
    assert len(events(protocol)) == 3


@everywhere
def test_spec_072_not_behind_a_close(impl: Any, side: str, way: str) -> None:
    """SPEC-072, SPEC-079c: what comes behind a Close has no answer."""
    protocol = on_way(impl, side, way)
    protocol.receive_data(wire(side, FIN | CLOSE) + ping(side, b"late"))
    wanted: list[Sent] = [(FIN | CLOSE, b""), *ENDS[side]]
    assert sent(protocol) == wanted
    protocol.receive_data(ping(side, b"later"))
    assert sent(protocol) == []
    assert [opcode for opcode, *_ in events(protocol)] == [CLOSE]


@everywhere
def test_spec_072_before_a_close(impl: Any, side: str, way: str) -> None:
    """SPEC-072: the pong of a ping that came before, and nothing behind the end."""
    protocol = on_way(impl, side, way)
    protocol.receive_data(ping(side, b"1", b"2") + wire(side, FIN | CLOSE))
    wanted: list[Sent] = [(FIN | PONG, b"2"), (FIN | CLOSE, b""), *ENDS[side]]
    assert sent(protocol) == wanted


@everywhere
def test_spec_072_079c_after_our_close(impl: Any, side: str, way: str) -> None:
    """SPEC-072, SPEC-079c: a pong is no data frame."""
    protocol = on_way(impl, side, way)
    protocol.send_close(1000)
    protocol.receive_data(ping(side, b"1"))
    wanted: list[Sent] = [(FIN | CLOSE, close_payload(1000)), (FIN | PONG, b"1")]
    assert sent(protocol) == wanted


@everywhere
def test_spec_079d_nothing_behind_the_half_close(
    impl: Any, side: str, way: str
) -> None:
    """SPEC-079d: pings in the very read that ends the connection."""
    for end in (b"", b"\xff", wire(side, FIN | CLOSE)):
        protocol = on_way(impl, side, way)
        protocol.send_close(1000)
        protocol.data_to_send()
        protocol.receive_data(ping(side, b"1", b"2") + end)
        assert protocol.state is impl.protocol.CLOSING
        protocol.receive_eof()
        chunks = protocol.data_to_send()
        assert chunks.index(b"") == len(chunks) - 1
        assert all(type(chunk) is bytes for chunk in chunks)
        assert protocol.eof_sent


@everywhere
def test_spec_072_with_a_failure(impl: Any, side: str, way: str) -> None:
    """SPEC-072, SPEC-076: the valid frames before the offence count."""
    protocol = on_way(impl, side, way)
    protocol.receive_data(ping(side, b"1") + b"\xff" + ping(side, b"2"))
    first, second, *rest = sent(protocol)
    assert first == (FIN | PONG, b"1")
    assert second[:1] == (FIN | CLOSE,)
    assert rest == ENDS[side]
    assert events(protocol) == [(PING, b"1", True)]


@everywhere
def test_no_pong_after_a_half_close(impl: Any, side: str, way: str) -> None:
    """send_eof() by the caller: nothing more goes out, but what comes in is read."""
    protocol = on_way(impl, side, way)
    protocol.send_eof()
    protocol.receive_data(ping(side, b"1") + wire(side, FIN | TEXT, b"x"))
    assert sent(protocol) == ["EOF"]
    assert len(events(protocol)) == 2


@everywhere
def test_a_pong_waits_before_a_half_close(impl: Any, side: str, way: str) -> None:
    protocol = on_way(impl, side, way)
    protocol.receive_data(ping(side, b"1"))
    protocol.send_eof()
    protocol.receive_data(ping(side, b"2"))
    assert sent(protocol) == [(FIN | PONG, b"1"), "EOF"]


@everywhere
def test_spec_074_unasked_pongs(impl: Any, side: str, way: str) -> None:
    """SPEC-074: they are events, and have no answer."""
    protocol = on_way(impl, side, way)
    protocol.receive_data(wire(side, FIN | PONG, b"unasked") * 3)
    assert sent(protocol) == []
    assert events(protocol) == [(PONG, b"unasked", True)] * 3
    assert protocol.parser_exc is None
    protocol.send_pong(b"ours")
    protocol.send_ping(b"ours")
    assert sent(protocol) == [(FIN | PONG, b"ours"), (FIN | PING, b"ours")]


@everywhere
def test_a_pong_of_the_user_does_not_replace_ours(
    impl: Any, side: str, way: str
) -> None:
    """SPEC-072: both go out."""
    protocol = on_way(impl, side, way)
    protocol.receive_data(ping(side, b"1"))
    protocol.send_pong(b"own")
    assert sent(protocol) == [(FIN | PONG, b"1"), (FIN | PONG, b"own")]


@everywhere
def test_spec_072_a_ping_that_the_caller_hands_in(
    impl: Any, side: str, way: str
) -> None:
    """SPEC-072: recv_frame(), with no read that ends; before the half-close if any."""
    protocol = on_way(impl, side, way)
    frame = impl.frames.Frame(impl.frames.Opcode.PING, b"1")
    for queued in (True, False):
        if queued:
            protocol.send_binary(b"x", compress=False)
        protocol.recv_frame(frame)
        protocol.recv_frame(frame)
        assert sent(protocol) == [(FIN | BINARY, b"x")] * queued + [(FIN | PONG, b"1")]
    protocol.recv_frame(frame)
    protocol.send_eof()
    assert sent(protocol)[-1] == "EOF"
    assert sent(protocol) == []


def test_debug_names_the_pong_that_was_sent(impl: Any) -> None:
    """Not those that were overtaken."""
    logger, lines = new_logger()
    protocol = bare(impl, logger=logger)
    protocol.receive_data(ping("server", b"1", b"2", b"3"))
    assert len([line for line in lines if line[0] == "<"]) == 3
    protocol.data_to_send()
    assert lines[-1] == "> PONG '3' [text, 1 byte]"
    assert len([line for line in lines if line[0] == ">"]) == 1
