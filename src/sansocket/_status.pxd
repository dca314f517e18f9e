from libc.stdint cimport uint64_t

from ._wire.writer cimport FrameSender

cdef int _CONNECTING, _CLOSING, _CLOSED


cdef class ConnectionStatus(FrameSender):
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

    cdef object _begin_status(self, object side)
    cdef Py_ssize_t _unread(self)
