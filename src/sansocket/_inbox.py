"""Messages that came and were not taken yet, and the one that is arriving."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections import deque

from ._base.values import queue_marks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from codecs import IncrementalDecoder

__all__ = ["Inbox"]

# Bytes below which messages are not held back, however many they are. A close frame
# is behind them, and nothing tells an application that never receives that its peer
# has gone.
_LITTLE = 65536
_PER_MESSAGE = 32  # bytes that a message counts beyond its own; empty ones add up, too


class Inbox:
    """A queue of messages with a high and a low mark.

    Args:
        max_queue: messages that may wait until reading should pause, unless they are
            small together; it may go on at a quarter of them. Or a pair of these
            numbers. ``None`` for no limit.

    Attributes:
        size: messages that wait.
        taken: opcode of the message that was taken last.
        in_parts: whether a message was taken in part, but not to its end.

    """

    def __init__(self, max_queue: int | tuple[int | None, int | None] | None) -> None:
        self._high, self._low = queue_marks(max_queue)
        self.size = 0
        self._bytes = 0  # of these messages, about
        # The first message lies by itself, as mostly there is none behind it.
        self._first_opcode = 0
        self._first = b""
        self._others: deque[tuple[int, bytes]] | None = None  # opcode and data
        self._opcode = 0  # of the message whose frames are in _parts
        self._parts: list[bytes] = []
        self._decoder: IncrementalDecoder | None = None  # of what is taken in parts
        self._drops = False  # whether a message was lost
        self.taken = 0
        self.in_parts = False

    def is_full(self) -> bool:
        """Whether the high mark is reached."""
        return self.size >= self._high and self._bytes >= _LITTLE

    def is_low(self) -> bool:
        """Whether it has emptied to the low mark."""
        return self.size <= self._low or self._bytes <= _LITTLE >> 2

    def lift_limit(self) -> None:
        """Take as many messages as come."""
        self._high = float("inf")

    def add(self, opcode: int, data: bytes, fin: bool) -> None:
        """Take a data frame; what would be a message above the high mark is lost."""
        if opcode and fin:
            self._enqueue(opcode, data)
            return
        if opcode:
            self._opcode = opcode
        self._parts.append(data)
        if fin:
            data = b"".join(self._parts)
            self._parts = []
            self._enqueue(self._opcode, data)

    def _enqueue(self, opcode: int, data: bytes) -> None:
        if self._drops or (self.size and self.is_full()):
            self._drops = True  # the rest, too: what is received has no gaps
            return
        if self.size == 0:
            self._first_opcode, self._first = opcode, data
        else:
            if self._others is None:
                self._others = deque()
            self._others.append((opcode, data))
        self.size += 1
        self._bytes += len(data) + _PER_MESSAGE

    def _dequeue(self) -> bytes:
        """The data of the first message."""
        data = self._first
        self.size -= 1
        self._bytes -= len(data) + _PER_MESSAGE
        if self.size and self._others:
            self._first_opcode, self._first = self._others.popleft()
        else:
            self._first = b""
        return data

    def take(self, decode: bool | None) -> str | bytes:
        """Take the first message; ``decode`` as for ``Session.next_message()``."""
        self.taken = self._first_opcode
        data = self._dequeue()
        if self.taken == 0x1 if decode is None else decode:
            return data.decode()
        return data

    def take_part(
        self, arriving: tuple[int, bytes] | None, decode: bool | None
    ) -> tuple[str | bytes, bool] | None:
        """Take what there is of the first message, and tell whether it ends there.

        Args:
            arriving: opcode and data of a frame that is not complete.
            decode: as for ``Session.next_message()``.

        """
        fin = self.size > 0
        if fin:
            opcode = self._first_opcode
            data = self._dequeue()
        else:
            if arriving is not None:
                self._opcode = arriving[0]
                self._parts.append(arriving[1])
            opcode, data = self._opcode, b"".join(self._parts)
            self._parts = []
            if not data:
                return None
        self.taken = opcode
        self.in_parts = not fin
        if not (opcode == 0x1 if decode is None else decode):
            return data, fin
        decoder = self._decoder or getincrementaldecoder("utf-8")()
        self._decoder = None if fin else decoder
        return decoder.decode(data, fin), fin
