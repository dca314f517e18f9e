cimport cython

from . cimport _kernels
from ._inbox cimport Inbox
from ._liveness cimport Liveness
from ._outbox cimport payload_of
from ._shared cimport SharedMessage
from .frames cimport Frame
from .protocol cimport Protocol

cdef double _NEVER, _LOOK_AHEAD
cdef int _OPEN, _CLOSING, _CLOSED


cdef class Session:
    cdef object __weakref__
    cdef readonly Protocol protocol
    cdef readonly object request
    cdef readonly object response
    cdef readonly bint reading
    cdef readonly object transport
    cdef readonly double deadline
    cdef readonly object timed_out
    cdef object _close_timeout
    cdef Liveness _liveness
    cdef list _answered
    cdef double _open_by
    cdef double _close_by
    cdef double _look_ahead_at
    cdef Inbox _inbox
    cdef bint _wanted
    cdef bint _part_wanted
    cdef list _writes
    cdef readonly bint was_open
    cdef bint _ended
    cdef object _fragmented

    cpdef receive_data(self, object data, double now)
    cpdef next_message(self, double now, object decode=*)
    cpdef list data_to_send(self)
    cpdef bytes share(self, SharedMessage message)
    cdef bint _is_closed(self)
    cdef bint _is_ready(self)
    @cython.locals(as_text=bint)
    cdef _send(self, object message, object text, object compress)
    cdef _read_if_empty(self, double now)
    cdef _taken(self, double now)
    cdef _resume(self, double now)
    cdef _read_one(self, double now)
    cdef _look_ahead(self, double now)
    @cython.locals(frame=Frame, opcode=int, data=bytes)
    cdef bint _read_frame(self, double now) except -1
    cdef _read_end(self)
    @cython.locals(state=int)
    cdef _settle(self, double now)
    cdef _expect_end(self, double now)
    cdef _time_out(self, str deadline)
