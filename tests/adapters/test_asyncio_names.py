"""Names, arguments and defaults are those of ``websockets.asyncio``."""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import version
from typing import Any

import pytest
import websockets.asyncio.client
import websockets.asyncio.connection
import websockets.asyncio.server

import sansocket.asyncio as ours
from sansocket.http11 import SERVER
from tests.pure import load_pure

pytestmark = pytest.mark.skipif(
    int(version("websockets").partition(".")[0]) < 17,
    reason="earlier releases, all that Python 3.10 can have, differ here and there",
)

CLASSES = [
    (ours.Connection, websockets.asyncio.connection.Connection),
    (ours.ServerConnection, websockets.asyncio.server.ServerConnection),
    (ours.ClientConnection, websockets.asyncio.client.ClientConnection),
    (ours.Server, websockets.asyncio.server.Server),
]
# Methods that applications do not call.
INSIDE = {
    *("acknowledge_pings", "close_exc", "data_received", "drain", "handshake"),
    *("keepalive", "process_event", "send_context", "send_data", "start_keepalive"),
    *("set_connection_exc", "terminate_pending_pings"),
}
CALLBACKS = ("on_open", "on_message", "on_close")
SERVE: dict[str, Any] = {
    "handler": ...,
    "host": None,
    "port": None,
    "origins": None,
    "extensions": None,
    "subprotocols": None,
    "select_subprotocol": None,
    "compression": "deflate",
    "process_request": None,
    "process_response": None,
    "server_header": SERVER,
    "open_timeout": 10,
    "ping_interval": 20,
    "ping_timeout": 20,
    "close_timeout": 10,
    "max_size": 2**20,
    "max_queue": 16,
    "write_limit": 2**15,
    "logger": None,
    "create_connection": None,
    **dict.fromkeys(CALLBACKS),
    "kwargs": ...,
}


def arguments(function: Any) -> dict[str, Any]:
    """Names and defaults; ``...`` stands for none."""
    return {
        name: ... if one.default is inspect.Parameter.empty else one.default
        for name, one in inspect.signature(function).parameters.items()
    }


@pytest.mark.parametrize(("mine", "theirs"), CLASSES)
def test_methods(mine: type, theirs: type) -> None:
    for name, member in vars(theirs).items():
        if name.startswith("_") or name in INSIDE:
            continue
        assert hasattr(mine, name), name
        if inspect.isfunction(member):
            wanted = arguments(member)
            found = arguments(getattr(mine, name))
            assert [*found][: len(wanted)] == [*wanted], name
            assert wanted.items() <= found.items() or name == "connection_made"


@pytest.mark.parametrize("name", ["unix_serve", "basic_auth", "broadcast"])
def test_functions_of_the_server(name: str) -> None:
    theirs = getattr(websockets.asyncio.server, name)
    assert arguments(getattr(ours, name)) == arguments(theirs)


def test_serve() -> None:
    assert arguments(ours.serve) == SERVE
    kinds = {
        one.kind for one in [*inspect.signature(ours.serve).parameters.values()][3:-1]
    }
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


def test_connect() -> None:
    theirs = arguments(websockets.asyncio.client.connect)
    found = arguments(ours.connect)
    *names, last = theirs
    added = ["max_redirects", "on_reconnect", "stable_after", *CALLBACKS]
    assert [*found] == [*names, *added, last]
    # Our own name and functions; tests/core/test_reconnection.py has what they do.
    own = {"user_agent_header", "process_exception", "reconnect_delays"}
    assert theirs.items() - found.items() <= {(name, theirs[name]) for name in own}


def test_unix_connect() -> None:
    theirs = websockets.asyncio.client.unix_connect
    assert arguments(ours.unix_connect) == arguments(theirs)


def test_connections_take_the_arguments() -> None:
    wanted = arguments(websockets.asyncio.connection.Connection)
    source = load_pure().__name__  # compiled, a class does not tell its arguments
    module = importlib.import_module(f"{source}.asyncio.connection")
    found = arguments(module.Connection)
    assert wanted.items() <= found.items()
