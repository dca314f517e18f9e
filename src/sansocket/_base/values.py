"""Rules for the values of options: one for each, wherever it is passed.

A wrong type raises ``TypeError``, and a wrong value ``ValueError``. Both name the
option, explain what is allowed, and show the value, shortened.
"""

from __future__ import annotations

import reprlib
import sys
from functools import lru_cache
from numbers import Real

from ..datastructures import is_field_value, is_token
from ..headers import is_host
from .constants import Side, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, TypeAlias

    Rule: TypeAlias = Callable[[str, object], None]
    Marks: TypeAlias = tuple[float, int]

__all__ = [
    "CLIENT_HEAD",
    "MOST",
    "PROTOCOL_NUMBERS",
    "RULES",
    "SERVER_HEAD",
    "SERVER_NUMBERS",
    "TIMES",
    "brief",
    "check_numbers",
    "client_extensions",
    "field_value",
    "offered_subprotocols",
    "queue_marks",
    "refuse",
    "server_extensions",
    "text",
    "texts",
    "write_marks",
]

# Fast checks, by class.
LIMITS = ("max_size", "max_fragments", "max_inflated_size", "validate_utf8", "state")
SERVER_HEAD = ("max_request_line", "max_header_line", "max_headers", "max_head_size")
PROTOCOL_NUMBERS = ("side", *LIMITS)
SERVER_NUMBERS = (*LIMITS, *SERVER_HEAD)
CLIENT_HEAD = ("max_status_line", *SERVER_HEAD[1:], "max_body")
TIMES = ("open_timeout", "ping_interval", "ping_timeout", "close_timeout")

MOST = sys.maxsize // 2  # the compiled form can add to this number
LOGGING = ("isEnabledFor", "log", "debug", "info", "warning", "error")


def check_numbers(names: tuple[str, ...], *values: object) -> None:
    """Check options that rarely vary, and numbers; called for each connection.

    Args:
        names: names of the options.
        *values: values of the options.

    Raises:
        TypeError: if an option has a wrong type.
        ValueError: if an option has a wrong value.
    """
    try:
        _check_once(names, *values)
    except (TypeError, ValueError):
        for name, value in zip(names, values, strict=True):
            RULES[name](name, value)


@lru_cache(maxsize=64, typed=True)
def _check_once(names: tuple[str, ...], *values: object) -> None:
    for name, value in zip(names, values, strict=True):
        if isinstance(value, tuple):  # (1, True) equals (1, 1)
            raise TypeError
        RULES[name](name, value)


def refuse(name: str, allowed: str, value: object, kind: type[Exception]) -> NoReturn:
    """Raise an error that explains what is wrong with an option."""
    raise kind(f"{name} must be {allowed}, not {brief(value)}")


def brief(value: object) -> str:
    """Format a value for an error message, shortened."""
    if isinstance(value, type):
        return f"the class {value.__qualname__}"
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str) and callable(value):
        return f"{name}()"
    try:
        return reprlib.repr(value)
    except Exception:  # an int with thousands of digits cannot be converted
        return f"this {type(value).__name__}"


# Numbers


def is_number(value: object) -> bool:
    """Whether it is a number; ``True`` is not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Whether it is a whole number; ``True`` is not."""
    return hasattr(type(value), "__index__") and not isinstance(value, bool)


def _seconds(positive: bool) -> Rule:
    bound = "above 0" if positive else "of at least 0"
    allowed = f"a number of seconds {bound}, or None for no limit"

    def rule(name: str, value: Any) -> None:
        if value is None:
            return
        if not is_number(value):
            refuse(name, allowed, value, TypeError)
        try:
            number = float(value)
        except OverflowError:
            number = -1.0
        if not (number > 0 if positive else number >= 0):  # a NaN is neither
            refuse(name, allowed, value, ValueError)

    return rule


def _size(least: int, optional: bool = False, most: int | None = MOST) -> Rule:
    allowed = f"an int of at least {least}" + (
        ", or None for no limit" if optional else ""
    )

    def rule(name: str, value: Any) -> None:
        if value is None and optional:
            return
        if not is_whole(value):
            refuse(name, allowed, value, TypeError)
        if value < least:
            refuse(name, allowed, value, ValueError)
        if most is not None and value > most:
            refuse(name, f"at most {most}", value, ValueError)

    return rule


