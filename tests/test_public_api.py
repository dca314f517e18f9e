"""The names that users build on: there, documented, and with the signatures promised.

An import line is to be all that changes for users of the ``websockets`` package, so
that package itself is what the signatures are held against; what we add must not be
in the way of anybody.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import sys
from importlib.metadata import version
from typing import Any

import pytest

import sansocket

from .children import run
from .pure import load_pure
from .source import is_type_checking, module_path, modules, parse

MODULES = [
    *("client", "datastructures", "environment", "exceptions"),
    *("extensions.base", "extensions.negotiation", "extensions.permessage_deflate"),
    *("frames", "headers", "http11", "protocol", "proxy", "reconnection"),
    *("redirects", "server", "session", "stats", "typing", "uri", "version"),
    *("asyncio", "asyncio.client", "asyncio.connection", "asyncio.router"),
    *("asyncio.server", "sanic", "standin", "uvicorn"),
]
# At the top are the names of these modules ...
AT_TOP = [
    *("client", "datastructures", "exceptions", "extensions.base"),
    *("extensions.permessage_deflate", "frames", "http11", "protocol", "server"),
    "session",
    *("stats", "typing", "uri"),
]
DRIVER_AT_TOP = ["asyncio.client", "asyncio.router", "asyncio.server"]
# ... without these, which programs hardly need. One would also hide protocol.SERVER.
NOT_AT_TOP = {"http11": {"SERVER", "USER_AGENT", "RequestParser", "ResponseParser"}}
NOT_AT_TOP["http11"] |= {"http_date"}
NOT_AT_TOP["session"] = {"broadcast"}

MIRRORED = [
    *("client", "datastructures", "exceptions", "extensions.base"),
    *("extensions.permessage_deflate", "frames", "headers", "http11", "protocol"),
    *("proxy", "server", "typing", "uri"),
]
# Names of the package that we mirror which we do not have:
# coroutines made of generators, deprecated ones, and knobs of its log lines.
NOT_MIRRORED = {
    *("Protocol.discard", "Protocol.parse", "Frame.parse", "Frame.MAX_LOG_SIZE"),
    *("Frame.DEFAULT_IS_TEXT", "Request.parse", "Request.exception"),
    *("Response.parse", "Response.exception"),
}
PRIVATE_ARGUMENTS = {"_exception"}

needs_reference = pytest.mark.skipif(
    int(version("websockets").partition(".")[0]) < 17,
    reason="earlier releases, all that Python 3.10 can have, differ here and there",
)
PURE = load_pure()  # compiled classes have no signatures to look at


def get(package: Any, name: str) -> Any:
    return importlib.import_module(f"{package.__name__}.{name}")


# Names


def test_the_table_has_every_public_module() -> None:
    public = {
        name
        for name in modules()
        if not any(part.startswith("_") for part in name.split("."))
        and name.partition(".")[0] != "cli"  # a program
        and not name.startswith("standin.path.")
    }
    assert public - {"", "extensions"} == {*MODULES}


@pytest.mark.parametrize("name", MODULES)
def test_all_names_what_exists(impl: Any, name: str) -> None:
    module = get(impl, name)
    assert module.__doc__
    assert len({*module.__all__}) == len(module.__all__)
    for public in module.__all__:
        assert not public.startswith("_")
        assert hasattr(module, public), public


@pytest.mark.parametrize("name", MODULES)
def test_public_things_are_documented(name: str) -> None:
    module = get(PURE, name)
    for public in module.__all__:
        thing = getattr(module, public)
        if inspect.isclass(thing) and thing.__module__.startswith("sansocket"):
            assert_documented(thing)
        elif inspect.isfunction(thing):
            assert thing.__doc__, public


def assert_documented(class_: type) -> None:
    assert class_.__doc__, class_
    for name, member in inspect.getmembers(class_):
        function = member.fget if isinstance(member, property) else member
        ours = getattr(function, "__module__", None) or ""
        public = inspect.isfunction(function) and not name.startswith("_")
        if public and ours.startswith("sansocket"):
            assert inspect.getdoc(member), f"{class_.__name__}.{name}"


def test_aliases_are_documented() -> None:
    """A string below each assignment is what tools show for it."""
    body = parse(module_path("typing")).body
    documented = {
        node.targets[0].id
        for node, after in itertools.pairwise(body)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(after, ast.Expr)
    }
    assert documented == {*get(PURE, "typing").__all__}


# The package itself


def names_for_type_checkers() -> dict[str, str]:
    """What ``__init__`` imports under TYPE_CHECKING, and from where."""
    (block,) = filter(is_type_checking, parse(modules()[""]).body)
    assert isinstance(block, ast.If)
    return {
        alias.name: node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_package_has_the_names_of_its_modules() -> None:
    homes = {
        name: module
        for module in [*AT_TOP, *DRIVER_AT_TOP]
        for name in get(sansocket, module).__all__
        if name not in NOT_AT_TOP.get(module, ())
    }
    assert {*sansocket.__all__} == {*homes, "__version__"}
    shown = names_for_type_checkers()
    submodules = {name for name, home in shown.items() if not home}
    assert {name: home for name, home in shown.items() if home} == homes
    assert submodules == {"extensions", "headers", *(n for n in AT_TOP if "." not in n)}
    for name, home in homes.items():
        assert getattr(sansocket, name) is getattr(get(sansocket, home), name)
    for name in submodules:
        assert getattr(sansocket, name) is get(sansocket, name)


def test_names_are_loaded_when_first_asked_for() -> None:
    script = (
        "import sys, sansocket; "
        "assert 'sansocket.exceptions' not in sys.modules; "
        "assert sansocket.ProtocolError is sansocket.exceptions.ProtocolError; "
        "assert 'ProtocolError' in vars(sansocket); "
        "assert 'sansocket.protocol' not in sys.modules; "
        "assert sansocket.uri.parse_uri is sansocket.parse_uri; "
        "from sansocket import *; "
        "assert ServerProtocol is sansocket.server.ServerProtocol"
    )
    paths = f"import sys; sys.path[:] = {sys.path!r}; "
    run([sys.executable, "-c", paths + script], check=True)


def test_dir_lists_all_names() -> None:
    assert {*sansocket.__all__} <= {*dir(sansocket)}
    assert dir(sansocket) == sorted(dir(sansocket))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(
        AttributeError, match=r"module 'sansocket' has no attribute 'x'"
    ):
        _ = sansocket.x  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot import name 'listen'"):
        from sansocket import listen  # type: ignore[attr-defined]  # noqa: F401 - must fail


@needs_reference
def test_the_package_has_the_names_of_the_other_one() -> None:
    websockets = importlib.import_module("websockets")
    assert {*websockets.__all__} <= {*sansocket.__all__}
    for name in ("serve", "connect", "route"):
        home = getattr(websockets, name).__module__.removeprefix("websockets.")
        assert getattr(sansocket, name).__module__ == f"sansocket.{home}"


def test_names_of_the_driver_load_it_when_asked_for() -> None:
    script = (
        "import sys, sansocket; assert 'asyncio' not in sys.modules; "
        "assert sansocket.serve is sys.modules['sansocket.asyncio.server'].serve; "
        "assert 'serve' in vars(sansocket); "
        "import sansocket.server, types; "
        "assert isinstance(sansocket.server, types.ModuleType); "
        "assert isinstance(sansocket.client, types.ModuleType)"
    )
    paths = f"import sys; sys.path[:] = {sys.path!r}; "
    run([sys.executable, "-c", paths + script], check=True)


def test_version() -> None:
    assert sansocket.__version__ == get(sansocket, "version").version


# Signatures: (name, kind, default) of each argument, and no word on annotations


def signature(function: Any) -> list[tuple[str, str, Any]]:
    return [
        (parameter.name, parameter.kind.name, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name not in PRIVATE_ARGUMENTS
    ]


def methods(class_: type) -> dict[str, Any]:
    return {
        name: member
        for name, member in inspect.getmembers(class_)
        if not name.startswith("_") or name == "__init__"
    }


def mirrored_classes() -> list[tuple[str, str]]:
    found = []
    for name in MIRRORED:
        theirs = importlib.import_module(f"websockets.{name}")
        found += [
            (name, public)
            for public in theirs.__all__
            if inspect.isclass(getattr(theirs, public))
            and getattr(theirs, public).__module__ == theirs.__name__
        ]
    return found


def comparable(arguments: list[tuple[str, str, Any]]) -> list[tuple[str, str, Any]]:
    """Defaults of the other package may be members of its own enumerations."""
    return [
        (name, kind, int(default) if hasattr(default, "name") else default)
        for name, kind, default in arguments
    ]


@needs_reference
@pytest.mark.parametrize("name", MIRRORED)
def test_mirrored_modules_have_the_names(name: str) -> None:
    theirs = importlib.import_module(f"websockets.{name}")
    assert {*theirs.__all__} <= {*vars(get(PURE, name))}


@needs_reference
@pytest.mark.parametrize(("module", "name"), mirrored_classes())
def test_mirrored_classes_take_the_arguments(module: str, name: str) -> None:
    theirs = methods(getattr(importlib.import_module(f"websockets.{module}"), name))
    ours = methods(getattr(get(PURE, module), name))
    kinds = {name, *(c.__name__ for c in getattr(get(PURE, module), name).__mro__)}
    left_out = {
        n.partition(".")[2] for n in NOT_MIRRORED if n.partition(".")[0] in kinds
    }
    for method, function in theirs.items():
        if method in left_out:
            continue
        assert method in ours or not callable(function), f"{name}.{method}"
        if inspect.isfunction(function) or inspect.ismethod(function):
            assert_takes(ours[method], function, f"{name}.{method}")


def assert_takes(ours: Any, theirs: Any, name: str) -> None:
    """Ours has the same arguments; what it adds is keyword-only and optional."""
    had = comparable(signature(theirs))
    has = comparable(signature(ours))
    if any(kind == "VAR_POSITIONAL" for _, kind, _ in had):
        return  # *args: stands for a signature that no tool can show
    assert has[: len(had)] == had, name
    for argument, kind, default in has[len(had) :]:
        assert kind == "KEYWORD_ONLY", f"{name}: {argument}"
        assert default is not inspect.Parameter.empty, f"{name}: {argument}"


# What we promise beyond that, defaults included

LIMITS = {"validate_utf8": True, "max_fragments": 4096, "max_inflated_size": None}
HEAD_LIMITS = {"max_header_line": 8192, "max_headers": 128, "max_head_size": 65536}
OFFERS: dict[str, Any] = {"extensions": None, "subprotocols": None}
CONSTRUCTORS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "server",
        "ServerProtocol",
        {"origins": None, **OFFERS, "select_subprotocol": None, "state": 0}
        | {"max_size": 2**20, "logger": None, "hosts": None}
        | {"max_request_line": 8192, **HEAD_LIMITS, **LIMITS},
    ),
    (
        "client",
        "ClientProtocol",
        {"uri": ..., "origin": None, **OFFERS, "state": 0}
        | {"max_size": 2**20, "logger": None}
        | {"max_status_line": 8192, **HEAD_LIMITS, "max_body": 2**20, **LIMITS},
    ),
    (
        "protocol",
        "Protocol",
        {"side": ..., "state": 1, "max_size": 2**20, "logger": None, **LIMITS},
    ),
    (
        "frames",
        "Frame",
        {"opcode": ..., "data": ..., "fin": True}
        | {"rsv1": False, "rsv2": False, "rsv3": False},
    ),
    ("frames", "Close", {"code": ..., "reason": ...}),
    (
        "http11",
        "Request",
        {"path": ..., "headers": ..., "method": "GET", "protocol": "HTTP/1.1"},
    ),
    (
        "http11",
        "Response",
        {"status_code": ..., "reason_phrase": ..., "headers": ..., "body": b""},
    ),
    (
        "uri",
        "WebSocketURI",
        {"secure": ..., "host": ..., "port": ..., "path": ..., "query": ...}
        | {"username": None, "password": None},
    ),
    (
        "extensions.permessage_deflate",
        "ServerPerMessageDeflateFactory",
        {"server_no_context_takeover": False, "client_no_context_takeover": False}
        | {"server_max_window_bits": None, "client_max_window_bits": None}
        | {"compress_settings": None, "require_client_max_window_bits": False},
    ),
]
METHODS = {
    ("protocol", "Protocol"): {
        "receive_data": ["data"],
        "feed_data": ["data"],
        "next_event": [],
        "take_payload": [],
        "receive_eof": [],
        "events_received": [],
        "data_to_send": [],
        "close_expected": [],
        "send_continuation": ["data", "fin"],
        "send_text": ["data", "fin=True", "compress=None"],
        "send_binary": ["data", "fin=True", "compress=None"],
        "send_close": ["code=None", "reason=''"],
        "send_ping": ["data"],
        "send_pong": ["data"],
        "fail": ["code", "reason=''"],
        "send_frame": ["frame"],
        "send_eof": [],
        "recv_frame": ["frame"],
    },
    ("server", "ServerProtocol"): {
        "accept": ["request"],
        "process_request": ["request"],
        "process_origin": ["headers"],
        "process_extensions": ["headers"],
        "process_subprotocol": ["headers"],
        "select_subprotocol": ["subprotocols"],
        "reject": ["status", "text"],
        "send_response": ["response"],
    },
    ("client", "ClientProtocol"): {
        "connect": [],
        "send_request": ["request"],
        "process_response": ["response"],
        "process_extensions": ["headers"],
        "process_subprotocol": ["headers"],
    },
}


@pytest.mark.parametrize(("module", "name", "arguments"), CONSTRUCTORS)
def test_constructors(module: str, name: str, arguments: dict[str, Any]) -> None:
    empty = inspect.Parameter.empty
    found = comparable(signature(getattr(get(PURE, module), name)))
    assert {n: ... if d is empty else d for n, _, d in found} == arguments
    assert [argument for argument, _, _ in found] == [*arguments]
    if name.endswith("Protocol"):
        optional = [
            kind for argument, kind, _ in found if argument not in ("uri", "side")
        ]
        assert {*optional} == {"KEYWORD_ONLY"}


@pytest.mark.parametrize(("module", "name"), METHODS)
def test_methods(module: str, name: str) -> None:
    class_ = getattr(get(PURE, module), name)
    wanted = METHODS[module, name]
    for method, arguments in wanted.items():
        found = [
            argument
            if default is inspect.Parameter.empty
            else f"{argument}={default!r}"
            for argument, _, default in signature(getattr(class_, method))[1:]
        ]
        assert found == arguments, method
    # Nothing else that is callable is offered; data has its own tests.
    public = {
        n for n, m in vars(class_).items() if inspect.isfunction(m) and n[0] != "_"
    }
    assert public <= {*wanted}


def test_compiled_methods_take_keywords(impl: Any) -> None:
    """What has no signature to look at is called by it."""
    protocol = impl.protocol.Protocol(side=impl.protocol.SERVER, max_size=None)
    protocol.receive_data(data=b"")
    protocol.feed_data(data=b"")
    protocol.send_text(data=b"a", fin=False, compress=None)
    protocol.send_continuation(data=b"b", fin=True)
    protocol.send_binary(data=b"", fin=True, compress=False)
    protocol.send_ping(data=b"")
    protocol.send_pong(data=b"")
    protocol.send_close(code=1000, reason="")
    protocol.fail(code=1000, reason="")
    frame = impl.frames.Frame(opcode=impl.frames.Opcode.TEXT, data=b"", fin=True)
    protocol.recv_frame(frame=frame)
