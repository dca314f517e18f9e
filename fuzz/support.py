"""What all targets share: the forms of the package, cuts of the input, the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from tests.conftest import FORMS

__all__ = ["FORMS", "Log", "alike", "described", "pieces", "same"]


def pieces(data: bytes, one: int, other: int) -> list[bytes]:
    """``data`` in pieces of two sizes that take turns; 0 stands for all the rest."""
    cut: list[bytes] = []
    while data:
        size = one or len(data)
        cut.append(data[:size])
        data = data[size:]
        one, other = other, one
    return cut


def described(exc: BaseException | None) -> tuple[str, str] | None:
    """An exception, for comparisons between forms whose classes differ."""
    return None if exc is None else (type(exc).__name__, str(exc))


def same(one: Any, other: Any, what: str) -> None:
    """Raise AssertionError if these differ."""
    if one != other:
        raise AssertionError(f"{what}: {one!r} != {other!r}")


def alike(run: Callable[[ModuleType], Any]) -> Any:
    """The result of ``run``, which must be the same for every form."""
    results = [run(form) for form in FORMS.values()]
    for name, result in zip(FORMS, results, strict=True):
        same(results[0], result, f"{next(iter(FORMS))} and {name}")
    return results[0]


def attempt(
    form: ModuleType, kinds: Sequence[str], call: Callable[[], Any]
) -> tuple[str, Any]:
    """What a call returns or raises; it may raise these exceptions only."""
    try:
        return "returned", call()
    except tuple(getattr(form.exceptions, kind) for kind in kinds) as exc:
        text = str(exc)
        assert text.isprintable(), f"not fit for a log: {text!r}"
        return type(exc).__name__, text


class Log(logging.Handler):
    """A logger in which a peer must not cause errors, nor more than one line."""

    def __init__(self, *, debug: bool) -> None:
        super().__init__()
        self.logger = logging.Logger("fuzz", logging.DEBUG if debug else logging.INFO)
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno >= logging.ERROR or record.exc_info:
            raise Logged(f"{text} ({record.exc_info})")
        if not text.isprintable():
            raise Logged(f"not one line: {text!r}")


class Logged(BaseException):
    """Something was logged that no peer should cause; nothing catches this."""
