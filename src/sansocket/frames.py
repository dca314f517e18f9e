"""WebSocket frames (RFC 6455, section 5.2) and the contents of close frames."""

from __future__ import annotations

from _codecs import utf_8_decode
from copyreg import __newobj__  # type: ignore[attr-defined]

from ._base.closing import CLOSE_CODE_EXPLANATIONS as CLOSE_CODE_EXPLANATIONS
from ._base.closing import EXTERNAL_CLOSE_CODES as EXTERNAL_CLOSE_CODES
from ._base.closing import OK_CLOSE_CODES, Close
from ._base.constants import CloseCode, Opcode
from ._base.dataclass import REQUIRED, LazyFields, LazyParams, LazySignature
from ._base.mirrored import names_from_elsewhere
from ._native import kernels
from .exceptions import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .extensions.base import Extension
    from .typing import BytesLike

__all__ = ["OK_CLOSE_CODES", "Close", "CloseCode", "Frame", "Opcode"]

# Software written for `websockets` uses these names, and those of its older releases.
CONT, TEXT, BINARY = DATA_OPCODES = Opcode.CONT, Opcode.TEXT, Opcode.BINARY
CLOSE, PING, PONG = CTRL_OPCODES = Opcode.CLOSE, Opcode.PING, Opcode.PONG
OP_CONT, OP_TEXT, OP_BINARY = DATA_OPCODES
OP_CLOSE, OP_PING, OP_PONG = CTRL_OPCODES

MAX_CONTROL_PAYLOAD = 125  # bytes (RFC 6455, section 5.5)

_SHOWN = 75  # characters of a payload in a log line


class Frame:
    """One frame, compared by value.

    Attributes:
        opcode: member of ``Opcode``.
        data: unmasked payload; ``bytes`` in every received frame.
        fin: whether it is the last frame of its message.
        rsv1: first reserved bit, for extensions.
        rsv2: second reserved bit.
        rsv3: third reserved bit.
    """

    __match_args__ = ("opcode", "data", "fin", "rsv1", "rsv2", "rsv3")
    if not TYPE_CHECKING:
        __dataclass_fields__ = LazyFields(
            opcode=REQUIRED, data=REQUIRED, fin=True, rsv1=False, rsv2=False, rsv3=False
        )
        __dataclass_params__ = LazyParams()
        __signature__ = LazySignature()

    def __init__(
        self,
        opcode: Opcode,
        data: BytesLike,
        fin: bool = True,
        rsv1: bool = False,
        rsv2: bool = False,
        rsv3: bool = False,
    ) -> None:
        self.opcode = opcode
        self.data = data
        self.fin = fin
        self.rsv1 = rsv1
        self.rsv2 = rsv2
        self.rsv3 = rsv3

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        # Local variables keep values that a comparison might replace.
        opcode, data = self.opcode, self.data
        return (
            opcode == other.opcode
            and data == other.data
            and self.fin == other.fin
            and self.rsv1 == other.rsv1
            and self.rsv2 == other.rsv2
            and self.rsv3 == other.rsv3
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Support copying and pickling, alike in both forms and for subclasses."""
        fields = {name: getattr(self, name) for name in Frame.__match_args__}
        return __newobj__, (type(self),), (getattr(self, "__dict__", None), fields)

    def __repr__(self) -> str:
        return (
            f"Frame(opcode={self.opcode!r}, data={self.data!r}, fin={self.fin}, "
            f"rsv1={self.rsv1}, rsv2={self.rsv2}, rsv3={self.rsv3})"
        )

    def __str__(self) -> str:
        """One short line for logs: opcode, payload, size."""
        return _describe(self)

    def check(self) -> None:
        """Check the frame, as it is after all extensions.

        Raises:
            ProtocolError: if it has reserved bits, or is a control frame that is
                fragmented or has over 125 bytes.
        """
        if self.rsv1 or self.rsv2 or self.rsv3:
            raise ProtocolError("reserved bits are set")
        opcode = self.opcode
        if opcode & 0x8:
            if not self.fin:
                raise ProtocolError("control frame is fragmented")
            if len(kernels.as_bytes(self.data)) > MAX_CONTROL_PAYLOAD:
                raise ProtocolError("control frame is over 125 bytes")

    def serialize(
        self, *, mask: bool, extensions: Sequence[Extension] | None = None
    ) -> bytes:
        """Return the frame as bytes to write.

        Args:
            mask: whether to mask it; clients must (RFC 6455, section 5.1).
            extensions: extensions to apply first, in this order.

        Raises:
            ProtocolError: if the frame is not valid before extensions apply.
        """
        self.check()
        frame = self
        for extension in extensions or ():
            frame = extension.encode(frame)
        return kernels.frame(first_byte(frame), frame.data, mask)


def first_byte(frame: Frame) -> int:
    """Return the first byte of the header: FIN, reserved bits and opcode."""
    opcode = frame.opcode
    return (
        (0x80 if frame.fin else 0)
        | (0x40 if frame.rsv1 else 0)
        | (0x20 if frame.rsv2 else 0)
        | (0x10 if frame.rsv3 else 0)
        | opcode
    )


def new_frame(opcode: Opcode, data: bytes, fin: bool) -> Frame:
    """Make ``Frame(opcode, data, fin)`` without the cost of a call with arguments."""
    frame = kernels.blank(Frame)
    frame.opcode = opcode
    frame.data = data
    frame.fin = fin
    frame.rsv1 = frame.rsv2 = frame.rsv3 = False
    return frame


def _describe(frame: Frame) -> str:
    data = kernels.as_bytes(frame.data)
    text = _text(data)
    if text is not None:
        shown, kind = ascii(text), "text, "
    elif len(data) > 2 * _SHOWN:
        shown, kind = (data[:_SHOWN] + data[-_SHOWN:]).hex(" "), ""
    else:
        shown, kind = data.hex(" "), ""
    if frame.opcode is Opcode.CLOSE:
        try:
            shown, kind = str(Close.parse(data)), ""
        except ProtocolError:
            kind = "invalid, "
    elif frame.opcode is Opcode.TEXT:
        kind = ""
    flags = "" if frame.fin else ", continued"
    size = f"{len(data)} byte" if len(data) == 1 else f"{len(data)} bytes"
    name = getattr(frame.opcode, "name", str(frame.opcode))
    return f"{name} {_shorten(shown)} [{kind}{size}{flags}]"


def _text(data: bytes) -> str | None:
    """Return the payload as text, shortened to its ends; ``None`` if it is not text."""
    end = 4 * _SHOWN  # enough bytes for the characters that are shown
    try:
        if len(data) <= 2 * end:
            return str(data, "utf-8")
        head = utf_8_decode(data[:end], "strict", False)[0]
        tail = data[-end:]
        while tail[0] & 0xC0 == 0x80:
            tail = tail[1:]
        return head + str(tail, "utf-8")
    except (UnicodeDecodeError, IndexError):
        return None


def _shorten(text: str) -> str:
    if len(text) <= _SHOWN:
        return text
    return f"{text[: _SHOWN * 2 // 3]}...{text[-_SHOWN // 3 :]}"


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
