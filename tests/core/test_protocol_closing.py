"""Closing and failing a connection (RFC 6455, sections 5.5.1 and 7)."""

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
    PONG,
    SIDES,
    TEXT,
    Sent,
    assert_failing,
    bare,
    carry,
    close_payload,
    cuts,
    events,
    everywhere,
    feed,
    new_logger,
    on_way,
    other,
    sent,
    side_of,
    wire,
)
from .table import each

LEGAL = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
# Codes of a good end, whoever sent them; all else is an error.
GOOD = {1000, 1001, 1005}


def ending(side: str) -> list[Sent]:
    """A server half-closes at once, a client waits for it."""
    return ["EOF"] if side == "server" else []


def verdict(impl: Any, protocol: Any) -> str:
    """End the stream; the class of the exception that tells how it ended."""
    protocol.receive_eof()
    assert protocol.state is impl.protocol.CLOSED
    exc = protocol.close_exc
    assert exc.rcvd == protocol.close_rcvd
    assert exc.sent == protocol.close_sent
    assert exc.rcvd_then_sent is protocol.close_rcvd_then_sent
    assert exc.__cause__ is protocol.parser_exc
    assert exc.code == protocol.close_code
    assert exc.reason == protocol.close_reason
    return type(exc).__name__


class TestPeerCloses:
    """SPEC-079a, SPEC-079f: the peer begins the closing handshake."""

    @everywhere
    def test_spec_079a_answer(self, impl: Any, side: str, way: str) -> None:
        """SPEC-079a, SPEC-079e, SPEC-079f, SPEC-077: echoed, and remembered."""
        for payload, code, reason in (
            (b"", 1005, ""),
            (b"\x03\xe8", 1000, ""),
            (b"\x03\xe9gr\xc3\xbc\xc3\x9f", 1001, "gr\u00fc\u00df"),
            (b"\x0f\xa0" + b"x" * 123, 4000, "x" * 123),
        ):
            self.check_answer(impl, on_way(impl, side, way), payload, code, reason)

    def check_answer(
        self, impl: Any, protocol: Any, payload: bytes, code: int, reason: str
    ) -> None:
        side = side_of(protocol)
        protocol.receive_data(wire(side, FIN | CLOSE, payload))
        assert protocol.state is impl.protocol.CLOSING
        close = impl.frames.Close(code, reason)
        assert protocol.close_rcvd == protocol.close_sent == close
        assert protocol.close_rcvd_then_sent is True
        assert sent(protocol) == [(FIN | CLOSE, payload), *ending(side)]
        assert events(protocol) == [(CLOSE, payload, True)]
        assert protocol.parser_exc is None
        assert [protocol.close_code, protocol.close_reason] == [None, None]
        assert verdict(impl, protocol).endswith("OK" if code in GOOD else "Error")
        assert (protocol.close_code, protocol.close_reason) == (code, reason)
        assert protocol.data_to_send() == [b""] * (side == "client")

    @pytest.mark.parametrize("side", SIDES)
    def test_spec_078_sec_36_all_codes(self, impl: Any, side: str) -> None:
        """SPEC-078, SEC-36: answered, or a protocol error (1002)."""
        codes = [*range(990, 1030), *range(0, 65536, 97), *range(2990, 3010)]
        codes += [*range(4990, 5010), 65535]
        for code in codes:
            protocol = bare(impl, side)
            protocol.receive_data(wire(side, FIN | CLOSE, close_payload(code)))
            if code in LEGAL:
                wanted = 1000 if (code, side) == (1010, "server") else code
                assert protocol.close_rcvd.code == code
                assert protocol.parser_exc is None
            else:
                wanted = 1002
                assert protocol.close_rcvd is None
                assert str(code) in protocol.close_sent.reason
            assert protocol.close_sent.code == wanted

    @each("side", SIDES)
    @each(
        ("payload", "code"),
        [
            (b"\x00", 1002),
            (b"\x03", 1002),
            (close_payload(0), 1002),
            (close_payload(1005), 1002),
            (close_payload(1006), 1002),
            (close_payload(65535, b"\xff"), 1002),
            (close_payload(1000, b"\xff"), 1007),
            (close_payload(1000, b"\xed\xa0\x80"), 1007),
            (close_payload(1000, b"x" * 120 + b"\xe2\x82"), 1007),
        ],
    )
    def test_spec_077_invalid_payloads(
        self, impl: Any, side: str, payload: bytes, code: int
    ) -> None:
        """SPEC-077, SPEC-078, SEC-36: it is no Close then; wherever it is cut."""
        stream = wire(side, FIN | CLOSE, payload)
        whole = feed(bare(impl, side), [stream])
        assert (whole.events, whole.close_code) == ([], None)
        for chunks in cuts(stream):
            assert feed(bare(impl, side), chunks) == whole
        protocol = bare(impl, side)
        protocol.receive_data(stream)
        assert_failing(protocol, code)

    @pytest.mark.parametrize("side", SIDES)
    def test_choice_g_inside_messages(self, impl: Any, side: str) -> None:
        """Legal in the middle of fragmented messages, of theirs and of ours."""
        protocol = bare(impl, side)
        protocol.send_text(b"ours", False)
        protocol.receive_data(wire(side, BINARY, b"theirs") + wire(side, FIN | CLOSE))
        wanted: list[Sent] = [(TEXT, b"ours"), (FIN | CLOSE, b""), *ending(side)]
        assert sent(protocol) == wanted
        assert verdict(impl, protocol) == "ConnectionClosedOK"
        assert protocol.stats.messages_received == 0

    @pytest.mark.parametrize("side", SIDES)
    def test_spec_079c_further_bytes_are_discarded(self, impl: Any, side: str) -> None:
        """SPEC-079c: in the same read and later, valid or not."""
        protocol = bare(impl, side)
        late = wire(side, FIN | TEXT, b"late") + wire(side, FIN | CLOSE) + b"\xff" * 9
        protocol.receive_data(wire(side, FIN | CLOSE, close_payload(1000)) + late)
        protocol.receive_data(late)
        assert events(protocol) == [(CLOSE, close_payload(1000), True)]
        assert sent(protocol) == [(FIN | CLOSE, close_payload(1000)), *ending(side)]
        assert protocol.close_rcvd.code == 1000
        assert verdict(impl, protocol) == "ConnectionClosedOK"

    @pytest.mark.parametrize("side", SIDES)
    def test_spec_079b_no_data_behind_our_answer(self, impl: Any, side: str) -> None:
        """SPEC-079b, SPEC-068"""
        protocol = bare(impl, side)
        protocol.receive_data(wire(side, FIN | CLOSE))
        protocol.data_to_send()
        for name in ("send_text", "send_binary", "send_ping", "send_pong"):
            with pytest.raises(impl.exceptions.InvalidState):
                getattr(protocol, name)(b"x")
        assert protocol.data_to_send() == []


