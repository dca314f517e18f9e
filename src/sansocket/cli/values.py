"""Parsing of option values, and the error that ends a command."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import sys

__all__ = [
    "CommandError",
    "drop_output",
    "parse_count",
    "parse_header",
    "parse_interval",
    "parse_limit",
    "parse_port",
    "parse_seconds",
    "parse_size",
    "parse_timeout",
    "say",
]

UNITS = {"": 0, "K": 10, "M": 20, "G": 30}  # powers of two
DAY = 86400
# RFC 9110, sections 5.1 and 5.5: the characters of a name and of a value.
HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


class CommandError(Exception):
    """The command failed; the text is for the user."""


def say(text: str) -> None:
    """Print to standard output; ignore that its reader may be gone."""
    try:
        print(text, flush=True)
    except OSError:
        drop_output()


def drop_output() -> None:
    """Discard everything written to standard output, including its buffer."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parse_size(text: str) -> int | None:
    """Parse a number of bytes such as ``65536``, ``64K``, ``16M`` or ``none``.

    Raises:
        argparse.ArgumentTypeError: if the text is anything else.
    """
    if text.lower() == "none":
        return None
    found = re.fullmatch(r"([0-9]{1,18})([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if found is None or int(found[1]) == 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size: give a number, optionally with K, M or G, or none"
        )
    return int(found[1]) << UNITS[found[2].upper()]


def parse_port(text: str) -> int:
    """Parse a port number."""
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give 0 to 65535")
    return int(text)


def parse_seconds(text: str) -> float:
    """Parse a duration in seconds, which must not be 0."""
    seconds = parse_float(text)
    if not 0 < seconds <= DAY:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: give seconds, more than 0 and at most {DAY}"
        )
    return seconds


def parse_interval(text: str) -> float | None:
    """Parse a duration in seconds, which must not be 0, or ``none`` for never."""
    return None if text.lower() == "none" else parse_seconds(text)


def parse_timeout(text: str) -> float | None:
    """Parse a duration in seconds, or ``none`` for no limit."""
    if text.lower() == "none":
        return None
    seconds = parse_float(text)
    if not 0 <= seconds <= DAY:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: give seconds, at most {DAY}, or none"
        )
    return seconds


def parse_float(text: str) -> float:
    """Parse a number; return NaN for anything else."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def parse_count(text: str) -> int:
    """Parse a whole number, at least 1."""
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 9999")
    return int(text)


def parse_limit(text: str) -> int | None:
    """Parse a limit: a whole number, at least 1, or ``none``."""
    if text.lower() == "none":
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a limit: give a number of 1 or more, or none"
        )
    return int(text)


def parse_header(text: str) -> tuple[str, str]:
    """Parse a header given as ``NAME:VALUE``."""
    found = HEADER.fullmatch(text)
    if found is None or not found[2].isascii():
        raise argparse.ArgumentTypeError(f"{text!r} is not a header: give NAME:VALUE")
    return found[1], found[2].rstrip(" \t")
