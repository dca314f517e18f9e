"""Fixtures: the package in both of its forms. And what holds for all tests."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest

from .pure import load_pure

# How fast examples are made and tried is up to the machine.
hypothesis.settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("patient")

SUBMODULES = (
    "_base.closing",
    "_base.constants",
    "_base.dataclass",
    "_http.bodies",
    "_http.date",
    "_http.handshake",
    "_http.responses",
    "_native.kernels",
    "_native.zstream",
    "_wire.rules",
    "client",
    "datastructures",
    "environment",
    "exceptions",
    "extensions.base",
    "extensions.negotiation",
    "extensions.permessage_deflate",
    "frames",
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
    if compiled._native.kernels.COMPILED:
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


@pytest.fixture
def socket_path() -> Iterator[str]:
    """Where a Unix socket may be: the path of one is 100 bytes long at most."""
    with tempfile.TemporaryDirectory(dir="/tmp" if os.name == "posix" else None) as at:
        yield os.path.join(at, "socket")


# Fixtures that need a program which pip does not install.
APART = {"browser", "node_folder"}


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = [f"forms of sansocket: {', '.join(FORMS)}"]
    if config.option.markexpr == "not apart":
        what = "what needs Chromium, Node or thousands of connections, or takes long"
        lines.append(f"left out: {what}; `nox -s apart` runs it")
    return lines


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores, as many tests wait for programs; but not many."""
    return min((os.cpu_count() or 1) + 2, 10)


def pytest_collection(session: pytest.Session) -> None:
    """Let each worker of pytest-xdist begin with other files: Python keeps what pytest
    has made of them, so that every file is compiled once and not by each worker."""
    config = session.config
    worker: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker is None or config.args_source is not config.ArgsSource.TESTPATHS:
        return  # there is one process, or not all files are wanted
    number, count = int(worker["workerid"][2:]), worker["workercount"]
    paths = sorted(Path(__file__).parent.rglob("test_*.py"))
    first = len(paths) * number // count
    for path in [*paths[first:], *paths[:first]]:
        parts = path.relative_to(config.rootpath).with_suffix("").parts
        # What goes wrong does so again when it is collected.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(parts))


def pytest_collection_finish() -> None:
    """What is there by now stays: no collection of garbage looks at it again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Let no other test find what one leaves open that is excused for it: not before
    the records of its log are gone, which hold connections."""
    yield
    marks = item.iter_markers("filterwarnings")
    if any("ResourceWarning" in text for mark in marks for text in mark.args):
        gc.collect()


def pytest_itemcollected(item: pytest.Item) -> None:
    if not APART.isdisjoint(getattr(item, "fixturenames", ())):
        item.add_marker("apart")


def pytest_configure(config: pytest.Config) -> None:
    # Under nohup, the servers that tests start would ignore this signal, too.
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # A worker of pytest-xdist would run on for 15 seconds.
    if hasattr(config, "workerinput"):
        arguments = (os.getppid(),)
        threading.Thread(target=end_with, args=arguments, daemon=True).start()
    # An empty asyncio.Protocol gets the warning too, if its peer closes first. It comes
    # when the transport is collected, which may be in any other test.
    if sys.version_info < (3, 11):
        config.addinivalue_line(
            "filterwarnings",
            "ignore:unclosed transport <asyncio.sslproto:ResourceWarning",
        )


def end_with(parent: int) -> None:
    """Wait for the end of the process that started this one, and end it, too."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