class TestWeClose:
    """SPEC-079: we begin the closing handshake."""

    @pytest.mark.parametrize("side", SIDES)
    def test_spec_079d_complete(self, impl: Any, side: str) -> None:
        """SPEC-079c, SPEC-079d, SPEC-079e: frames are read until the Close comes."""
        for code in (None, 1000, 1001, 1008, 4000):
            for answer in (None, 1000, 1001, 1002, 1011, 3000):
                self.check_complete(impl, side, code, answer)

    def check_complete(
        self, impl: Any, side: str, code: int | None, answer: int | None
    ) -> None:
        protocol = bare(impl, side)
        protocol.send_close(code)
        assert protocol.state is impl.protocol.CLOSING
        assert protocol.close_sent.code == (code or 1005)
        assert protocol.close_rcvd is None
        assert protocol.close_rcvd_then_sent is None
        assert not protocol.eof_sent
        protocol.data_to_send()
        stream = wire(side, TEXT, b"still ") + wire(side, FIN | PING, b"1")
        stream += wire(side, FIN | CONT, b"coming") + wire(side, FIN | PONG)
        protocol.receive_data(stream)
        assert len(events(protocol)) == 4
        assert sent(protocol) == [(FIN | PONG, b"1")]
        payload = b"" if answer is None else close_payload(answer, b"why")
        protocol.receive_data(wire(side, FIN | CLOSE, payload))
        assert sent(protocol) == ending(side)  # SPEC-079d: at once; no second Close
        assert protocol.close_rcvd_then_sent is False
        assert protocol.state is impl.protocol.CLOSING
        ok = {code or 1005, answer or 1005} <= GOOD
        assert verdict(impl, protocol).endswith("OK" if ok else "Error")
        assert protocol.close_code == (answer or 1005)
        assert protocol.close_reason == ("why" if answer else "")

    @pytest.mark.parametrize("side", SIDES)
    def test_spec_079f_no_answer(self, impl: Any, side: str) -> None:
        """SPEC-079f: 1006 and an error, whatever we sent."""
        protocol = bare(impl, side)
        protocol.send_close(1000, "bye")
        protocol.data_to_send()
        assert verdict(impl, protocol) == "ConnectionClosedError"
        assert (protocol.close_code, protocol.close_reason) == (1006, "")
        assert protocol.close_sent == impl.frames.Close(1000, "bye")
        assert type(protocol.parser_exc) is EOFError
        assert sent(protocol) == ["EOF"]

    @pytest.mark.parametrize("side", SIDES)
    def test_an_offence_instead_of_an_answer(self, impl: Any, side: str) -> None:
        """SPEC-076: no second close frame."""
        protocol = bare(impl, side)
        protocol.send_close(1000)
        protocol.data_to_send()
        protocol.receive_data(b"\xff" + wire(side, FIN | CLOSE))
        assert sent(protocol) == ending(side)
        assert protocol.close_sent.code == 1000
        assert protocol.close_rcvd is None
        assert verdict(impl, protocol) == "ConnectionClosedError"

    @pytest.mark.parametrize("side", SIDES)
    def test_both_at_once(self, impl: Any, side: str) -> None:
        """SPEC-079a: close frames that cross need no further answer."""
        ours, theirs = bare(impl, side), bare(impl, other(side))
        ours.send_close(1000, "one")
        theirs.send_close(1001, "two")
        first, second = ours.data_to_send(), theirs.data_to_send()
        ours.receive_data(b"".join(second))
        theirs.receive_data(b"".join(first))
        for protocol in (ours, theirs):
            assert protocol.close_rcvd_then_sent is False
            assert not [item for item in sent(protocol) if item != "EOF"]
            assert verdict(impl, protocol) == "ConnectionClosedOK"
        assert (ours.close_reason, theirs.close_reason) == ("two", "one")

    @pytest.mark.parametrize("side", SIDES)
    def test_two_peers(self, impl: Any, side: str) -> None:
        """From one call to CLOSED on both sides, nothing else by the callers."""
        ours, theirs = bare(impl, side), bare(impl, other(side))
        ours.send_text(b"last words")
        ours.send_close(1000, "bye")
        assert len(carry(ours, theirs)) == 2
        assert len(carry(theirs, ours)) == 1
        server, client = (ours, theirs) if side == "server" else (theirs, ours)
        assert server.eof_sent
        assert not client.eof_sent
        server.data_to_send()
        client.receive_eof()
        assert client.data_to_send() == [b""]
        server.receive_eof()
        assert server.data_to_send() == []
        for protocol in (ours, theirs):
            assert protocol.state is impl.protocol.CLOSED
            assert type(protocol.close_exc).__name__ == "ConnectionClosedOK"
            assert (protocol.close_code, protocol.close_reason) == (1000, "bye")
        assert (ours.close_rcvd_then_sent, theirs.close_rcvd_then_sent) == (False, True)

    @pytest.mark.parametrize("side", SIDES)
    def test_refused(self, impl: Any, side: str) -> None:
        """SPEC-077, SEC-15: nothing has happened, and a valid call may follow."""
        protocol = bare(impl, side)
        refused: list[tuple[Any, ...]] = [(None, "why"), (1005,), (1000, "x" * 124)]
        for args in refused:
            with pytest.raises(impl.exceptions.ProtocolError):
                protocol.send_close(*args)
            assert protocol.state is impl.protocol.OPEN
            assert protocol.close_sent is None
        protocol.send_close(1000, "x" * 123)
        assert len(sent(protocol)) == 1

    def test_spec_078_code_for_clients(self, impl: Any) -> None:
        """SPEC-078, SPEC-053, choice i: 1010 may be sent by a client only."""
        client, server = bare(impl, "client"), bare(impl, "server")
        with pytest.raises(impl.exceptions.ProtocolError):
            server.send_close(1010, "x")
        assert server.data_to_send() == []
        client.send_close(1010, "permessage-deflate")
        carry(client, server)
        assert server.close_rcvd.code == 1010
        assert server.close_sent == impl.frames.Close(1000, "")
        client.receive_data(b"".join(server.data_to_send()[:-1]))
        assert client.parser_exc is None


