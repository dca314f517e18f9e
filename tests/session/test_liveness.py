"""Pings, latency and keepalive."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.support import FIN, PONG, TEXT, masked, read_frames

from .link import FOREVER, Clock, End, client, connect, server, settle, wait


@pytest.fixture
def clock() -> Clock:
    return Clock()


def payloads(end: End) -> list[bytes]:
    """Payloads of what a server has queued."""
    data = b"".join(end.session.data_to_send())
    return [payload for _, payload, *_ in read_frames(data, "server")]


def receive(end: End, first: int, data: bytes) -> None:
    end.session.receive_data(masked(first, data), end.clock.now)


class TestPings:
    def test_latency(self, impl: Any, clock: Clock) -> None:
        one, other = server(impl, clock), client(impl, clock)
        connect(one, other)
        assert one.session.latency == 0
        ping = one.session.ping(clock.now)
        assert len(ping.payload) == 4
        assert ping.latency is None
        one.flush()
        clock.advance(0.25)
        settle(one, other)
        assert one.session.pings_answered() == [ping]
        assert one.session.pings_answered() == []
        assert ping.latency == one.session.latency == 0.25

    def test_spec_073_a_pong_answers_all_pings_before_it(
        self, impl: Any, clock: Clock
    ) -> None:
        """SPEC-073: a peer may answer only the latest."""
        end = server(impl, clock)
        pings = []
        for payload in (b"1", b"2", b"3"):
            pings.append(end.session.ping(clock.now, payload))
            clock.advance(1)
        receive(end, FIN | PONG, b"2")
        assert end.session.pings_answered() == pings[:2]
        assert [ping.latency for ping in pings] == [3, 2, None]
        assert end.session.latency == 2

    def test_spec_074_pongs_that_nobody_asked_for(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock)
        end.session.ping(clock.now, b"1")
        receive(end, FIN | PONG, b"2")
        assert end.session.pings_answered() == []
        assert end.session.latency == 0

    def test_payloads(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock)
        end.session.ping(clock.now, bytearray(b"1"))
        with pytest.raises(impl.exceptions.ConcurrencyError, match="no answer yet"):
            end.session.ping(clock.now, b"1")
        with pytest.raises(Exception, match="125 bytes"):
            end.session.ping(clock.now, bytes(126))
        receive(end, FIN | PONG, b"1")
        end.session.ping(clock.now, b"1")
        assert payloads(end) == [b"1", b"1"]

    def test_random_payloads_are_all_different(
        self, impl: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = iter([b"same", b"same", b"else"])
        source = "random_bytes"
        monkeypatch.setattr(impl.environment, source, lambda size: next(given))
        end = server(impl, clock)
        sent = [end.session.ping(clock.now).payload for _ in range(2)]
        assert sent == [b"same", b"else"]


class TestKeepalive:
    def test_pings_at_intervals(self, impl: Any, clock: Clock) -> None:
        one, other = server(impl, clock), client(impl, clock)
        connect(one, other)
        wait(clock, 100, one, other)
        assert one.session.timed_out is None
        assert one.session.protocol.stats.frames_sent == 10

    def test_sec_39_a_peer_that_vanished(self, impl: Any, clock: Clock) -> None:
        """SEC-39: found out after an interval and the timeout, and then cut off."""
        one, other = server(impl, clock), client(impl, clock)
        connect(one, other)
        other.mute = True
        wait(clock, 39.9, one)
        assert one.session.protocol.state.name == "OPEN"
        wait(clock, 0.2, one)
        assert one.session.timed_out == "keepalive"
        assert one.session.protocol.close_sent.code == 1011
        assert not one.session.closed
        wait(clock, 10, one)
        assert one.session.closed
        assert one.session.transport.name == "ABORT"
        assert one.session.close_exc.rcvd is None

    def test_any_byte_counts_as_life(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock)
        stream = masked(FIN | TEXT, bytes(100))
        for byte in stream:
            wait(clock, 15, end)
            end.session.receive_data(bytes([byte]), clock.now)
        assert end.session.timed_out is None

    def test_while_reading_pauses_no_answer_is_missed(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock, max_queue=1)
        texts = ["1" * 65536, "2"]
        for text in texts:
            receive(end, FIN | TEXT, text.encode())
        wait(clock, 0.1, end)
        assert not end.session.reading
        wait(clock, 100, end)
        assert end.session.timed_out is None
        assert end.messages() == texts
        assert end.session.deadline <= clock.now + 20
        wait(clock, 19, end)
        assert end.session.timed_out is None
        wait(clock, 1.5, end)
        assert end.session.timed_out == "keepalive"

    def test_sec_38_a_peer_that_takes_nothing_while_reading_pauses(
        self, impl: Any, clock: Clock
    ) -> None:
        """SEC-38: the application waits for it, so that the queue is full; but what is
        written does not get on, and that shows that nobody is there."""
        end = server(impl, clock, max_queue=4)
        end.session.receive_data(masked(FIN | TEXT, bytes(20000)) * 5, clock.now)
        wait(clock, 0.1, end)
        assert not end.session.reading
        end.session.stuck = True
        wait(clock, 30, end)
        end.session.handle_progress()
        wait(clock, 25, end)
        assert end.session.protocol.state.name == "OPEN"
        wait(clock, 6, end)
        assert end.session.timed_out == "keepalive"
        assert end.session.protocol.close_sent.code == 1011

    def test_sec_06_a_peer_that_sends_bytes_but_no_pong(
        self, impl: Any, clock: Clock
    ) -> None:
        """SEC-06: it is alive, and only the latest pings are remembered."""
        end = server(impl, clock)
        sent: list[bytes] = []
        while len(sent) < 30:
            clock.now = end.session.deadline
            end.session.handle_timeout(clock.now)
            sent += payloads(end)
            end.session.receive_data(masked(FIN | TEXT, b""), clock.now)
        assert end.session.timed_out is None
        for payload in sent:
            receive(end, FIN | PONG, payload)
            end.messages()
        assert [one.payload for one in end.session.pings_answered()] == sent[-8:]

    def test_a_peer_that_answers_now_and_then(self, impl: Any, clock: Clock) -> None:
        """Pings that were answered long ago are forgotten without a further word."""
        end = server(impl, clock)
        sent: list[bytes] = []
        while len(sent) < 36:
            clock.now = end.session.deadline
            end.session.handle_timeout(clock.now)
            new = payloads(end)
            sent += new
            if new and len(sent) % 5 == 0:
                receive(end, FIN | PONG, new[0])
            end.session.receive_data(masked(FIN | TEXT, b""), clock.now)
            end.messages()
        assert end.session.timed_out is None
        # Each pong answers all pings before it.
        assert [one.payload for one in end.session.pings_answered()] == sent[:35]

    def test_what_ended_it_first_is_told(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock)
        wait(clock, 40, end)
        assert end.session.timed_out == "keepalive"
        wait(clock, 10, end)
        assert end.session.transport.name == "ABORT"
        assert end.session.timed_out == "keepalive"

    def test_a_driver_looks_before_a_peer_is_pinged_or_given_up(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock, ping_interval=20, ping_timeout=30)
        start = clock.now
        assert not end.session.doubts(start + 19)
        assert end.session.doubts(start + 20)
        wait(clock, 49, end)
        assert not end.session.doubts(start + 49)
        assert end.session.doubts(start + 50)

    def test_switched_off(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock, ping_interval=None)
        assert end.session.deadline == FOREVER
        end.session.ping(clock.now)
        assert end.session.deadline == FOREVER
        end = server(impl, clock, ping_timeout=None, max_queue=1)
        receive(end, FIN | TEXT, b"1")
        wait(clock, 1000, end)
        assert end.messages() == ["1"]
        assert end.session.timed_out is None
        assert len(payloads(end)) == 0

    def test_none_while_closing(self, impl: Any, clock: Clock) -> None:
        end = server(impl, clock, close_timeout=None)
        end.session.close(clock.now)
        payloads(end)
        wait(clock, 100, end)
        assert payloads(end) == []

    def test_a_peer_that_only_takes_bytes_is_alive(
        self, impl: Any, clock: Clock
    ) -> None:
        end = server(impl, clock, ping_interval=20, ping_timeout=20)
        wait(clock, 39, end)
        end.session.handle_progress()
        wait(clock, 20, end)
        assert end.session.timed_out is None
        wait(clock, 1.5, end)
        assert end.session.timed_out == "keepalive"
