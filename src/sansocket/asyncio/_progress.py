"""What a peer has taken of what was sent to it, as far as this end can know.

A ping that waits behind data is not answered before the peer has read all of that, so
a peer that is slow looks like one that is gone. While it takes bytes it is alive.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

try:
    import fcntl
    import termios
except ImportError:  # pragma: no cover - Windows has neither
    HAS_IOCTL = False
else:
    HAS_IOCTL = True

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from typing import Any

__all__ = ["Look", "look_at"]

# Bytes of a read that no peer needs for pings alone.
MUCH = 4096

# In struct tcp_info of Linux: bytes acknowledged (from 4.1), bytes not yet sent (4.6),
# bytes sent and sent again (4.19), and the window that the peer offers (5.4).
TCP_INFO = struct.Struct("=120xQ16xI52xQQ12xI")


class Look(NamedTuple):
    """A look at what was sent.

    Attributes:
        taken: bytes that the peer, or the network on its behalf, has accepted, or
            offers to accept.
        room: bytes that it would accept now; it grows as the peer reads. 0 if unknown.
        blocked: whether bytes wait because the peer does not accept them.

    """

    taken: int
    room: int
    blocked: bool

    def shows_progress_since(self, earlier: Look) -> bool:
        """Whether the peer has taken bytes since then that it had not accepted.

        What was accepted by its operating system is no sign of life by itself: that
        does so for a program that hangs. But it stops when nobody reads, so more room
        for what had no room, or much more than before, is one.
        """
        if earlier.blocked and self.taken > earlier.taken:
            return True
        return self.room - earlier.room >= MUCH


def look_at(transport: asyncio.WriteTransport, sent: int) -> Look:
    """Look at a connection.

    Args:
        transport: what carries it.
        sent: bytes that were written to it so far.

    """
    backlog = transport.get_write_buffer_size()
    # TLS of asyncio does not count what waits in the transport below it.
    below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
    if below is not None:
        backlog += below.get_write_buffer_size()
    sock = transport.get_extra_info("socket")
    try:
        look = None if sock is None else _ask_tcp(sock, backlog)
    except (OSError, AttributeError, struct.error):
        look = None  # another system, another kind of socket, or it is closed
    if look is not None:
        return look
    waiting = backlog + _waiting_in(sock)
    return Look(sent - waiting, 0, waiting > 0)


def _ask_tcp(sock: Any, backlog: int) -> Look:
    """What the operating system knows of a TCP connection, on Linux."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO.size)
    acked, unsent, total, repeated, window = TCP_INFO.unpack(info)
    in_flight = total - repeated - acked
    return Look(acked + window, window - in_flight - unsent, backlog + unsent > 0)


def _waiting_in(sock: Any) -> int:
    """Bytes that wait in a socket, where the operating system tells."""
    if sock is None or not HAS_IOCTL:
        return 0
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
        (waiting,) = struct.unpack("i", answer)
    except (OSError, ValueError):
        return 0
    return int(waiting)
