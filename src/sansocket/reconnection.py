"""When to connect again, and after how long, without a clock."""

from __future__ import annotations

from . import environment
from .exceptions import (
    InvalidMessage,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["backoff", "process_exception"]

TRANSIENT = frozenset({500, 502, 503, 504})


def process_exception(exc: Exception) -> Exception | None:
    """Tell whether it makes sense to try again after an exception.

    It does after errors of the network (``OSError``, ``TimeoutError``), after a stream
    that ended in the handshake, and after a refusal of a server or a proxy with
    HTTP status 500, 502, 503 or 504. It does not after anything else.

    Args:
        exc: why there is no connection.

    Returns:
        None to try again; else what is to be raised.
    """
    if isinstance(exc, OSError | TimeoutError):
        return None
    if isinstance(exc, InvalidMessage | InvalidProxyMessage) and isinstance(
        exc.__cause__, EOFError | OSError
    ):
        return None
    if (
        isinstance(exc, InvalidStatus | InvalidProxyStatus)
        and exc.response.status_code in TRANSIENT
    ):
        return None
    return exc


def backoff(
    initial_delay: float = 5.0,
    min_delay: float = 3.1,
    max_delay: float = 90.0,
    factor: float = 1.618,
) -> Generator[float, None, None]:
    """Delays between attempts to connect, in seconds; they never end.

    The first is random, so that clients that lost a server at once don't come back
    at once (RFC 6455, section 7.2.3); the others grow.

    Args:
        initial_delay: upper bound of the first one.
        min_delay: the second one.
        max_delay: the longest one.
        factor: how much longer each is than the one before it.
    """
    share = int.from_bytes(environment.random_bytes(4), "big") / 2**32
    yield share * initial_delay
    delay = min_delay
    while True:
        yield min(delay, max_delay)
        delay = min(delay * factor, max_delay)
