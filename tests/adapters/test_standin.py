"""What ``import websockets`` gives where sansocket stands in for it.

Each script runs in a process of its own: in this one, the real package is in use.
"""

from __future__ import annotations

import importlib
import importlib.util
from importlib.metadata import version
from pathlib import Path

import pytest
import websockets

import sansocket.standin
from sansocket.standin.path.websockets import version as mirrored_version

from .processes import run_python

INSTALL = "import sansocket.standin; sansocket.standin.install()\n"
# To be mirrored as soon as there is such a module.
HAS_ROUTER = importlib.util.find_spec("sansocket.asyncio.router") is not None
ROUTER = set() if HAS_ROUTER else {"Router", "route", "unix_route"}

needs_reference = pytest.mark.skipif(
    int(version("websockets").partition(".")[0]) < 17,
    reason="an earlier release has other names",
)


def output_of(script: str) -> str:
    """What a script prints."""
    done = run_python("-c", script)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


def error_of(script: str) -> str:
    """The last line of the traceback that a script ends with."""
    done = run_python("-c", script)
    assert done.returncode == 1, done.stdout
    return done.stderr.splitlines()[-1]


# Names


@needs_reference
def test_names_at_the_top_are_those_of_websockets() -> None:
    theirs = {*websockets.__all__} - ROUTER
    script = (
        "import websockets\n"
        f"for name in {sorted(theirs)}:\n"
        "    value = getattr(websockets, name)\n"
        "    assert vars(websockets)[name] is value, name\n"
        "print(*websockets.__all__)"
    )
    assert {*output_of(INSTALL + script).split()} - ROUTER == theirs


@pytest.mark.skipif(bool(ROUTER), reason="there is no router yet")
def test_star() -> None:
    script = "from websockets import *\nprint(serve.__module__)"
    assert output_of(INSTALL + script) == "sansocket.asyncio.server"


@needs_reference
def test_a_name_is_at_home_in_the_module_it_is_there() -> None:
    names = {*websockets.__all__} - ROUTER
    homes = {
        name: getattr(websockets, name).__module__
        for name in names
        if getattr(getattr(websockets, name), "__module__", "").startswith("websockets")
    }
    script = (
        "import importlib, websockets\n"
        f"for name, home in {homes}.items():\n"
        "    module = importlib.import_module(home)\n"
        "    assert getattr(module, name) is getattr(websockets, name), name\n"
    )
    output_of(INSTALL + script)


MODULES = [
    *("asyncio", "asyncio.client", "asyncio.connection", "asyncio.server", "client"),
    *("datastructures", "exceptions", "extensions", "extensions.base"),
    *("extensions.permessage_deflate", "frames", "headers", "http11", "protocol"),
    *("server", "typing", "uri"),
]


def test_modules_are_the_same_objects() -> None:
    script = (
        "import importlib\n"
        f"for name in {MODULES}:\n"
        "    theirs = importlib.import_module('websockets.' + name)\n"
        "    ours = importlib.import_module('sansocket.' + name)\n"
        "    assert theirs is ours, name\n"
        "    assert ours.__spec__.name == ours.__name__ == 'sansocket.' + name\n"
    )
    output_of(INSTALL + script)


def test_ways_to_import() -> None:
    script = (
        "import websockets.frames, websockets.extensions.base as base\n"
        "from websockets import http11, uri\n"
        "from websockets.server import ServerProtocol\n"
        "from websockets.extensions import permessage_deflate\n"
        "from websockets.exceptions import ConnectionClosed\n"
        "import sansocket.exceptions\n"
        "assert ConnectionClosed is sansocket.exceptions.ConnectionClosed\n"
        "assert websockets.exceptions is sansocket.exceptions\n"
        "assert ServerProtocol is sansocket.ServerProtocol\n"
        "assert base.Extension is sansocket.Extension\n"
        "assert websockets.frames.Frame is sansocket.Frame\n"
    )
    output_of(INSTALL + script)


