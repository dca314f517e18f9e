cimport cython
from libc.stdint cimport uint64_t

from . cimport _kernels
from ._sender cimport FrameSender
from .frames cimport Frame

cdef int _CONNECTING, _OPEN, _CLOSING, _CLOSED
cdef int _HEAD, _HOLD, _FRAMES, _DISCARD
cdef tuple _STATES


cdef class Protocol(FrameSender):
    cdef readonly object side
    cdef public object origin
    cdef public object subprotocol
    cdef public object close_rcvd
    cdef public object close_sent
    cdef public object close_rcvd_then_sent
    cdef public object handshake_exc
    cdef public object parser_exc
    cdef object _id
    cdef bytearray _held
    cdef bint _held_too_much
    cdef bint _pulled
    cdef bint _eof_received
    cdef uint64_t _bytes_received

    cdef object _begin(
        self, object side, object state, object max_size, object logger,
        bint validate_utf8, object max_fragments, object max_inflated_size)
    @cython.locals(fresh=bytes, payload=_kernels.Payload)
    cpdef receive_data(self, object data)
    cdef object _take(self, bytes fresh)
    cdef object _read_frames(self, Py_ssize_t limit)
    cdef object _receive_control(self, Frame frame)
    cdef object _receive_close(self, object close)
    cdef object _set_state(self, int state)
    cdef object _finish_input(self)
    cdef object _send_close(self, object close, bytes payload)
