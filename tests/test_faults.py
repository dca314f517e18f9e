"""Memory that runs out leaves every connection in a state that is defined (SEC-15).

``tests/faults.py`` tries it in a process of its own, as it might crash.
SANSOCKET_TEST_FAULTS=all tries each allocation instead of some.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from .source import ROOT

STEP = "1" if os.environ.get("SANSOCKET_TEST_FAULTS") == "all" else "17"


def test_sec_15_memory_runs_out(impl: Any) -> None:
    """SEC-15: at allocations of each call, in turn."""
    pytest.importorskip("_testcapi")
    form = "compiled" if impl._kernels.COMPILED else "pure"
    command = [sys.executable, "-m", "tests.faults", "--form", form, "--step", STEP]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    last = process.stderr.splitlines()[-1:]
    assert process.returncode == 0, (process.stdout, last)
