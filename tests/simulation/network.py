"""A network in memory: sockets as asyncio's own transports use them, without a kernel.

The transports, and TLS, are those of asyncio: they find here what they ask of a
socket. So all their rules hold. What the kernel and the way between do is up to
``Weather``: how much a socket takes, how much a read gives, when it arrives.
"""

from __future__ import annotations

import errno
import heapq
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from typing import Any

Address = tuple[str, int]

# In struct tcp_info of Linux: bytes acknowledged, bytes not sent yet, bytes sent, those
# sent again, and the window.
TCP_INFO = struct.Struct("=120xQ16xI52xQQ12xI24x")
FIRST_FD = 1000  # far from those of the process
NEVER = float("inf")
NUMBER = ContextVar("NUMBER", default=-1)  # of the connection that is being made


@dataclass
class Weather:
    """What the network is like.

    Attributes:
        latency: seconds one way.
        jitter: seconds that may be added.
        send_buffer: bytes that a sending socket takes.
        receive_buffer: bytes that wait on the other side.
        chunk: bytes that travel, or are read, at once; smaller at random.
        bandwidth: bytes a second, or 0 for no limit.
        lazy: share of the polls in which a ready socket is left out.
        tells: whether the system tells how far a connection is, as Linux does.

    """

    latency: float = 0.001
    jitter: float = 0.0
    send_buffer: int = 65536
    receive_buffer: int = 65536
    chunk: int = 65536
    bandwidth: float = 0
    lazy: float = 0.0
    tells: bool = True

    def time_for(self, size: int) -> float:
        """Seconds that so many bytes take from one end to the other."""
        delay = self.latency + self.jitter
        seconds = size / self.bandwidth if self.bandwidth else 0.0
        return delay + max(seconds, size / self.receive_buffer * 2 * delay)


class Network:
    """All sockets of a loop, and what is on its way between them."""

    def __init__(self, random: Random, weather: Weather) -> None:
        self.now = 1000.0
        self.random = random
        self.weather = weather
        self.sockets: dict[int, Socket] = {}
        self.by_address: dict[Address, Socket] = {}
        self.by_number: dict[int, Socket] = {}  # the near end of connections
        self.listeners: dict[Address, Listener] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._next_port = 40000
        # Whether bytes wait in a transport, by the number of its socket.
        self.waits_to_write: Callable[[int], bool] = lambda fd: False

    # --- time

    def at(self, when: float, do: Callable[[], None]) -> None:
        """Let something happen."""
        self._count += 1
        heapq.heappush(self._events, (when, self._count, do))

    @property
    def next_at(self) -> float:
        return self._events[0][0] if self._events else NEVER

    def run(self) -> None:
        """Let happen what is due."""
        while self._events and self._events[0][0] <= self.now:
            heapq.heappop(self._events)[2]()

    # --- connections

    def listen(self, address: Address) -> Listener:
        self.listeners[address] = listener = Listener(self, address)
        return listener

    def connect(self, address: Address) -> Socket:
        """The near end of a new connection; the far end waits to be accepted.

        Raises:
            ConnectionRefusedError: if nobody listens.

        """
        listener = self.listeners.get(address)
        if listener is None or listener.closed:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody listens")
        self._next_port += 1
        near = Socket(self, ("client", self._next_port), address)
        far = Socket(self, address, near.address)
        near.peer, far.peer = far, near
        near.out, far.out = Pipe(near, far), Pipe(far, near)
        self.by_address[near.address] = near
        self.by_number[NUMBER.get()] = near
        listener.backlog.append(far)
        return near

    def new_fd(self) -> int:
        self._count += 1
        return FIRST_FD + self._count


class Listener:
    """A socket that listens."""

    family = socket.AF_UNIX  # of which asyncio asks no options
    type = socket.SOCK_STREAM
    proto = 0

    def __init__(self, network: Network, address: Address) -> None:
        self.network = network
        self.address = address
        self.closed = False
        self.backlog: deque[Socket] = deque()
        self.fd = network.new_fd()
        network.sockets[self.fd] = self  # type: ignore[assignment]

    readable = property(lambda self: bool(self.backlog))
    writable = False

    def fileno(self) -> int:
        return self.fd

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def gettimeout(self) -> float:
        return 0.0

    def listen(self, backlog: int) -> None:
        pass

    def getsockname(self) -> Address:
        return self.address

    def accept(self) -> tuple[Socket, Address]:
        if not self.backlog:
            raise BlockingIOError
        far = self.backlog.popleft()
        return far, far.remote

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.network.listeners.pop(self.address, None)
            self.network.sockets.pop(self.fd, None)
            for far in self.backlog:
                far.reset()
                far.peer.be_reset(True)
            self.backlog.clear()


