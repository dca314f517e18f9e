cimport cython
from libc.stdint cimport uint64_t

from ..protocol cimport Protocol
from ..session cimport Session
from ._waiter cimport Waiter

cdef double NEVER, BATCHING, ANSWERING, MOST_TIME, TOGETHER
cdef Py_ssize_t LARGE, MOST_SENT, PER_MESSAGE, MOST_PEEKED
cdef int _MOST_STREAK, MOST_TIMERS
cdef object _KEEP, _CLOSE


cdef class Turn:
    cdef object __weakref__
    cdef object _loop
    cdef object _clock
    cdef readonly object view
    cdef readonly double began
    cdef Py_ssize_t sent
    cdef list _due
    cdef dict _waiting

    cdef begin(self, object loop, double now)
    cdef flush_if_late(self, double now)
    @cython.locals(waiting=dict)
    cdef wait(self, Link link, double second)
    @cython.locals(waiting=dict)
    cdef forget(self, Link link, double second)
    @cython.locals(now=double, waiting=dict, link=Link)
    cpdef _begin_second(self, double second)
    cpdef _end(self)
    @cython.locals(link=Link)
    cdef _flush(self)


@cython.locals(turn=Turn)
cpdef Turn _turn_of(object loop)


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
    cdef uint64_t _write_high
    cdef object _write_low
    cdef bytearray _buffer
    cdef Turn _turn
    cdef public object _on_open
    cdef object _on_message
    cdef object _on_close
    cdef public bint _opening
    cdef public bint _lost
    cdef public object _lost_by
    cdef bint _inside
    cdef double _now
    cdef bint _flush_due
    cdef uint64_t _sent
    cdef uint64_t _flushed
    cdef int _streak
    cdef double _wrote_at
    cdef bint _hears
    cdef bint _reads
    cdef bint _peeks
    cdef bint _writing_paused
    cdef bint _cut_off
    cdef bint _answers
    cdef object _look
    cdef object _timer
    cdef double _timer_at
    cdef Waiter _receiver
    cdef object _tls
    cdef object _tls_state
    cdef object _streaming
    cdef dict _pings
    cdef list _waiters
    cdef object _fragmenting

    cdef _hand_over(self)
    cdef _wake(self)
    cpdef _call(self, function)
    @cython.locals(count=int, now=double)
    cdef _call_back(self)
    cdef _end_program(self, exc)
    cdef _fail_pings(self)
    cdef _finish_pings(self)
    @cython.locals(
        turn=Turn,
        now=double,
        due=double,
        began=double,
        sent="uint64_t",
    )
    cdef bint _queued(self) except -1
    @cython.locals(turn=Turn)
    cdef _flush_soon(self)
    @cython.locals(flushed="uint64_t", writes=list)
    cdef _flush(self)
    cdef bint _is_cut_off(self) except -1
    cdef bint _is_closing(self) except -1
    @cython.locals(last=bytes, half_close=bint)
    cdef _write(self, list writes, Py_ssize_t size)
    cdef _write_large(self, list writes)
    cdef _half_close(self)
    cpdef _close_transport(self)
    cdef _steer_reading(self)
    @cython.locals(turn=Turn)
    cdef _set_timer(self, double deadline, double now)
    @cython.locals(turn=Turn)
    cdef _stop_timer(self)
    cdef _look_for_progress(self)
    cdef _wake_waiters(self)
    cdef _report(self, exc)
    cpdef _begin_close(self, code, reason=*)
    cpdef double _time(self)
    cdef Waiter _more(self)
    cdef Waiter _after_turn(self)
    cdef _peek(self)