def _message_size(name: str, value: Any) -> None:
    allowed = "an int of at least 0, None for no limit, or a pair of these"
    parts = value if isinstance(value, tuple) else (value,)
    if any(part is not None and not is_whole(part) for part in parts):
        refuse(name, allowed, value, TypeError)
    if isinstance(value, tuple) and len(parts) != 2:
        refuse(name, allowed, value, ValueError)
    if any(part is not None and part < 0 for part in parts):
        refuse(name, allowed, value, ValueError)


@lru_cache(maxsize=64)
def _known_queue_marks(max_queue: Any) -> Marks:
    if max_queue is None:
        return float("inf"), 0
    high, low = _marks("max_queue", "an int, None, or a pair of these", max_queue)
    if high is None:
        return float("inf"), 0
    return max(high, 1), low


def queue_marks(max_queue: object) -> Marks:
    """Return the numbers of messages at which to pause and to resume reading.

    0 has the same effect as 1: a message must be read before it can be noticed.

    Args:
        max_queue: the high mark, a quarter of which is the low mark; or a pair of both,
            in which ``None`` stands for four times or a quarter of the other; or
            ``None`` for no limit.

    Raises:
        TypeError: if it has a wrong type.
        ValueError: if a mark is negative, or the low mark is above the high mark.
    """
    if type(max_queue) is int:
        return _known_queue_marks(max_queue)
    marks: Marks = _known_queue_marks.__wrapped__(max_queue)
    return marks


@lru_cache(maxsize=64)
def _known_write_marks(write_limit: Any) -> tuple[int, int]:
    allowed = "an int, or a pair of an int and an int or None"
    if write_limit is None:
        refuse("write_limit", allowed, write_limit, TypeError)
    high, low = _marks("write_limit", allowed, write_limit)
    if high is None:
        return 65536, 16384  # accepted by asyncio
    return high, low


def write_marks(write_limit: object) -> tuple[int, int]:
    """Return the numbers of buffered bytes at which ``send()`` waits and resumes.

    Args:
        write_limit: the high mark, a quarter of which is the low mark; or a pair, as
            for ``queue_marks()``.

    Raises:
        TypeError: if it has a wrong type.
        ValueError: if a mark is negative, or the low mark is above the high mark.
    """
    if type(write_limit) is int:
        return _known_write_marks(write_limit)
    marks: tuple[int, int] = _known_write_marks.__wrapped__(write_limit)
    return marks


def _marks(name: str, allowed: str, value: Any) -> tuple[int | None, int]:
    """Return the high and the low mark."""
    high, low = value, None
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            refuse(name, allowed, value, ValueError)
        high, low = value
    for mark in (high, low):
        if mark is not None and not is_whole(mark):
            refuse(name, allowed, value, TypeError)
    if high is None and low is not None:
        high = 4 * low
    elif low is None and high is not None:
        low = high // 4
    if high is None or low is None:
        return None, 0
    if not 0 <= low <= high:
        allowed = "0 or more, the lower of two not above the upper"
        refuse(name, allowed, value, ValueError)
    return min(int(high), MOST), min(int(low), MOST)


def _queue(name: str, value: object) -> None:
    queue_marks(value)


def _writing(name: str, value: object) -> None:
    write_marks(value)


# Text


def _flag(name: str, value: object) -> None:
    if not is_whole(value) and not isinstance(value, bool):
        refuse(name, "True or False", value, TypeError)
    if value not in (0, 1):
        refuse(name, "True or False", value, ValueError)


def text(name: str, value: object) -> None:
    """Check a ``str`` or ``None``."""
    if value is not None and not isinstance(value, str):
        refuse(name, "a str or None", value, TypeError)


def field_value(name: str, value: Any) -> None:
    """Check the value of a header (RFC 9110, section 5.5)."""
    text(name, value)
    if value is not None and not is_field_value(value):
        allowed = "ISO-8859-1 without control characters"
        refuse(name, allowed, value, ValueError)


# Lists


def check_list(name: str, members: str, value: object) -> Any:
    """Check an option that is iterated over repeatedly; a ``str`` is not accepted.

    This returns the members, to be checked, but only for the usual kinds of lists:
    others may generate their members, or change.

    Args:
        name: name of the option.
        members: what it should contain, for the error.
        value: value of the option; ``None`` for no list.

    Raises:
        TypeError: if it is not a list.
    """
    if value is None:
        return ()
    kind: Any = type(value)
    if not hasattr(kind, "__iter__") or issubclass(kind, (str, bytes, bytearray)):
        refuse(name, f"a list of {members}, or None", value, TypeError)
    if hasattr(kind, "__next__"):
        allowed = f"a list of {members}, which can be iterated again"
        refuse(name, allowed, value, TypeError)
    return value if kind in (list, tuple, set, frozenset) else ()


