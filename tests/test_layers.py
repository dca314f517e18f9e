"""The import rule: a module imports only from what stands above it in the table.

That makes the layers, and within a layer the order, and leaves no room for cycles.
Names that only annotations need are exempt: they are under TYPE_CHECKING.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from .children import run
from .imports import circles, cython_imports, dot, graph, imports, upward
from .pure import SOURCE
from .source import modules, parse, parse_text

LAYERS = {
    1: [
        *(
            "version",
            "_base.pure",
            "",
            "environment",
            "_base",
            "_base.constants",
            "typing",
        ),
        *("_base.signatures", "_base.dataclass", "exceptions", "_base.mirrored"),
    ],
    2: [
        *("_native", "_native.kernels", "_http", "_http.date", "datastructures"),
        *("headers", "_http.bodies", "_http.heads", "http11", "_http.responses"),
        *("uri", "_base.closing", "_wire", "_wire.rules", "frames", "stats"),
        "_base.values",
    ],
    3: [
        *("_native.zstream", "extensions", "extensions.base"),
        *("extensions.negotiation", "extensions.permessage_deflate"),
    ],
    4: [
        *("_wire.reader", "_wire.writer", "protocol"),
        *("_http.handshake", "server", "reconnection", "client", "proxy"),
        "redirects",
    ],
    5: ["_liveness", "session"],
    6: ["_base.options"],
    7: [
        *("asyncio._keywords", "asyncio._waiter", "asyncio._progress"),
        *("asyncio._link", "asyncio.connection"),
        *("asyncio._broadcast", "asyncio._arguments", "asyncio._timeouts"),
        *("asyncio._server_connection", "asyncio.server", "asyncio._tunnel"),
        *("asyncio._network", "asyncio.client", "asyncio", "asyncio.router"),
        *("_asgi", "uvicorn", "sanic"),
    ],
    8: [
        *("cli.values", "cli.log", "cli.settings", "cli.page", "cli.ending"),
        *("cli.handlers", "cli.sockets", "cli.server", "cli.worker"),
        *("cli.supervisor", "cli.serving"),
        *("cli.commands", "cli.terminal", "cli.conversation", "cli.connecting"),
        *("cli", "__main__", "standin", "standin.__main__"),
        *("standin.path.websockets.version", "standin.path.websockets"),
    ],
}
ORDER = [name for names in LAYERS.values() for name in names]
SANS_IO = [name for layer, names in LAYERS.items() if layer <= 5 for name in names]

# They do I/O, wait, read a clock, or bring randomness that nobody can replace.
FORBIDDEN = {
    *("asyncio", "selectors", "select", "signal", "socket", "ssl", "subprocess"),
    *("_thread", "threading", "trio", "datetime", "time", "random", "secrets"),
}
# The one place where the core takes what tests and simulations replace.
ALLOWED = {"environment": {"time"}}


def breaches(name: str, imported: Iterator[str]) -> list[str]:
    """What a module imports against the rule."""
    above = ORDER[: ORDER.index(name)]
    forbidden = FORBIDDEN - ALLOWED.get(name, set()) if name in SANS_IO else set()
    return [
        module
        for module in imported
        if (module.startswith(".") and module[1:] not in above)
        or module.partition(".")[0] in forbidden
    ]


def test_the_table_has_every_module_once() -> None:
    assert sorted(ORDER) == sorted(modules())
    assert {*ALLOWED} <= {*SANS_IO}


@pytest.mark.parametrize("name", ORDER)
def test_imports_only_from_above(name: str) -> None:
    assert breaches(name, imports(name, parse(modules()[name]))) == []


@pytest.mark.parametrize("suffix", [".pxd", ".pyx"])
def test_cython_files_import_only_from_above(suffix: str) -> None:
    for name, path in modules(suffix).items():
        source = path.read_text(encoding="utf-8")
        assert breaches(name, cython_imports(name, source)) == []


@pytest.mark.parametrize("name", ALLOWED)
def test_exceptions_are_still_needed(name: str) -> None:
    assert {*imports(name, parse(modules()[name]))} >= ALLOWED[name]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("frames", "from .protocol import Protocol"),
        ("frames", "from . import headers, server"),
        ("frames", "def late():\n    from .client import ClientProtocol"),
        ("extensions.base", "from .permessage_deflate import NAME"),
        ("extensions.base", "from ..protocol import Protocol"),
        ("frames", "if TYPE_CHECKING:\n    x = 1\nelse:\n    from .server import y"),
        ("protocol", "import asyncio.events"),
        ("protocol", "from time import monotonic"),
        ("headers", "try:\n    import ssl\nexcept ImportError:\n    pass"),
    ],
)
def test_a_breach_is_found(name: str, source: str) -> None:
    assert breaches(name, imports(name, parse_text(source)))


@pytest.mark.parametrize(
    "source",
    [
        "from .server cimport X",
        "cimport cython\nfrom . cimport frames, client\n",
    ],
)
def test_a_breach_in_cython_is_found(source: str) -> None:
    assert breaches("protocol", cython_imports("protocol", source))


def test_annotations_may_use_anything() -> None:
    source = "if TYPE_CHECKING:\n    from .server import X\n    import ssl"
    assert breaches("frames", imports("frames", parse_text(source))) == []


def loaded_by(statement: str) -> set[str]:
    """Modules that a statement loads in a fresh interpreter."""
    script = f"import sys; old = {{*sys.modules}}; {statement}; print(*sys.modules)"
    path = repr(str(SOURCE.parent))
    done = run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path[:0] = [{path}]; {script}",
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    loaded = loaded_by("import sansocket")
    assert {name for name in loaded if name.startswith("sansocket")} == {
        "sansocket",
        "sansocket.version",
    }
    heavy = {"asyncio", "dataclasses", "enum", "hashlib", "http", "inspect", "logging"}
    heavy |= {"re", "socket", "ssl", "typing", "uuid", "zlib"}
    assert loaded.isdisjoint(heavy)


@pytest.mark.parametrize("name", ["server", "client"])
def test_a_connection_loads_no_network(name: str) -> None:
    loaded = loaded_by(f"import sansocket.{name}")
    assert f"sansocket.{name}" in loaded
    assert loaded.isdisjoint({"asyncio", "select", "selectors", "socket", "ssl"})


def test_the_driver_is_not_imported_by_the_core() -> None:
    """The names of the driver at the top load it, and no other one does."""
    loaded = loaded_by(
        "import sansocket; names = {*dir(sansocket)} - {*sansocket._DRIVER}; "
        "[getattr(sansocket, name) for name in names]"
    )
    ours = {name.removeprefix("sansocket.") for name in loaded if "sansocket." in name}
    assert ours <= {*SANS_IO}


def test_the_picture_of_imports() -> None:
    assert upward(ORDER) == []
    assert circles() == set()
    drawn = dot()
    assert '"session" -> "protocol";' in drawn
    assert drawn.count("->") == sum(map(len, graph().values()))
