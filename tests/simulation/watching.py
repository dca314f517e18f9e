"""What is judged while a program runs, as it is not to be seen later."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ends import Side
    from .loop import Loop
    from .network import Network, Socket
    from .programs import Program

READ = LITTLEST = 65536  # bytes of a read; bytes that never pause reading
LITTLE = 30_000  # bytes below which an end reads on, however many messages they are


class Fault(Exception):
    """Something that must not happen."""

    def __init__(self, kind: str, text: str, trace: str = "", key: str = "") -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text
        self.trace = trace
        self.key = kind, key  # what tells it from others


class Watch:
    """The part of a world that looks at it."""

    program: Program
    loop: Loop
    network: Network
    sides: list[Side]
    faults: list[Fault]
    computed: float
    closed_at: float
    exited: bool

    def note(self, *what: object) -> None:
        """Remember something for the trace."""
        raise NotImplementedError

    def fault(self, kind: str, text: str, exc: BaseException | None = None) -> None:
        """Take something that must not happen."""
        trace = "".join(traceback.format_exception(exc)) if exc else ""
        key = "" if exc is None else type(exc).__name__
        self.faults.append(Fault(kind, text, trace, key))
        self.note("FAULT", kind, text)

    # --- judging, while it goes on

    def _look(self) -> None:
        """See what can be seen only now."""
        for side in self.sides:
            conn = side.conn
            if conn is None:
                continue
            if side.ours:
                if side.gave_up_at is None and conn.session.timed_out == "keepalive":
                    side.gave_up_at = self.network.now
                    self._judge_keepalive(side)
                self._judge_memory(side)
                self._judge_unread(side)
                if not conn.session.reading and not side.behind:
                    side.behind = self._has_much(side)
                if side.ended_at is not None and not self._is_again(side):
                    self._judge_end(side, side.ended_at)
                continue
            side.behind = side.behind or conn.recv_messages.paused
            if side.gave_up_at is None:
                sent = conn.protocol.close_sent
                if (
                    sent is not None
                    and sent.reason == "keepalive ping timeout"
                    and conn.protocol.close_rcvd is None
                ):
                    side.gave_up_at = self.network.now
                    self._judge_keepalive(side)

    def options_of(self, side: Side) -> dict[str, Any]:
        program = self.program
        return program.server_options if side.is_server else program.client_options

    def _is_again(self, side: Side) -> bool:
        return self.program.pairs[side.number].again

    def is_calm(self, side: Side) -> bool:
        """Whether nothing but the ends themselves can disturb a connection."""
        return not self.program.pairs[side.number].events

    def is_quick(self, side: Side, seconds: float | None) -> bool:
        """Whether all bytes arrive in a small part of this time, and programs do not
        keep the loop busy."""
        if seconds is None:
            return True
        size = 5000 + max(side.size_sent, side.peer.size_sent)
        needed = 2 * self.program.weather.time_for(size)
        return needed < seconds / 3 and self.computed < seconds / 3

    def _judge_keepalive(self, side: Side) -> None:
        """A peer that is there must not be given up."""
        timeout = self.options_of(side).get("ping_timeout", 20)
        sock = side.sock
        assert sock is not None
        self.note(side.name, "gives its peer up")
        if side.ours:
            self._judge_signs(side, sock, timeout)
        peer = side.peer
        if not (self.is_calm(side) and self.is_quick(side, timeout) and peer.ours):
            return
        if peer.conn is None or peer.aborted:
            return
        reads = side.conn.session.reading if side.ours else True
        if not side.ours:
            reads = side.conn.transport.is_reading()
        if reads and peer.conn.session.reading:
            self.fault("healthy peer given up", f"{side.name} gave up {peer.name}")

    def _judge_signs(self, side: Side, sock: Socket, timeout: float) -> None:
        """A peer has shown signs of life if something came from it, or if it takes
        what has waited since before the ping: that may be waiting as well. What goes
        on its way while nothing arrives is none."""
        now = self.network.now
        heard = now - sock.heard_at
        if side.conn.session.reading and heard < timeout - 0.02:
            self.fault(
                "lively peer given up", f"{side.name} heard it {heard:.3f} s ago"
            )
        waiting_since = self.loop.waiting_since.get(sock.fd, now)
        taken = now - sock.progress_at
        arrives = sock.out.stalled_until < now - timeout
        if waiting_since < now - timeout and taken < 0.75 * timeout and arrives:
            self.fault(
                "lively peer given up", f"{side.name}: it took {taken:.3f} s ago"
            )

    def _has_much(self, side: Side) -> bool:
        """Whether so much is not received yet that reading may pause: ``max_queue``
        holds back no close frame behind little."""
        if self.options_of(side).get("compression", "deflate") is not None:
            return True  # nobody knows how much it is
        assert side.sock is not None
        return side.sock.bytes_read - side.got_bytes > LITTLE

    def _judge_unread(self, side: Side) -> None:
        """What was read, and is not received yet, is bounded."""
        options = self.options_of(side)
        limit = options.get("max_queue", 16)
        known = options.get("compression", "deflate") is None and not self.program.tls
        if limit is None or not known or side.conn.protocol.state.name != "OPEN":
            return
        assert side.sock is not None
        high = limit[0] if isinstance(limit, tuple) else limit
        unread = side.sock.bytes_read - side.got_bytes
        # Messages in the queue, what was read ahead, a read, and one that arrives.
        most = max(LITTLEST, high * (side.peer.biggest + 14)) + 3 * READ
        if unread > most + side.peer.biggest + 20 * len(side.got):
            side.unlimited = True
            self.fault("too much unread", f"{side.name}: {unread} of {most}")

    def _judge_end(self, side: Side, ended_at: float) -> None:
        """When a handler ends, so does its connection."""
        timeout = self.options_of(side).get("close_timeout", 10)
        if self.network.now < ended_at + timeout + 2 + self.computed:
            return
        side.ended_at = None
        if side.conn.protocol.state.name != "CLOSED" and not self.exited:
            self.fault("left open", side.name)

    def _judge_memory(self, side: Side) -> None:
        """What waits to be written is bounded."""
        if side.unlimited or side.conn.protocol.state.name == "CLOSED":
            return  # nor is there a size, with TLS, once the connection is lost
        limit = self.options_of(side).get("write_limit", 2**15)
        high = limit[0] if isinstance(limit, tuple) else limit
        waits = side.waiting()
        # As much may wait to be written together with others.
        most = 2 * high + (len(side.end.tasks) + 1) * (side.biggest + 200) + 5000
        if waits > most * (1.1 if self.program.tls else 1):
            side.unlimited = True
            self.fault("too much to write", f"{side.name}: {waits} of {most}")

    def judge_close(self, side: Side, took: float) -> None:
        """``close()`` returns in time."""
        timeout = self.options_of(side).get("close_timeout", 10)
        if side.ours and timeout is not None and took > timeout + 1.5:
            self.fault("close() is slow", f"{side.name}: {took:.3f} s of {timeout}")

    def _judge_failure(self, side: Side, exc: Exception, took: float) -> None:
        """Why a client could not connect."""
        self.note(side.name, "has no connection:", repr(exc))
        timeout = self.options_of(side).get("open_timeout", 10)
        timeouts = [
            options.get("open_timeout", 10) or 10
            for options in (self.program.server_options, self.program.client_options)
        ]
        if side.ours and timeout is not None and took > timeout + 0.5 + self.computed:
            self.fault("connect() is slow", f"{took:.3f} s of {timeout}")
        if self.closed_at <= self.network.now or self.program.admin:
            return
        calm = self.is_calm(side) and not side.peer.aborted
        if calm and self.is_quick(side, min(timeouts)):
            self.fault("no connection", f"{side.name}: {exc!r}", exc)
