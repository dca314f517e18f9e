"""Raw DEFLATE streams that know where a WebSocket message ends (RFC 7692, section 7.2).

Like ``kernels``, this module is written twice: ``zstream.pyx`` calls zlib directly, and
this file does the same through the ``zlib`` module.
"""

from __future__ import annotations

import zlib

from ..exceptions import PayloadTooBig, ProtocolError
from . import kernels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..typing import BytesLike

COMPILED = False

NO_LIMIT = 2**64 - 1

_TAIL = b"\x00\x00\xff\xff"  # left out at the end of every message
_WINDOW = 32768
_CHUNKS = 512  # results collected before they are joined
_PIECE, _SMALL_PIECE = 32768, 512  # compressed bytes passed to zlib at a time
_SLICE = 32768  # bytes of a result that zlib makes at a time
# A final stored block of one byte: zlib returns that byte only after a finished block.
_PROBE, _ECHO = b"\x01\x01\x00\xfe\xffX", b"X"


class Inflater:
    """Decompresses the payloads of one direction, in one continuous context."""

    __slots__ = ("_bits", "_recent", "_recent_size", "_stream")

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._recent: list[bytes] = []  # ends with the window, if that is ever needed
        self._recent_size = 0
        self._stream = zlib.decompressobj(-bits)

    def inflate(self, data: bytes, final: bool, limit: int) -> bytes:
        """Decompress the next payload.

        Args:
            data: compressed payload of one frame.
            final: whether the message ends with it.
            limit: maximum size of the result in bytes; at most one byte more is
                generated.

        Raises:
            PayloadTooBig: if the result is larger.
            ProtocolError: if the data is not DEFLATE, or if the message ends inside
                a block.
        """
        try:
            payload = self._take(data[:_PIECE], limit, limit)
            if len(data) > _PIECE or self._stream.eof:
                payload = self._go_on(payload, data, limit)
        except zlib.error:
            raise ProtocolError("compressed data is not valid") from None
        if final and not self._message_ends():
            raise ProtocolError("compressed message ends inside a block")
        return payload

    def _go_on(self, payload: bytes, data: bytes, limit: int) -> bytes:
        """Decompress the rest of the data after its first piece or block."""
        chunks, room, size = [payload], limit - len(payload), _PIECE
        start = len(data[:size]) - len(self._stream.unused_data)
        while True:
            if self._stream.eof:
                # After a block with BFINAL, continue with the same window (section
                # 7.2.3.4); little at a time: each such block copies the rest.
                window = b"".join(self._recent)[-(1 << self._bits) :]
                self._stream = zlib.decompressobj(-self._bits, window)
                size = _SMALL_PIECE
            if start >= len(data):
                return b"".join(chunks)
            piece = data[start : start + size]
            chunks.append(self._take(piece, room, limit))
            room -= len(chunks[-1])
            start += len(piece) - len(self._stream.unused_data)

    def _take(self, data: bytes, room: int, limit: int) -> bytes:
        """Decompress a piece; one byte more than the limit shows that it is too large.

        zlib refuses a reference beyond the window only if it leads outside the output
        of one call, so both forms split the output at the same places.
        """
        chunks: list[bytes] = []
        while True:
            size = _SLICE - (limit - room) % _SLICE
            if size > room:
                size = room + 1
            chunk = self._stream.decompress(data, size)
            made = len(chunk)
            if made > room:
                raise PayloadTooBig(None, limit)
            recent = self._recent
            recent.append(chunk)
            self._recent_size += made
            if self._recent_size > 2 * _WINDOW or len(recent) > _CHUNKS:
                self._recent = [b"".join(recent)[-_WINDOW:]]
                self._recent_size = len(self._recent[0])
            # If it left some of its room, zlib has taken all it could.
            if made < size or self._stream.eof:
                return b"".join([*chunks, chunk]) if chunks else chunk
            chunks.append(chunk)
            room -= made
            data = self._stream.unconsumed_tail

    def _message_ends(self) -> bool:
        """Decompress the tail; return whether it follows a finished block."""
        stream = self._stream
        try:
            if stream.decompress(_TAIL, 1):
                return False
            probe = stream.copy()
            return probe.decompress(_PROBE, 2) == _ECHO and probe.eof
        except zlib.error:
            return False


class Deflater:
    """Compresses the payloads of one direction, in one continuous context."""

    __slots__ = ("_stream",)

    def __init__(self, bits: int, level: int, memory: int, strategy: int) -> None:
        self._stream = zlib.compressobj(level, zlib.DEFLATED, -bits, memory, strategy)

    def deflate(self, data: BytesLike, final: bool) -> bytes:
        """Compress the next payload; ``final`` means that the message ends with it."""
        data = kernels.as_bytes(data)
        if not data:  # zlib flushes nothing twice; an empty block is the byte 00
            return b"\x00" if final else b""
        payload = self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        return payload[:-4] if final else payload
