"""Raw DEFLATE streams that know where a WebSocket message ends (RFC 7692, section 7.2).

Like ``_kernels`` this module is written twice: compiled, ``_zstream.pyx`` drives
zlib directly; what is here does the same through the ``zlib`` module.
"""

from __future__ import annotations

import zlib

from .. import _kernels
from ..exceptions import PayloadTooBig, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..typing import BytesLike

COMPILED = False

NO_LIMIT = 2**64 - 1

_TAIL = b"\x00\x00\xff\xff"  # left out at the end of every message
_WINDOW = 32768
# A final stored block of one byte: it comes out whole only after a finished block.
_PROBE, _ECHO = b"\x01\x01\x00\xfe\xffX", b"X"


class Inflater:
    """Decompresses the payloads of one direction, in one continuous context."""

    __slots__ = ("_bits", "_stream", "_window")

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._window = b""
        self._stream = zlib.decompressobj(-bits)

    def inflate(self, data: bytes, final: bool, limit: int) -> bytes:
        """Decompress the next payload.

        Args:
            data: compressed payload of one frame.
            final: whether the message ends with it.
            limit: largest result in bytes; never more than one byte above is made.

        Raises:
            PayloadTooBig: if the result is larger.
            ProtocolError: if the data is not DEFLATE, or if the message ends inside
                a block.

        """
        try:
            payload = self._run(data, limit)
            if final:
                payload += self._run(_TAIL, limit - len(payload))
        except zlib.error:
            raise ProtocolError("compressed data is not valid") from None
        if final and not self._between_blocks():
            raise ProtocolError("compressed message ends inside a block")
        return payload

    def _run(self, data: bytes, limit: int) -> bytes:
        chunks, size = [], 0
        while data:
            # At least 1: to zlib a room of 0 means no limit.
            room = min(limit - size, NO_LIMIT // 4) + 1
            chunk = self._stream.decompress(data, room)
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                raise PayloadTooBig(None, limit)
            self._window = (self._window + chunk[-_WINDOW:])[-_WINDOW:]
            data = self._stream.unconsumed_tail
            if self._stream.eof:
                # After a block with BFINAL go on, with the window kept (7.2.3.4).
                data = self._stream.unused_data
                window = self._window[-(1 << self._bits) :]
                self._stream = zlib.decompressobj(-self._bits, window)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _between_blocks(self) -> bool:
        probe = self._stream.copy()
        try:
            echo = probe.decompress(_PROBE)
        except zlib.error:
            return False
        return echo == _ECHO and probe.eof and not probe.unused_data


class Deflater:
    """Compresses the payloads of one direction, in one continuous context."""

    __slots__ = ("_stream",)

    def __init__(self, bits: int, level: int, memory: int, strategy: int) -> None:
        self._stream = zlib.compressobj(level, zlib.DEFLATED, -bits, memory, strategy)

    def deflate(self, data: BytesLike, final: bool) -> bytes:
        """Compress the next payload; ``final`` says whether its message ends."""
        data = _kernels.as_bytes(data)
        if not data:  # zlib flushes nothing twice; an empty block is the byte 00
            return b"\x00" if final else b""
        payload = self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        return payload[:-4] if final else payload
