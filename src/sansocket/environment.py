"""The two things that the core takes from outside its arguments.

Tests and deterministic simulations replace them; everything below the drivers
calls them through this module, so that one assignment is enough::

    from sansocket import environment
    environment.random_bytes = my_generator
    environment.wall_clock = lambda: 0.0

``random_bytes`` must be a strong source: masking keys and handshake keys come
from it (RFC 6455, section 10.3). ``wall_clock`` only fills the ``Date`` header.
"""

from __future__ import annotations

from os import urandom as random_bytes
from time import time as wall_clock

__all__ = ["random_bytes", "wall_clock"]
