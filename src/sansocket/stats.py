"""Counters of a connection."""

from __future__ import annotations

__all__ = ["Stats"]


class Stats:
    """A snapshot of the traffic of a connection, in plain attributes.

    Attributes:
        bytes_received: bytes received, including the handshake.
        frames_received: valid frames received.
        messages_received: complete text and binary messages received.
        bytes_sent: bytes returned to be written, including the handshake.
        frames_sent: frames queued.
        messages_sent: complete text and binary messages queued.
        deflated_received: compressed payload bytes received.
        inflated_received: payload bytes after decompressing them.
        inflated_sent: payload bytes before compressing them.
        deflated_sent: compressed payload bytes sent.
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
