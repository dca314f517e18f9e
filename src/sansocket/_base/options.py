"""Checks of arguments that the functions of all drivers share.

``values`` has the checks that concern single values; this module has those of
functions, of classes, and of the names of arguments.
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
# Arguments that the drivers pass on; the protocols have the defaults and document them.
SERVER_LIMITS = ("hosts", "max_request_line", *LIMITS)
CLIENT_LIMITS = ("max_status_line", "max_body", *LIMITS)

# Callbacks, with their arguments.
CALLBACKS = {
    "on_open": ("connection",),
    "on_message": ("connection", "message"),
    "on_close": ("connection",),
}

# Names in other releases and other libraries, with their counterparts here.
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
    """Remove these names from the options, if present, and return them."""
    return {name: options.pop(name) for name in names if name in options}


def check(rules: Mapping[str, Rule], **options: object) -> None:
    """Check options, each with its rule.

    Raises:
        TypeError: if an option has a wrong type.
        ValueError: if an option has a wrong value.
    """
    for name, value in options.items():
        rules[name](name, value)


def with_compression(
    extensions: Sequence[T] | None,
    compression: str | None,
    enable: Callable[[Sequence[T] | None], Sequence[T]],
    rule: Rule | None = None,
) -> Sequence[T] | None:
    """Add permessage-deflate to the extensions, if requested.

    Args:
        extensions: factories of the application.
        compression: ``"deflate"`` or ``None``.
        enable: function that adds the factory.
        rule: rule for the extensions.

    Raises:
        TypeError: if ``compression`` is not a ``str``, or ``extensions`` not a list.
        ValueError: if another compression is requested.
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
    """Refuse unknown keyword arguments.

    Args:
        called: name of the function that the application has called.
        function: function with the options, which has ``**kwargs``.
        given: names of arguments that its signature does not contain.
        handed_on: names that are accepted nevertheless.
        limits: names that are also accepted, but never in ``given``.

    Raises:
        TypeError: if there is any other name; a similar name is suggested.
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
    """Whether calling it only makes a coroutine or an asynchronous generator."""
    while isinstance(function, partial):
        function = function.func
    for candidate in (function, getattr(type(function), "__call__", None)):  # noqa: B004
        if inspect.iscoroutinefunction(candidate):
            return True
        if inspect.isasyncgenfunction(candidate):
            return True
    # Functions compiled by Cython, and mocks of coroutine functions, have only flags.
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    return isinstance(flags, int) and bool(flags & inspect.CO_COROUTINE)


def check_function(name: str, value: object, arguments: Sequence[str]) -> None:
    """Check that a value can be called with these arguments.

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
    """Refuse a function that requires other arguments, if this can be determined."""
    try:
        # The wrapped function may be called with other arguments.
        signature = inspect.signature(value, follow_wrapped=False)
    except (TypeError, ValueError):  # some functions in C have no signature
        return
    try:
        signature.bind(*[None] * number, **dict.fromkeys(keywords))
    except TypeError:
        raise TypeError(
            f"{name} must be {described}, but {brief(value)} takes {signature}"
        ) from None


def function_of(*arguments: str, plain: bool = False) -> Rule:
    """Make a rule for a function or ``None``; a plain function is not awaited."""

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
    """Make the same rule, without ``None``."""

    def without_none(name: str, value: object) -> None:
        if value is None:
            raise TypeError(f"{name} must not be None")
        rule(name, value)

    return without_none


# Handlers


class NotAwaitable(TypeError):
    """A handler returned something that cannot be awaited."""


def check_handler(name: str, handler: object, arguments: Iterable[str] = ()) -> None:
    """Refuse a handler that is certainly not a coroutine function of a connection.

    A plain function may return a coroutine, so it is refused only if it never returns
    anything.

    Args:
        name: name of the handler in the error.
        handler: handler of connections.
        arguments: names of additional keyword arguments.

    Raises:
        TypeError: if it is refused.
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
    """Explain why its result certainly cannot be awaited; ``None`` if it may be."""
    while isinstance(handler, partial):
        handler = handler.func
    if isinstance(handler, type):
        return None if _may_be_awaited(handler) else "does not return an awaitable"
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
    """Whether instances of a class may be awaitable."""
    makes: object = kind.__new__
    return hasattr(kind, "__await__") or makes is not object.__new__


def _is_mute(function: Any) -> bool:
    """Whether a function certainly returns ``None``."""
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
    """Return the result of a handler, to be awaited.

    Raises:
        NotAwaitable: if it cannot be awaited.
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
        value: value of the option; ``None`` for the default class.
        base: class of the connections.
        arguments: arguments that it is called with, apart from options.

    Raises:
        TypeError: if it is neither.
    """
    name = "create_connection"
    allowed = f"a subclass of {base.__name__}, or a function that returns one"
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
    """Check methods of a subclass that are named like ``on_message``.

    Raises:
        TypeError: if a method cannot be called, or would have to be awaited.
    """
    for name, rule in CALLBACK_RULES.items():
        rule(f"{kind.__qualname__}.{name}", getattr(kind, name, None))


def check_connection(made: Any, base: type) -> None:
    """Check the result of ``create_connection``.

    Raises:
        TypeError: if it is not a connection, or was not initialized.
    """
    if not isinstance(made, base):
        refuse("the result of create_connection", f"a {base.__name__}", made, TypeError)
    if getattr(made, "session", None) is None:
        kind = type(made).__qualname__
        raise TypeError(f"{kind}.__init__() did not call super().__init__()")
    check_callbacks(type(made))


# Results of hooks


def check_response(name: str, response: Any) -> None:
    """Check that a hook has returned a response.

    Args:
        name: name of the hook.
        response: result of the hook.

    Raises:
        TypeError: if it is not a response, or has a field of a wrong type.
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
    """Make headers to be added; this refuses an invalid name or value at once."""
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
