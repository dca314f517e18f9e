"""Lets the source run where a compiled form lies beside: importing this is enough.

The package imports it first of all if ``SANSOCKET_PURE`` is set.
"""

from __future__ import annotations

import sys
from importlib.machinery import FileFinder, SourceFileLoader
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.abc import PathEntryFinder

__all__: list[str] = []

ROOT = Path(__file__).parents[1]


def _source_only(path: str) -> PathEntryFinder:
    """Find nothing but source in folders of the package; as sys.path_hooks want it.

    Raises:
        ImportError: for other folders.

    """
    folder = Path(path)
    if folder != ROOT and ROOT not in folder.parents:
        raise ImportError("not of this package", path=path)
    return FileFinder(path, (SourceFileLoader, [".py"]))


sys.path_hooks.insert(0, _source_only)
for known in [*sys.path_importer_cache]:
    if ROOT in (Path(known), *Path(known).parents):
        del sys.path_importer_cache[known]