def test_modules_are_loaded_when_first_asked_for() -> None:
    script = (
        "import sys, websockets\n"
        "print(*(m for m in sys.modules if m.startswith('sansocket.')))\n"
        "websockets.frames\n"
        "assert 'sansocket.frames' in sys.modules\n"
        "assert 'asyncio' not in sys.modules\n"
        "websockets.serve\n"
        "assert 'asyncio' in sys.modules\n"
    )
    assert {*output_of(INSTALL + script).split()} == {
        "sansocket.standin",
        "sansocket.version",
    }


@needs_reference
def test_version() -> None:
    major = version("websockets").partition(".")[0]
    assert mirrored_version.version.partition(".")[0] == major
    script = (
        "import websockets, websockets.version\n"
        "from websockets.version import commit, tag, version\n"
        "print(websockets.__version__, commit, tag, version)"
    )
    assert {*output_of(INSTALL + script).split()} == {mirrored_version.version}


# What is not mirrored


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("import websockets.legacy.server", "websockets.legacy"),
        ("from websockets import legacy", "websockets.legacy"),
        ("from websockets.connection import State", "websockets.connection"),
        ("import websockets.asyncio._link", "websockets.asyncio._link"),
        ("import websockets.session", "websockets.session"),
        ("import websockets.nothing", "websockets.nothing"),
        (
            "from websockets import WebSocketServerProtocol",
            "websockets.WebSocketServerProtocol",
        ),
    ],
)
def test_what_is_not_mirrored_cannot_be_imported(statement: str, name: str) -> None:
    """Not even where the real package has it, as it does here."""
    error = error_of(INSTALL + statement)
    reason = "sansocket stands in for websockets and does not mirror it"
    assert error == f"ModuleNotFoundError: no '{name}': {reason}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    error = error_of(INSTALL + "import websockets; websockets.Session")
    assert error.startswith("AttributeError: no 'websockets.Session': sansocket stands")


def test_an_unknown_name_of_a_module_is_named() -> None:
    error = error_of(INSTALL + "from websockets.frames import nothing")
    assert "cannot import name 'nothing' from 'sansocket.frames'" in error


def test_programs_that_try_something_else_then() -> None:
    script = (
        "try:\n"
        "    from websockets.connection import State\n"
        "except ImportError:\n"
        "    from websockets.protocol import State\n"
        "import websockets\n"
        "print(State.__module__, hasattr(websockets, 'legacy'))"
    )
    assert output_of(INSTALL + script) == "sansocket._base.constants False"


# Installing


def test_installing_again_changes_nothing() -> None:
    script = (
        "import sys, websockets\n"
        "finders = [*sys.meta_path]\n"
        "sansocket.standin.install()\n"
        "assert sys.meta_path == finders\n"
    )
    output_of(INSTALL + script)


@pytest.mark.parametrize("name", ["websockets", "websockets.frames"])
def test_it_refuses_once_the_real_one_is_imported(name: str) -> None:
    error = error_of(f"import {name}\n" + INSTALL)
    assert error.startswith(
        "RuntimeError: sansocket cannot stand in for websockets: websockets was "
        f"already imported from {Path(websockets.__file__)}"
    )
    assert error.endswith("call sansocket.standin.install() earlier")


def test_it_refuses_in_this_process() -> None:
    with pytest.raises(RuntimeError, match="websockets was already imported"):
        sansocket.standin.install()
    assert importlib.import_module("websockets.frames").__name__ == "websockets.frames"


def test_other_imports_are_left_alone() -> None:
    script = "import json.tool, websockets\ntry: import websocketsx\n"
    script += "except ModuleNotFoundError as exc: print(exc)"
    assert output_of(INSTALL + script) == "No module named 'websocketsx'"


def test_threads_that_import_at_once() -> None:
    """None of them may see a module that is not filled yet."""
    script = (
        "import threading\n"
        "barrier = threading.Barrier(8)\n"
        "found = []\n"
        "def load():\n"
        "    barrier.wait()\n"
        "    from websockets.asyncio.client import connect\n"
        "    found.append(connect)\n"
        "threads = [threading.Thread(target=load) for _ in range(8)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
        "print(len(found), len({*found}))"
    )
    assert output_of(INSTALL + script) == "8 1"
