cdef double _NEVER


cdef class Ping:
    cdef readonly bytes payload
    cdef readonly double sent_at
    cdef public object latency


cdef class Liveness:
    cdef readonly double latency
    cdef readonly double ping_at
    cdef readonly double give_up_at
    cdef object _interval
    cdef object _timeout
    cdef dict _pings
    cdef list _own

    cpdef bint is_due(self, double now)
    cpdef start(self, double now)
    cpdef stop(self)
    cpdef Ping make_ping(self, double now, object data)
    cpdef forget(self, Ping ping)
    cpdef pinged(self, Ping ping, double now)
    cpdef heard(self)
    cpdef read_again(self, double now)
    cpdef list pong(self, bytes payload, double now)
