"""The two inputs of the core that are not arguments.

Tests and deterministic simulations replace them. The core and everything else below
the drivers call them through this module, so one assignment is enough::

    from sansocket import environment
    environment.random_bytes = my_generator
    environment.wall_clock = lambda: 0.0

``random_bytes`` must be cryptographically strong: it generates masking keys and
handshake keys (RFC 6455, section 10.3). ``wall_clock`` is used only for the ``Date``
header.
"""

from __future__ import annotations

from os import urandom as random_bytes
from time import time as wall_clock

__all__ = ["random_bytes", "wall_clock"]
