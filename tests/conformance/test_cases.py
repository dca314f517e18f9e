"""Which cases are chosen."""

from __future__ import annotations

import pytest

from .cases import FULL, QUICK, choose

# As many as the suite has; what they are called counts only in 12.* and 13.*.
COMPRESSED = [
    f"{category}.{data}.{size}"
    for category, kinds in ((12, 5), (13, 7))
    for data in range(1, kinds + 1)
    for size in range(1, 19)
]
OTHERS = [f"9.{n // 100}.{n % 100}" for n in range(FULL - len(COMPRESSED))]
EVERYTHING = [*COMPRESSED, *OTHERS]


def test_all_cases_in_order() -> None:
    assert len(EVERYTHING) == len({*EVERYTHING}) == FULL
    chosen = choose(EVERYTHING, True, [])
    assert {*chosen} == {*EVERYTHING}
    assert chosen.index("9.0.2") < chosen.index("9.0.10") < chosen.index("12.1.1")


def test_quick_cases() -> None:
    chosen = choose(EVERYTHING, False, [])
    assert len(chosen) == QUICK
    assert {*OTHERS} < {*chosen}
    sizes = ["1", "2", "3", "4", "5", "11"]
    assert [c for c in chosen if c.startswith("13.7.")] == [f"13.7.{s}" for s in sizes]


@pytest.mark.parametrize("full", [True, False])
def test_a_suite_with_fewer_cases_is_refused(full: bool) -> None:
    with pytest.raises(ValueError, match=f"not {FULL if full else QUICK}"):
        choose(EVERYTHING[:-1], full, [])


def test_patterns() -> None:
    assert choose(EVERYTHING, False, ["12.2.18", "9.0.1*"]) == [
        *["9.0.1", *(f"9.0.{n}" for n in range(10, 20))],
        "12.2.18",
    ]


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no case fits 12\.6\.\*"):
        choose(EVERYTHING, False, ["9.*", "12.6.*"])
