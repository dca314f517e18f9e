"""Stand in for ``websockets``: ``import websockets`` gives this package instead.

For programs that are built on ``websockets`` and shall not be changed::

    python -m sansocket.standin -- uvicorn app:app

runs one in which it does, in the processes that it starts, too. In a program of
one's own, ``install()`` does the same for its process, before anything imports
``websockets``::

    import sansocket.standin

    sansocket.standin.install()

It is all or nothing. What has a counterpart here resolves to it, to the very same
modules and classes; what has none, such as ``websockets.legacy``, cannot be imported,
even if the real package is installed beside.
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
# The folder with a package of that name, for sys.path and PYTHONPATH. It has what
# cannot be a module of ours: the names at the top, and the version.
PATH = Path(__file__).with_name("path")
OWN = frozenset({NAME, f"{NAME}.version"})

# The modules that mean the same there and here. Those that are not in this package
# (yet) are not mirrored.
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
    """Make ``import websockets`` give this package, from now on and in this process.

    Doing it again changes nothing.

    Raises:
        RuntimeError: if the real ``websockets``, or a module of it, was imported
            before: then some of the program would use one and some the other.

    """
    if any(isinstance(finder, StandInFinder) for finder in sys.meta_path):
        return
    for name in sorted(sys.modules):
        module = sys.modules[name]
        if name.partition(".")[0] == NAME and not _is_ours(module):
            where = getattr(module, "__file__", None) or "an unknown place"
            raise RuntimeError(
                f"sansocket cannot stand in for {NAME}: {name} was imported already, "
                f"from {where}; call sansocket.standin.install() before that"
            )
    sys.meta_path.insert(0, StandInFinder())


class StandInFinder:
    """Finds ``websockets``, and all in it, here and nowhere else."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find a module; called by ``import``.

        Raises:
            ModuleNotFoundError: if the module is one of ``websockets`` and not
                mirrored. It bears no name, or ``from websockets import ...`` would
                replace it by a message that does not tell the reason.

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
            f"no {fullname!r}: sansocket stands in for {NAME}, and does not mirror it"
        )


class AliasLoader(Loader):
    """Gives a module that there is, under another name, without a second copy."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Give the module; called by ``import``."""
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module as it is; called by ``import``, which changed its spec."""
        module.__spec__ = self._spec


def _is_ours(module: ModuleType | None) -> bool:
    """Whether it is the package in ``PATH``, which calls ``install()`` itself."""
    file = getattr(module, "__file__", None)
    return file is not None and PATH in Path(file).parents


def _has(module: str) -> bool:
    """Whether this package has a module."""
    try:
        return importlib.util.find_spec(f"sansocket.{module}") is not None
    except ModuleNotFoundError:  # not even the package that it would be in
        return False
