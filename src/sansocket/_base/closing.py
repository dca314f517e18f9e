"""Close frames: which codes may be sent, payloads, and the final exception.

RFC 6455, sections 5.5.1, 7.1.5 and 7.4; codes 1012 to 1014 from the IANA registry.
"""

from __future__ import annotations

from ..exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidUTF8,
    ProtocolError,
    WebSocketException,
)
from .constants import CloseCode, Side
from .dataclass import REQUIRED, LazyFields, LazyParams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

__all__ = ["OK_CLOSE_CODES", "Close", "answer", "failure", "judge", "may_travel"]

OK_CLOSE_CODES = frozenset({1000, 1001, 1005})
"""Close codes of a normal closure, if both sides use one of them."""

_MAX_REASON = 123  # bytes: the payload has to fit into a control frame

CLOSE_CODE_EXPLANATIONS = {
    1000: "OK",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no status received [internal]",
    1006: "abnormal closure [internal]",
    1007: "invalid frame payload data",
    1008: "policy violation",
    1009: "message too big",
    1010: "mandatory extension",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS handshake failure [internal]",
}
"""Names of close codes, for logs."""


def may_travel(code: int) -> bool:
    """Whether a close frame may contain this code (RFC 6455, section 7.4)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


EXTERNAL_CLOSE_CODES = frozenset(filter(may_travel, CLOSE_CODE_EXPLANATIONS))
"""Named codes that a close frame may contain."""


class Close:
    """Code and reason of a close frame, compared by value.

    Attributes:
        code: close code; 1005 stands for a close frame without one.
        reason: text for developers, not for end users (RFC 6455, section 5.5.1).
    """

    __slots__ = ("code", "reason")
    __match_args__ = ("code", "reason")
    __dataclass_fields__: ClassVar[dict[str, Any]] = LazyFields(  # type: ignore[assignment]
        code=REQUIRED, reason=REQUIRED
    )
    __dataclass_params__: ClassVar[Any] = LazyParams()

    def __init__(self, code: CloseCode | int, reason: str) -> None:
        self.code: CloseCode | int = code
        self.reason: str = reason

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Close):
            return NotImplemented
        return self.code == other.code and self.reason == other.reason

    def __repr__(self) -> str:
        return f"Close(code={int(self.code)}, reason={self.reason!r})"

    def __str__(self) -> str:
        """Format code, name and reason as one line that is safe for a log."""
        reason = self.reason
        if not reason.isprintable():
            reason = ascii(reason)[1:-1]
        return f"{_describe(self.code)} {reason}".rstrip()

    @classmethod
    def parse(cls, data: bytes) -> Close:
        """Parse the payload of a close frame.

        Raises:
            ProtocolError: if it is too short, or its code must not be sent.
            InvalidUTF8: if the reason is not UTF-8.
        """
        if not data:
            return cls(CloseCode.NO_STATUS_RCVD, "")
        if len(data) < 2:
            raise ProtocolError("close frame with one byte, too short for a code")
        close = cls(int.from_bytes(data[:2], "big"), "")
        close.check()
        try:
            close.reason = str(data[2:], "utf-8")
        except UnicodeDecodeError:
            raise InvalidUTF8("close reason is not valid UTF-8") from None
        return close

    def serialize(self) -> bytes:
        """Return the payload of a close frame.

        Raises:
            ProtocolError: if the code must not be sent, or if the reason is over 123
                bytes or cannot be encoded as UTF-8.
        """
        self.check()
        try:
            reason = self.reason.encode()
        except UnicodeEncodeError:
            raise ProtocolError("close reason cannot be encoded as UTF-8") from None
        if len(reason) > _MAX_REASON:
            raise ProtocolError(
                f"close reason has {len(reason)} bytes, over the limit of {_MAX_REASON}"
            )
        return int(self.code).to_bytes(2, "big") + reason

    def check(self) -> None:
        """Raise ``ProtocolError`` unless a close frame may contain the code."""
        if not may_travel(self.code):
            raise ProtocolError(f"close code {int(self.code)} may not be sent")


def answer(close: Close, side: Side) -> Close:
    """Return the close frame that answers ``close``; code 1005 means an empty one.

    Only clients may send 1010 (RFC 6455, section 7.4.1), so a server answers 1000.
    """
    if close.code == CloseCode.MANDATORY_EXTENSION and side is Side.SERVER:
        return Close(CloseCode.NORMAL_CLOSURE, "")
    return close


def failure(exc: Exception) -> tuple[int, str]:
    """Return close code and reason for an exception raised while reading input.

    Errors on our side give 1011 with no details.
    """
    code: object = 1011
    if isinstance(exc, UnicodeDecodeError):
        code = 1007  # raised by an extension or an overridden method
    elif isinstance(exc, WebSocketException):
        code = getattr(exc, "close_code", 1002)
    if code == 1011 or not isinstance(code, int) or not may_travel(code):
        return 1011, ""
    text = str(exc).encode("utf-8", "replace")[:_MAX_REASON]
    return code, str(text, "utf-8", "ignore")


def judge(
    rcvd: Close | None, sent: Close | None, rcvd_then_sent: bool | None
) -> ConnectionClosed:
    """Return the exception that describes how a connection ended."""
    normal = (
        rcvd is not None
        and sent is not None
        and rcvd.code in OK_CLOSE_CODES
        and sent.code in OK_CLOSE_CODES
    )
    kind = ConnectionClosedOK if normal else ConnectionClosedError
    return kind(rcvd, sent, rcvd_then_sent)


def _describe(code: int) -> str:
    if 3000 <= code < 4000:
        name = "registered"
    elif 4000 <= code < 5000:
        name = "private use"
    else:
        name = CLOSE_CODE_EXPLANATIONS.get(code, "unknown")
    return f"{int(code)} ({name})"
