"""The drivers that are run: ours, in one of its forms, and that of ``websockets``."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..pure import load_pure

OLD = "old: "  # before the name of an old bug, in place of a form


@dataclass(frozen=True)
class Driver:
    """What the programs use of a package."""

    name: str
    ours: bool
    serve: Any
    connect: Any
    broadcast: Any
    exceptions: Any


def forms() -> tuple[str, ...]:
    """The forms that are installed."""
    if importlib.import_module("sansocket._native.kernels").COMPILED:
        return ("compiled", "pure")
    return ("pure",)


@lru_cache
def ours(form: str) -> Driver:
    """Our driver, in one of its forms, or with an old bug in it."""
    if form.startswith(OLD):
        from .old_bugs import load

        return driver(load(form.removeprefix(OLD)))
    if form == "pure":
        name = load_pure().__name__
    else:
        name = "sansocket"
        assert importlib.import_module("sansocket._native.kernels").COMPILED, (
            "not built"
        )
    return driver(name)


@lru_cache
def driver(name: str) -> Driver:
    """The driver of a package."""
    server = importlib.import_module(f"{name}.asyncio.server")
    client = importlib.import_module(f"{name}.asyncio.client")
    exceptions = importlib.import_module(f"{name}.exceptions")
    return Driver(
        name,
        name != "websockets",
        server.serve,
        client.connect,
        server.broadcast,
        exceptions,
    )
