"""Handlers, hooks and classes of an application that are not what they should be."""

from __future__ import annotations

import asyncio
import functools
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from werkzeug.routing import Map, Rule

from sansocket import InvalidStatus, Response
from sansocket.asyncio import Connection, ServerConnection, connect, serve, unix_serve
from sansocket.asyncio.router import Router, route
from sansocket.datastructures import Headers

from .support import Run, echo, opened, raw, serving


async def nothing(*arguments: Any) -> None:
    """Takes whatever it gets."""


async def chunks(*arguments: Any) -> AsyncIterator[None]:
    yield


class NotInitialised(ServerConnection):
    def __init__(self, *arguments: Any, **options: Any) -> None: ...


class Asynchronous(ServerConnection):
    async def on_message(self, message: Any) -> None: ...


class Handles:
    async def handle(self, connection: Any) -> None: ...

    def mute(self, connection: Any) -> None: ...

    async def __call__(self, connection: Any) -> None: ...


class HandlesNothing:
    def __call__(self, connection: Any) -> None: ...


class Makes:
    def __init__(self, connection: Any) -> None: ...

    def __await__(self) -> Iterator[None]:
        yield from ()


def plain(connection: Any) -> None:
    connection.send("x")


def generator(connection: Any) -> Iterator[None]:
    yield


def early(connection: Any) -> None:
    if connection:
        return
    with open("/nowhere"):
        return None


@types.coroutine
def old_style(connection: Any) -> Iterator[None]:
    yield


def gives(connection: Any) -> Awaitable[None]:
    return echo(connection)


def may_give(connection: Any) -> Awaitable[None] | None:
    if connection:
        return echo(connection)
    return None


