"""What the header of a frame may say (RFC 6455, section 5.2).

The receive loop only needs to know *that* a header is wrong: a table of 256 bytes
answers for the first byte, comparisons answer for the rest. *What* is wrong is
found here, byte after byte, so that a header that is still arriving is refused at
the first byte that can tell, and for the same reason as if it had come at once.
"""

from __future__ import annotations

from ..exceptions import PayloadTooBig, ProtocolError, TooManyFragments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..exceptions import WebSocketException

# How the extensions of a connection concern the reserved bits.
PLAIN = 0  # no extension
DEFLATE = 1  # permessage-deflate alone: RSV1 on the first frame of a message
CUSTOM = 2  # others: every bit passes here, and is checked after decoding

# In the tables of first bytes: a message in one frame, as it is or compressed.
WHOLE = 2
DEFLATED = 3

NO_LIMIT = 2**64 - 1

_OPCODES = frozenset({0x0, 0x1, 0x2, 0x8, 0x9, 0xA})


def first_byte_error(first: int, in_message: bool, mode: int) -> str | None:
    """What is wrong with the first byte of a frame, or None.

    Args:
        first: FIN, RSV1 to RSV3 and opcode.
        in_message: whether a fragmented message is under way.
        mode: ``PLAIN``, ``DEFLATE`` or ``CUSTOM``.

    """
    opcode = first & 0x0F
    reserved = first & 0x70
    if opcode not in _OPCODES:
        return f"opcode 0x{opcode:X} is reserved"
    if mode == DEFLATE and opcode in (0x1, 0x2):
        reserved &= 0x30
    if reserved and mode != CUSTOM:
        return "reserved bits are set"
    if opcode & 0x8:
        return None if first & 0x80 else "control frame is fragmented"
    if opcode == 0x0:
        return None if in_message else "continuation frame without a message"
    return "new message inside a fragmented message" if in_message else None


def first_byte_table(in_message: bool, mode: int) -> bytes:
    """Tell of each value whether the first byte of a frame may have it.

    Of 256 bytes one is 0 if it may not, else 1, or ``WHOLE`` or ``DEFLATED`` where the
    value tells of a whole message.
    """
    table = bytearray(256)
    for first in range(256):
        table[first] = first_byte_error(first, in_message, mode) is None
        if table[first] and mode != CUSTOM:
            table[first] = {
                0x81: WHOLE,
                0x82: WHOLE,
                0xC1: DEFLATED,
                0xC2: DEFLATED,
            }.get(first, 1)
    return bytes(table)


# Index: the first byte, plus 256 times the mode, plus IN_MESSAGE in a fragmented one.
IN_MESSAGE = 3 * 256
FIRST_BYTES = b"".join(
    first_byte_table(in_message, mode)
    for in_message in (False, True)
    for mode in (PLAIN, DEFLATE, CUSTOM)
)


def too_big(room: int, max_message: int, max_frame: int) -> PayloadTooBig:
    """The error that names the limit which binds: of the frame or of the message."""
    if max_frame < room:
        return PayloadTooBig(f"frame is over the limit of {max_frame} bytes")
    return PayloadTooBig(f"message is over the limit of {max_message} bytes")


class HeaderRules:
    """What holds for the next header of a connection.

    Attributes:
        in_message: whether a fragmented message is under way.
        mode: ``PLAIN``, ``DEFLATE`` or ``CUSTOM``.
        masked: whether frames must be masked: those of a client must.
        fragments: fragments that the message under way has so far.
        max_fragments: how many a message may have.
        room: how many bytes the message may still have.
        max_message: limit that ``room`` comes from.
        max_frame: how many bytes a frame may have.

    """

    def __init__(
        self,
        *,
        in_message: bool,
        mode: int,
        masked: bool,
        fragments: int,
        max_fragments: int,
        room: int,
        max_message: int,
        max_frame: int,
    ) -> None:
        self.in_message = in_message
        self.mode = mode
        self.masked = masked
        self.fragments = fragments
        self.max_fragments = max_fragments
        self.room = room
        self.max_message = max_message
        self.max_frame = max_frame

    def error(self, header: bytes) -> WebSocketException | None:
        """What is wrong with a header of which the first bytes are given, or None."""
        text = first_byte_error(header[0], self.in_message, self.mode)
        if text is not None:
            return ProtocolError(text)
        if header[0] & 0x0F == 0x0 and self.fragments >= self.max_fragments:
            return TooManyFragments(self.max_fragments)
        if len(header) == 1:
            return None
        text = self._second_byte_error(header)
        return ProtocolError(text) if text is not None else self._length_error(header)

    def _second_byte_error(self, header: bytes) -> str | None:
        if self.masked and not header[1] & 0x80:
            return "frame is not masked"
        if header[1] & 0x80 and not self.masked:
            return "frame is masked"
        if header[0] & 0x08 and header[1] & 0x7F > 125:
            return "control frame is over 125 bytes"
        return None

    def _length_error(self, header: bytes) -> WebSocketException | None:
        """Read the length as far as it is here: it is at least ``least``."""
        length = header[1] & 0x7F
        if length < 126:
            return self._room_error(header, length)
        size = 2 if length == 126 else 8
        here = header[2 : 2 + size]
        least = int.from_bytes(here, "big") << 8 * (size - len(here))
        if least >> 63:
            return ProtocolError("length has its top bit set")
        most = least + (1 << 8 * (size - len(here))) - 1
        if most < (126 if size == 2 else 65536):
            return ProtocolError("length is not in its shortest form")
        return self._room_error(header, least)

    def _room_error(self, header: bytes, length: int) -> WebSocketException | None:
        if header[0] & 0x08 or length <= min(self.room, self.max_frame):
            return None
        return too_big(self.room, self.max_message, self.max_frame)
