"""A link without a network, between two sessions, and the clock of both."""

from __future__ import annotations

import logging
from typing import Any

from tests.core.support import new_logger

FOREVER = float("inf")


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def advance(self, seconds: float) -> None:
        self.now += seconds


class End:
    """One end of the link: the least that a driver does, and what it has seen."""

    def __init__(self, session: Any, clock: Clock) -> None:
        self.session = session
        self.clock = clock
        self.peer: End | None = None
        self.inbox = b""  # on its way to this end
        self.eof_sent = False
        self.eof_due = False  # the peer's end of stream is on its way
        self.eof_taken = False
        self.mute = False  # whether what is sent gets lost

    def flush(self) -> None:
        """Write what is queued."""
        for chunk in self.session.data_to_send():
            if chunk:
                assert not self.eof_sent
                self.deliver(chunk)
            else:
                self.eof_sent = True
                if self.peer is not None and not self.mute:
                    self.peer.eof_due = True

    def deliver(self, chunk: bytes) -> None:
        """Write to the peer."""
        if self.peer is not None and not self.mute:
            self.peer.inbox += chunk

    def read(self, size: int | None = None) -> bool:
        """Read what came, as far as the session wants to; tell if there was any."""
        if not self.session.reading:
            return False
        data, self.inbox = self.inbox[:size], self.inbox[len(self.inbox[:size]) :]
        if data:
            self.session.receive_data(data, self.clock.now)
        elif self.eof_due and not self.eof_taken:
            self.eof_taken = True
            self.session.receive_eof(self.clock.now)
        else:
            return False
        self.flush()
        return True

    def tick(self) -> None:
        """Do what the deadline asks for, if it has passed."""
        if self.clock.now >= self.session.deadline:
            self.session.handle_timeout(self.clock.now)
            self.flush()

    def messages(self, decode: bool | None = None) -> list[str | bytes]:
        """All messages that are there."""
        found = []
        while (one := self.session.next_message(self.clock.now, decode)) is not None:
            found.append(one)
        self.flush()
        return found

    def send(self, message: Any, **options: Any) -> None:
        self.session.send(message, **options)
        self.flush()


def settle(*ends: End, size: int | None = None) -> None:
    """Let the ends read until nothing is on its way."""
    for end in ends:
        end.flush()
    while [end for end in ends if end.read(size)]:
        pass


def wait(clock: Clock, seconds: float, *ends: End) -> None:
    """Let time pass, deadline by deadline, and bytes at once."""
    until = clock.now + seconds
    settle(*ends)
    while (due := min(end.session.deadline for end in ends)) <= until:
        clock.now = max(clock.now, due)
        for end in ends:
            end.tick()
        settle(*ends)
    clock.now = until


def server(impl: Any, clock: Clock, protocol: Any = None, **options: Any) -> End:
    if protocol is None:
        state = impl.protocol.State.OPEN
        protocol = impl.server.ServerProtocol(state=state, logger=quiet())
    return End(impl.session.Session(protocol, clock.now, **options), clock)


def client(impl: Any, clock: Clock, protocol: Any = None, **options: Any) -> End:
    if protocol is None:
        uri = impl.uri.parse_uri("ws://example.com/")
        state = impl.protocol.State.OPEN
        protocol = impl.client.ClientProtocol(uri, state=state, logger=quiet())
    return End(impl.session.Session(protocol, clock.now, **options), clock)


def connect(one: End, other: End) -> None:
    one.peer, other.peer = other, one


def quiet() -> logging.Logger:
    return new_logger(logging.CRITICAL)[0]
