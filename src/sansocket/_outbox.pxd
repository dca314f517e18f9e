cimport cython

from ._wire.shared cimport SharedMessage
from .protocol cimport Protocol

cdef int _OPEN


cdef class Outbox:
    cdef object __weakref__
    cdef readonly Protocol protocol
    cdef object _fragmented

    cdef _begin_outbox(self, Protocol protocol)
    @cython.locals(first=bint)
    cpdef bytes share(self, SharedMessage message)
    @cython.locals(as_text=bint)
    cdef _send(self, object message, object text, object compress)


cdef payload_of(object message)
