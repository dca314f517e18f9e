"""Public names of the modules that ours mirror: they are there, or on the page.

In ``__all__`` or not, since software imports what it finds. Names of the standard
library and of other packages don't count, nor do modules.
"""

from __future__ import annotations

import importlib
import re
from types import ModuleType
from typing import Any

import pytest

from .reference import ROWS, needs_release

pytestmark = [needs_release, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

MODULES = [
    *("client", "datastructures", "exceptions", "extensions", "extensions.base"),
    *("extensions.permessage_deflate", "frames", "headers", "http11", "protocol"),
    *("proxy", "server", "typing", "uri", "asyncio.client", "asyncio.connection"),
    *("asyncio.router", "asyncio.server"),
]
FOREIGN = re.compile(r"(builtins|collections|typing|python_socks|werkzeug)\b")
OF_FOREIGN = {"TracebackType"}
# Those that no module has before it is asked for them.
DEPRECATED = {
    "exceptions": {
        *("AbortHandshake", "InvalidStatusCode", "RedirectHandshake"),
        "WebSocketProtocolError",
    }
}


def names_of(module: str) -> set[str]:
    """Public names of a module of the reference implementation."""
    theirs = importlib.import_module(f"websockets.{module}")
    found = {
        name
        for name, value in vars(theirs).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and (
            name in getattr(theirs, "__all__", ())
            or not FOREIGN.match(getattr(value, "__module__", None) or "")
            or isinstance(value, type(list[int]))
        )
    }
    found -= {*OF_FOREIGN, "annotations"}
    return found | {
        name for name in DEPRECATED.get(module, ()) if hasattr(theirs, name)
    }


def absent(module: str) -> set[str]:
    """Names of a module that the page says ours does not have."""
    text = ROWS["D-97"].action
    parts = re.findall(r"`([\w.]+)`: ((?:`\w+`(?:, )?)+)", text)
    return {
        name
        for where, names in parts
        if where == module
        for name in re.findall(r"`(\w+)`", names)
    }


def test_d_97_names(impl: Any) -> None:
    """Each name is there, or listed as absent; what is listed is so in both."""
    for module in MODULES:
        ours = importlib.import_module(f"{impl.__name__}.{module}")
        missing = {name for name in names_of(module) if not hasattr(ours, name)}
        assert missing == absent(module), module
    listed = re.findall(r"`([\w.]+)`: `", ROWS["D-97"].action)
    assert {*listed} <= {*MODULES}


def test_names_are_those_of_their_homes(impl: Any) -> None:
    """However they are reached, and in each form its own."""
    for module, name, home in (
        ("server", "Headers", "datastructures"),
        ("server", "Protocol", "protocol"),
        ("client", "accept_key", "_http.handshake"),
        ("protocol", "TEXT", "frames"),
        ("protocol", "ConnectionClosed", "exceptions"),
        ("http11", "TooManyHeaders", "exceptions"),
        ("headers", "Subprotocol", "typing"),
        ("extensions", "Extension", "extensions.base"),
        ("extensions.permessage_deflate", "Frame", "frames"),
        ("asyncio.connection", "broadcast", "asyncio.server"),
    ):
        there, here = (
            getattr(importlib.import_module(f"{impl.__name__}.{one}"), name)
            for one in (module, home)
        )
        assert there is here, (module, name)
    assert impl.server.ServerConnection is impl.server.ServerProtocol
    assert impl.client.ClientConnection is impl.client.ClientProtocol
    assert impl.headers.parse_extension_list is impl.headers.parse_extension
    for module in MODULES:
        found = importlib.import_module(f"{impl.__name__}.{module}")
        with pytest.raises(AttributeError, match=rf"{module}' has no attribute 'x'"):
            found.x  # noqa: B018 - that is what is tried


def test_opcodes_by_all_their_names(impl: Any) -> None:
    frames = impl.frames
    names = ("CONT", "TEXT", "BINARY", "CLOSE", "PING", "PONG")
    for name in names:
        opcode = getattr(frames.Opcode, name)
        assert getattr(frames, name) is getattr(frames, f"OP_{name}") is opcode
    assert frames.DATA_OPCODES == (frames.CONT, frames.TEXT, frames.BINARY)
    assert frames.CTRL_OPCODES == (frames.CLOSE, frames.PING, frames.PONG)


def test_tables_of_close_codes(impl: Any) -> None:
    theirs = importlib.import_module("websockets.frames")
    ours = impl.frames
    assert ours.CLOSE_CODE_EXPLANATIONS == theirs.CLOSE_CODE_EXPLANATIONS
    assert ours.EXTERNAL_CLOSE_CODES == theirs.EXTERNAL_CLOSE_CODES
