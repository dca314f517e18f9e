"""Memory that runs out leaves every connection in a state that is defined (SEC-15).

``tests/faults.py`` tries it in a process of its own, as it might crash.
SANSOCKET_TEST_FAULTS=all tries each allocation instead of some.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

import pytest

from .children import run
from .source import ROOT

STEP = "1" if os.environ.get("SANSOCKET_TEST_FAULTS") == "all" else "17"

# When there is no memory for a generator, some releases of CPython release the function
# once too often: 3.12.1 and 3.13.0 do, 3.10 and 3.11 do not.
GENERATORS = "server accepts"  # the scenario that makes them
CRASH = """
import _testcapi
def call(): any(item for item in ())
for _ in range(2):
    _testcapi.set_nomemory(0, 1)
    try: call()
    except MemoryError: _testcapi.remove_mem_hooks()
"""


@functools.cache
def python_crashes() -> bool:
    """Whether this Python is one of those."""
    environment = os.environ | {
        "PYTHONMALLOC": "debug"
    }  # what is released is overwritten
    return run([sys.executable, "-c", CRASH], env=environment).returncode < 0


@pytest.mark.parametrize("which", ["--only", "--except"])
def test_sec_15_memory_runs_out(impl: Any, which: str) -> None:
    """SEC-15: at allocations of each call, in turn."""
    pytest.importorskip("_testcapi", reason="CPython was built without its tests")
    if which == "--only" and python_crashes():
        pytest.skip("this CPython itself crashes if there is no memory for a generator")
    form = "compiled" if impl._native.kernels.COMPILED else "pure"
    arguments = ["--form", form, "--step", STEP, which, GENERATORS]
    # What measures would run out of memory, too.
    kept = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    process = run(
        [sys.executable, "-m", "tests.faults", *arguments],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
    )
    last = process.stderr.splitlines()[-1:]
    assert process.returncode == 0, (process.stdout, last)
    assert not process.stdout.startswith("0 ")