class Pipe:
    """One direction of a connection."""

    def __init__(self, source: Socket, target: Socket) -> None:
        self.network = source.network
        self.source = source
        self.target = target
        self.waiting = bytearray()  # in the socket that sends
        self.flying = 0  # bytes between
        self.arrived = 0  # bytes on the other side
        self.arrives_at = 0.0  # of what was sent last
        self.leaves_at = 0.0  # when there is room on the wire
        self.stalled_until = 0.0
        self.ends = False  # whether the source has finished
        self.ended = False  # whether it has told so
        self.dead = False  # whether nothing arrives any more
        self.pump_at = NEVER
        self.held: list[Callable[[], None]] = []  # what nothing lets pass for now

    def room(self) -> int:
        return max(0, self.network.weather.send_buffer - len(self.waiting))

    def pump(self) -> None:
        """Send on its way what has room on the other side."""
        network, weather = self.network, self.network.weather
        target = self.target
        if self.dead:
            self.waiting.clear()
            return
        while self.waiting:
            if self.leaves_at > network.now:
                self._pump_later()
                return
            room = weather.receive_buffer - len(target.inbox) - self.flying
            if room <= 0 and not target.closed:
                return
            size = min(len(self.waiting), room if room > 0 else len(self.waiting))
            if size > weather.chunk:
                size = network.random.randint(1, weather.chunk)
            data = bytes(self.waiting[:size])
            del self.waiting[:size]
            self.flying += size
            if weather.bandwidth:
                self.leaves_at = network.now + size / weather.bandwidth
            self._fly(lambda data=data: self._arrive(data))  # type: ignore[misc]
        if self.ends and not self.ended:
            self.ended = True
            self._fly(self._arrive_end)

    def _pump_later(self) -> None:
        if self.pump_at == NEVER:
            self.pump_at = self.leaves_at
            self.network.at(self.leaves_at, self._pump_now)

    def _pump_now(self) -> None:
        self.pump_at = NEVER
        self.pump()

    def _fly(self, arrive: Callable[[], None]) -> None:
        network, weather = self.network, self.network.weather
        delay = weather.latency
        if weather.jitter:
            delay += network.random.random() * weather.jitter
        at = max(network.now + delay, self.arrives_at, self.leaves_at)
        self.arrives_at = at
        network.at(at, lambda: self._land(arrive))

    def _land(self, arrive: Callable[[], None]) -> None:
        """Arrive, unless nothing passes."""
        if self.dead:
            return
        if self.held or self.stalled_until > self.network.now:
            self.held.append(arrive)
            if len(self.held) == 1:
                self._release_later()
        else:
            arrive()

    def _release_later(self) -> None:
        if self.stalled_until != NEVER:
            self.network.at(self.stalled_until, self._release)

    def _release(self) -> None:
        """Let arrive what was held back."""
        if self.stalled_until > self.network.now:
            self._release_later()
            return
        held, self.held = self.held, []
        for arrive in held:
            if not self.dead:
                arrive()

    def _arrive(self, data: bytes) -> None:
        self.flying -= len(data)
        self.arrived += len(data)
        self.target.take(data)

    def _arrive_end(self) -> None:
        if not self.target.closed:
            self.target.end_came = True
            self.target.heard_at = self.network.now

    def stall(self, until: float) -> None:
        self.stalled_until = max(self.stalled_until, until)

    def kill(self) -> None:
        self.dead = True
        self.waiting.clear()


