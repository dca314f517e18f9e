"""What a peer has taken, as far as this end can know."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from sansocket.asyncio._progress import Look, look_at


class Transport:
    """A transport with some bytes in its buffer, over a socket or none."""

    def __init__(self, sock: socket.socket | None, backlog: int = 0) -> None:
        self._sock = sock
        self._backlog = backlog

    def get_write_buffer_size(self) -> int:
        return self._backlog

    def get_extra_info(self, name: str) -> Any:
        return self._sock


@pytest.mark.parametrize(
    ("earlier", "later", "progress"),
    [
        (Look(10, 0, True), Look(10, 0, True), False),
        (Look(10, 0, True), Look(11, 0, True), True),
        (Look(10, 0, True), Look(11, 0, False), True),
        # What the operating system of a peer accepts proves nothing of the program.
        (Look(10, 0, False), Look(11, 0, False), False),
        (Look(10, 500, False), Look(10, 900, False), False),
        (Look(10, 500, False), Look(10, 50_000, False), True),
        (Look(10, 50_000, False), Look(10, 500, False), False),
    ],
)
def test_signs_of_life(earlier: Look, later: Look, progress: bool) -> None:
    assert later.shows_progress_since(earlier) is progress


def test_without_a_socket() -> None:
    transport: Any = Transport(None, 30)
    assert look_at(transport, 100) == Look(70, 0, True)
    assert look_at(Transport(None), 100) == Look(100, 0, False)  # type: ignore[arg-type]


class Secure(Transport):
    """TLS of asyncio: what was encrypted waits in the transport below it."""

    def __init__(self, below: Transport | None, backlog: int) -> None:
        super().__init__(None, backlog)
        self._ssl_protocol = SimpleNamespace(_transport=below)


def test_of_tls_where_no_socket_tells() -> None:
    transport: Any = Secure(Transport(None, 20), 10)
    assert look_at(transport, 100) == Look(70, 0, True)
    transport = Secure(None, 10)  # it has lost the one below
    assert look_at(transport, 100) == Look(90, 0, True)


def test_of_a_socket_that_is_closed() -> None:
    sock = socket.socket()
    sock.close()
    transport: Any = Transport(sock, 30)
    assert look_at(transport, 100) == Look(70, 0, True)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
def test_of_a_unix_socket() -> None:
    one, other = socket.socketpair()
    with one, other:
        transport: Any = Transport(one)
        one.send(bytes(1000))
        waiting = look_at(transport, 1000)
        assert other.recv(1000) == bytes(1000)
        taken = look_at(transport, 1000)
        assert taken == Look(1000, 0, False)
        if waiting.blocked:  # where the system tells
            assert taken.shows_progress_since(waiting)
