"""Arguments of ``serve()`` and ``connect()``: wrong ones are refused at the call."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from werkzeug.routing import Map

from sansocket.asyncio import (
    ClientConnection,
    ServerConnection,
    connect,
    serve,
    unix_connect,
    unix_serve,
)
from sansocket.asyncio.router import route, unix_route
from sansocket.asyncio.server import basic_auth
from sansocket.datastructures import Headers

from .support import Run, echo, serving

NAN, INF = float("nan"), float("inf")


def new_server(**options: Any) -> Any:
    return serve(echo, **options)


def new_unix_server(**options: Any) -> Any:
    return unix_serve(echo, "/nowhere", **options)


def new_router(**options: Any) -> Any:
    return route(Map(), "localhost", 0, **options)


def new_unix_router(**options: Any) -> Any:
    return unix_route(Map(), "/nowhere", **options)


def new_client(**options: Any) -> Any:
    return connect("ws://127.0.0.1:1/", **options)


def new_unix_client(**options: Any) -> Any:
    return unix_connect("/nowhere", **options)


SERVERS = (new_server, new_unix_server, new_router, new_unix_router)
CLIENTS = (new_client, new_unix_client)


async def nothing(*arguments: Any) -> None:
    """Is a coroutine function, where none is wanted."""


async def chunks(*arguments: Any) -> AsyncIterator[None]:
    """Is an asynchronous generator, where none is wanted."""
    yield


class Calls:
    async def __call__(self, *arguments: Any) -> None: ...


class NotInitialised(ServerConnection):
    def __init__(self, *arguments: Any, **options: Any) -> None: ...


class Asynchronous(ServerConnection):
    async def on_message(self, message: Any) -> None: ...


class AsynchronousClient(ClientConnection):
    on_close = nothing


# Names, what is of a wrong type, and what is wrong else: for both sides.
COMMON: list[tuple[str, list[Any], list[Any]]] = [
    ("extensions", ["permessage-deflate", 3, object(), [object()]], []),
    ("subprotocols", ["chat", b"chat", 3, [3]], [["a b"], [""]]),
    ("compression", [3, True, b"deflate"], ["gzip", ""]),
    ("open_timeout", ["a", True], [-1, NAN]),
    ("ping_interval", ["a", True], [0, -1, NAN]),
    ("ping_timeout", ["a", True], [0, -1, NAN]),
    ("close_timeout", ["a", True], [-1, NAN]),
    ("max_size", ["1M", True, 1.5], [-1, (1,), (1, 2, 3), (1, -1)]),
    ("max_queue", ["a", True, 1.5], [-1, (1,), (1, 2)]),
    ("write_limit", [None, "a", True, 1.5], [-1, (10, 20), (1,)]),
    ("logger", ["x", 3], []),
    ("create_connection", [object, 3, "x", lambda: None], []),
    ("on_open", [3, nothing, Calls(), functools.partial(nothing, 1)], []),
    ("on_message", [3, nothing, chunks, Calls(), Calls().__call__], []),
    ("on_message", [lambda connection: None, lambda: None], []),
    ("on_close", [3, nothing, lambda connection, more: None], []),
    ("max_header_line", ["a", None], [0, -1]),
    ("max_headers", ["a", None], [0]),
    ("max_head_size", ["a", None], [0]),
    ("validate_utf8", ["a", None], [2]),
    ("max_fragments", ["a", True], [0]),
    ("max_inflated_size", ["a", True], [-1]),
]
OF_SERVERS: list[tuple[str, list[Any], list[Any]]] = [
    ("origins", ["https://x", 3, [3]], []),
    ("hosts", ["x", 3, [3]], [["https://x"]]),
    ("select_subprotocol", [3, nothing, lambda connection: None], []),
    ("process_request", [3, "x", lambda: None, lambda connection: None], []),
    ("process_response", [3, lambda connection, request: None], []),
    ("server_header", [3, b"x"], ["a\r\nb: c", "\u20ac"]),
    ("create_connection", [ClientConnection, Asynchronous, ServerConnection.close], []),
    ("max_request_line", ["a", None], [0]),
]
OF_CLIENTS: list[tuple[str, list[Any], list[Any]]] = [
    ("origin", [3, ["https://x"]], ["a\r\nb: c"]),
    ("subprotocols", [], [["a", "a"]]),
    ("additional_headers", ["a: b", 3, [3], {3: "a"}], [{"a": "b\r\n"}, {"a b": "c"}]),
    ("user_agent_header", [3], ["a\nb"]),
    ("proxy", [3, ["http://x"]], []),
    ("process_exception", [3, None, nothing, lambda: None], []),
    ("reconnect_delays", [3, None, nothing, [1, 2], lambda exc: None], []),
    ("create_connection", [ServerConnection, AsynchronousClient], []),
    ("max_redirects", ["a", None, True, 1.5], [-1]),
    ("max_status_line", ["a", None], [0]),
    ("max_body", ["a", None], [-1]),
]


@pytest.mark.parametrize(
    ("kinds", "name", "types", "values"),
    [
        *((SERVERS, *row) for row in (*COMMON, *OF_SERVERS)),
        *((CLIENTS, *row) for row in (*COMMON, *OF_CLIENTS)),
    ],
)
def test_wrong_options(
    kinds: tuple[Callable[..., Any], ...],
    name: str,
    types: list[Any],
    values: list[Any],
) -> None:
    for kind, wrong in ((TypeError, types), (ValueError, values)):
        for value in wrong:
            for make in kinds:
                with pytest.raises(kind) as caught:
                    make(**{name: value})
                message = str(caught.value)
                subject = message.partition(" must ")[0].partition(" cannot ")[0]
                assert subject.endswith((name, "on_message", "on_close"))
                assert len(message) < 250


def test_options_that_are_fine() -> None:
    """Odd, but they work, as in ``websockets``."""
    fine: dict[str, list[Any]] = {
        "open_timeout": [0, None, INF],
        "ping_interval": [None, INF, 0.1],
        "close_timeout": [0, None],
        "max_queue": [0, (1, 1), (None, 1), None],
        "write_limit": [0, (10, 10), (None, 20), (20, None)],
        "max_size": [0, None, (None, 5)],
        "subprotocols": [("a", "b"), [], None],
        "compression": [None],
        "create_connection": [lambda *arguments, **options: None],
        "on_message": [print, lambda *arguments: None, max],
    }
    for name, values in fine.items():
        for value in values:
            for make in (*SERVERS, *CLIENTS):
                make(**{name: value})
    for headers in ({"a": "b"}, [("a", "b"), ("a", "c")], Headers(a="b"), iter(())):
        new_client(additional_headers=headers)
    new_client(proxy=None)


def test_places() -> None:
    """Where to connect to, and to listen."""
    for uri in (3, None, b"ws://x/"):
        with pytest.raises(TypeError, match=r"^uri must be a str, not "):
            connect(uri)  # type: ignore[arg-type]
    for place in ({"host": "x"}, {"port": 80}):
        for make in (new_unix_server, new_unix_router):
            with pytest.raises(TypeError, match="listens at a path"):
                make(**place)


# Names


@pytest.mark.parametrize(
    ("makes", "name", "hint"),
    [
        (SERVERS, "pingintervall", "did you mean 'ping_interval'?"),
        (SERVERS, "max_fragment", "did you mean 'max_fragments'?"),
        (SERVERS, "subprotocol", "did you mean 'subprotocols'?"),
        (SERVERS, "extra_headers", "process_response"),
        (SERVERS, "klass", "use create_connection"),
        (SERVERS, "create_protocol", "use create_connection"),
        (SERVERS, "loop", "leave it out"),
        (SERVERS, "read_limit", "leave it out"),
        (SERVERS, "timeout", "use open_timeout or close_timeout"),
        (SERVERS, "max_status_line", "argument 'max_status_line'"),
        (SERVERS, "nonsense", "argument 'nonsense'"),
        (SERVERS, "protocol_factory", "argument"),
        (CLIENTS, "pingintervall", "did you mean 'ping_interval'?"),
        (CLIENTS, "extra_headers", "use additional_headers"),
        (CLIENTS, "headers", "use additional_headers"),
        (CLIENTS, "ssl_context", "use ssl"),
        (CLIENTS, "timeout", "use open_timeout or close_timeout"),
        (CLIENTS, "nonsense", "argument 'nonsense'"),
        (CLIENTS, "process_request", "argument 'process_request'"),
        ((new_unix_server, new_unix_router), "reuse_port", "argument 'reuse_port'"),
        ((new_unix_client,), "local_addr", "argument 'local_addr'"),
        ((new_server, new_router, new_client), "path", "argument 'path'"),
    ],
)
def test_unknown_names(
    makes: tuple[Callable[..., Any], ...], name: str, hint: str
) -> None:
    for make in makes:
        with pytest.raises(TypeError, match="got an unexpected keyword") as caught:
            make(**{name: 3})
        message = str(caught.value)
        assert repr(name) in message
        assert hint in message
        assert message.startswith(
            ("serve(", "unix_serve(", "connect(", "unix_connect(")
        )


@pytest.mark.parametrize(
    ("makes", "method"),
    [
        ((new_server, new_router), "create_server"),
        ((new_unix_server, new_unix_router), "create_unix_server"),
        ((new_client,), "create_connection"),
        ((new_unix_client,), "create_unix_connection"),
    ],
)
def test_what_event_loops_take(
    makes: tuple[Callable[..., Any], ...], method: str
) -> None:
    """Each argument of the loops that there are goes to the loop."""
    loops: list[Any] = [asyncio.SelectorEventLoop]
    uvloop = pytest.importorskip("uvloop")
    loops.append(uvloop.Loop)
    given = {"self", "protocol_factory", "host", "port", "path"}
    for loop in loops:
        for name in {*inspect.signature(getattr(loop, method)).parameters} - given:
            value = None if name.startswith("ssl") or name == "server_hostname" else 0
            for make in makes:
                make(**{name: value})


def test_a_loop_of_ones_own() -> None:
    """It may take more than others."""

    class Loop(asyncio.SelectorEventLoop):
        async def create_server(
            self, *arguments: Any, tos: int = 0, **more: Any
        ) -> Any:
            return await super().create_server(*arguments, **more)

    async def main() -> None:
        async with serve(echo, "127.0.0.1", 0, tos=3):  # type: ignore[call-arg]
            pass

    with pytest.raises(TypeError, match="'tos'"):
        serve(echo, tos=3)  # type: ignore[call-arg]
    loop = Loop()
    loop.run_until_complete(main())
    loop.close()


# Options that the event loop would have refused, and that mean something


@pytest.mark.parametrize(
    "options",
    [
        {"max_queue": 0},
        {"max_queue": (1, 1)},
        {"max_queue": (None, 1)},
        {"write_limit": 0},
        {"write_limit": (None, 20)},
        {"write_limit": (20, 20)},
        {"open_timeout": INF, "ping_interval": INF, "close_timeout": INF},
    ],
    ids=str,
)
def test_messages_pass(run: Run, options: dict[str, Any]) -> None:
    async def test() -> None:
        async with (
            serving(**options) as (_, url),
            connect(url, **options) as client,
        ):
            for size in (1, 100, 100_000):
                await client.send("a" * size)
                await client.send(b"b" * size)
                assert await client.recv() == "a" * size
                assert await client.recv() == b"b" * size

    run(test())


# Basic authentication: what is wrong as in ``websockets`` 17.4


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (ValueError, ("here",)),
        (ValueError, ("here", ("a", "b"), lambda name, password: True)),
        (TypeError, ("here", ("a", 3))),
        (TypeError, ("here", 3)),
        (TypeError, ("here", "ab")),
        (TypeError, ("here", [("a",)])),
        (TypeError, ("here", [("a", "b"), ("c", b"d")])),
        (TypeError, ("here", None, 3)),
        (TypeError, ("here", None, lambda name: True)),
        (TypeError, (3, ("a", "b"))),
    ],
)
def test_credentials(kind: type[Exception], arguments: tuple[Any, ...]) -> None:
    with pytest.raises(kind) as caught:
        basic_auth(*arguments)
    assert "'b'" not in str(caught.value)  # no password is shown


def test_credentials_that_are_fine() -> None:
    pairs = [("a", "b"), ("c", "d")]
    fine: list[Any] = [("a", "b"), ["a", "b"], pairs, iter(pairs), {"a": "b"}.items()]
    for credentials in fine:
        basic_auth("here", credentials)
