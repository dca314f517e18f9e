"""Logging: one line of printable characters per record."""

from __future__ import annotations

import copy
import logging

__all__ = ["in_url", "in_words", "printable", "set_up_logging"]

LOG_LINE_LIMIT = 300  # characters; a peer must not fill the terminal
# Harmless: all they do is join the parts of emoji and letters.
JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    """Escape characters that could change a terminal's state or a line's order."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in JOINERS else repr(one)[1:-1] for one in text
    )


def in_url(host: str) -> str:
    """Format a host for a URL: IPv6 addresses in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def in_words(address: object) -> str:
    """Format the address of a peer; "" for a Unix socket."""
    if isinstance(address, tuple):
        return f"{in_url(address[0])}:{address[1]}"
    return ""


class OneLineFormatter(logging.Formatter):
    """Print each record as one line of printable characters.

    Peers control parts of log messages, so control characters are escaped and long
    lines are cut. Only errors, which are bugs of ours or of the handler, show a
    traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)
        record.peer = peer_of(record)
        if record.levelno < logging.ERROR:
            record.exc_info = record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        shown = printable(line[: LOG_LINE_LIMIT + 1])
        if len(shown) > LOG_LINE_LIMIT:
            return shown[: LOG_LINE_LIMIT - 3] + "..."
        return shown


def peer_of(record: logging.LogRecord) -> str:
    """The subject of a record: the address of a peer, or this program."""
    connection = getattr(record, "websocket", None)
    if connection is None:
        return "sansocket"
    return in_words(connection.remote_address) or "unix"


def set_up_logging(verbosity: int) -> None:
    """Log to standard error.

    Args:
        verbosity: 0 for problems, 1 for connections, 2 for frames.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(
        OneLineFormatter(
            "%(asctime)s %(levelname)s %(peer)s %(message)s", datefmt="%H:%M:%S"
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    logging.getLogger("sansocket").setLevel(level)
    # Its warnings concern the behavior of peers, or repeat our own reports.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
