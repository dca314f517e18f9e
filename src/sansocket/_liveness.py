"""Whether the peer is still there: pings, their answers, and what they took.

Times are seconds of the caller's clock, as everywhere in a session.
"""

from __future__ import annotations

from . import environment
from ._base.dataclass import LazySignature
from .exceptions import ConcurrencyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .typing import BytesLike

__all__ = ["Liveness", "Ping"]

NEVER = float("inf")
# Pings of the keepalive that are remembered: a peer may send bytes and never a pong.
MOST_UNANSWERED = 8
_NEVER = NEVER  # a C value in the compiled form, which no public name can be


class Ping:
    """A ping that was sent.

    Attributes:
        payload: what tells it from others.
        sent_at: when it was sent.
        latency: seconds until its pong came, or ``None`` while it has not.

    """

    if not TYPE_CHECKING:
        __signature__ = LazySignature()

    def __init__(self, payload: bytes, sent_at: float) -> None:
        self.payload = payload
        self.sent_at = sent_at
        self.latency: float | None = None


class Liveness:
    """When to ping a peer, and when to give it up.

    Any byte counts as life, sent or accepted by the peer, so one that sends or takes
    much need not answer each ping in time. While nothing is read no answer can be seen,
    and none is missed.

    Args:
        interval: seconds from one ping of ours to the next; ``None`` for none.
        timeout: seconds for a sign of life after it; ``None`` for no limit.

    Attributes:
        latency: seconds that the latest answered ping took; 0 before the first.
        ping_at: when to send the next ping.
        give_up_at: when the peer is to be taken for gone.

    """

    def __init__(self, interval: float | None, timeout: float | None) -> None:
        self.latency = 0.0
        self.ping_at = _NEVER
        self.give_up_at = _NEVER
        self._interval = interval
        self._timeout = timeout
        # Without an answer, the oldest first.
        self._pings: dict[bytes, Ping] | None = None
        self._own: list[Ping] | None = None  # the latest that the keepalive sent

    def start(self, now: float) -> None:
        """The connection is open."""
        if self._interval is not None:
            self.ping_at = now + self._interval

    def stop(self) -> None:
        """The connection is about to end."""
        self.ping_at = self.give_up_at = _NEVER

    def make_ping(self, now: float, data: BytesLike | None) -> Ping:
        """Note a ping that is about to be sent; its payload is random by default.

        Raises:
            ConcurrencyError: if one with this payload has no answer yet.

        """
        payload = environment.random_bytes(4) if data is None else bytes(data)
        if self._pings is None:
            self._pings = {}
        while payload in self._pings:
            if data is not None:
                raise ConcurrencyError("a ping with this payload has no answer yet")
            payload = environment.random_bytes(4)
        ping = self._pings[payload] = Ping(payload, now)
        return ping

    def forget(self, ping: Ping) -> None:
        """The ping was not sent after all."""
        assert self._pings is not None
        del self._pings[ping.payload]

    def is_due(self, now: float) -> bool:
        """Whether it is time to ping, or to give the peer up."""
        return now >= self.ping_at or now >= self.give_up_at

    def pinged(self, ping: Ping, now: float) -> None:
        """A ping of the keepalive was sent; others have no deadline."""
        assert self._interval is not None
        assert self._pings is not None
        if self._own is None:
            self._own = []
        self._own.append(ping)
        if len(self._own) > MOST_UNANSWERED:
            oldest = self._own.pop(0)
            if self._pings.get(oldest.payload) is oldest:
                self.forget(oldest)
        self.ping_at = now + self._interval
        if self._timeout is not None and self.give_up_at == _NEVER:
            self.give_up_at = now + self._timeout

    def heard(self) -> None:
        """The peer gave a sign of life."""
        self.give_up_at = _NEVER

    def read_again(self, now: float) -> None:
        """Reading goes on after a pause, in which nothing could be heard."""
        if self.give_up_at != _NEVER and self._timeout is not None:
            self.give_up_at = now + self._timeout

    def pong(self, payload: bytes, now: float) -> list[Ping]:
        """Take the pings that a pong answers; none if nobody asked for it.

        They are the one with its payload and all before it (RFC 6455, section 5.5.3).
        """
        if self._pings is None or payload not in self._pings:
            return []
        keys = list(self._pings)
        answered = [self._pings.pop(key) for key in keys[: keys.index(payload) + 1]]
        for ping in answered:
            ping.latency = now - ping.sent_at
        self.latency = now - answered[-1].sent_at
        return answered