class Socket:
    """One end of a connection."""

    family = socket.AF_UNIX
    type = socket.SOCK_STREAM
    proto = 0
    peer: Socket
    out: Pipe

    def __init__(self, network: Network, address: Address, remote: Address) -> None:
        self.network = network
        self.address = address
        self.remote = remote
        self.inbox = bytearray()
        self.closed = False
        self.end_came = False
        self.shut = False
        self.error: OSError | None = None  # to be told
        self.broken = False  # it was reset
        self.bytes_read = 0
        self.bytes_sent = 0
        # Times at which the peer, or its kernel, showed that it is there.
        self.heard_at = network.now
        self.progress_at = network.now  # when it took bytes that had waited before
        self.fd = network.new_fd()
        network.sockets[self.fd] = self

    # --- what the selector asks

    @property
    def readable(self) -> bool:
        return bool(self.inbox) or self.end_came or self.broken

    @property
    def writable(self) -> bool:
        return self.broken or self.out.room() > 0

    # --- what the network does

    def take(self, data: bytes) -> None:
        if self.closed:
            # Nobody reads it: the kernel answers with a reset.
            self.network.at(
                self.network.now + self.network.weather.latency,
                lambda: self.peer.be_reset(False),
            )
            return
        self.inbox += data
        self.heard_at = self.network.now

    def be_reset(self, lose: bool) -> None:
        """Take a reset from the network; what was not read may be lost."""
        if self.closed or self.broken:
            return
        self.broken = True
        self.error = ConnectionResetError(errno.ECONNRESET, "reset by peer")
        if lose:
            self.inbox.clear()
        self.out.kill()
        self.peer.out.kill()

    def reset(self) -> None:
        """Close at once."""
        self.inbox.clear()
        self._forget()
        self.out.kill()

    # --- what transports call

    def fileno(self) -> int:
        return -1 if self.closed else self.fd

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def gettimeout(self) -> float:
        return 0.0

    def getsockname(self) -> Address:
        return self.address

    def getpeername(self) -> Address:
        return self.remote

    def getsockopt(self, level: int, name: int, size: int = 0) -> Any:
        if size == 0:
            return 0
        self._check_open()
        if name != getattr(socket, "TCP_INFO", 11) or not self.network.weather.tells:
            raise OSError(errno.ENOPROTOOPT, "the system does not tell")
        out = self.out
        window = max(0, self.network.weather.receive_buffer - len(self.peer.inbox))
        info = out.arrived, len(out.waiting), out.arrived + out.flying, 0, window
        return TCP_INFO.pack(*info)[:size]

    def setsockopt(self, *options: Any) -> None:
        pass

    def recv(self, size: int) -> bytes:
        size = self._readable_size(size)
        data = bytes(self.inbox[:size])
        del self.inbox[:size]
        self.peer.out.pump()
        return data

    def recv_into(self, buffer: memoryview) -> int:
        size = self._readable_size(len(buffer))
        buffer[:size] = self.inbox[:size]
        del self.inbox[:size]
        self.peer.out.pump()
        return size

    def _readable_size(self, size: int) -> int:
        self._check_open()
        if self.inbox:
            size = min(size, len(self.inbox))
            if size > self.network.weather.chunk:
                size = self.network.random.randint(1, self.network.weather.chunk)
            self.bytes_read += size
            return size
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if self.end_came or self.broken:
            return 0
        raise BlockingIOError

    def send(self, data: Any) -> int:
        self._check_open()
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        if self.broken or self.shut:
            raise BrokenPipeError(errno.EPIPE, "broken pipe")
        size = min(len(data), self.out.room())
        if not size:
            raise BlockingIOError
        if size > self.network.weather.chunk:
            # Taken in part, as if there were no more room for now.
            size = self.network.random.randint(1, size)
        self.out.waiting += memoryview(data)[:size]
        self.bytes_sent += size
        if self.network.waits_to_write(self.fd):
            self.progress_at = self.network.now
        self.network.at(self.network.now, self.out.pump)
        return size

    def sendmsg(self, buffers: Any) -> int:
        return self.send(b"".join(buffers))

    def shutdown(self, how: int) -> None:
        self._check_open()
        assert how == socket.SHUT_WR
        if self.broken:
            raise OSError(errno.ENOTCONN, "not connected")
        self.shut = self.out.ends = True
        self.out.pump()

    def close(self) -> None:
        if self.closed:
            return
        unread = bool(self.inbox)
        self._forget()
        if unread and not self.broken:
            # Linux resets a connection that is closed with something unread.
            self.out.kill()
            self.network.at(
                self.network.now + self.network.weather.latency,
                lambda: self.peer.be_reset(False),
            )
        else:
            self.out.ends = True
            self.out.pump()
        self.inbox.clear()
        self.peer.out.pump()

    def _forget(self) -> None:
        self.closed = True
        self.network.sockets.pop(self.fd, None)

    def _check_open(self) -> None:
        if self.closed:
            raise OSError(errno.EBADF, "closed")
