"""What is said about a server that takes a moment to stop."""

from __future__ import annotations

import pytest

from sansocket.cli.ending import Remaining

HURRY = "; a second Ctrl-C or SIGTERM stops immediately"
FIVE = tuple(f"[::1]:{number}" for number in range(5))


@pytest.mark.parametrize(
    ("remaining", "expected"),
    [
        (Remaining(1, FIVE[:1]), "1 connection ([::1]:0) to close"),
        (Remaining(3, FIVE[:3]), "3 connections ([::1]:0, [::1]:1, [::1]:2) to close"),
        (
            Remaining(5, FIVE),
            "5 connections ([::1]:0, [::1]:1, [::1]:2 and 2 more) to close",
        ),
        (Remaining(2, ()), "2 connections to close"),  # on a Unix socket
        (Remaining(handlers=1), "1 handler to return"),
        (
            Remaining(1, (), 2),
            "1 connection to close and 2 handlers to return",
        ),
        (Remaining(silent=1), "1 worker that does not respond"),
        (
            Remaining(1) + Remaining(2, FIVE[:2]) + Remaining(silent=2),
            "3 connections ([::1]:0, [::1]:1 and 1 more) to close and 2 workers that "
            "do not respond",
        ),
    ],
)
def test_what_is_waited_for(remaining: Remaining, expected: str) -> None:
    assert str(remaining) == f"waiting for {expected}{HURRY}"


def test_nothing_is_waited_for() -> None:
    assert str(Remaining() + Remaining()) == ""
