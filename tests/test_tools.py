"""What tools see of the package: as much of the compiled form as of the source."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import pydoc
import re
import sys
import traceback
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest import mock

import pytest

from .children import run
from .conftest import FORMS
from .pure import SOURCE, load_pure
from .test_public_api import MODULES

PURE = load_pure()

CONNECTION = "asyncio.connection"
COROUTINES = {
    *("recv", "send", "ping", "pong", "close", "wait_closed"),
    *("__aenter__", "__aexit__"),
}


def module_of(package: ModuleType, name: str) -> Any:
    return importlib.import_module(f"{package.__name__}.{name}")


def public_classes(package: ModuleType, name: str) -> Iterator[tuple[str, Any]]:
    module = module_of(package, name)
    for public in module.__all__:
        thing = getattr(module, public)
        home = getattr(thing, "__module__", "").partition(".")[0]
        if inspect.isclass(thing) and home == package.__name__:
            yield public, thing


def described(function: Any) -> str:
    """Signature, or that there is none."""
    try:
        return re.sub(" at 0x[0-9a-f]+", "", str(inspect.signature(function)))
    except ValueError:
        return "none"


def assert_alike(ours: Any, source: Any) -> None:
    """What returns a C value, or can be overridden for C, has no annotation of that;
    the methods and functions that are builtins have none at all."""
    found, wanted = inspect.signature(ours), inspect.signature(source)
    if inspect.isbuiltin(ours) or inspect.ismethoddescriptor(ours):
        found, wanted = without_annotations(found), without_annotations(wanted)
    if found.return_annotation is found.empty:
        wanted = wanted.replace(return_annotation=wanted.empty)
    assert str(found) == str(wanted), ours


def without_annotations(signature: inspect.Signature) -> inspect.Signature:
    parameters = signature.parameters.values()
    return inspect.Signature(
        [
            one.replace(
                annotation=one.empty,
                kind=one.POSITIONAL_ONLY if one.name == "self" else one.kind,
            )
            for one in parameters
        ]
    )


def methods_of(class_: Any) -> dict[str, Any]:
    """Public methods, as one finds them at the class."""
    return {
        name: getattr(class_, name)
        for name in dir(class_)
        if not name.startswith("_") and inspect.isroutine(getattr(class_, name))
    }


# Signatures


@pytest.mark.parametrize("name", MODULES)
def test_classes_have_the_signatures_of_the_source(impl: Any, name: str) -> None:
    source = dict(public_classes(PURE, name))
    for public, class_ in public_classes(impl, name):
        assert described(class_) == described(source[public]), public


@pytest.mark.parametrize("name", MODULES)
def test_methods_have_the_signatures_of_the_source(impl: Any, name: str) -> None:
    source = dict(public_classes(PURE, name))
    for public, class_ in public_classes(impl, name):
        ours, wanted = methods_of(class_), methods_of(source[public])
        assert ours.keys() == wanted.keys()
        for key, method in ours.items():
            if described(wanted[key]) != "none":  # of a base that is a builtin
                assert_alike(method, wanted[key])


@pytest.mark.parametrize("name", MODULES)
def test_functions_have_the_signatures_of_the_source(impl: Any, name: str) -> None:
    module, source = module_of(impl, name), module_of(PURE, name)
    for public in module.__all__:
        function = getattr(module, public)
        if inspect.isroutine(function) and described(function) != "none":
            assert_alike(function, getattr(source, public))


def test_subclasses_have_signatures_of_their_own(impl: Any) -> None:
    class Same(impl.server.ServerProtocol):  # type: ignore[misc]
        pass

    class Other(impl.server.ServerProtocol):  # type: ignore[misc]
        def __init__(self, name: str) -> None:
            super().__init__()

    class New(impl.frames.Frame):  # type: ignore[misc]
        def __new__(cls, x: int) -> New:
            raise NotImplementedError

    assert "origins" in described(Same)
    assert described(Other) == "(name: 'str') -> 'None'"
    assert described(New) == "(x: 'int') -> 'New'"
    assert not hasattr(impl.server.ServerProtocol(), "__signature__")


def test_without_the_source_there_is_no_signature(
    impl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if impl is PURE:
        return
    monkeypatch.setattr(impl.server, "__file__", "/nowhere/server.so")
    assert described(impl.server.ServerProtocol) == "none"


def help_on(thing: object) -> str:
    """What ``help()`` shows, on one line: from Python 3.13 on it breaks signatures."""
    shown = pydoc.plain(pydoc.render_doc(thing))
    return " ".join(shown.replace("\n |", "\n").split()).replace("( ", "(")


@pytest.mark.parametrize(
    ("module", "name", "text"),
    [
        ("server", "ServerProtocol", "class ServerProtocol(*, origins: "),
        ("server", "ServerProtocol", "accept(self, request"),
        ("server", "ServerProtocol", "send_text(self, data"),
        ("session", "Session", "class Session(protocol: "),
        ("session", "Session", "next_message(self, now"),
        ("frames", "Frame", "class Frame(opcode: "),
        (CONNECTION, "Connection", "async recv(self, decode: "),
    ],
)
def test_help_shows_arguments(impl: Any, module: str, name: str, text: str) -> None:
    class_ = getattr(module_of(impl, module), name)
    shown = help_on(class_).replace("(self, /, ", "(self, ")  # of builtins
    assert text.removeprefix("class ") in shown.replace(f"{name} = class ", "")


# Coroutine functions and mocks


@pytest.mark.parametrize("name", sorted(COROUTINES))
@pytest.mark.parametrize(
    ("module", "class_name"),
    [
        (CONNECTION, "Connection"),
        ("asyncio.server", "ServerConnection"),
        ("asyncio.client", "ClientConnection"),
    ],
)
def test_coroutine_functions_are_known(
    impl: Any, module: str, class_name: str, name: str
) -> None:
    class_ = getattr(module_of(impl, module), class_name)
    assert inspect.iscoroutinefunction(getattr(class_, name))
    assert not inspect.iscoroutinefunction(class_.send_nowait)
    assert inspect.isasyncgenfunction(class_.recv_streaming)


def specified(impl: Any) -> list[Any]:
    """Mocks of a connection, as tests of applications make them."""
    class_ = module_of(impl, "asyncio.server").ServerConnection
    return [
        mock.AsyncMock(spec=class_),
        mock.MagicMock(spec=class_),
        mock.create_autospec(class_, instance=True),
    ]


def test_mocks_of_connections_can_be_awaited(impl: Any) -> None:
    async def handler(connection: Any) -> None:
        message = await connection.recv()
        await connection.send(message)
        connection.send_nowait("and more")
        await connection.close(1000)

    for connection in specified(impl):
        connection.recv.return_value = "hello"
        asyncio.run(handler(connection))
        connection.send.assert_awaited_once_with("hello")
        connection.send_nowait.assert_called_once_with("and more")
        connection.close.assert_awaited_once_with(1000)


class Imitation:
    """What a test may write instead of a mock."""

    def __init__(self, exc: Exception | None = None) -> None:
        self.sent: list[object] = []
        self.exc = exc

    def send_nowait(self, message: object, *, text: bool | None = None) -> None:
        if self.exc is not None:
            raise self.exc
        self.sent.append((message, text))


def test_broadcast_sends_to_mocks(impl: Any) -> None:
    broadcast = module_of(impl, "asyncio.server").broadcast
    connections = specified(impl)
    broadcast(connections, "news")
    for connection in connections:
        connection.send_nowait.assert_called_once_with("news", text=None)
    imitation = Imitation()
    broadcast({imitation}, b"news", text=True)
    assert imitation.sent == [(b"news", True)]


def test_broadcast_tells_what_went_wrong_with_an_imitation(
    impl: Any, caplog: pytest.LogCaptureFixture
) -> None:
    broadcast = module_of(impl, "asyncio.server").broadcast
    good = Imitation()
    broadcast([Imitation(ValueError("broken")), good], "news")
    assert good.sent
    assert caplog.messages == ["broadcast failed: broken"]


@pytest.mark.parametrize("wrong", [None, "text", object(), mock.sentinel.connection])
def test_broadcast_names_what_is_no_connection(impl: Any, wrong: object) -> None:
    broadcast = module_of(impl, "asyncio.server").broadcast
    kind = type(wrong).__qualname__
    with pytest.raises(TypeError, match=f"needs connections, not {kind}$"):
        broadcast([wrong], "news")


# Tracebacks


def test_tracebacks_show_the_source(
    impl: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Wherever the program runs."""
    monkeypatch.chdir(tmp_path)
    frame = impl.frames.Frame(impl.frames.Opcode.TEXT, b"", rsv1=True)
    try:
        frame.check()
    except impl.exceptions.ProtocolError:
        text = traceback.format_exc()
    assert 'raise ProtocolError("reserved bits are set")' in text
    assert str(SOURCE / "frames.py") in text


