cimport cython
from libc.stdint cimport uint64_t

from ._native cimport kernels
from ._wire.writer cimport Writer
from .frames cimport Frame

cdef int _CONNECTING, _OPEN, _CLOSING, _CLOSED
cdef int _HELD, _NOTHING
cdef int _HEAD, _HOLD, _FRAMES, _DISCARD
cdef tuple _STATES


cdef class Protocol(Writer):
    cdef readonly object side
    cdef public object origin
    cdef public object subprotocol
    cdef public object close_rcvd
    cdef public object close_sent
    cdef public object close_rcvd_then_sent
    cdef public object handshake_exc
    cdef public object parser_exc
    cdef object _id
    cdef uint64_t _bytes_received
    cdef bytearray _held
    cdef bint _held_too_much
    cdef bint _pulled
    cdef bint _eof_received

    cdef object _begin(
        self, object side, object state, object max_size, object logger,
        bint validate_utf8, object max_fragments, object max_inflated_size)
    cdef Py_ssize_t _unread(self)
    @cython.locals(fresh=bytes)
    cpdef receive_data(self, object data)
    cdef object _feed_from(self, bytearray buffer, Py_ssize_t size)
    @cython.locals(payload=kernels.Payload)
    cdef bint _add(self, object data, Py_ssize_t size) except -1
    cdef object _pull(self)
    cdef bint _pull_data(self) except -1
    cdef object _take(self, bytes fresh)
    cdef bint _is_drained(self)
    cdef object _read_frames(self, Py_ssize_t limit, bint pulls=*)
    cdef object _receive_control(self, Frame frame)
    cdef object _receive_close(self, object close, bytes data)
    cdef object _set_state(self, int state)
    cdef object _finish_input(self)
    cdef object _send_close(self, object close, bytes payload)
