cimport cython

from ._native cimport kernels
from ._liveness cimport Liveness
from ._wire.writer cimport SharedMessage
from .frames cimport Frame
from .protocol cimport Protocol

cdef double _NEVER, _LOOK_AHEAD, _BODY_WAIT
cdef Py_ssize_t _MOST_UNREAD, _LITTLE, _PER_MESSAGE
cdef int _EVERY, _HELD
cdef int _CONNECTING, _OPEN, _CLOSING, _CLOSED


@cython.final
cdef class Inbox:
    cdef readonly bint in_parts
    cdef readonly Py_ssize_t size
    cdef readonly int taken
    cdef Py_ssize_t _bytes
    cdef double _high
    cdef Py_ssize_t _low
    cdef bint _drops
    cdef int _first_opcode
    cdef bytes _first
    cdef object _others
    cdef int _opcode
    cdef list _parts
    cdef object _decoder

    cdef bint is_full(self) noexcept
    cdef bint is_low(self) noexcept
    cdef lift_limit(self)
    cdef add(self, int opcode, bytes data, bint fin)
    cdef _keep(self, bytes part)
    @cython.locals(parts=list)
    cdef bytes _take_parts(self)
    cdef _enqueue(self, int opcode, bytes data)
    @cython.locals(data=bytes)
    cdef bytes take(self)
    @cython.locals(opcode=int, data=bytes)
    cdef take_part(self, object arriving, object decode)


cdef class Session:
    cdef object __weakref__
    cdef readonly Protocol protocol
    cdef object _fragmented
    cdef readonly object request
    cdef readonly object response
    cdef readonly bint reading
    cdef bint _stuck
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
    cdef readonly bint was_open
    cdef bint _ended

    cpdef receive_data(self, object data, double now)
    cpdef receive_from(self, bytearray buffer, Py_ssize_t size, double now)
    cdef _received(self, double now)
    @cython.locals(data=bytes)
    cpdef next_message(self, double now, object decode=*)
    cpdef list data_to_send(self)
    cdef bint _is_closed(self)
    cdef bint _is_ready(self)
    cdef bint _has_unread(self)
    cpdef bint doubts(self, double now)
    cdef _read_if_empty(self, double now)
    @cython.locals(drained=bint)
    cdef bint _is_idle(self)
    cdef _decoded(self, bytes data, double now)
    cdef _taken(self, double now)
    cdef bint _refuse_text(self, double now)
    cdef _resume(self, double now)
    cdef _read_one(self, double now)
    cdef _look_ahead(self, double now)
    @cython.locals(protocol=Protocol, frame=Frame, opcode=int, data=bytes)
    cdef bint _read_frame(self, double now) except -1
    cdef _read_end(self, double now)
    @cython.locals(state=int)
    cdef _settle(self, double now)
    cdef _expect_end(self, double now)
    cdef bint _is_refused(self) except -1
    cdef _time_out(self, str deadline)
    @cython.locals(first=bint)
    cpdef bytes share(self, SharedMessage message)
    @cython.locals(as_text=bint)
    cdef _send(self, object message, object text, object compress)


cdef payload_of(object message)
