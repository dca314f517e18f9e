cimport cython

from ._native cimport kernels
from ._status cimport ConnectionStatus
from .frames cimport Frame

cdef int _OPEN, _CLOSING, _CLOSED
cdef int _HELD, _NOTHING
cdef int _HEAD, _HOLD, _FRAMES, _DISCARD
cdef tuple _STATES


cdef class Protocol(ConnectionStatus):
    cdef bytearray _held
    cdef bint _held_too_much
    cdef bint _pulled
    cdef bint _eof_received

    cdef object _begin(
        self, object side, object state, object max_size, object logger,
        bint validate_utf8, object max_fragments, object max_inflated_size)
    @cython.locals(fresh=bytes)
    cpdef receive_data(self, object data)
    cdef object _feed_from(self, bytearray buffer, Py_ssize_t size)
    @cython.locals(payload=kernels.Payload)
    cdef bint _add(self, object data, Py_ssize_t size) except -1
    cdef object _pull(self)
    cdef bint _pull_data(self) except -1
    cdef object _take(self, bytes fresh)
    cdef object _read_frames(self, Py_ssize_t limit)
    cdef object _receive_control(self, Frame frame)
    cdef object _receive_close(self, object close, bytes data)
    cdef object _set_state(self, int state)
    cdef object _finish_input(self)
    cdef object _send_close(self, object close, bytes payload)
