"""Tables of rows that run as one case."""

from __future__ import annotations

from typing import Any

import pytest

from .table import each


def test_each_row_is_tried_with_each_row_of_another_table() -> None:
    seen = []

    @each("side", ["server", "client"])
    @each("number, square", [(1, 1), (2, 4)])
    def test(first: str, side: str, number: int, square: int) -> None:
        seen.append((first, side, number, square))

    test(first="x")
    assert seen == [
        *(("x", "server", 1, 1), ("x", "server", 2, 4)),
        *(("x", "client", 1, 1), ("x", "client", 2, 4)),
    ]


NAMES = ["zero", "one", "two"]


def does_not_raise() -> None:
    with pytest.raises(ZeroDivisionError):
        pass


def fails() -> None:
    raise AssertionError("a reason")


@pytest.mark.parametrize("fault", [does_not_raise, fails, lambda: 1 // 0])
@pytest.mark.parametrize("ids", [NAMES, NAMES.__getitem__], ids=["list", "callable"])
def test_a_failing_row_is_named_and_the_rest_is_tried(fault: Any, ids: Any) -> None:
    tried = []

    @each("row", [0, 1, 2], ids=ids)
    def test(row: int) -> None:
        tried.append(row)
        if row:
            fault()

    with pytest.raises(AssertionError) as caught:
        test()
    assert tried == [0, 1, 2]
    assert str(caught.value).startswith("2 of 3 rows failed, first [one]: ")
    cause = caught.value.__cause__
    assert cause is not None
    assert str(cause) in str(caught.value)


def test_rows_are_named_by_their_values() -> None:
    @each(("data", "size"), [(b"x" * 1000, 5)])
    def test(data: bytes, size: int) -> None:
        fails()

    with pytest.raises(AssertionError, match=r"\[data=b'x{50,60}, size=5\]: a reason"):
        test()


def test_skipping_is_no_failure() -> None:
    @each("row", [1])
    def test(row: int) -> None:
        pytest.skip("not here")

    with pytest.raises(pytest.skip.Exception):
        test()


def test_tables_that_cannot_be_meant() -> None:
    with pytest.raises(ValueError, match="0 rows"):
        each("row", [])
    with pytest.raises(ValueError, match="2 rows, 1 ids"):
        each("row", [1, 2], ids=["one"])
    with pytest.raises(ValueError, match="zip"):
        each("one, other", [(1,)])
    with pytest.raises(KeyError, match="row"):
        each("row", [1])(lambda: None)
