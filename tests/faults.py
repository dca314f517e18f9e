"""Makes memory run out at each allocation of each call, one after the other.

Run it with ``python -m tests.faults``; ``test_faults.py`` runs some of it. What
is asserted after every fault, when there is memory again:

* the call did its work, or the connection has failed and can be closed; or it raised
  ``MemoryError``: one that sends or answers has then queued nothing and does its work
  when it is called again, one that receives leaves what can be failed and closed;
* what goes out is whole frames, of which none is missing and none is there twice;
* events are those of the input up to a point, unchanged and in order.

A crash of the interpreter ends the process, which the caller sees. Allocations of zlib
itself fail in the interpreted form only; compiled, they do not go through Python.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
import traceback
from _testcapi import (  # type: ignore[import-not-found]
    remove_mem_hooks,
    set_nomemory,
)
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from .fault_scenarios import Scenario, scenarios
from .pure import load_pure

MOST = 2000  # allocations that no call needs
# How many fail in a row. More than one can be too much while the first is handled:
# CPython 3.11 itself has crashed with 10, in the interpreted form, and code of Cython
# 3.3.1 may release a traceback that it could not make.
IN_A_ROW = {"pure": (1,), "compiled": (1,)}
FEW = 16  # allocations of a call that are tried all, whatever the step


def is_of_python(exc: BaseException) -> bool:
    """Whether Python itself has failed at the 1024th call of a function, as it makes a
    cache for it. To see that, with 3.10::

        import _testcapi
        def call(): return abs(-1)
        for _ in range(1023): call()
        _testcapi.set_nomemory(0, 1)
        call()
    """
    failed = "_PyEval_EvalFrameDefault returned NULL without setting an exception"
    return sys.version_info < (3, 11) and failed in str(exc)


def leave_pairs() -> None:
    """Let no pair that Python makes for itself lack memory, for then it crashes.

    To see that, with 3.10 to 3.13::

        import _testcapi
        pairs = [(number, number) for number in range(9999)]  # so that none is left
        for first in range(9):
            _testcapi.set_nomemory(first)
            try: iter({}.items())
            except MemoryError: _testcapi.remove_mem_hooks()
    """
    pairs = [(number, number) for number in range(100)]
    pairs.clear()  # Python keeps their memory for others


def tried(impl: Any, scenario: Scenario, first: int, count: int) -> bool:
    """Let so many allocations fail in a row; tell whether that was felt."""
    call, check = scenario(impl)
    leave_pairs()
    raised: BaseException | None = None
    gc.disable()
    set_nomemory(first, first + count)
    try:
        call()
    except BaseException as exc:
        raised = exc
    finally:
        remove_mem_hooks()
        gc.enable()
    return bool(check(raised)) or raised is not None


def needed(impl: Any, scenario: Scenario) -> int:
    """How many allocations the call makes, about."""
    tried(impl, scenario, MOST, 1)  # what is made once is made now
    unfelt = 0
    for first in range(MOST):
        try:
            felt = tried(impl, scenario, first, 1)
        except Exception:
            felt = True
        unfelt = 0 if felt else unfelt + 1
        if unfelt == FEW:
            return first - FEW + 1
    return MOST


def search(
    form: str, impl: Any, name: str, scenario: Scenario, step: int
) -> Iterator[str]:
    """Try one scenario at each allocation, or some; give what is wrong."""
    total = needed(impl, scenario)
    for first in range(0, total, step if total > FEW else 1):
        for count in IN_A_ROW[form]:
            where = f"{form}: {name}, {count} from allocation {first} of {total}"
            print(where, file=sys.stderr, flush=True)
            try:
                tried(impl, scenario, first, count)
            except BaseException as exc:
                if is_of_python(exc):
                    continue
                lines = [entry[1] for entry in traceback.extract_tb(exc.__traceback__)]
                yield f"{where}: {type(exc).__name__}: {exc} (lines {lines})"


def forms() -> dict[str, ModuleType]:
    """Both forms of the package, with the modules that scenarios use."""
    found = {"pure": load_pure(), "compiled": importlib.import_module("sansocket")}
    for package in found.values():
        for name in "server", "client", "uri", "extensions.permessage_deflate":
            importlib.import_module(f"{package.__name__}.{name}")
    if not found["compiled"]._native.kernels.COMPILED:
        del found["compiled"]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Let memory run out everywhere.")
    parser.add_argument("--form", choices=["pure", "compiled"])
    parser.add_argument("--only", default="", help="part of the names")
    parser.add_argument("--except", dest="but", help="part of names that are left out")
    parser.add_argument("--step", type=int, default=1, help="try one out of so many")
    options = parser.parse_args()
    count = found = 0
    for form, impl in forms().items():
        for name, scenario in scenarios():
            left_out = options.but is not None and options.but in name
            if options.form in (None, form) and options.only in name and not left_out:
                count += 1
                for fault in search(form, impl, name, scenario, options.step):
                    found += 1
                    print(fault, flush=True)
    print(f"{count} scenarios, {found} faults")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
