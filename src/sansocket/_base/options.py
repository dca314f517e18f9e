"""What the functions of all drivers do with their arguments: check them at the call.

What can be told of a value alone is in ``values``; here is what needs to look into
functions and classes, and what else there may be by name.
"""

from __future__ import annotations

import difflib
import dis
import inspect
from functools import partial

from ..datastructures import Headers
from ..exceptions import WebSocketException
from ..http11 import Response
from .values import (
    RULES,
    brief,
    client_extensions,
    offered_subprotocols,
    refuse,
    server_extensions,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeVar

    from .values import Rule

    T = TypeVar("T")

__all__ = [
    "CLIENT_LIMITS",
    "CLIENT_RULES",
    "SERVER_LIMITS",
    "SERVER_RULES",
    "NotAwaitable",
    "awaitable",
    "check",
    "check_callbacks",
    "check_class",
    "check_connection",
    "check_function",
    "check_handler",
    "check_names",
    "check_response",
    "take",
    "with_compression",
]

LIMITS = (
    *("max_header_line", "max_headers", "max_head_size"),
    *("validate_utf8", "max_fragments", "max_inflated_size"),
)
# Arguments that the drivers hand on; the protocols have the defaults and say more.
SERVER_LIMITS = ("hosts", "max_request_line", *LIMITS)
CLIENT_LIMITS = ("max_status_line", "max_body", *LIMITS)

# Functions that are called, and what with.
CALLBACKS = {
    "on_open": ("connection",),
    "on_message": ("connection", "message"),
    "on_close": ("connection",),
}

# What other releases and other libraries call something, and what it is here.
ELSEWHERE = {
    "create_protocol": "use create_connection",
    "extra_headers": "use additional_headers of connect(), or process_response",
    "header": "use additional_headers",
    "headers": "use additional_headers",
    "heartbeat": "use ping_interval",
    "klass": "use create_connection",
    "loop": "the running event loop is used; leave it out",
    "max_msg_size": "use max_size",
    "read_limit": "max_queue and max_size bound what is read; leave it out",
    "ssl_context": "use ssl",
    "timeout": "use open_timeout or close_timeout",
    "ws_handler": "use handler",
}


def take(options: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take those of these names that there are out of the options."""
    return {name: options.pop(name) for name in names if name in options}


def check(rules: Mapping[str, Rule], **options: object) -> None:
    """Check options, of which each has a rule.

    Raises:
        TypeError: if one is of a wrong type.
        ValueError: if one has a wrong value.
    """
    for name, value in options.items():
        rules[name](name, value)


def with_compression(
    extensions: Sequence[T] | None,
    compression: str | None,
    enable: Callable[[Sequence[T] | None], Sequence[T]],
    rule: Rule | None = None,
) -> Sequence[T] | None:
    """Add permessage-deflate to the extensions, if that is wanted.

    Args:
        extensions: factories of the application.
        compression: ``"deflate"`` or ``None``.
        enable: adds the factory.
        rule: of the extensions.

    Raises:
        TypeError: if the compression is no ``str``, or the extensions are no list.
        ValueError: if another compression is wanted.
    """
    if rule is not None:
        rule("extensions", extensions)
    if compression is None:
        return extensions
    if not isinstance(compression, str):
        refuse("compression", "'deflate' or None", compression, TypeError)
    if compression != "deflate":
        refuse("compression", "'deflate' or None", compression, ValueError)
    return enable(extensions)


# Names


def check_names(
    called: str,
    function: Callable[..., Any],
    given: Iterable[str],
    handed_on: Iterable[str],
    limits: Iterable[str],
) -> None:
    """Refuse keyword arguments that a function does not know.

    Args:
        called: name of the function that the application has called.
        function: the one with the options, which takes more than it names.
        given: names that its signature does not have.
        handed_on: names that it takes nevertheless.
        limits: names that it takes too, but that are not among those given.

    Raises:
        TypeError: if there is another one; a name that may be meant is suggested.
    """
    for name in sorted({*given} - {*handed_on}):
        text = f"{called}() got an unexpected keyword argument {name!r}"
        if name in ELSEWHERE:
            raise TypeError(f"{text}: {ELSEWHERE[name]}")
        parameters = inspect.signature(function).parameters.values()
        named = {one.name for one in parameters if one.kind != one.VAR_KEYWORD}
        known = named.union(handed_on, limits) - {"unix"}
        meant = difflib.get_close_matches(name, sorted(known), 1, 0.75)
        raise TypeError(f"{text}; did you mean {meant[0]!r}?" if meant else text)


# Functions


def is_asynchronous(function: object) -> bool:
    """Whether to call it only makes a coroutine or an asynchronous generator."""
    while isinstance(function, partial):
        function = function.func
    for candidate in (function, getattr(type(function), "__call__", None)):  # noqa: B004
        if inspect.iscoroutinefunction(candidate):
            return True
        if inspect.isasyncgenfunction(candidate):
            return True
    # Functions compiled by Cython and mocks of coroutine functions have flags only.
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return isinstance(flags, int) and bool(flags & inspect.CO_COROUTINE)


def check_function(name: str, value: object, arguments: Sequence[str]) -> None:
    """Refuse what cannot be called with these arguments.

    Raises:
        TypeError: if it cannot.
    """
    described = f"a function of {', '.join(arguments) or 'nothing'}"
    if not callable(value):
        refuse(name, described, value, TypeError)
    check_arguments(name, described, value, len(arguments))


def check_arguments(
    name: str,
    described: str,
    value: Callable[..., Any],
    number: int,
    keywords: Iterable[str] = (),
) -> None:
    """Refuse a function that takes other arguments, if that can be known."""
    try:
        # What it wraps may be called with other arguments.
        signature = inspect.signature(value, follow_wrapped=False)
    except (TypeError, ValueError):  # some functions in C have none
        return
    try:
        signature.bind(*[None] * number, **dict.fromkeys(keywords))
    except TypeError:
        raise TypeError(
            f"{name} must be {described}, but {brief(value)} takes {signature}"
        ) from None


def function_of(*arguments: str, plain: bool = False) -> Rule:
    """A rule for a function, or ``None``; a plain one is not awaited."""

    def rule(name: str, value: object) -> None:
        if value is None:
            return
        check_function(name, value, arguments)
        if plain and is_asynchronous(value):
            raise TypeError(
                f"{name} must be a plain function, which is not awaited; "
                f"{brief(value)} is a coroutine function"
            )

    return rule


def required(rule: Rule) -> Rule:
    """The same rule without ``None``."""

    def without_none(name: str, value: object) -> None:
        if value is None:
            raise TypeError(f"{name} must not be None")
        rule(name, value)

    return without_none


# Handlers


class NotAwaitable(TypeError):
    """A handler gave nothing to await."""


def check_handler(name: str, handler: object, arguments: Iterable[str] = ()) -> None:
    """Refuse a handler that surely is no coroutine function of a connection.

    A plain function may return what a coroutine function gives, so it is refused
    only if it never returns anything.

    Args:
        name: what the error calls it.
        handler: of connections.
        arguments: names of keyword arguments that it is called with as well.

    Raises:
        TypeError: if it is none.
    """
    described = f"a coroutine function of {', '.join(['connection', *arguments])}"
    if not callable(handler):
        refuse(name, described, handler, TypeError)
    check_arguments(name, described, handler, 1, arguments)
    wrong = _why_not_awaitable(handler)
    if wrong:
        raise TypeError(
            f"{name} must be {described}, but {brief(handler)} {wrong}; "
            "write 'async def'"
        )


def _why_not_awaitable(handler: Any) -> str | None:
    """Why it surely gives nothing to await; ``None`` if it may."""
    while isinstance(handler, partial):
        handler = handler.func
    if isinstance(handler, type):
        return None if _may_be_awaited(handler) else "gives no awaitable"
    if not hasattr(handler, "__code__"):
        handler = getattr(type(handler), "__call__", None)  # noqa: B004
    function = getattr(handler, "__func__", handler)
    if inspect.isasyncgenfunction(function):
        return "is an asynchronous generator"
    if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
        return None
    flags = function.__code__.co_flags
    if flags & inspect.CO_ITERABLE_COROUTINE:  # types.coroutine()
        return None
    if flags & inspect.CO_GENERATOR:
        return "is a generator"
    return "is a plain function that returns nothing" if _is_mute(function) else None


def _may_be_awaited(kind: type) -> bool:
    """Whether an instance may be, or whether it makes something else."""
    makes: object = kind.__new__
    return hasattr(kind, "__await__") or makes is not object.__new__


def _is_mute(function: Any) -> bool:
    """Whether a function returns, and never anything but ``None``."""
    mute = False
    before: Any = None
    for instruction in dis.get_instructions(function):
        if instruction.opname == "RETURN_CONST":  # pragma: no cover - from Python 3.12
            if instruction.argval is not None:
                return False
            mute = True
        elif instruction.opname == "RETURN_VALUE":
            plain = before is not None and before.opname == "LOAD_CONST"
            if instruction.is_jump_target or not plain or before.argval is not None:
                return False
            mute = True
        before = instruction
    return mute


def awaitable(handler: object, result: Any) -> Any:
    """Give what a handler gave, to be awaited.

    Raises:
        NotAwaitable: if it cannot be.
    """
    if inspect.isawaitable(result):
        return result
    raise NotAwaitable(
        f"{brief(handler)} must be a coroutine function or return an awaitable; "
        f"it returned {brief(result)}"
    )


# Classes of connections


def check_class(value: object, base: type, arguments: Sequence[str]) -> None:
    """Check ``create_connection``: a subclass, or a function that makes connections.

    Args:
        value: of the option; ``None`` for the usual class.
        base: class of the connections.
        arguments: what it is called with, besides options.

    Raises:
        TypeError: if it is none.
    """
    name = "create_connection"
    allowed = f"a subclass of {base.__name__}, or a function that gives an instance"
    if value is None:
        return
    if isinstance(value, type):
        if not issubclass(value, base):
            refuse(name, allowed, value, TypeError)
        check_callbacks(value)
    elif not callable(value):
        refuse(name, allowed, value, TypeError)
    else:
        described = f"a function of {', '.join(arguments)} and keyword arguments"
        options = (*CONNECTION_OPTIONS, *CALLBACKS)
        check_arguments(name, described, value, len(arguments), options)


def check_callbacks(kind: type) -> None:
    """Check methods of a subclass that are called like ``on_message``.

    Raises:
        TypeError: if one cannot be called, or would have to be awaited.
    """
    for name, rule in CALLBACK_RULES.items():
        rule(f"{kind.__qualname__}.{name}", getattr(kind, name, None))


def check_connection(made: Any, base: type) -> None:
    """Check what ``create_connection`` has made.

    Raises:
        TypeError: if it is no connection, or was not set up.
    """
    if not isinstance(made, base):
        refuse("what create_connection gives", f"a {base.__name__}", made, TypeError)
    if getattr(made, "session", None) is None:
        kind = type(made).__qualname__
        raise TypeError(f"{kind}.__init__() did not call super().__init__()")
    check_callbacks(type(made))


# What hooks return


def check_response(name: str, response: Any) -> None:
    """Refuse what a hook returned instead of a response.

    Args:
        name: of the hook.
        response: what it returned.

    Raises:
        TypeError: if it is no response, or has a field of a wrong type.
    """
    if not isinstance(response, Response):
        kind = type(response).__name__
        raise TypeError(f"{name} must return a Response or None, not {kind}")
    fields: dict[str, tuple[str, object, tuple[type, ...]]] = {
        "status_code": ("an int", response.status_code, (int,)),
        "reason_phrase": ("a str", response.reason_phrase, (str,)),
        "headers": ("Headers", response.headers, (Headers,)),
        "body": ("bytes", response.body, (bytes, bytearray, memoryview, type(None))),
    }
    for field, (allowed, value, kinds) in fields.items():
        if not isinstance(value, kinds):
            kind = type(value).__name__
            raise TypeError(
                f"{name} returned a Response whose {field} must be {allowed}, "
                f"not {kind}"
            )


def _uri(name: str, value: object) -> None:
    if not isinstance(value, str):
        refuse(name, "a str", value, TypeError)


def _proxy(name: str, value: object) -> None:
    if value is not None and not isinstance(value, (str, bool)):
        refuse(name, "a str, True or None", value, TypeError)


def _headers(name: str, value: Any) -> None:
    """Headers to be added; a name or a value that cannot travel is found at once."""
    if value is None:
        return
    allowed = "Headers, a mapping or a list of pairs of str"
    if isinstance(value, (str, bytes)) or not hasattr(type(value), "__iter__"):
        refuse(name, allowed, value, TypeError)
    if hasattr(type(value), "__next__"):  # it can be read only once
        return
    try:
        Headers().update(value)
    except (TypeError, ValueError, AttributeError) as exc:
        raise TypeError(f"{name} must be {allowed}: {exc}") from exc
    except WebSocketException as exc:
        raise ValueError(f"{name} cannot be sent: {exc}") from exc


def _class(name: str, value: object) -> None:
    if value is not None and not callable(value):
        refuse(name, "a class or None", value, TypeError)


CONNECTION_OPTIONS = (
    *("open_timeout", "ping_interval", "ping_timeout", "close_timeout"),
    *("max_queue", "write_limit"),
)
CALLBACK_RULES: dict[str, Rule] = {
    name: function_of(*arguments, plain=True) for name, arguments in CALLBACKS.items()
}
SERVER_RULES: dict[str, Rule] = {
    **RULES,
    **CALLBACK_RULES,
    "extensions": server_extensions,
    "select_subprotocol": function_of("connection", "subprotocols", plain=True),
    "process_request": function_of("connection", "request"),
    "process_response": function_of("connection", "request", "response"),
    "create_router": _class,
}
CLIENT_RULES: dict[str, Rule] = {
    **RULES,
    **CALLBACK_RULES,
    "extensions": client_extensions,
    "subprotocols": offered_subprotocols,
    "additional_headers": _headers,
    "uri": _uri,
    "proxy": _proxy,
    "process_exception": required(function_of("exc", plain=True)),
    "reconnect_delays": required(function_of(plain=True)),
    "on_reconnect": function_of("connection"),
    "stable_after": required(RULES["close_timeout"]),
}