def with_more(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a handler which takes more than a connection."""

    @functools.wraps(handler)
    def call(connection: Any) -> Any:
        return handler(connection, "more")

    return call


def without_result(handler: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handler)
    def call(connection: Any) -> None:
        handler(connection)

    return call


@with_more
async def decorated(connection: Any, more: str) -> None: ...


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (3, "not 3"),
        ("module:handler", "not 'module:handler'"),
        (plain, "plain() is a plain function that returns nothing"),
        (early, "returns nothing"),
        (lambda connection: None, "returns nothing"),
        (functools.partial(plain), "returns nothing"),
        (Handles().mute, "returns nothing"),
        (HandlesNothing(), "returns nothing"),
        (without_result(echo), "returns nothing"),
        (generator, "is a generator"),
        (chunks, "is an asynchronous generator"),
        (HandlesNothing, "takes ()"),
        (object, "object"),
        (functools.partial(plain, 1), "takes"),
        (lambda: echo, "takes ()"),
        (lambda connection, path: echo, "takes (connection, path)"),
    ],
)
def test_what_is_no_handler(handler: Any, why: str) -> None:
    for make in (serve, unix_serve):
        with pytest.raises(TypeError) as caught:
            make(handler)
        assert str(caught.value).startswith("handler must be a coroutine function of")
        assert why in str(caught.value)
    with pytest.raises(TypeError, match="the handler of '/a' must be a coroutine"):
        route(Map([Rule("/a", endpoint=handler)]))


@pytest.mark.parametrize(
    "handler",
    [
        *(echo, gives, may_give, old_style, decorated, Makes, nothing),
        lambda connection: echo(connection),
        functools.partial(lambda path, connection: echo(connection), "/"),
        *(Handles().handle, Handles(), functools.partial(decorated)),
        *(lambda connection, path=None: echo(connection), print),
    ],
)
def test_what_may_be_a_handler(handler: Any) -> None:
    serve(handler)
    route(Map([Rule("/a", endpoint=handler)]))


def test_handlers_of_routes() -> None:
    """They are called with what the pattern matches, by name."""

    async def room(connection: ServerConnection, number: int) -> None: ...

    route(Map([Rule("/<int:number>", endpoint=room), Rule("/a", redirect_to="1")]))
    with pytest.raises(TypeError, match=r"'/<name>'.* takes .*number"):
        route(Map([Rule("/<name>", endpoint=room)]))

    class Named(Router):
        def route_request(self, connection: Any, request: Any) -> Response | None:
            return None

    route(Map([Rule("/<name>", endpoint="room")]), create_router=Named)


@pytest.mark.parametrize("options", [{"url_map": {}}, {"server_name": 3}])
def test_arguments_of_routers(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(TypeError, match=f"{name} must be "):
        route(**{"url_map": Map(), **options})
    with pytest.raises(TypeError, match="create_router must be a class"):
        route(Map(), create_router="x")  # type: ignore[arg-type]


# What only shows when a connection comes


def test_a_handler_that_returns_something_else(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """One line that names it, without a traceback."""

    def handler(connection: ServerConnection) -> Any:
        return connection.id

    async def test() -> None:
        for make in (
            serving(handler),
            route(Map([Rule("/chat", endpoint=handler)]), "127.0.0.1", 0),
        ):
            async with make as made:
                server = made[0] if isinstance(made, tuple) else made
                async with await opened(server) as peer:
                    assert await peer.read_frame() == (0x88, b"\x03\xf3")
                    peer.send_frame(0x88, b"\x03\xf3")
                    await peer.read_all()

    run(test())
    lines = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("connection handler failed: ")
        assert "handler() must be a coroutine function or return an awaitable" in line
    assert not any(record.exc_info for record in caplog.records)


def made_of_nothing(*arguments: Any, **options: Any) -> Any:
    return None


def failing(*arguments: Any, **options: Any) -> Any:
    raise ValueError("no database")


def cancelled(*arguments: Any, **options: Any) -> Any:
    raise asyncio.CancelledError


def asynchronous(*arguments: Any, **options: Any) -> Any:
    return Asynchronous(*arguments, **options)


@pytest.mark.parametrize(
    ("create_connection", "why"),
    [
        (made_of_nothing, "must be a ServerConnection, not None"),
        (failing, "no database"),
        (cancelled, "CancelledError"),
        (NotInitialised, "did not call super().__init__()"),
        (asynchronous, "on_message must be a plain function"),
    ],
)
def test_a_connection_that_cannot_be_made(
    run: Run,
    caplog: pytest.LogCaptureFixture,
    may_log_errors: list[str],
    create_connection: Any,
    why: str,
) -> None:
    """A line with a traceback for each, and the server goes on."""
    may_log_errors.append("create_connection failed")
    made: list[bool] = [True, True, False]

    def create(*arguments: Any, **options: Any) -> Any:
        if made.pop(0):
            return create_connection(*arguments, **options)
        return ServerConnection(*arguments, **options)

    async def test() -> None:
        async with serving(create_connection=create) as (server, url):
            for _ in range(2):
                async with await raw(server) as peer:
                    assert await peer.read_all() == b""
            async with connect(url) as client:
                await client.send("a")
                assert await client.recv() == "a"

    run(test())
    lines = [r for r in caplog.records if r.getMessage() == "create_connection failed"]
    assert len(lines) == 2
    assert all(why in caplog.handler.format(record) for record in lines)


def test_a_connection_of_a_client_that_cannot_be_made(run: Run) -> None:
    async def test() -> None:
        async with serving() as (_, url):
            for create, kind in ((made_of_nothing, TypeError), (failing, ValueError)):
                with pytest.raises(kind):
                    await connect(url, create_connection=create)

    run(test())


class Headless:
    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def __call__(self, connection: Any, request: Any, response: Any = None) -> Any:
        fields = {
            "status_code": 200,
            "reason_phrase": "OK",
            "headers": Headers(),
            "body": b"",
        }
        return Response(**{**fields, **self.fields})


@pytest.mark.parametrize(
    ("hook", "why"),
    [
        (lambda *arguments: (200, {}, b""), "a Response or None, not tuple"),
        (lambda *arguments: "no", "a Response or None, not str"),
        (lambda *arguments: False, "a Response or None, not bool"),
        (Headless(headers={}), "whose headers must be Headers, not dict"),
        (Headless(body="x"), "whose body must be bytes, not str"),
        (Headless(status_code="200"), "whose status_code must be an int, not str"),
        (Headless(reason_phrase=b"OK"), "whose reason_phrase must be a str, not bytes"),
    ],
)
@pytest.mark.parametrize("name", ["process_request", "process_response"])
def test_what_hooks_return(
    run: Run,
    caplog: pytest.LogCaptureFixture,
    may_log_errors: list[str],
    name: str,
    hook: Any,
    why: str,
) -> None:
    """Named in the log; the peer gets a 500."""
    may_log_errors.append("opening handshake failed")

    async def test() -> None:
        async with serving(**{name: hook}) as (_, url):
            with pytest.raises(InvalidStatus) as caught:
                await connect(url)
            assert caught.value.response.status_code == 500

    run(test())
    assert f"TypeError: {name} " in caplog.text
    assert why in caplog.text


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        *(("recv", ()), ("send", ("x",)), ("ping", ()), ("pong", ())),
        *(("close", ()), ("wait_closed", ()), ("__aenter__", ())),
        *(("__aexit__", (None, None, None)), ("send_nowait", ("x",))),
    ],
)
def test_a_self_that_is_no_connection(name: str, arguments: tuple[Any, ...]) -> None:
    """It is refused, and not read as if it were one."""

    async def call() -> None:
        result = getattr(Connection, name)(8, *arguments)
        await result  # for those that are coroutine functions

    with pytest.raises(TypeError, match="on an object of type int"):
        call().send(None)
