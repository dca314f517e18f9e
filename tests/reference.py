"""The package whose names ours has, as the reference that tests compare with."""

from __future__ import annotations

from importlib.metadata import version

import pytest

MINIMUM = 17  # releases before decide otherwise here and there

needs_reference = pytest.mark.skipif(
    int(version("websockets").partition(".")[0]) < MINIMUM,
    reason=f"needs websockets {MINIMUM}, which older Pythons cannot have",
)
