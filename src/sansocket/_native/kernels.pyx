# The compiled twin of kernels.py, which documents every name.
#
# Functions that Python can call check all positions: no call may read or write outside
# a buffer. `blank`, `_take_text` and `add` are only for C, and trust their caller.

import os

from .. import environment
from .._base.constants import HANDSHAKE_FIELDS, TOKEN_CHARACTERS

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef extern from "kernels.h" nogil:
    bint sansocket_mask(unsigned char *target, const unsigned char *source,
                        size_t size, uint32_t key)
    int32_t sansocket_utf8(int32_t state, const unsigned char *data, size_t size)


cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **target, Py_ssize_t size) except -1
    PyObject *new_bytes "PyBytes_FromStringAndSize"(
        const char *source, Py_ssize_t size) except NULL
    char *raw_bytes "PyBytes_AS_STRING"(PyObject *target)
    ctypedef struct PyTypeObject:
        object (*tp_new)(type, tuple, PyObject *)
    void PyObject_GC_UnTrack(PyObject *)


COMPILED = True

cdef enum:
    BATCH = 4096  # bytes of masking keys to fetch from the random source at a time
    FIRST_ROOM = 512  # bytes initially allocated for a payload, if it is that long
    GROWTH = 3  # maximum ratio of a payload's memory to the bytes received

cdef unsigned char batch[BATCH]
cdef Py_ssize_t batch_left = 0


cdef inline uint32_t load_key(const unsigned char *source) noexcept:
    cdef uint32_t key
    memcpy(&key, source, 4)
    return key


cdef inline int check(bytes data, Py_ssize_t start, Py_ssize_t length,
                      bint masked) except -1:
    """Check that a buffer contains these bytes, and the masking key before them."""
    if data is None:
        raise TypeError("bytes are needed, not None")
    if (start < (4 if masked else 0) or length < 0
            or length > PyBytes_GET_SIZE(data) - start):
        raise IndexError("the buffer has no such bytes")
    return 0


cdef inline int check_range(bytes data, Py_ssize_t start, Py_ssize_t stop) except -1:
    """Do the same for the first position and the one after the last."""
    if start < 0 or stop < start:
        raise IndexError("the buffer has no such bytes")
    return check(data, start, stop - start, False)


cdef inline const unsigned char *at(bytes data, Py_ssize_t start) noexcept:
    """Return the address of a checked position."""
    return <const unsigned char *>PyBytes_AS_STRING(data) + start