def test_tracebacks_show_the_source_of_subpackages(
    impl: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        impl.protocol.Protocol(impl.protocol.SERVER).send_continuation(b"", True)
    except impl.exceptions.ProtocolError:
        text = traceback.format_exc()
    assert "raise ProtocolError(" in text
    assert str(SOURCE / "_wire" / "writer.py") in text


# Types


@pytest.mark.parametrize("name", ["recv", "recv_streaming"])
def test_overloads_are_for_type_checkers_only(impl: Any, name: str) -> None:
    method = getattr(module_of(impl, CONNECTION).Connection, name)
    assert "async def" not in (method.__doc__ or "")
    assert "Receive the next message" in method.__doc__


def test_keywords_have_types() -> None:
    """All that ``serve()`` and ``connect()`` take and do not name."""
    options = module_of(PURE, "_base.options")
    arguments = module_of(PURE, "asyncio._arguments").loop_arguments
    keywords = module_of(PURE, "asyncio._keywords")
    proxy = module_of(PURE, "asyncio._network").PROXY_TLS
    # Of later releases of Python.
    server = {"unix", "keep_alive", "cleanup_socket", *options.SERVER_LIMITS}
    client = {"unix", "all_errors", *options.CLIENT_LIMITS, *proxy}
    server |= arguments("create_server") | arguments("create_unix_server")
    client |= arguments("create_connection") | arguments("create_unix_connection")
    given = {*keywords.ServerKeywords.__annotations__}
    assert given == server - {"host", "port"}
    assert {*keywords.ClientKeywords.__annotations__} == client


# Which form runs


LIST_FILES = (
    "import sansocket.asyncio, sansocket.cli, sys; "
    "print({m.__file__.rpartition('.')[2] for n, m in sys.modules.items() "
    "if n.startswith('sansocket')})"
)


@pytest.mark.parametrize("value", ["1", "0", "", None])
def test_the_source_runs_if_the_environment_wants_it(value: str | None) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    environment.pop("SANSOCKET_PURE", None)
    if value is not None:
        environment["SANSOCKET_PURE"] = value
    pure = value == "1" or "compiled" not in FORMS
    options: Any = {"env": environment, "capture_output": True, "text": True}
    files = run([sys.executable, "-c", LIST_FILES], check=True, **options)
    assert (files.stdout.strip() == "{'py'}") is pure
    command = [sys.executable, "-m", "sansocket", "--version"]
    told = run(command, check=True, **options).stdout
    assert ("(interpreted)" if pure else "(compiled)") in told


# Parts of the package that a test replaces


@pytest.mark.parametrize(
    ("module", "name", "method"),
    [
        ("client", "ClientProtocol", "process_response"),
        ("asyncio.server", "ServerConnection", "recv"),
        ("asyncio.client", "ClientConnection", "send"),
        ("asyncio.server", "ServerConnection", "respond"),
    ],
)
def test_methods_of_python_classes_can_be_patched(
    impl: Any, module: str, name: str, method: str
) -> None:
    class_ = getattr(module_of(impl, module), name)
    original = getattr(class_, method)
    with mock.patch.object(class_, method, autospec=True):
        assert getattr(class_, method) is not original
    assert getattr(class_, method) is original


def test_help_needs_nothing_that_is_not_there(impl: Any) -> None:
    """It asks for all names, those of the driver too."""
    shown = help_on(impl)
    assert "serve(handler: " in shown
    assert "_NAMES" not in shown
    assert "_HOMES" not in shown