def texts(name: str, value: object) -> Any:
    """Check a list of ``str``, or ``None``."""
    members = check_list(name, "str", value)
    for one in members:
        if not isinstance(one, str):
            refuse(name, "a list of str", value, TypeError)
    return members


def _subprotocols(name: str, value: object) -> None:
    if not are_tokens(tuple(texts(name, value))):
        refuse(name, "a list of tokens", value, ValueError)


@lru_cache(maxsize=64)  # they rarely vary
def are_tokens(members: tuple[str, ...]) -> bool:
    """Whether each is a token (RFC 9110, section 5.6.2)."""
    return all(map(is_token, members))


def offered_subprotocols(name: str, value: Any) -> None:
    """Check the subprotocols of a client (RFC 6455, section 4.1)."""
    members = texts(name, value)
    _subprotocols(name, value)
    if len({*members}) != len(members):
        refuse(name, "a list without duplicates", value, ValueError)


def _hosts(name: str, value: object) -> None:
    for one in texts(name, value):
        if not is_host(one):
            refuse(name, 'a list of "host" or "host:port"', value, ValueError)


def _origins(name: str, value: object) -> None:
    members = "str, compiled regular expressions of str, and None"
    for one in check_list(name, members, value):
        if one is None or isinstance(one, str):
            continue
        if not hasattr(one, "fullmatch") or isinstance(
            getattr(one, "pattern", None), bytes
        ):
            refuse(name, f"a list of {members}", value, TypeError)


def server_extensions(name: str, value: object) -> None:
    """Check the factories of extensions of a server."""
    _factories(
        name, value, "ServerExtensionFactory", ("name", "process_request_params")
    )


def client_extensions(name: str, value: object) -> None:
    """Check the factories of extensions of a client."""
    methods = ("name", "get_request_params", "process_response_params")
    _factories(name, value, "ClientExtensionFactory", methods)


def _factories(
    name: str, value: object, members: str, methods: tuple[str, ...]
) -> None:
    for one in check_list(name, members, value):
        # A class has the methods, too, but no object to call them on.
        if isinstance(one, type):
            allowed = f"a list of instances of {members}"
            refuse(name, allowed, one, TypeError)
        kind: Any = type(one)
        if not _has(kind, methods) and not _has.__wrapped__(one, methods):
            refuse(name, f"a list of {members}", value, TypeError)


@lru_cache(maxsize=64)
def _has(owner: Any, names: tuple[str, ...]) -> bool:
    """Whether a class or an object has all of these attributes."""
    return all(hasattr(owner, name) for name in names)


# Others


def _logger(name: str, value: object) -> None:
    if value is not None and not all(hasattr(value, method) for method in LOGGING):
        refuse(name, "a Logger, a LoggerAdapter or None", value, TypeError)


def _selector(name: str, value: object) -> None:
    if value is not None and not callable(value):
        refuse(name, "a function or None", value, TypeError)


def _side(name: str, value: object) -> None:
    if not isinstance(value, Side):
        refuse(name, "SERVER or CLIENT", value, TypeError)


def _uri(name: str, value: object) -> None:
    if not hasattr(value, "resource_name"):
        refuse(name, "the result of parse_uri()", value, TypeError)


def _state(name: str, value: Any) -> None:
    if not is_whole(value):
        refuse(name, "a State", value, TypeError)
    if not 0 <= value < len(State):
        refuse(name, "a State", value, ValueError)


RULES: dict[str, Rule] = {
    "side": _side,
    "state": _state,
    "uri": _uri,
    "open_timeout": _seconds(positive=False),
    "ping_interval": _seconds(positive=True),
    "ping_timeout": _seconds(positive=True),
    "close_timeout": _seconds(positive=False),
    "max_size": _message_size,
    "max_fragments": _size(1, optional=True, most=None),
    "max_inflated_size": _size(0, optional=True, most=None),
    "max_request_line": _size(1),
    "max_status_line": _size(1),
    "max_header_line": _size(1),
    "max_headers": _size(1),
    "max_head_size": _size(1),
    "max_body": _size(0),
    "max_redirects": _size(0),
    "max_queue": _queue,
    "write_limit": _writing,
    "validate_utf8": _flag,
    "server_header": field_value,
    "user_agent_header": field_value,
    "origin": field_value,
    "hosts": _hosts,
    "origins": _origins,
    "subprotocols": _subprotocols,
    "select_subprotocol": _selector,
    "logger": _logger,
}
