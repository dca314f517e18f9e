"""Counters of a connection."""

from __future__ import annotations

__all__ = ["Stats"]


class Stats:
    """What a connection has carried so far, a snapshot in plain attributes.

    Attributes:
        bytes_received: bytes that came in, the handshake included.
        frames_received: valid frames that came in.
        messages_received: text and binary messages that came in whole.
        bytes_sent: bytes handed out to be written, the handshake included.
        frames_sent: frames queued.
        messages_sent: text and binary messages queued whole.
        deflated_received: compressed payload bytes that came in.
        inflated_received: payload bytes that came out of them.
        inflated_sent: payload bytes that were compressed to be sent.
        deflated_sent: compressed payload bytes that came out of them.

    """

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "deflated_received",
        "deflated_sent",
        "frames_received",
        "frames_sent",
        "inflated_received",
        "inflated_sent",
        "messages_received",
        "messages_sent",
    )

    bytes_received: int
    bytes_sent: int
    deflated_received: int
    deflated_sent: int
    frames_received: int
    frames_sent: int
    inflated_received: int
    inflated_sent: int
    messages_received: int
    messages_sent: int

    def __init__(self, **counters: int) -> None:
        for name in self.__slots__:
            setattr(self, name, counters.get(name, 0))

    def __repr__(self) -> str:
        return f"Stats({', '.join(f'{n}={getattr(self, n)}' for n in self.__slots__)})"
