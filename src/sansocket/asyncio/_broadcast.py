"""One message to many connections on asyncio."""

from __future__ import annotations

import builtins
import sys

from ..session import shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from .._wire.writer import SharedMessage
    from ..typing import DataLike
    from .connection import Connection

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
        connections: to whom.
        message: ``str`` is sent as text, what is bytes-like as binary.
        text: ``True`` or ``False`` to choose otherwise; text must be UTF-8.
        raise_exceptions: whether to raise what went wrong when it was queued, instead
            of logging it. It needs Python 3.11.

    Raises:
        TypeError: if the message is of another type.
        ExceptionGroup: with ``raise_exceptions``, of what went wrong.

    """
    if raise_exceptions and sys.version_info < (3, 11):  # pragma: no cover - 3.10 only
        raise ValueError("raise_exceptions needs Python 3.11")
    failures = _share(connections, shared(message, text))
    if failures and raise_exceptions:
        group: Any = vars(builtins)["ExceptionGroup"]
        raise group("broadcast failed", [exc for _, exc in failures])
    for connection, exc in failures:
        connection.logger.warning("broadcast failed: %s", exc)


def _share(
    connections: Iterable[Connection], message: SharedMessage
) -> list[tuple[Connection, Exception]]:
    """Send a message to all; tell what went wrong with some."""
    failures: list[tuple[Connection, Exception]] = []
    connection: Connection | None = None
    for connection in connections:
        try:
            connection._send_shared(message)
        except Exception as exc:  # noqa: PERF203 - one must not stop the others
            failures.append((connection, exc))
    if connection is not None:
        turn = connection._turn
        turn.flush_if_late(connection._clock())
    return failures
