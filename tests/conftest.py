"""Fixtures: the package in both of its forms."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest

from .pure import load_pure

SUBMODULES = (
    "_kernels",
    "client",
    "closing",
    "constants",
    "datastructures",
    "environment",
    "exceptions",
    "extensions._zstream",
    "extensions.base",
    "extensions.negotiation",
    "extensions.permessage_deflate",
    "frames",
    "handshake",
    "headers",
    "http11",
    "protocol",
    "proxy",
    "reconnection",
    "redirects",
    "server",
    "session",
    "uri",
)


def load(package: ModuleType) -> ModuleType:
    for name in SUBMODULES:
        importlib.import_module(f"{package.__name__}.{name}")
    return package


def forms() -> dict[str, ModuleType]:
    """Forms that can be tested here: ``pure``, and ``compiled`` if it was built.

    SANSOCKET_TEST_FORMS, a list such as ``pure,compiled``, asks for some of them.
    """
    pure = load(load_pure())
    compiled = load(importlib.import_module("sansocket"))
    found = {"pure": pure}
    if compiled._kernels.COMPILED:
        found["compiled"] = compiled
    wanted = os.environ.get("SANSOCKET_TEST_FORMS", ",".join(found)).split(",")
    missing = set(wanted) - set(found)
    if missing:
        raise pytest.UsageError(f"not built: {', '.join(missing)} ({compiled})")
    return {name: found[name] for name in wanted}


FORMS = forms()


@pytest.fixture(params=list(FORMS.values()), ids=list(FORMS))
def impl(request: pytest.FixtureRequest) -> ModuleType:
    """The package, in each of its forms."""
    module: ModuleType = request.param
    return module


def pytest_report_header() -> str:
    return f"forms of sansocket: {', '.join(FORMS)}"
