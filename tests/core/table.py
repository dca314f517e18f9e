"""Tests that run all rows of a table as one case.

A case of pytest costs more than most of our rows do, so long tables run in one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

import pytest

Test = Callable[..., None]


def each(
    names: str | tuple[str, ...],
    rows: Iterable[Any],
    ids: Iterable[str] | Callable[[Any], str] | None = None,
) -> Callable[[Test], Test]:
    """Run a test with each row: ``pytest.mark.parametrize``, but as one case.

    All rows are tried. What the case then raises tells how many failed, names the
    first, by its id or its values, and has the error of that row as its cause.
    """
    if isinstance(names, str):
        names = tuple(names.replace(",", " ").split())
    rows = list(rows)
    table = [
        dict(zip(names, row if len(names) > 1 else (row,), strict=True)) for row in rows
    ]
    if ids is None:
        labels = [label(row) for row in table]
    else:
        labels = list(map(ids, rows) if callable(ids) else ids)
    if not table or len(labels) != len(table):
        raise ValueError(f"{len(table)} rows, {len(labels)} ids")

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def case(*args: Any, **kwargs: Any) -> None:
            errors = [error(test, args, kwargs | row) for row in table]
            failed = [i for i, exc in enumerate(errors) if exc is not None]
            if failed:
                name, first = labels[failed[0]], errors[failed[0]]
                rate = f"{len(failed)} of {len(table)} rows failed"
                raise AssertionError(f"{rate}, first [{name}]: {first}") from first

        case.__signature__ = without(test, names)  # type: ignore[attr-defined]
        return case

    return decorate


def error(
    test: Test, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> BaseException | None:
    """What a test raises that makes it fail."""
    try:
        test(*args, **kwargs)
    except (Exception, pytest.fail.Exception) as exc:
        return exc
    return None


def label(row: dict[str, Any]) -> str:
    """A row by its values, which may be cut short."""
    return ", ".join(f"{name}={value!r:.60}" for name, value in row.items())


def without(test: Test, names: Iterable[str]) -> inspect.Signature:
    """The signature that pytest sees: without what comes from the table."""
    signature = inspect.signature(test)
    parameters = dict(signature.parameters)
    for name in names:
        del parameters[name]
    return signature.replace(parameters=list(parameters.values()))
