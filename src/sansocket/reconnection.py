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

# Statuses of 500 and more that say what the server will never do.
LASTING = frozenset({501, 505})


def process_exception(exc: Exception) -> Exception | None:
    """Tell whether it makes sense to try again after an exception.

    It does after errors of the network and of TLS (``OSError``, ``TimeoutError``),
    after a stream that ended in the handshake, and after a refusal of a server or a
    proxy with HTTP status 429 or any of 500 and more, but 501 and 505.

    It does not after what will be the same the next time: a certificate that does not
    verify, on either side; any other status; and all other exceptions.

    Args:
        exc: why there is no connection.

    Returns:
        None to try again; else what is to be raised.
    """
    if isinstance(exc, InvalidStatus | InvalidProxyStatus):
        status = exc.response.status_code
        is_transient = status == 429 or (status >= 500 and status not in LASTING)
        return None if is_transient else exc
    reason: BaseException | None = exc
    if isinstance(exc, InvalidMessage | InvalidProxyMessage):
        reason = exc.__cause__
        if isinstance(reason, EOFError):
            return None
    if isinstance(reason, OSError) and not _is_about_certificates(reason):
        return None
    return exc


def _is_about_certificates(exc: OSError) -> bool:
    """Whether a certificate was refused, by us or by the peer.

    This layer knows no TLS, so it goes by what ``ssl.SSLError`` looks like.
    """
    if isinstance(exc, ValueError):  # as ssl.SSLCertVerificationError alone is
        return True
    reason = getattr(exc, "reason", None)  # such as "TLSV13_ALERT_CERTIFICATE_REQUIRED"
    return isinstance(reason, str) and ("CERT" in reason or "UNKNOWN_CA" in reason)


def backoff(
    initial_delay: float = 5.0,
    min_delay: float = 3.1,
    max_delay: float = 90.0,
    factor: float = 1.618,
) -> Generator[float, None, None]:
    """Delays between attempts to connect, in seconds; they never end.

    The first is random, so that clients that lost a server at once do not come back
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
