"""Ports for programs that cannot choose one and tell."""

from __future__ import annotations

import contextlib
import random
import socket

# Where no system takes ports of its own accord, as it does for clients.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port that nobody uses, nor will before a program listens on it."""
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")
