"""When to reconnect, and after which delay, without a clock."""

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

# Statuses of 500 and more that are permanent.
LASTING = frozenset({501, 505})


def process_exception(exc: Exception) -> Exception | None:
    """Decide whether to retry after an exception.

    Transient errors are those of the network and of TLS (``OSError``,
    ``TimeoutError``), a stream that ends during the handshake, and a refusal from a
    server or a proxy with HTTP status 429, or 500 and above except 501 and 505.

    Fatal errors, which would occur again, are a certificate that cannot be verified, on
    either side; any other status; and all other exceptions.

    Args:
        exc: why connecting failed.

    Returns:
        ``None`` to retry; otherwise the exception to raise.
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

    This layer does not import ``ssl``, so it recognizes ``ssl.SSLError`` by its
    attributes.
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
    """Yield delays between attempts to connect, in seconds, without end.

    The first is random, so that clients that lost a server at the same time do not
    return at the same time (RFC 6455, section 7.2.3). The others increase.

    Args:
        initial_delay: upper bound of the first delay.
        min_delay: second delay.
        max_delay: maximum delay.
        factor: ratio of each further delay to the previous one.
    """
    share = int.from_bytes(environment.random_bytes(4), "big") / 2**32
    yield share * initial_delay
    delay = min_delay
    while True:
        yield min(delay, max_delay)
        delay = min(delay * factor, max_delay)
