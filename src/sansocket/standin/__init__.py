"""Stand in for ``websockets``: ``import websockets`` returns this package instead.

This is for programs that are built on ``websockets`` and should not be changed. The
following command runs such a program; processes that it starts are included::

    python -m sansocket.standin -- uvicorn app:app

In your own program, ``install()`` does the same for the current process. Call it
before anything imports ``websockets``::

    import sansocket.standin

    sansocket.standin.install()

It is all or nothing. Names that have a counterpart here refer to it: they are the same
modules and classes. Others, such as ``websockets.legacy``, cannot be imported, even if
the real package is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

__all__ = ["install"]

NAME = "websockets"
# The directory that contains a package of that name, for sys.path and PYTHONPATH. The
# package has what no module of ours can be: the top-level names, and the version.
PATH = Path(__file__).with_name("path")
OWN = frozenset({NAME, f"{NAME}.version"})

# The modules that exist in both packages. Those that this package does not have (yet)
# are not mirrored.
MIRRORED = frozenset(
    f"{NAME}.{module}"
    for module in (
        *("asyncio", "asyncio.client", "asyncio.connection", "asyncio.router"),
        *("asyncio.server", "client", "datastructures", "exceptions", "extensions"),
        *("extensions.base", "extensions.permessage_deflate", "frames", "headers"),
        *("http11", "protocol", "proxy", "server", "sync", "sync.client"),
        *("sync.connection", "sync.router", "sync.server", "trio", "trio.client"),
        *("trio.connection", "trio.router", "trio.server", "typing", "uri"),
    )
)


def install() -> None:
    """Make ``import websockets`` return this package, from now on in this process.

    Calling it again has no further effect.

    Raises:
        RuntimeError: if the real ``websockets``, or one of its modules, has already
            been imported: part of the program would use one package, and part the
            other.
    """
    if any(isinstance(finder, StandInFinder) for finder in sys.meta_path):
        return
    for name in sorted(sys.modules):
        module = sys.modules[name]
        if name.partition(".")[0] == NAME and not _is_ours(module):
            where = getattr(module, "__file__", None) or "an unknown place"
            raise RuntimeError(
                f"sansocket cannot stand in for {NAME}: {name} was already imported "
                f"from {where}; call sansocket.standin.install() earlier"
            )
    sys.meta_path.insert(0, StandInFinder())


class StandInFinder:
    """Finds ``websockets`` and its modules in this package, and nowhere else."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module; called by ``import``.

        Raises:
            ModuleNotFoundError: if the module belongs to ``websockets`` and is not
                mirrored. Its attribute ``name`` is not set, or
                ``from websockets import ...`` would replace the message by one that
                does not explain the reason.
        """
        if fullname in OWN:
            folder = PATH.joinpath(*fullname.split(".")[:-1])
            return PathFinder.find_spec(fullname, [str(folder)])
        package, _, module = fullname.partition(".")
        if package != NAME:
            return None
        if fullname in MIRRORED and _has(module):
            return ModuleSpec(fullname, AliasLoader(f"sansocket.{module}"))
        raise ModuleNotFoundError(
            f"no {fullname!r}: sansocket stands in for {NAME} and does not mirror it"
        )


class AliasLoader(Loader):
    """Loads an existing module under another name, without making a second copy."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module; called by ``import``."""
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the module's spec; called by ``import``, which has changed it."""
        module.__spec__ = self._spec


def _is_ours(module: ModuleType | None) -> bool:
    """Whether a module is in ``PATH``: that package calls ``install()`` itself."""
    file = getattr(module, "__file__", None)
    return file is not None and PATH in Path(file).parents


def _has(module: str) -> bool:
    """Whether this package has a module."""
    try:
        return importlib.util.find_spec(f"sansocket.{module}") is not None
    except ModuleNotFoundError:  # its package does not exist, either
        return False
