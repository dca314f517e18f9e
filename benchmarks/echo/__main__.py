"""Compare echo servers: ``python -m benchmarks.echo [--rounds 5] [--seconds 1]``.

The client is bare sockets with frames built beforehand, on another core, so that
the server is what is measured: messages a second, and the time that its process was
on a core per message (``/proc/PID/schedstat``, so Linux only). Rounds take turns, and
the median is shown, with the least and the most.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from sansocket import _kernels

CORE = 1
SIZE = 256
KEY = b"\x12\x34\x56\x78"
IN_FLIGHT = (1, 32)
CLOSE = b"\x88\x80" + KEY
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass(frozen=True)
class Result:
    """One round: messages a second, microseconds of the server's process for each."""

    rate: float
    cost: float


def frame(payload: bytes) -> bytes:
    """A masked binary message of more than 125 bytes."""
    masked = bytes(octet ^ KEY[i % 4] for i, octet in enumerate(payload))
    return b"\x82\xfe" + len(payload).to_bytes(2, "big") + KEY + masked


class Server:
    """A process that serves."""

    def __init__(self, contender: str, loop: str) -> None:
        self.name = f"{contender} on {loop}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.echo.server", contender, loop],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def busy(self) -> float:
        """Seconds that it was on a core."""
        stat = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/schedstat")
        return int(stat.read_text().split()[0]) / 1e9

    def measure(self, in_flight: int, seconds: float) -> Result:
        """Send messages for some seconds, so many at a time, and wait for all."""
        batch = frame(os.urandom(SIZE)) * in_flight
        answer = memoryview(bytearray(in_flight * (SIZE + 4)))
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(REQUEST)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += sock.recv(1)
            exchange(sock, batch, answer, time.perf_counter() + seconds / 5)
            busy, start = self.busy(), time.perf_counter()
            count = exchange(sock, batch, answer, start + seconds) * in_flight
            busy, elapsed = self.busy() - busy, time.perf_counter() - start
            sock.sendall(CLOSE)
            while sock.recv(1024):
                pass
        return Result(count / elapsed, busy / count * 1e6)

    def end(self) -> None:
        """Let it return."""
        self.process.communicate()


def exchange(sock: socket.socket, batch: bytes, answer: memoryview, end: float) -> int:
    """Exchange batches until a time; return how many."""
    count = 0
    while time.perf_counter() < end:
        sock.sendall(batch)
        received = 0
        while received < len(answer):
            size = sock.recv_into(answer[received:])
            assert size
            received += size
        count += 1
    return count


def show(name: str, results: list[Result]) -> None:
    """Print the medians of a server, and the spread of its costs."""
    rate = statistics.median(result.rate for result in results)
    costs = [result.cost for result in results]
    print(
        f"  {name:<22} {rate:>10,.0f} messages/s  {statistics.median(costs):7.2f} us "
        f"each ({min(costs):.2f} to {max(costs):.2f})"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    form = "compiled" if _kernels.COMPILED else "pure"
    print(f"sansocket {version('sansocket')} ({form}), websockets", end=" ")
    print(f"{version('websockets')}, Python {sys.version.split()[0]}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})
    servers = [
        Server(contender, loop)
        for loop in ("asyncio", "uvloop")
        for contender in ("ours", "websockets")
    ]
    for in_flight in IN_FLIGHT:
        print(f"{SIZE} bytes, {in_flight} in flight, no compression:")
        results: dict[str, list[Result]] = {server.name: [] for server in servers}
        for _ in range(options.rounds):
            for server in servers:
                results[server.name].append(server.measure(in_flight, options.seconds))
        for server in servers:
            show(server.name, results[server.name])
    for server in servers:
        server.end()


if __name__ == "__main__":
    main()
