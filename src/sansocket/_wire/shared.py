"""A message for many connections, whose frames are built once."""

from __future__ import annotations

from .._native import kernels
from ..extensions.permessage_deflate import PerMessageDeflate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..typing import BytesLike

__all__ = ["SharedMessage"]


class SharedMessage:
    """A whole message as servers send it, once for each kind of compression agreed.

    Args:
        opcode: that of text or of binary.
        data: payload.

    Attributes:
        opcode: as given.
        data: payload.

    """

    def __init__(self, opcode: int, data: BytesLike) -> None:
        self.opcode = opcode
        self.data = kernels.as_bytes(data)
        self._frame: bytes | None = None
        self._deflated: dict[tuple[int, int], tuple[bytes, int]] = {}

    def frame(self) -> bytes:
        """The frame without compression."""
        if self._frame is None:
            self._frame = kernels.frame(0x80 | self.opcode, self.data, False)
        return self._frame

    def deflated(self, extension: PerMessageDeflate) -> tuple[bytes, int]:
        """The frame as an extension with these settings makes it, and the length of
        its payload. Connections of one server share their settings."""
        key = extension.local_max_window_bits, id(extension.compress_settings)
        found = self._deflated.get(key)
        if found is None:
            payload = extension.deflate_alone(self.data)
            frame = kernels.frame(0xC0 | self.opcode, payload, False)
            found = self._deflated[key] = frame, len(payload)
        return found
