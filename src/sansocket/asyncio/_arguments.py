"""Which arguments a driver hands on to the event loop."""

from __future__ import annotations

import asyncio
import inspect
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["loop_arguments"]

# What uvloop takes, whichever version of Python it runs on.
UVLOOP = {
    "create_server": {"ssl_shutdown_timeout"},
    "create_unix_server": {"ssl_shutdown_timeout", "cleanup_socket"},
    "create_connection": {"ssl_shutdown_timeout"},
    "create_unix_connection": {"ssl_shutdown_timeout"},
}


def loop_arguments(method: str) -> frozenset[str]:
    """Names of the arguments that a method of event loops takes.

    Those of asyncio's loops, of uvloop's, and of the loop that is running. Whether
    the loop takes one in the end is for the loop to say.

    Args:
        method: its name, such as ``"create_server"``.

    """
    try:
        running: type | None = type(asyncio.get_running_loop())
    except RuntimeError:
        running = None
    return _arguments(method, running)


@lru_cache(maxsize=32)
def _arguments(method: str, running: type | None) -> frozenset[str]:
    names = {*UVLOOP[method]}
    for kind in (asyncio.AbstractEventLoop, asyncio.SelectorEventLoop, running):
        function: Any = getattr(kind, method, None)
        try:
            names |= {*inspect.signature(function).parameters}
        except (TypeError, ValueError):  # none is running, or it does not tell
            continue
    return frozenset(names - {"self", "protocol_factory"})