class TestFail:
    """SPEC-076: fail(), by the caller."""

    @everywhere
    def test_spec_076_while_open(self, impl: Any, side: str, way: str) -> None:
        """SPEC-076: a Close, the half-close of a server, and deafness."""
        protocol = on_way(impl, side, way)
        protocol.send_text(b"begun", False, compress=False)
        protocol.fail(1008, "not welcome")
        close = (FIN | CLOSE, close_payload(1008, b"not welcome"))
        assert sent(protocol) == [(TEXT, b"begun"), close, *ending(side)]
        assert protocol.state is impl.protocol.CLOSING
        assert protocol.close_expected()
        assert protocol.parser_exc is None
        protocol.receive_data(wire(side, FIN | TEXT, b"x") + wire(side, FIN | CLOSE))
        assert events(protocol) == []
        assert protocol.close_rcvd is None
        protocol.fail(1011)
        protocol.fail(1006)
        assert sent(protocol) == []
        assert protocol.close_sent.code == 1008
        assert verdict(impl, protocol) == "ConnectionClosedError"
        assert protocol.close_code == 1006

    @pytest.mark.parametrize("side", SIDES)
    def test_lost(self, impl: Any, side: str) -> None:
        """1006 sends no close frame, and does not raise: drivers rely on it."""
        protocol = bare(impl, side)
        protocol.fail(1006, "a reason that goes nowhere " * 9)
        assert sent(protocol) == ending(side)
        assert protocol.close_sent is None
        assert protocol.state is impl.protocol.CLOSING
        assert verdict(impl, protocol) == "ConnectionClosedError"

    def test_log_of_an_offence(self, impl: Any) -> None:
        """SPEC-076, SEC-40: what the peer did is no error of ours, and no traceback."""
        logger, lines = new_logger(logging.WARNING)
        protocol = bare(impl, logger=logger)
        protocol.receive_data(b"\xff")
        assert lines == []
        logger, lines = new_logger()
        protocol = bare(impl, logger=logger)
        protocol.receive_data(b"\xff")
        assert lines == [
            "> CLOSE 1002 (protocol error) opcode 0xF is reserved [24 bytes]",
            "= connection is CLOSING",
            "> EOF",
        ]

    @pytest.mark.parametrize("side", SIDES)
    def test_spec_076_valid_frames_before_the_offence(
        self, impl: Any, side: str
    ) -> None:
        """SPEC-076: are still delivered, all of them."""
        protocol = bare(impl, side)
        good = wire(side, FIN | TEXT, b"1") + wire(side, BINARY, b"2")
        protocol.receive_data(good + wire(side, FIN | TEXT, b"3"))
        assert events(protocol) == [(TEXT, b"1", True), (BINARY, b"2", False)]
        assert_failing(protocol, 1002)


