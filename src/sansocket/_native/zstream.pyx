# The compiled twin of zstream.py, which documents every name.

from ..exceptions import PayloadTooBig, ProtocolError

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset


cdef extern from "zlib.h" nogil:
    enum:
        Z_OK
        Z_STREAM_END
        Z_BUF_ERROR
        Z_MEM_ERROR
        Z_SYNC_FLUSH
        Z_DEFLATED
    int inflateInit2(z_stream *, int)
    int inflate(z_stream *, int)
    int inflateResetKeep(z_stream *)
    int inflateEnd(z_stream *)
    int deflateInit2(z_stream *, int, int, int, int, int)
    int deflate(z_stream *, int)
    int deflateEnd(z_stream *)


cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **target, Py_ssize_t size) except -1
    PyObject *new_bytes "PyBytes_FromStringAndSize"(
        const char *source, Py_ssize_t size) except NULL
    char *raw_bytes "PyBytes_AS_STRING"(PyObject *target)


COMPILED = True
NO_LIMIT = 2**64 - 1

cdef enum:
    SCRATCH = 65536
    MOST = 1 << 30  # bytes passed to zlib at a time; its counters have 32 bits
    PIECE = 32768  # compressed bytes passed to zlib at a time
    SMALL_PIECE = 512  # the same, after a block with BFINAL
    SLICE = 32768  # bytes of a result that zlib makes at a time: see zstream.py
    BETWEEN_BLOCKS = 128  # zlib.h, inflate(): a bit of data_type
    UNUSED_BITS = 63

cdef uint64_t LARGEST = <uint64_t>1 << 62

# Results up to this size are written here and copied once. No other thread and no
# Python code runs between the first write and the copy.
cdef unsigned char scratch[SCRATCH]
cdef unsigned char tail[4]
tail[:] = [0, 0, 0xFF, 0xFF]


# Output that grows: in `scratch` first, then in a bytes object that doubles.
cdef struct Output:
    unsigned char *data
    uint64_t size
    uint64_t room
    PyObject *owner


cdef inline void begin(Output *out, uint64_t limit) noexcept:
    out.data = scratch
    out.size = 0
    out.room = min(<uint64_t>SCRATCH, limit + 1)
    out.owner = NULL


cdef int grow(Output *out, uint64_t limit) except -1:
    """Double the room, to at most one byte more than the limit, which shows excess."""
    cdef uint64_t room = min(2 * out.room, limit + 1)
    if out.owner is NULL:
        out.owner = new_bytes(NULL, <Py_ssize_t>room)
        memcpy(raw_bytes(out.owner), out.data, <size_t>out.size)
    else:
        _PyBytes_Resize(&out.owner, <Py_ssize_t>room)
    out.data = <unsigned char *>raw_bytes(out.owner)
    out.room = room
    return 0


cdef bytes finish(Output *out, uint64_t size):
    cdef object payload
    if out.owner is NULL:
        return PyBytes_FromStringAndSize(<char *>out.data, <Py_ssize_t>size)
    _PyBytes_Resize(&out.owner, <Py_ssize_t>size)
    payload = <object>out.owner
    Py_XDECREF(out.owner)
    out.owner = NULL
    return payload


cdef inline int allot(z_stream *stream, Output *out, uint64_t limit) except -1:
    """Let zlib write to the free room of the output; return its size."""
    if out.size == out.room:
        grow(out, limit)
    stream.next_out = out.data + out.size
    stream.avail_out = <uInt>min(out.room - out.size, <uint64_t>MOST)
    return <int>stream.avail_out


cdef inline int check_bits(int bits) except -1:
    """Check the size of a window; for zlib, other values have other meanings."""
    if not 8 <= bits <= 15:
        raise ValueError("a window has 8 to 15 bits")
    return 0


