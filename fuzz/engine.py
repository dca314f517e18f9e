"""Runs one target under atheris, in a process of its own that libFuzzer ends.

``python -m fuzz`` starts it; the interpreted form and the models guide the search,
since their bytecode is instrumented.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from tests.pure import NAME, SourceFinder

MODELS = ("inflate", "model", "http_model")


def main() -> None:
    """``engine TARGET [libFuzzer's arguments]``"""
    atheris: Any = importlib.import_module("atheris")
    # The finder of atheris goes before it, and asks it.
    sys.meta_path.insert(0, SourceFinder)
    with atheris.instrument_imports(include=["fuzz"]):
        for name in MODELS:
            importlib.import_module(f"fuzz.{name}")
    with atheris.instrument_imports(include=[NAME]):
        from .targets import TARGETS
    from tests.torture import same_environment

    from .support import FORMS

    target = sys.argv.pop(1)
    atheris.Setup(sys.argv, TARGETS[target])
    with same_environment(FORMS):
        atheris.Fuzz()


if __name__ == "__main__":
    main()
