"""What counts as grown."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from .watch import Sample, growth, look


def sample(number: int, **changes: Any) -> Sample:
    """A sample whose figures vary a little, as they do."""
    little = number % 3
    usual: dict[str, Any] = {
        "objects": Counter({"builtins.dict": 1000 + 5 * little}),
        "blocks": 10_000 + 100 * little,
        "files": 20,
        "tasks": 1,
        "memory": 50_000_000 + 1_000_000 * little,
    }
    return Sample(float(number), 100 * number, **usual | changes)


def test_nothing_has_grown() -> None:
    assert growth([sample(number) for number in range(10)]) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [("files", "files: from 23 to 27"), ("tasks", "tasks: from 4 to 8")],
)
def test_what_may_not_grow_by_one(name: str, found: str) -> None:
    first = getattr(sample(0), name)
    samples = [sample(number, **{name: first + number}) for number in range(10)]
    assert growth(samples) == [found]


def test_a_few_objects_of_each_connection() -> None:
    kinds = [Counter({"a.B": 100 * number}) for number in range(10)]
    samples = [sample(number, objects=kinds[number]) for number in range(10)]
    assert growth(samples) == ["objects of a.B: from 300 to 700"]


def test_memory_and_blocks() -> None:
    samples = [
        sample(number, memory=10_000_000 * number, blocks=10_000 * number)
        for number in range(10)
    ]
    assert growth(samples) == [
        "blocks: from 30,000 to 70,000",
        "memory: from 30,000,000 to 70,000,000 bytes",
    ]


def test_what_was_made_at_first_does_not_count() -> None:
    samples = [sample(number, files=20 + 5 * (number > 0)) for number in range(10)]
    assert growth(samples) == []


def test_too_few_samples() -> None:
    assert growth([sample(number) for number in range(3)])[0].startswith("too short")


def test_a_look() -> None:
    found = look(1.0, 2, 3)
    assert found.objects["builtins.dict"] > 0
    assert found.blocks > 0
    assert found.row
