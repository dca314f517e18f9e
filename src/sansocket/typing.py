"""Type aliases of the public API. Nothing in the core imports this at run time."""

from __future__ import annotations

import http
import logging
import os
from collections.abc import Sequence
from typing import Any, NewType, Union

__all__ = [
    "BytesLike",
    "ConnectionOption",
    "Data",
    "DataLike",
    "ExtensionHeader",
    "ExtensionName",
    "ExtensionParameter",
    "LoggerLike",
    "Origin",
    "PathLike",
    "StatusLike",
    "Subprotocol",
    "UpgradeProtocol",
]

Data = str | bytes
"""A message: text or binary."""

BytesLike = bytes | bytearray | memoryview
"""Types accepted as a binary payload."""

DataLike = str | bytes | bytearray | memoryview
"""Types accepted as a message."""

LoggerLike = Union[logging.Logger, "logging.LoggerAdapter[Any]"]
"""Types accepted as a logger."""

PathLike = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
"""Types accepted as the path of a Unix socket."""

StatusLike = http.HTTPStatus | int
"""An HTTP status code."""

Origin = NewType("Origin", str)
"""Value of an ``Origin`` header (RFC 6454, section 7)."""

Subprotocol = NewType("Subprotocol", str)
"""One member of a ``Sec-WebSocket-Protocol`` header."""

ExtensionName = NewType("ExtensionName", str)
"""Name of an extension."""

ExtensionParameter = tuple[str, str | None]
"""Name and value of a parameter; the value is ``None`` if there is none."""

ExtensionHeader = tuple[ExtensionName, Sequence[ExtensionParameter]]
"""One member of a ``Sec-WebSocket-Extensions`` header."""

ConnectionOption = NewType("ConnectionOption", str)
"""One member of a ``Connection`` header."""

UpgradeProtocol = NewType("UpgradeProtocol", str)
"""One member of an ``Upgrade`` header."""
