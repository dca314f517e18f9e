"""Compare what speaks WebSocket inside of uvicorn: ``python -m benchmarks.uvicorn``.

The client is bare sockets with frames built beforehand, on another core, so that
the server is what is measured: the time that its process was on a core per message
(``/proc/PID/schedstat``, so Linux only). Rounds take turns. Shown are medians, with
the least and the most, and how many times as long as ours each round took.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from sansocket._native import kernels

CORE = 1
SIZE = 256
KEY = b"\x12\x34\x56\x78"
IN_FLIGHT = (1, 32)
LOOPS = ("asyncio", "uvloop")
OURS = "sansocket.uvicorn:WebSocketProtocol"
CONTENDERS = {
    "sansocket": OURS,
    "websockets": "websockets",
    "websockets-sansio": "websockets-sansio",
    "wsproto": "wsproto",
}
CLOSE = b"\x88\x80" + KEY
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)


def frame(payload: bytes) -> bytes:
    """A masked binary message of more than 125 bytes."""
    masked = bytes(octet ^ KEY[i % 4] for i, octet in enumerate(payload))
    return b"\x82\xfe" + len(payload).to_bytes(2, "big") + KEY + masked


class Server:
    """A process that serves."""

    def __init__(self, name: str, loop: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.uvicorn.server", CONTENDERS[name], loop],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def busy(self) -> float:
        """Seconds that it was on a core."""
        stat = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/schedstat")
        return int(stat.read_text().split()[0]) / 1e9

    def measure(self, in_flight: int, seconds: float) -> float:
        """Microseconds of the server per message, of so many at a time."""
        payload = os.urandom(SIZE)
        batch = frame(payload) * in_flight
        expected = (b"\x82\x7e" + SIZE.to_bytes(2, "big") + payload) * in_flight
        with socket.create_connection(("127.0.0.1", self.port)) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(REQUEST)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += sock.recv(1)
            exchange(sock, batch, expected, time.perf_counter() + seconds / 5)
            busy = self.busy()
            count = exchange(sock, batch, expected, time.perf_counter() + seconds)
            busy = self.busy() - busy
            sock.sendall(CLOSE)
            while sock.recv(1024):
                pass
        return busy / (count * in_flight) * 1e6

    def end(self) -> None:
        """Let it return."""
        self.process.communicate()


def exchange(sock: socket.socket, batch: bytes, expected: bytes, end: float) -> int:
    """Exchange batches until a time; return how many."""
    answer = bytearray(len(expected))
    view = memoryview(answer)
    count = 0
    while time.perf_counter() < end:
        sock.sendall(batch)
        received = 0
        while received < len(answer):
            size = sock.recv_into(view[received:])
            assert size
            received += size
        count += 1
    assert answer == expected
    return count


def show(name: str, costs: list[float], ours: list[float]) -> None:
    """Print what a server took, and how many times what ours took."""
    ratios = [cost / base for cost, base in zip(costs, ours, strict=True)]
    print(
        f"  {name:<18} {statistics.median(costs):7.2f} us "
        f"({min(costs):.2f} to {max(costs):.2f})  {statistics.median(ratios):5.2f} "
        f"times ours ({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def compare(loop: str, rounds: int, seconds: float) -> None:
    """Measure all on one kind of loop, and print."""
    servers = [Server(name, loop) for name in CONTENDERS]
    for in_flight in IN_FLIGHT:
        print(f"{loop}, {SIZE} bytes, {in_flight} in flight, no compression:")
        costs: dict[str, list[float]] = {name: [] for name in CONTENDERS}
        for _ in range(rounds):
            for server in servers:
                costs[server.name].append(server.measure(in_flight, seconds))
        for name in CONTENDERS:
            show(name, costs[name], costs["sansocket"])
    for server in servers:
        server.end()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.uvicorn", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="of each measurement (%(default)s)"
    )
    parser.add_argument("--loops", nargs="+", choices=LOOPS, default=LOOPS)
    options = parser.parse_args()
    form = "compiled" if kernels.COMPILED else "pure"
    others = (
        f"{name} {version(name)}" for name in ("uvicorn", "websockets", "wsproto")
    )
    print(f"sansocket {version('sansocket')} ({form})", *others, sep=", ", end=", ")
    print(f"Python {sys.version.split()[0]}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORE})
    for loop in options.loops:
        compare(loop, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
