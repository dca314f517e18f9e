"""Loads a package a second time, from its ``.py`` files only, under another name.

The copy never sees an extension module, so the same source runs interpreted beside
its compiled form; a package with an optional speed-up module runs without it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["load_source_copy", "package_directory"]


def load_source_copy(package: str, alias: str) -> ModuleType:
    """Return ``package``, loaded from source as ``alias``; submodules follow on import.

    It works because packages import their own modules relatively. Raises
    ``ModuleNotFoundError`` if ``package`` is not on the path.
    """
    if alias not in sys.modules:
        sys.meta_path.insert(0, _SourceFinder(alias, package_directory(package)))
    return importlib.import_module(alias)


def package_directory(package: str) -> Path:
    """Return the directory of ``package`` without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"no package named {package!r}", name=package)
    return Path(next(iter(spec.submodule_search_locations)))


class _SourceFinder(MetaPathFinder):
    def __init__(self, alias: str, directory: Path) -> None:
        self.alias = alias
        self.directory = directory

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        name, *parts = fullname.split(".")
        if name != self.alias:
            return None
        base = self.directory.joinpath(*parts)
        module, package = base.parent / f"{base.name}.py", base / "__init__.py"
        if package.is_file():
            return _spec(fullname, package, [str(base)])
        if parts and module.is_file():
            return _spec(fullname, module, None)
        # Returning None would let the next finder take an extension module.
        raise ModuleNotFoundError(f"no source for {fullname}", name=fullname)


def _spec(name: str, file: Path, locations: list[str] | None) -> ModuleSpec | None:
    return importlib.util.spec_from_file_location(
        name,
        file,
        loader=SourceFileLoader(name, str(file)),
        submodule_search_locations=locations,
    )
