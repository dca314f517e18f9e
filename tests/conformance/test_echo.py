"""The echo that the suite examines, over a TCP connection."""

from __future__ import annotations

import socket
from typing import Any

from ..core.support import (
    CLOSE,
    CONT,
    FIN,
    PING,
    PONG,
    TEXT,
    close_payload,
    masked,
    plain,
    request_bytes,
)
from .echo import LIMITS, Echo


def answer(impl: Any, data: bytes) -> bytes:
    """What comes back for ``data``, which arrives in one read, and the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with ours, theirs, theirs.makefile("rb") as file:
        theirs.sendall(request_bytes() + data)
        theirs.shutdown(socket.SHUT_WR)
        Echo(impl, impl.ServerProtocol(**LIMITS), ours).run()
        head, _, rest = file.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return rest


def test_fragments_come_back_whole(impl: Any) -> None:
    sent = masked(TEXT, b"a") + masked(FIN | PING, b"1") + masked(FIN | CONT, b"b")
    assert answer(impl, sent) == plain(FIN | PONG, b"1") + plain(FIN | TEXT, b"ab")


def test_every_ping_is_answered(impl: Any) -> None:
    """Case 2.10: ten at once."""
    sent = b"".join(masked(FIN | PING, b"%d" % n) for n in range(10))
    pongs = b"".join(plain(FIN | PONG, b"%d" % n) for n in range(10))
    assert answer(impl, sent) == pongs


def test_a_message_before_a_violation_is_answered(impl: Any) -> None:
    """Cases 3.2, 4.1.3 and others: RSV2 in the frame behind it."""
    received = answer(impl, masked(FIN | TEXT, b"good") + masked(FIN | 0x21, b"bad"))
    message = plain(FIN | TEXT, b"good")
    assert received.startswith(message)
    close = received[len(message) :]
    assert close[0] == FIN | CLOSE
    assert close[2:4] == close_payload(1002)
