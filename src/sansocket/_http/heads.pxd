cimport cython

from .._native cimport kernels
from ..datastructures cimport _from_wire, from_lines


cdef class HeadParser:
    cdef public bytes rest
    cdef object _start
    cdef bint _unfolds
    cdef Py_ssize_t _max_start_line
    cdef Py_ssize_t _max_header_line
    cdef Py_ssize_t _max_headers
    cdef Py_ssize_t _max_head_size
    cdef Py_ssize_t _safe_size
    cdef bint _slow
    cdef bint _started
    cdef bint _skipped
    cdef bytearray _buffer
    cdef Py_ssize_t _searched
    cdef Py_ssize_t _room
    cdef list _pairs
    cdef dict _index
    cdef Py_ssize_t _field_size
    cdef list _folds

    cdef object _begin_head(
        self, Py_ssize_t max_start_line, Py_ssize_t max_header_line,
        Py_ssize_t max_headers, Py_ssize_t max_head_size)
    @cython.locals(end=Py_ssize_t, size=Py_ssize_t, begin=Py_ssize_t, fields=dict)
    cdef object _read_whole(self, bytes data)
    cdef object _read_lines(self, bytes data)
    cdef object _begin(self)
    cdef bint _line(self, bytes line) except -1
    @cython.locals(limit=Py_ssize_t, room=Py_ssize_t)
    cdef object _check_size(self, Py_ssize_t size, bint folded)
    cdef object _header_line(self, str line)
    cdef object _folded_line(self, str line)
    cdef object _unfold(self)
    cdef object _check_content_length(self)
    cdef object _parse_start(self, str line)
    cdef object _start_line_too_long(self, Py_ssize_t limit)
