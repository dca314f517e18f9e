"""Loads the package a second time, from source, as ``sansocket_pure``.

Where the package is not compiled, it is its own interpreted form.

An import finder that offers only ``.py`` files: relative imports do the rest, so
both forms of the package live side by side in one process.
"""

import importlib.util
import sys
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).parents[1] / "src" / "sansocket"
NAME = "sansocket_pure"


class SourceFinder:
    """Finds modules of the second package; never an extension module."""

    @staticmethod
    def find_spec(
        name: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] != NAME:
            return None
        folder = SOURCE.joinpath(*name.split(".")[1:-1])
        finder = FileFinder(str(folder), (SourceFileLoader, [".py"]))
        if name != NAME:
            return finder.find_spec(name)
        return importlib.util.spec_from_file_location(
            NAME,
            SOURCE / "__init__.py",
            loader=SourceFileLoader(NAME, str(SOURCE / "__init__.py")),
            submodule_search_locations=[str(SOURCE)],
        )


def load_pure() -> ModuleType:
    """The package in its interpreted form: itself, where it is not compiled."""
    package = importlib.import_module("sansocket")
    if not importlib.import_module("sansocket._native.kernels").COMPILED:
        return package
    if not any(finder is SourceFinder for finder in sys.meta_path):
        sys.meta_path.insert(0, SourceFinder)
    return importlib.import_module(NAME)