cdef class Inflater:
    def __cinit__(self, int bits):
        memset(&self._stream, 0, sizeof(z_stream))
        check_bits(bits)
        if inflateInit2(&self._stream, -bits) != Z_OK:
            raise MemoryError
        self._alive = True

    def __dealloc__(self):
        if self._alive:
            inflateEnd(&self._stream)

    cpdef bytes inflate(self, bytes data, bint final, uint64_t limit):
        cdef z_stream *stream = &self._stream
        cdef const unsigned char *source
        cdef uint64_t left
        cdef bint in_tail = False, full = False
        cdef uint64_t content = 0, most = PIECE
        cdef Output out
        cdef int room, status
        if data is None:
            raise TypeError("bytes are needed, not None")
        source = <unsigned char *>PyBytes_AS_STRING(data)
        left = <uint64_t>PyBytes_GET_SIZE(data)
        limit = min(limit, LARGEST)
        begin(&out, limit)
        stream.avail_in = 0
        try:
            while True:
                if stream.avail_in == 0 and left:
                    stream.next_in = source
                    stream.avail_in = <uInt>min(left, most)
                    source += stream.avail_in
                    left -= stream.avail_in
                elif stream.avail_in == 0 and not full:
                    if in_tail or not final:
                        break
                    in_tail = True
                    content = out.size
                    stream.next_in = tail
                    stream.avail_in = 4
                room = min(allot(stream, &out, limit), SLICE - <int>(out.size % SLICE))
                stream.avail_out = <uInt>room
                status = inflate(stream, Z_SYNC_FLUSH)
                out.size += <uint64_t>(room - <int>stream.avail_out)
                full = stream.avail_out == 0
                if status == Z_MEM_ERROR:
                    raise MemoryError
                if status == Z_STREAM_END and not in_tail:
                    # A block with BFINAL: continue with the same window (7.2.3.4).
                    inflateResetKeep(stream)
                    source -= stream.avail_in
                    left += stream.avail_in
                    stream.avail_in = 0
                    most = SMALL_PIECE
                elif status != Z_OK and status != Z_BUF_ERROR:
                    if in_tail:
                        break
                    raise ProtocolError("compressed data is not valid")
                # The tail has no content: output means that a block was incomplete.
                if in_tail and out.size != content:
                    break
                if out.size > limit:
                    raise PayloadTooBig(None, limit)
            if final and (
                out.size != content or
                stream.data_type & (BETWEEN_BLOCKS | UNUSED_BITS) != BETWEEN_BLOCKS
            ):
                raise ProtocolError("compressed message ends inside a block")
            return finish(&out, out.size)
        finally:
            Py_XDECREF(out.owner)
            stream.next_in = NULL


cdef class Deflater:
    def __cinit__(self, int bits, int level, int memory, int strategy):
        memset(&self._stream, 0, sizeof(z_stream))
        check_bits(bits)
        if deflateInit2(&self._stream, level, Z_DEFLATED, -bits, memory, strategy) != Z_OK:
            raise ValueError("zlib refuses these compress settings")
        self._alive = True

    def __dealloc__(self):
        if self._alive:
            deflateEnd(&self._stream)

    cpdef bytes deflate(self, object data, bint final):
        cdef Py_buffer view
        if type(data) is bytes:
            return squeeze(&self._stream, <unsigned char *>PyBytes_AS_STRING(data),
                           <uint64_t>PyBytes_GET_SIZE(data), final)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            return squeeze(&self._stream, <unsigned char *>view.buf,
                           <uint64_t>view.len, final)
        finally:
            PyBuffer_Release(&view)


cdef bytes squeeze(z_stream *stream, const unsigned char *source, uint64_t left,
                   bint final):
    cdef Output out
    cdef int room
    if left == 0:  # zlib flushes nothing twice; an empty block is the byte 00
        return b"\x00" if final else b""
    begin(&out, LARGEST)
    stream.avail_in = 0
    try:
        while True:
            if stream.avail_in == 0 and left:
                stream.next_in = source
                stream.avail_in = <uInt>min(left, <uint64_t>MOST)
                source += stream.avail_in
                left -= stream.avail_in
            room = allot(stream, &out, LARGEST)
            deflate(stream, Z_SYNC_FLUSH)
            out.size += <uint64_t>(room - <int>stream.avail_out)
            if stream.avail_out and stream.avail_in == 0 and left == 0:
                return finish(&out, out.size - 4 if final else out.size)
    finally:
        Py_XDECREF(out.owner)
        stream.next_in = NULL
