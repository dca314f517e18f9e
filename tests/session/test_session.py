"""Messages, pauses, closing: what a session does with its two ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.handshake_support import reply
from tests.core.support import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    TEXT,
    close_payload,
    masked,
    read_frames,
)

from .link import FOREVER, Clock, End, client, connect, server, settle, wait

Ends = tuple[End, End]

LARGE = b"x" * 65536  # a message that is not too small to be held back


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ends(impl: Any, clock: Clock) -> Ends:
    """A server and a client that are connected."""
    one, other = server(impl, clock), client(impl, clock)
    connect(one, other)
    return one, other


def frames(end: End) -> list[tuple[int, bytes]]:
    """What a server has queued, frame by frame, without the end of the stream."""
    data = b"".join(end.session.data_to_send())
    return [(first, payload) for first, payload, *_ in read_frames(data, "server")]


class TestMessages:
    def test_both_kinds_both_ways(self, ends: Ends) -> None:
        one, other = ends
        for sender, receiver in (ends, (other, one)):
            sender.send("text é")
            sender.send(b"binary")
            sender.send(bytearray(b"more"))
            sender.send(memoryview(b"views"))
            settle(*ends)
            assert receiver.messages() == ["text é", b"binary", b"more", b"views"]

    def test_kind_chosen_by_the_caller(self, ends: Ends) -> None:
        one, other = ends
        one.send(b"1", text=True)
        one.send("2", text=False)
        one.send("3")
        one.send(b"4", text=False)
        settle(*ends)
        now = one.clock.now
        take = other.session.next_message
        assert take(now) == "1"
        assert take(now) == b"2"
        assert take(now, False) == b"3"
        assert take(now, True) == "4"

    def test_what_is_no_text_cannot_be_decoded(self, ends: Ends) -> None:
        one, other = ends
        one.send(b"\xff")
        one.send(b"next")
        settle(*ends)
        with pytest.raises(UnicodeDecodeError):
            other.session.next_message(one.clock.now, True)
        assert other.messages() == [b"next"]

    def test_other_types(self, ends: Ends) -> None:
        with pytest.raises(TypeError, match="not int"):
            ends[0].send(5)

    @pytest.mark.parametrize("size", [1, 7, None])
    def test_fragments(self, ends: Ends, size: int | None) -> None:
        one, other = ends
        session = one.session
        session.send_fragment("a", False)
        assert session.in_fragmented_message
        with pytest.raises(Exception, match="fragmented message is being sent"):
            session.send("x")
        with pytest.raises(TypeError, match="all str or all bytes"):
            session.send_fragment(b"b", True)
        session.send_fragment("b", False)
        session.send_fragment("", True)
        assert not session.in_fragmented_message
        session.send_fragment(b"c", False)
        session.send_fragment(b"d", True)
        session.send_fragment(b"e", False, text=True)
        session.send_fragment(b"f", True)
        one.flush()
        settle(*ends, size=size)
        assert other.messages() == ["ab", b"cd", "ef"]

    @pytest.mark.parametrize("size", [1, 7, 1448])
    def test_from_a_buffer_that_is_used_again(
        self, impl: Any, clock: Clock, size: int
    ) -> None:
        end = server(impl, clock)
        text, binary = "text é" * 500, bytes(range(256)) * 20
        stream = masked(FIN | TEXT, text.encode()) + masked(FIN | BINARY, binary)
        buffer = bytearray(1500)
        received: list[str | bytes] = []
        for start in range(0, len(stream), size):
            piece = stream[start : start + size]
            buffer[: len(piece)] = piece
            end.session.receive_from(buffer, len(piece), clock.now)
            buffer[:] = b"\xff" * len(buffer)
            received += end.messages()
        assert received == [text, binary]

    def test_a_fragment_that_is_refused_changes_nothing(self, ends: Ends) -> None:
        one, _ = ends
        one.session.close(one.clock.now)
        with pytest.raises(Exception, match="closing"):
            one.session.send_fragment("a", False)
        assert not one.session.in_fragmented_message


class TestOrder:
    def test_each_ping_of_a_read_is_answered(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock)
        pings = [masked(FIN | PING, payload) for payload in (b"1", b"2", b"3")]
        end.session.receive_data(b"".join(pings) + masked(FIN | CLOSE), clock.now)
        pongs = [(0x8A, b"1"), (0x8A, b"2"), (0x8A, b"3")]
        assert frames(end) == [*pongs, (FIN | CLOSE, b"")]

    def test_a_message_is_answered_before_the_violation_behind_it(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock)
        assert end.messages() == []
        end.session.receive_data(masked(FIN | TEXT, b"1") + masked(0x83), clock.now)
        assert end.session.next_message(clock.now) == "1"
        end.session.send("2")
        assert end.session.next_message(clock.now) is None
        assert [first for first, _ in frames(end)] == [FIN | TEXT, FIN | CLOSE]

    def test_while_nobody_waits_frames_are_read_ahead(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock)
        end.session.receive_data(masked(FIN | PING, b"at once"), clock.now)
        assert frames(end) == [(0x8A, b"at once")]
        end.session.receive_data(masked(FIN | TEXT, b"1"), clock.now)
        end.session.receive_data(masked(FIN | PING, b"soon"), clock.now)
        assert frames(end) == []
        clock.advance(0.1)
        end.session.handle_timeout(clock.now)
        assert frames(end) == [(0x8A, b"soon")]
        assert end.messages() == ["1"]

    def test_a_violation_waits_for_an_application_that_is_late(
        self, impl: Any, clock: Clock
    ) -> None:
        """One that has just been told of the connection, for example."""
        end = server(impl, clock)
        end.session.receive_data(masked(FIN | TEXT, b"fine"), clock.now)
        end.session.receive_data(b"\xf1\x80", clock.now)
        clock.advance(0.09)
        assert end.session.next_message(clock.now) == "fine"
        end.session.send("an answer")
        assert end.session.next_message(clock.now) is None
        assert [first for first, _ in frames(end)] == [FIN | TEXT, FIN | CLOSE]

    def test_much_behind_a_message_is_read_at_once(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock, max_queue=4)
        end.session.receive_data(masked(FIN | TEXT, b"1"), clock.now)
        end.session.receive_data(masked(FIN | TEXT, bytes(1000)) * 70, clock.now)
        assert not end.session.reading

    def test_what_lies_behind_a_message_is_not_left_for_long(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock)
        assert end.messages() == []
        data = masked(FIN | TEXT, b"1") + masked(FIN | PING, b"ping")
        end.session.receive_data(data, clock.now)
        assert frames(end) == []
        assert end.session.deadline == pytest.approx(clock.now + 0.1)
        clock.advance(0.1)
        end.session.handle_timeout(clock.now)
        assert frames(end) == [(0x8A, b"ping")]
        assert end.session.deadline == clock.now + 19.9

    def test_messages_before_the_end_are_kept(self, ends: Ends) -> None:
        one, other = ends
        for number in range(3):
            one.send(f"{number}")
        one.session.close(one.clock.now, 1001, "bye")
        settle(*ends)
        assert not other.session.closed
        assert other.messages() == ["0", "1", "2"]
        settle(*ends)
        assert other.session.closed
        assert other.session.close_exc.rcvd.code == 1001
        assert one.session.closed

    def test_messages_before_a_lost_connection_are_kept(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock, max_queue=(2, 1))
        end.session.receive_data(masked(FIN | TEXT, LARGE) * 5, clock.now)
        end.session.receive_eof(clock.now)
        assert len(end.messages()) == 5
        assert end.session.closed
        assert end.session.close_exc.rcvd is None
        assert end.session.transport.name == "CLOSE"

    def test_a_lost_connection_is_closed_whatever_waits(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock, max_queue=2)
        texts = [f"{number}" * len(LARGE) for number in range(5)]
        data = [masked(FIN | TEXT, text.encode()) for text in texts]
        end.session.receive_data(b"".join(data), clock.now)
        end.session.receive_eof(clock.now)
        assert end.session.protocol.state is impl.protocol.OPEN
        end.session.handle_loss(clock.now)
        assert end.session.protocol.state is impl.protocol.CLOSED
        assert end.session.deadline == FOREVER
        assert not end.session.closed
        assert end.messages() == texts
        assert end.session.closed

    def test_when_to_look_for_a_message(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock)
        assert end.messages() == []
        assert not end.session.ready
        end.session.receive_data(masked(FIN | TEXT, b"1"), clock.now)
        assert end.session.ready
        assert end.messages() == ["1"]
        assert not end.session.ready
        end.session.receive_eof(clock.now)
        assert end.session.ready
        assert end.messages() == []

    def test_nothing_more_comes_before_it_is_closed(
        self, impl: Any, clock: Clock
    ) -> None:
        """Neither behind a close frame, nor behind a violation."""
        for data in (masked(FIN | CLOSE), masked(FIN | 0x3)):
            end = server(impl, clock)
            assert end.messages() == []
            end.session.receive_data(data, clock.now)
            assert end.session.ready
            assert not end.session.closed
            assert end.messages() == []

    def test_the_end_while_somebody_waits(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock)
        assert end.messages() == []
        end.session.receive_eof(clock.now)
        assert end.session.closed
        end.session.handle_loss(clock.now)
        assert end.session.deadline == FOREVER
        assert end.messages() == []

    def test_the_end_behind_a_message_that_somebody_waits_for(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock)
        assert end.messages() == []
        end.session.receive_data(masked(FIN | TEXT, b"x") * 2, clock.now)
        end.session.receive_eof(clock.now)
        assert end.messages() == ["x", "x"]
        assert end.session.closed


class TestPause:
    def test_reading_pauses_and_goes_on(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock, max_queue=4)
        end.session.receive_data(masked(FIN | TEXT, LARGE) * 6, clock.now)
        wait(clock, 0.1, end)
        assert not end.session.reading
        for left in (3, 2):
            assert end.session.next_message(clock.now) == LARGE.decode()
            assert not end.session.reading, left
        assert end.session.next_message(clock.now) == LARGE.decode()
        assert end.session.reading
        assert end.messages() == [LARGE.decode()] * 3

    def test_a_close_frame_behind_more_messages_than_that(
        self, impl: Any, clock: Clock
    ) -> None:
        """Nobody receives them, but the peer is answered, and its end is known."""
        end = server(impl, clock, max_queue=4)
        close = masked(FIN | CLOSE, close_payload(1001))
        end.session.receive_data(masked(FIN | TEXT, b"x") * 1000 + close, clock.now)
        clock.advance(0.1)
        end.session.handle_timeout(clock.now)
        assert frames(end) == [(FIN | CLOSE, close_payload(1001))]
        assert end.session.protocol.close_rcvd.code == 1001
        assert end.messages() == ["x"] * 1000

    @pytest.mark.parametrize("size", [0, 1, 1000])
    def test_small_messages_are_not_kept_without_end(
        self, impl: Any, clock: Clock, size: int
    ) -> None:
        end = server(impl, clock, max_queue=4)
        received = 0
        while end.session.reading:
            end.session.receive_data(masked(FIN | TEXT, bytes(size)) * 10, clock.now)
            received += 10
            wait(clock, 0.1, end)
        assert received * (size + 32) < 65536 + 65536 // 2
        while not end.session.reading:
            assert end.session.next_message(clock.now) is not None
            received -= 1
        assert received > 0  # it goes on before all is taken
        assert len(end.messages()) == received

    def test_no_limit(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock, max_queue=None)
        end.session.receive_data(masked(FIN | TEXT, b"x") * 100, clock.now)
        assert end.session.reading
        assert len(end.messages()) == 100

    @pytest.mark.parametrize("marks", [-1, (2, 3), (3, -1), (1,)])
    def test_marks_that_make_no_sense(
        self, impl: Any, clock: Clock, marks: Any
    ) -> None:
        with pytest.raises(ValueError, match="max_queue"):
            server(impl, clock, max_queue=marks)

    def test_closing_gets_through_a_full_queue(self, impl: Any, clock: Clock) -> None:
        """What the application did not take by then, beyond the queue, is lost."""
        end = server(impl, clock, max_queue=2)
        end.session.receive_data(masked(FIN | TEXT, LARGE) * 4, clock.now)
        wait(clock, 0.1, end)
        assert not end.session.reading
        end.session.close(clock.now)
        assert end.session.reading
        close = masked(FIN | CLOSE, close_payload(1000))
        end.session.receive_data(masked(FIN | BINARY, b"y") + close, clock.now)
        end.session.receive_eof(clock.now)
        assert end.messages() == [LARGE.decode()] * 2
        assert end.session.close_exc.rcvd.code == 1000

    def test_what_is_received_while_closing_has_no_gaps(
        self, impl: Any, clock: Clock
    ) -> None:
        """Once a message is lost, all later ones are, though there is room again."""
        end = server(impl, clock, max_queue=2)
        texts = [bytes([65 + number]) * 65536 for number in range(5)]
        for text in texts[:4]:
            end.session.receive_data(masked(FIN | TEXT, text), clock.now)
        end.session.close(clock.now)
        assert end.session.next_message(clock.now) == texts[0].decode()
        end.session.receive_data(masked(FIN | TEXT, texts[4]), clock.now)
        assert end.messages() == [texts[1].decode()]

    def test_one_who_does_not_want_the_message_any_more(
        self, impl: Any, clock: Clock
    ) -> None:
        """As if nobody had: reading pauses, however fast the peer sends on."""
        end = server(impl, clock, max_queue=4)
        assert end.messages() == []  # whoever waits now is cancelled, say
        sent = 0
        start = clock.now
        while end.session.reading:
            end.session.receive_data(masked(FIN | TEXT, LARGE) * 2, clock.now)
            sent += 2
            wait(clock, 0.01, end)
        assert clock.now - start < 0.15
        assert end.messages() == [LARGE.decode()] * sent

    def test_and_closes_instead(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock)
        assert end.messages() == []
        end.session.receive_data(masked(FIN | TEXT, b"x"), clock.now)
        end.session.close(clock.now)
        end.session.receive_data(masked(FIN | TEXT, b"x"), clock.now)
        end.session.receive_data(masked(FIN | CLOSE, b"\x03\xe8"), clock.now)
        assert end.session.protocol.close_rcvd.code == 1000


class TestClosing:
    def test_a_close_frame_that_is_there_already_is_not_left(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock)
        assert end.messages() == []
        frames = masked(FIN | TEXT, b"bye") + masked(FIN | CLOSE, b"\x03\xe8")
        end.session.receive_data(frames, clock.now)
        assert end.session.next_message(clock.now) == "bye"
        end.session.close(clock.now)
        assert end.session.protocol.close_rcvd.code == 1000

    def test_sec_38_a_peer_that_does_not_take_the_rest(
        self, impl: Any, clock: Clock
    ) -> None:
        """It has ended its direction, and closing waits until all is written."""
        end = server(impl, clock, close_timeout=10)
        end.session.receive_eof(clock.now)
        assert end.session.transport is impl.session.Transport.CLOSE
        wait(clock, 9, end)
        assert end.session.transport is impl.session.Transport.CLOSE
        wait(clock, 1, end)
        assert end.session.transport is impl.session.Transport.ABORT
        assert end.session.timed_out is None
        assert end.session.deadline == FOREVER

    def test_both_ways(self, ends: Ends, clock: Clock) -> None:
        one, other = ends
        for closer in (one, one):
            closer.session.close(clock.now, 4000, "done")
        settle(*ends)
        assert one.session.closed
        assert other.session.closed
        for end in ends:
            assert end.session.transport.name == "CLOSE"
            end.session.handle_loss(clock.now)
            assert end.session.deadline == FOREVER
            assert end.session.close_exc.rcvd.code == 4000
            assert end.session.timed_out is None

    def test_codes_that_cannot_be_sent(self, ends: Ends, clock: Clock) -> None:
        for part in (None, "part"):
            if part:
                ends[0].session.send_fragment(part, False)
            with pytest.raises(Exception, match="1006"):
                ends[0].session.close(clock.now, 1006)
            assert ends[0].session.protocol.state.name == "OPEN"

    def test_inside_of_a_fragmented_message(self, ends: Ends, clock: Clock) -> None:
        one, other = ends
        one.session.send_fragment("part", False)
        one.session.close(clock.now)
        settle(*ends)
        assert one.session.closed
        assert other.session.close_exc.rcvd.code == 1011
        assert other.messages() == []

    def test_sec_38_a_silent_peer(self, ends: Ends, clock: Clock) -> None:
        """SEC-38: it neither answers nor ends the connection."""
        one, other = ends
        other.mute = True
        one.session.close(clock.now)
        wait(clock, 9.9, one)
        assert one.session.transport.name == "KEEP"
        wait(clock, 0.2, one)
        assert one.session.transport.name == "ABORT"
        assert one.session.timed_out == "closing"
        assert one.session.closed
        assert one.session.close_exc.rcvd is None
        assert one.session.deadline == FOREVER

    def test_sec_38_a_peer_that_sends_on_for_ever(
        self, impl: Any, clock: Clock
    ) -> None:
        """SEC-38: it gets no more time by that."""
        end = server(impl, clock)
        end.session.close(clock.now)
        for _ in range(100):
            clock.advance(0.101)
            end.session.receive_data(masked(FIN | TEXT, LARGE), clock.now)
            end.tick()
        assert end.session.transport.name == "ABORT"
        assert len(end.messages()) == 16

    def test_no_limit(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock, close_timeout=None)
        end.session.close(clock.now)
        assert end.session.deadline == FOREVER


class TestOpening:
    def test_handshake(self, impl: Any, clock: Clock) -> None:
        uri = impl.uri.parse_uri("ws://example.com/chat")
        one = server(impl, clock, impl.server.ServerProtocol())
        other = client(impl, clock, impl.client.ClientProtocol(uri))
        connect(one, other)
        other.session.send_request(other.session.protocol.connect(), clock.now)
        settle(one, other)
        request = one.session.request
        assert request.path == "/chat"
        clock.advance(9)
        response = one.session.protocol.accept(request)
        one.session.send_response(response, clock.now)
        one.send("hello")
        settle(one, other)
        assert other.session.response.status_code == 101
        assert other.messages() == ["hello"]
        assert one.session.deadline == clock.now + 20
        wait(clock, 15, one, other)
        assert one.session.timed_out is None

    def test_frames_right_behind_the_request(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock, impl.server.ServerProtocol())
        request = impl.client.ClientProtocol(impl.uri.parse_uri("ws://a/")).connect()
        ping = masked(FIN | PING, b"early")
        end.session.receive_data(request.serialize() + ping, clock.now)
        response = end.session.protocol.accept(end.session.request)
        end.session.send_response(response, clock.now)
        end.session.data_to_send()
        end.session.handle_timeout(end.session.deadline)
        assert frames(end) == [(0x8A, b"early")]

    def test_sec_24_too_slow(self, impl: Any, clock: Clock) -> None:
        """SEC-24: a byte a second gives nobody more time."""
        end = server(impl, clock, impl.server.ServerProtocol(), open_timeout=5)
        for byte in b"GET / H":
            if end.session.transport.name == "KEEP":
                end.session.receive_data(bytes([byte]), clock.now)
            clock.advance(1)
            end.tick()
        assert end.session.transport.name == "ABORT"
        assert end.session.timed_out == "opening"
        assert isinstance(end.session.protocol.handshake_exc, TimeoutError)
        assert end.session.closed

    def test_no_limit(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock, impl.server.ServerProtocol(), open_timeout=None)
        assert end.session.deadline == FOREVER

    def test_a_refusal_whose_body_does_not_end(self, impl: Any, clock: Clock) -> None:
        """Its status is known; the rest of its body gets a moment, and no more."""
        for timeout, moment in ((10, 1), (None, 1), (0.5, 0.5)):
            uri = impl.uri.parse_uri("ws://example.com/")
            protocol = impl.client.ClientProtocol(uri)
            end = client(impl, clock, protocol, open_timeout=timeout)
            end.session.send_request(protocol.connect(), clock.now)
            began = clock.now
            end.session.receive_data(reply(403)[:-1], began)
            end.session.receive_data(reply(403)[-1:] + b"no", began)
            assert end.session.deadline == began + moment
            clock.advance(moment / 2)
            end.session.receive_data(b"!", clock.now)
            assert end.session.deadline == began + moment
            assert end.session.response is None
            wait(clock, moment / 2, end)
            response: Any = end.session.response
            assert response.body == b"no!"
            assert type(protocol.handshake_exc) is impl.exceptions.InvalidStatus
            assert protocol.handshake_exc.response is response
            assert end.session.timed_out is None
            assert end.session.transport.name == "CLOSE"
            assert end.session.closed

    def test_a_refusal_that_ends_with_the_stream(self, impl: Any, clock: Clock) -> None:
        for lost in (False, True):
            uri = impl.uri.parse_uri("ws://example.com/")
            end = client(impl, clock, impl.client.ClientProtocol(uri))
            end.session.receive_data(reply(503, body=b"so"), clock.now)
            end.session.receive_data(b"rry", clock.now)
            if lost:
                end.session.handle_loss(clock.now)
            else:
                end.session.receive_eof(clock.now)
            assert end.session.response.body == b"sorry"
            assert end.session.protocol.handshake_exc.response is end.session.response

    def test_refused(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock, impl.server.ServerProtocol())
        response = end.session.protocol.reject(403, "no")
        end.session.send_response(response, clock.now)
        assert end.session.data_to_send()[-1] == b""
        wait(clock, 10, end)
        assert end.session.transport.name == "ABORT"
        assert end.session.timed_out == "closing"


def test_messages_in_fragments_with_control_frames_between(
    impl: Any, clock: Clock
) -> None:
    end = server(impl, clock)
    stream = [
        masked(TEXT, b"a"),
        masked(FIN | PING, b"1"),
        masked(CONT, b"b"),
        masked(FIN | CONT, b"c"),
        masked(FIN | BINARY, b"d"),
    ]
    for byte in b"".join(stream):
        end.session.receive_data(bytes([byte]), clock.now)
    assert end.messages() == ["abc", b"d"]


@pytest.mark.parametrize("size", [-1, 4, 2**40])
@pytest.mark.parametrize("before", [b"", masked(FIN | BINARY, bytes(9000))[:999]])
def test_no_more_is_read_than_a_buffer_has(
    impl: Any, clock: Clock, before: bytes, size: int
) -> None:
    """Neither between messages nor inside of a payload, which takes another way."""
    end = server(impl, clock)
    connect(end, client(impl, clock))
    end.session.receive_data(before, clock.now)
    with pytest.raises(ValueError, match="buffer"):
        end.session.receive_from(bytearray(3), size, clock.now)
    assert end.session.protocol.stats.bytes_received >= len(before)


def test_is_initialised_only_once(impl: Any, clock: Clock) -> None:
    """A call under way would go on with parts that are gone."""
    end = server(impl, clock)
    with pytest.raises(RuntimeError, match="only once"):
        end.session.__init__(end.session.protocol, clock.now)
