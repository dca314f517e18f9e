"""Which cases of the suite to run."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

# So many the suite has, and so many remain without the large compressed messages.
FULL = 517
QUICK = 373

# Compression alone takes nine tenths of the time, most of it inside of the suite.
# Of the 18 sizes that 12.* and 13.* repeat these are the ones under 8 KiB, and the
# first one that is sent in fragments.
QUICK_SIZES = ("1", "2", "3", "4", "5", "11")


def order(case: str) -> tuple[int, ...]:
    """Key to sort cases by."""
    return tuple(map(int, case.split(".")))


def is_quick(case: str) -> bool:
    """Whether a case is among those that take a minute together."""
    category, _, rest = case.partition(".")
    return category not in ("12", "13") or rest.partition(".")[2] in QUICK_SIZES


def choose(everything: Iterable[str], full: bool, patterns: Iterable[str]) -> list[str]:
    """The cases to run, in order.

    Args:
        everything: all cases that the suite has.
        full: whether to run those with large compressed messages.
        patterns: cases by number, where ``*`` stands for anything; if there are
            any, ``full`` does not count.

    Raises:
        ValueError: if the suite has not what it should have, or a pattern fits no
            case: less would be tested than was meant.

    """
    cases = sorted(everything, key=order)
    patterns = list(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(case, pattern) for case in cases):
            raise ValueError(f"no case fits {pattern}")
    if patterns:
        return [c for c in cases if any(fnmatchcase(c, p) for p in patterns)]
    chosen = cases if full else list(filter(is_quick, cases))
    if len(chosen) != (expected := FULL if full else QUICK):
        raise ValueError(f"the suite has {len(chosen)} cases, not {expected}")
    return chosen
