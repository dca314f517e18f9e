"""What the project promises itself, as data.

``must`` and ``aim`` are websockets divided by ours, compiled; ``floor`` is the most
that ours may take, times the floor. Limits of memory and import are absolute.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LIMITS", "TARGETS", "Limit", "Target", "pure_target"]


class Target(NamedTuple):
    must: float
    aim: float
    floor: float | None = None


class Limit(NamedTuple):
    """In the unit of the line: bytes or milliseconds."""

    must: float
    aim: float


_MANY = Target(25, 45, 2.5)
_EACH = Target(12, 15, 1.6)
_FRAGMENTS = Target(25, 45, 2.3)


def _receive() -> dict[str, Target]:
    targets = {
        "256 B fragments, 16 a message": _FRAGMENTS,
        "1 B fragments, 512 a message": _FRAGMENTS,
        "pings answered, 64 KiB reads": Target(20, 40, 2.1),
        "byte by byte": Target(3.5, 4, 1.5),
    }
    for kind in ("text", "binary"):
        targets |= {
            f"16 B {kind}, 64 KiB reads": _MANY,
            f"256 B {kind}, 64 KiB reads": _MANY,
            f"4 KiB {kind}, 64 KiB reads": Target(10, 14, 1.7),
            f"64 KiB {kind}, 64 KiB reads": Target(3, 5, 1.4),
            f"1 MiB {kind}, 64 KiB reads": Target(2.5, 3.5, 1.4),
            f"16 B {kind}, a frame a call": _EACH,
            f"256 B {kind}, a frame a call": _EACH,
            f"1 MiB {kind}, 1448 B reads": Target(2, 3.2, 1.5),
        }
    return targets


TARGETS: dict[tuple[str, str], Target] = {
    **{("receive", name): target for name, target in _receive().items()},
    ("send", "16 B text"): Target(8, 11, 1.5),
    ("send", "16 B text, masked"): Target(10, 18, 1.5),
    ("send", "1 MiB text"): Target(30, 80),
    ("send", "1 MiB text, masked"): Target(1.8, 2.1),
    ("deflate", "receive 256 B text"): Target(4, 6),
    ("deflate", "send 256 B text"): Target(1.2, 1.3),
    ("handshake", "minimal"): Target(8, 12),
    ("handshake", "browser, deflate"): Target(8, 12),
}

LIMITS: dict[tuple[str, str], Limit] = {
    ("memory", "open"): Limit(650, 600),
    ("memory", "open, deflate agreed"): Limit(750, 700),
    ("import", "server module"): Limit(20, 15),
}


def pure_target(group: str, name: str) -> float:
    """Return the least of: websockets without its extension by ours interpreted."""
    small = name.startswith(("16 B ", "256 B ", "1 B ", "pings"))
    return 1.5 if small and group in ("receive", "send") else 1.0
