"""What programs raise."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable
from typing import Any


class ProgramError(Exception):
    """What a program raises."""


class BaseError(BaseException):
    """What it raises that is no ``Exception``."""


def make_exception(what: str, known: Any) -> BaseException:
    """What a program raises, by name."""
    makers: dict[str, Callable[[], BaseException]] = {
        "error": lambda: ProgramError("by the program"),
        "cancelled": asyncio.CancelledError,
        "generator": GeneratorExit,
        "base": lambda: BaseError("by the program"),
        "group": lambda: group([known.ConnectionClosedOK(None, None)]),
        "base group": lambda: group([BaseError("by the program")]),
        "closed": lambda: known.ConnectionClosedError(None, None),
        "exit": SystemExit,
        "interrupt": KeyboardInterrupt,
    }
    return makers[what]()


def group(exceptions: list[BaseException]) -> BaseException:
    """A group, or where there is none (Python 3.10) its first."""
    kind: Any = getattr(builtins, "BaseExceptionGroup", None)
    return exceptions[0] if kind is None else kind("by the program", exceptions)