# Memoryviews of Cython as arguments would make up most of this module.
def mask(object data, bytes key not None):
    cdef bytes plain = as_bytes(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(plain)
    cdef bytes masked = PyBytes_FromStringAndSize(NULL, size)
    if len(key) != 4:
        raise ValueError("a masking key has 4 bytes")
    if size:
        sansocket_mask(<unsigned char *>PyBytes_AS_STRING(masked), at(plain, 0),
                       <size_t>size, load_key(at(key, 0)))
    return masked


cpdef bytes take(bytes data, Py_ssize_t start, Py_ssize_t length, bint masked):
    cdef bytes payload
    check(data, start, length, masked)
    if not masked:
        return PyBytes_FromStringAndSize(<const char *>at(data, start), length)
    payload = PyBytes_FromStringAndSize(NULL, length)
    if length:  # the empty bytes object is shared
        sansocket_mask(<unsigned char *>PyBytes_AS_STRING(payload), at(data, start),
                       <size_t>length, load_key(at(data, start - 4)))
    return payload


cpdef bytes start_of(bytearray buffer, Py_ssize_t size):
    if buffer is None:
        raise TypeError("a bytearray is needed, not None")
    if not 0 <= size <= PyByteArray_GET_SIZE(buffer):
        raise ValueError("the buffer has not so many bytes")
    return PyBytes_FromStringAndSize(PyByteArray_AS_STRING(buffer), size)


cdef object blank(type kind):
    cdef object instance = (<PyTypeObject *>kind).tp_new(kind, (), NULL)
    PyObject_GC_UnTrack(<PyObject *>instance)
    return instance


cpdef uint64_t uint64(bytes data, Py_ssize_t start) except? 1:
    cdef const unsigned char *source
    cdef uint64_t number = 0
    cdef int i
    check(data, start, 8, False)
    source = at(data, start)
    for i in range(8):
        number = number << 8 | source[i]
    return number


cpdef int32_t utf8(int32_t state, bytes data, Py_ssize_t start,
                   Py_ssize_t stop) except? -2:
    check_range(data, start, stop)
    return sansocket_utf8(state, at(data, start), <size_t>(stop - start))


cpdef Py_ssize_t controls(bytes data, Py_ssize_t stop) except -1:
    cdef const unsigned char *source
    cdef Py_ssize_t i, found = 0
    check(data, 0, stop, False)
    source = at(data, 0)
    for i in range(stop):
        found += (source[i] < 0x20 and source[i] != 0x09) or source[i] == 0x7F
    return found


cdef tuple keys = HANDSHAKE_FIELDS
cdef tuple names = tuple([name.encode() for name in (*keys, "content-length")])
cdef unsigned char is_token[256]

for byte in range(256):
    is_token[byte] = chr(byte) in TOKEN_CHARACTERS


cpdef object add_value(dict index, str key, str value):
    cdef object known = index.get(key)
    if known is None:
        index[key] = value
    elif isinstance(known, str):
        index[key] = [known, value]
    else:
        known.append(value)


cdef Py_ssize_t which(const unsigned char *name, Py_ssize_t size) noexcept:
    """Return the number of a name, in any letter case; -1 if it is none of them."""
    cdef const unsigned char *known
    cdef Py_ssize_t number, i
    for number in range(PyTuple_GET_SIZE(names)):
        if PyBytes_GET_SIZE(<bytes>PyTuple_GET_ITEM(names, number)) == size:
            known = at(<bytes>PyTuple_GET_ITEM(names, number), 0)
            i = 0
            # As it is a token, only letters and hyphens can be equal so.
            while i < size and name[i] | 0x20 == known[i]:
                i += 1
            if i == size:
                return number
    return -1


cpdef dict fields(bytes data, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t most):
    cdef dict found = {}
    cdef const unsigned char *source
    cdef Py_ssize_t i = start, name, first, last, number
    check_range(data, start, stop)
    source = at(data, 0)
    while i < stop:
        name = i
        while i < stop and is_token[source[i]]:
            i += 1
        if i == name or i == stop or source[i] != c":" or most <= 0:
            return None
        most -= 1
        number = which(source + name, i - name)
        i += 1
        first = i
        while i < stop and (source[i] >= 0x20 and source[i] != 0x7F
                            or source[i] == c"\t"):
            i += 1
        last = i
        if i < stop:
            if stop - i < 3 or source[i] != c"\r" or source[i + 1] != c"\n":
                return None
            i += 2
        if number == PyTuple_GET_SIZE(keys):
            return None
        if number >= 0:
            while first < last and source[first] in b" \t":
                first += 1
            while first < last and source[last - 1] in b" \t":
                last -= 1
            add_value(found, <object>PyTuple_GET_ITEM(keys, number),
                      PyUnicode_DecodeLatin1(<const char *>source + first,
                                             last - first, NULL))
    return found


cdef class TextReader:
    cdef bytes _take_text(self, const unsigned char *data, Py_ssize_t start,
                          Py_ssize_t length, bint masked):
        cdef bytes payload
        cdef unsigned char *target
        cdef bint ascii
        if length == 0:
            return b""
        payload = PyBytes_FromStringAndSize(NULL, length)
        target = <unsigned char *>PyBytes_AS_STRING(payload)
        ascii = sansocket_mask(target, data + start, <size_t>length,
                               load_key(data + start - 4) if masked else 0)
        if self._utf8 != 0 or not ascii:
            self._utf8 = sansocket_utf8(self._utf8, target, <size_t>length)
        return payload


cdef class Payload:
    def __init__(self, uint64_t length, bytes key not None, bint text, int32_t state):
        if len(key) not in (0, 4):
            raise ValueError("a masking key has 4 bytes")
        self.missing = length
        self.state = state
        self._key = load_key(key) if key else 0
        self._text = text

    def __dealloc__(self):
        Py_XDECREF(self._bytes)

    cdef int _grow(self, Py_ssize_t count) except -1:
        """Make room for `count` more bytes, never past the end."""
        cdef uint64_t room = <uint64_t>(self._size + count)
        if room <= <uint64_t>self._room:
            return 0
        room = max(GROWTH * room, <uint64_t>FIRST_ROOM)
        if room - <uint64_t>self._size > self.missing:
            room = <uint64_t>self._size + self.missing
        if self._bytes is NULL:
            self._bytes = new_bytes(NULL, <Py_ssize_t>room)
        else:
            _PyBytes_Resize(&self._bytes, <Py_ssize_t>room)
        self._room = <Py_ssize_t>room
        return 0

    cpdef Py_ssize_t feed(self, bytes data, Py_ssize_t start,
                          Py_ssize_t stop) except -1:
        cdef Py_ssize_t count
        check_range(data, start, stop)
        count = stop - start
        if <uint64_t>count > self.missing:
            count = <Py_ssize_t>self.missing
        if count == 0:
            return start
        self._grow(count)
        self._copy(at(data, start), count)
        return start + count

    cdef bint add(self, const unsigned char *data, Py_ssize_t size) noexcept:
        if (<uint64_t>size >= self.missing or size > self._room - self._size
                or size == 0):
            return False
        self._copy(data, size)
        return True

    cdef void _copy(self, const unsigned char *data, Py_ssize_t size) noexcept:
        """Add bytes for which there is room."""
        cdef unsigned char *target = <unsigned char *>raw_bytes(self._bytes)
        cdef int turn = self._size & 3
        cdef bint ascii
        target += self._size
        ascii = sansocket_mask(target, data, <size_t>size,
                               rotate(self._key, turn) if turn else self._key)
        if self._text and (self.state != 0 or not ascii):
            self.state = sansocket_utf8(self.state, target, <size_t>size)
        self._size += size
        self.missing -= <uint64_t>size

    cpdef bytes cut(self):
        self._key = rotate(self._key, self._size & 3)
        return self.finish()

    cpdef bytes finish(self):
        cdef object payload
        if self._bytes is NULL:
            return b""
        if self._room != self._size:
            _PyBytes_Resize(&self._bytes, self._size)
        payload = <object>self._bytes
        Py_XDECREF(self._bytes)
        self._bytes = NULL
        self._size = self._room = 0
        return payload


cpdef Payload arriving(bytes data, Py_ssize_t start, uint64_t length, bint masked,
                       bint text, int32_t state):
    cdef Payload payload
    check(data, start, 0, masked)
    payload = Payload.__new__(Payload)
    payload.missing = length
    payload.state = state
    payload._key = load_key(at(data, start - 4)) if masked else 0
    payload._text = text
    return payload


cdef inline uint32_t rotate(uint32_t key, int turn) noexcept:
    """Turn the key by `turn` bytes towards its first byte in memory."""
    cdef unsigned char source[8]
    memcpy(source, &key, 4)
    memcpy(source + 4, &key, 4)
    return load_key(source + turn)


cpdef bytes header(int first, uint64_t length, bint masked):
    cdef unsigned char target[10]
    cdef Py_ssize_t size = write_header(target, first, length, masked)
    return PyBytes_FromStringAndSize(<char *>target, size)


cdef inline Py_ssize_t write_header(unsigned char *target, int first,
                                    uint64_t length, bint masked) noexcept:
    cdef unsigned char bit = 0x80 if masked else 0
    cdef int i
    target[0] = <unsigned char>first
    if length < 126:
        target[1] = bit | <unsigned char>length
        return 2
    if length < 65536:
        target[1] = bit | 126
        target[2] = <unsigned char>(length >> 8)
        target[3] = <unsigned char>length
        return 4
    target[1] = bit | 127
    for i in range(8):
        target[2 + i] = <unsigned char>(length >> (56 - 8 * i))
    return 10


cpdef bytes frame(int first, object data, bint masked):
    cdef Py_buffer view
    if type(data) is bytes:
        return build(first, <unsigned char *>PyBytes_AS_STRING(data),
                     PyBytes_GET_SIZE(data), masked)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return build(first, <unsigned char *>view.buf, view.len, masked)
    finally:
        PyBuffer_Release(&view)


cdef inline bytes build(int first, const unsigned char *data, Py_ssize_t length,
                        bint masked):
    cdef unsigned char head[14]
    cdef Py_ssize_t size = write_header(head, first, <uint64_t>length, masked)
    cdef unsigned char *target
    cdef bytes whole
    if masked:
        take_key(head + size)
        size += 4
    whole = PyBytes_FromStringAndSize(NULL, size + length)
    target = <unsigned char *>PyBytes_AS_STRING(whole)
    memcpy(target, head, <size_t>size)
    if masked:
        sansocket_mask(target + size, data, <size_t>length,
                       load_key(target + size - 4))
    elif length:
        memcpy(target + size, data, <size_t>length)
    return whole


cdef inline int take_key(unsigned char *target) except -1:
    global batch_left
    cdef bytes fresh
    if batch_left == 0:
        fresh = environment.random_bytes(BATCH)
        if len(fresh) != BATCH:
            raise ValueError("the random source gave too few bytes")
        memcpy(batch, PyBytes_AS_STRING(fresh), BATCH)
        batch_left = BATCH
    memcpy(target, batch + (BATCH - batch_left), 4)
    batch_left -= 4
    return 0


cpdef bytes as_bytes(object data):
    cdef Py_buffer view
    if type(data) is bytes:
        return data
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        return PyBytes_FromStringAndSize(<char *>view.buf, view.len)
    finally:
        PyBuffer_Release(&view)


def masking_key():
    cdef unsigned char key[4]
    take_key(key)
    return PyBytes_FromStringAndSize(<char *>key, 4)


def forget_keys():
    global batch_left
    batch_left = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_keys)
