"""Cost oracles: a flood costs a constant times its bytes, in work and in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .costs import Cost, cost
from .floods import FLOODS, Flood, may_hold, run
from .table import each

FORMS_OF = {True: "compiled", False: "pure"}


@each("flood", FLOODS, ids=[f"{flood.sec}: {flood.name}" for flood in FLOODS])
def test_floods(impl: Any, flood: Flood) -> None:
    """Work at n and at 4n, memory at both, and what becomes of the connection."""
    form = FORMS_OF[impl._native.kernels.COMPILED]
    # Interpreted, one side stands for both, since counting lines takes long.
    for side in flood.sides if form == "compiled" else flood.sides[:1]:
        runs = [run(flood, impl, side, size) for size in (flood.size, 4 * flood.size)]
        some, more = (one.cost for one in runs)
        assert some.is_linear(more), (side, some, more)
        for spent, received, ends in runs:
            held, peak = may_hold(flood, form, received)
            assert spent.held <= held, (side, spent, received)
            assert spent.peak <= peak, (side, spent, received)
            assert ends == flood.ends, side


# The helper itself: toys that are quadratic, each in a way of its own, and their cures


def joined_anew(n: int) -> Iterator[None]:
    """What came is copied for each read."""
    kept = b""
    for _ in range(n):
        kept += bytes(20)
        yield


def appended(n: int) -> Iterator[None]:
    kept = bytearray()
    for _ in range(n):
        kept += bytes(20)
        yield


def cut_off(n: int) -> Iterator[None]:
    """What is left is copied for each frame, in a single step."""
    data = bytes(40 * n)
    while data:
        data = data[40:]
    yield


def counted_off(n: int) -> Iterator[None]:
    data, pos = bytes(40 * n), 0
    while pos < len(data):
        pos += 40
    yield


def read_anew(n: int) -> Iterator[None]:
    """What came is looked at again for each read."""
    for size in range(n):
        for _ in range(size):
            pass
        yield


def read_once(n: int) -> Iterator[None]:
    for _ in range(n):
        for _ in range(10):
            pass
        yield


@pytest.mark.parametrize(
    ("toy", "cured"),
    [(joined_anew, appended), (cut_off, counted_off), (read_anew, read_once)],
)
def test_the_helper_flags_quadratic_work(
    toy: Callable[[int], Iterator[None]], cured: Callable[[int], Iterator[None]]
) -> None:
    """SEC-05: it would be no oracle if it took these for linear."""
    assert not cost(toy(50)).is_linear(cost(toy(200)))
    assert cost(cured(50)).is_linear(cost(cured(200)))


def test_the_helper_counts_memory() -> None:
    """What is held, and what was held for a moment."""
    kept: list[bytes] = []

    def steps() -> Iterator[None]:
        kept.append(bytes(100_000))
        yield
        len(bytes(500_000))
        yield

    # Other code may run meanwhile, and keep a little: what is collected, for example.
    spent = cost(steps())
    assert 100_000 < spent.held < 110_000
    assert 600_000 < spent.peak < 610_000
    assert spent.copied == pytest.approx(600_000, abs=10_000)
    assert isinstance(spent, Cost)