class TestLost:
    """SPEC-079g: the stream ends without a Close."""

    @everywhere
    def test_spec_079g_while_open(self, impl: Any, side: str, way: str) -> None:
        """SPEC-079f, SPEC-079g: a failure, 1006, nothing sent but the half-close."""
        protocol = on_way(impl, side, way)
        assert verdict(impl, protocol) == "ConnectionClosedError"
        assert protocol.data_to_send() == [b""]
        assert (protocol.close_code, protocol.close_reason) == (1006, "")
        assert (protocol.close_rcvd, protocol.close_sent) == (None, None)
        assert type(protocol.parser_exc) is EOFError

    @pytest.mark.parametrize("side", SIDES)
    def test_inside_a_frame(self, impl: Any, side: str) -> None:
        """No part of it becomes an event."""
        stream = wire(side, FIN | TEXT, b"1") + wire(side, FIN | TEXT, b"Hello")
        for end in range(8, len(stream)):
            protocol = bare(impl, side)
            protocol.receive_data(stream[:end])
            protocol.events_received()
            assert verdict(impl, protocol) == "ConnectionClosedError"
            assert protocol.events_received() == []
            assert protocol.data_to_send() == [b""]

    @pytest.mark.parametrize("side", SIDES)
    def test_it_is_idempotent(self, impl: Any, side: str) -> None:
        protocol = bare(impl, side)
        protocol.receive_eof()
        exc = protocol.parser_exc
        protocol.data_to_send()
        protocol.receive_eof()
        assert protocol.data_to_send() == []
        assert protocol.parser_exc is exc
        with pytest.raises(EOFError):
            protocol.receive_data(b"")

    @pytest.mark.parametrize("side", SIDES)
    def test_a_close_after_our_half_close(self, impl: Any, side: str) -> None:
        """It can't be answered any more; the verdict can be told all the same."""
        protocol = bare(impl, side)
        protocol.send_eof()
        protocol.receive_data(wire(side, FIN | CLOSE, close_payload(1000, b"bye")))
        assert sent(protocol) == ["EOF"]
        assert protocol.close_sent is None
        assert protocol.close_rcvd_then_sent is None
        assert verdict(impl, protocol) == "ConnectionClosedError"
        assert (protocol.close_code, protocol.close_reason) == (1000, "bye")

    @pytest.mark.parametrize("side", SIDES)
    def test_what_was_queued_is_still_written(self, impl: Any, side: str) -> None:
        protocol = bare(impl, side)
        protocol.send_text(b"x")
        protocol.receive_data(wire(side, FIN | PING, b"1"))
        protocol.receive_eof()
        assert sent(protocol) == [(FIN | TEXT, b"x"), (FIN | PONG, b"1"), "EOF"]


def test_close_exc_is_made_afresh(impl: Any) -> None:
    """Raised in several tasks, each has a traceback of its own."""
    protocol = bare(impl)
    protocol.receive_data(b"\xff")
    protocol.receive_eof()
    first, second = protocol.close_exc, protocol.close_exc
    assert first is not second
    assert str(first) == str(second)
    assert type(first.__cause__) is impl.exceptions.ProtocolError
