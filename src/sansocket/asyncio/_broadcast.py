"""One message to many connections on asyncio."""

from __future__ import annotations

import builtins
import logging
import sys

from ..session import shared
from .connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .._wire.writer import SharedMessage
    from ..typing import DataLike

__all__ = ["broadcast"]


def broadcast(
    connections: Iterable[Connection],
    message: DataLike,
    *,
    text: bool | None = None,
    raise_exceptions: bool = False,
) -> None:
    """Send a message to many connections, without waiting for any.

    All that is sent in one turn of the event loop leaves in one write for each
    connection, at its end. Those that are closing, or in the middle of a fragmented
    message, do not get it. How far a peer is behind tells ``bytes_to_write``.

    Args:
        connections: to whom. One that is not a ``Connection``, such as a mock, gets
            a call of its ``send_nowait(message, text=text)``.
        message: ``str`` is sent as text, what is bytes-like as binary.
        text: ``True`` or ``False`` to choose otherwise; text must be UTF-8.
        raise_exceptions: whether to raise what went wrong when it was queued, instead
            of logging it. It needs Python 3.11.

    Raises:
        TypeError: if the message is of another type, or there is something else than
            a connection.
        ExceptionGroup: with ``raise_exceptions``, of what went wrong.

    """
    if raise_exceptions and sys.version_info < (3, 11):  # pragma: no cover - 3.10 only
        raise ValueError("raise_exceptions needs Python 3.11")
    failures = _share(connections, shared(message, text), message, text)
    if failures and raise_exceptions:
        group: Any = vars(builtins)["ExceptionGroup"]
        raise group("broadcast failed", [exc for _, exc in failures])
    for connection, exc in failures:
        logger = getattr(connection, "logger", None) or logging.getLogger("sansocket")
        logger.warning("broadcast failed: %s", exc)


def _share(
    connections: Iterable[Connection],
    frames: SharedMessage,
    message: DataLike,
    text: bool | None,
) -> list[tuple[Connection, Exception]]:
    """Send a message to all; tell what went wrong with some."""
    failures: list[tuple[Connection, Exception]] = []
    connection: Connection | None = None
    kind: type[Connection] | None = None  # of the latest one; mostly all are alike
    for each in connections:
        try:
            if type(each) is not kind:
                # A mock may say that it is an instance.
                if not issubclass(type(each), Connection):
                    _imitated(each).send_nowait(message, text=text)
                    continue
                kind = type(each)
            connection = each
            connection._send_shared(frames)
        except _NoConnection:
            raise
        except Exception as exc:
            failures.append((each, exc))  # one must not stop the others
    if connection is not None:
        turn = connection._turn
        turn.flush_if_late(connection._clock())
    return failures


class _NoConnection(TypeError):
    """What was to get a message cannot."""


def _imitated(connection: Any) -> Any:
    """What stands in for a connection, as tests want it."""
    if not callable(getattr(connection, "send_nowait", None)):
        raise _NoConnection(
            f"broadcast() needs connections, not {type(connection).__qualname__}"
        )
    return connection
