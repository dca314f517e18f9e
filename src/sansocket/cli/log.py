"""What goes to the log: one line of printable characters for each record."""

from __future__ import annotations

import copy
import logging

__all__ = ["in_url", "in_words", "printable", "set_up_logging"]

LOG_LINE_LIMIT = 300  # characters; a peer must not fill the terminal
# They join the parts of emoji and letters, and do nothing else.
JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    """Escape what could change the state of a terminal, or the order of a line."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in JOINERS else repr(one)[1:-1] for one in text
    )


def in_url(host: str) -> str:
    """Write a host as URLs do: IPv6 addresses in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def in_words(address: object) -> str:
    """Write the address of a peer; that of a Unix socket is empty."""
    if isinstance(address, tuple):
        return f"{in_url(address[0])}:{address[1]}"
    return ""


class OneLineFormatter(logging.Formatter):
    """Print each record as one line of printable characters.

    Peers choose parts of what is logged: their control characters are escaped
    and the line is cut. Only errors, which are bugs of ours or of the handler, show
    a traceback.
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
    """Who it is about: the address of a connection's peer, or this program."""
    connection = getattr(record, "websocket", None)
    if connection is None:
        return "sansocket"
    return in_words(connection.remote_address) or "unix"


def set_up_logging(verbosity: int) -> None:
    """Log to standard error: 0 problems, 1 connections, 2 frames."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        OneLineFormatter(
            "%(asctime)s %(levelname)s %(peer)s %(message)s", datefmt="%H:%M:%S"
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    logging.getLogger("sansocket").setLevel(level)
    # Its warnings are about what peers did, or repeat what we report ourselves.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
