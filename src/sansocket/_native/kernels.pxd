# C types of the kernels; kernels.py says what each one does.

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint32_t, uint64_t

cpdef bytes take(bytes data, Py_ssize_t start, Py_ssize_t length, bint masked)
cpdef bytes start_of(bytearray buffer, Py_ssize_t size)
cdef object blank(type kind)
cpdef uint64_t uint64(bytes data, Py_ssize_t start) except? 1
cpdef int32_t utf8(int32_t state, bytes data, Py_ssize_t start,
                   Py_ssize_t stop) except? -2
cpdef Py_ssize_t controls(bytes data, Py_ssize_t stop) except -1
cpdef object add_value(dict index, str key, str value)
cpdef dict fields(bytes data, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t most)
cpdef bytes as_bytes(object data)
cpdef bytes header(int first, uint64_t length, bint masked)
cpdef bytes frame(int first, object data, bint masked)

cdef class TextReader:
    cdef int32_t _utf8

    cdef bytes _take_text(self, const unsigned char *data, Py_ssize_t start,
                          Py_ssize_t length, bint masked)

cdef class Payload:
    cdef readonly uint64_t missing
    cdef readonly int32_t state
    cdef bint _text
    cdef PyObject *_bytes  # owned; no other reference exists before finish()
    cdef Py_ssize_t _size
    cdef Py_ssize_t _room
    cdef uint32_t _key

    cdef int _grow(self, Py_ssize_t count) except -1
    cdef void _copy(self, const unsigned char *data, Py_ssize_t size) noexcept
    cdef bint add(self, const unsigned char *data, Py_ssize_t size) noexcept
    cpdef Py_ssize_t feed(self, bytes data, Py_ssize_t start,
                          Py_ssize_t stop) except -1
    cpdef bytes cut(self)
    cpdef bytes finish(self)

cpdef Payload arriving(bytes data, Py_ssize_t start, uint64_t length, bint masked,
                       bint text, int32_t state)
