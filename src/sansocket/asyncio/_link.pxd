cimport cython

from ..protocol cimport Protocol
from ..session cimport Session
from ._waiter cimport Waiter

cdef double NEVER
cdef Py_ssize_t LARGE
cdef object _KEEP, _CLOSE


cdef class Link:
    cdef object __weakref__
    cdef readonly Protocol protocol
    cdef readonly Session session
    cdef public object transport
    cdef object _logger
    cdef public object request
    cdef public object response
    cdef readonly object _loop
    cdef object _clock
    cdef Py_ssize_t _write_high
    cdef object _write_low
    cdef bytearray _buffer
    cdef object _view
    cdef public object _on_open
    cdef object _on_message
    cdef object _on_close
    cdef public bint _opening
    cdef public bint _lost
    cdef public object _lost_by
    cdef bint _inside
    cdef double _now
    cdef bint _flush_due
    cdef Py_ssize_t _unsent
    cdef bint _reads
    cdef bint _writing_paused
    cdef Py_ssize_t _backlog
    cdef object _timer
    cdef double _timer_at
    cdef Waiter _receiver
    cdef dict _pings
    cdef list _waiters
    cdef object _fragmenting

    cdef _hand_over(self)
    cdef _wake(self)
    cpdef _call(self, function)
    cdef _call_back(self)
    cdef _finish_pings(self)
    cdef _flush_soon(self)
    @cython.locals(unsent=Py_ssize_t)
    cdef _flush(self)
    cdef _write(self, list writes, Py_ssize_t size)
    cdef _write_large(self, list writes)
    cdef _half_close(self)
    cdef _steer_reading(self)
    cdef _set_timer(self, double deadline)
    cdef _look_for_progress(self)
    cdef _wake_waiters(self)
    cpdef _begin_close(self, code, reason=*)
    cpdef double _time(self)
    cdef Waiter _more(self)
