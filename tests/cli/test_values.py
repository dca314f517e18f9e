"""Values of options: what is read, and what is refused."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from sansocket.cli.values import (
    parse_count,
    parse_header,
    parse_interval,
    parse_limit,
    parse_port,
    parse_seconds,
    parse_size,
    parse_timeout,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("65536", 65536),
        ("64K", 65536),
        ("64k", 65536),
        ("64KiB", 65536),
        ("16M", 16 * 2**20),
        ("16mb", 16 * 2**20),
        ("2G", 2**31),
        ("none", None),
        ("NONE", None),
    ],
)
def test_parse_size(text: str, size: int | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "K", "1.5M", "+1", " 1", "1T", "0K", "1 K", "1_0"]
)
def test_parse_size_refuses(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        parse_size(text)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_port, "0", 0),
        (parse_port, "65535", 65535),
        (parse_seconds, "0.5", 0.5),
        (parse_seconds, "86400", 86400),
        (parse_timeout, "0", 0),
        (parse_timeout, "None", None),
        (parse_interval, "none", None),
        (parse_interval, "0.1", 0.1),
        (parse_count, "1", 1),
        (parse_limit, "none", None),
        (parse_limit, "4096", 4096),
        (parse_header, "Name:value", ("Name", "value")),
        (parse_header, "X-Empty:", ("X-Empty", "")),
        (parse_header, "a: b: c\t ", ("a", "b: c")),
    ],
)
def test_values(parse: Callable[[str], Any], text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((parse_port, text) for text in ("", "-1", "65536", "80a")),
        *((parse_seconds, text) for text in ("", "0", "-1", "nan", "inf", "none")),
        *((parse_timeout, text) for text in ("", "-1", "nan", "inf", "1s")),
        *((parse_interval, text) for text in ("", "0", "nan", "never")),
        *((parse_count, text) for text in ("", "0", "-1", "1.5", "10000")),
        *((parse_limit, text) for text in ("", "0", "-1", "1K")),
        *((parse_header, text) for text in ("", "a", ":b", "a b:c", "a:\x00")),
        *((parse_header, text) for text in ("a:b\r\nc:d", "a:\u00e9", "\u00e9:a")),
    ],
)
def test_what_is_no_value(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"give|not a number"):
        parse(text)
