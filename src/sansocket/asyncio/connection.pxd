cimport cython

from .._wire.writer cimport SharedMessage
from ._link cimport Link
from ._waiter cimport Waiter

cdef int _MOST_STREAK


cdef class Connection(Link):
    cdef _take_next(self, decode)
    cdef Waiter _until_next(self)
    cdef _check_receiver(self)
    cdef _send_shared(self, SharedMessage message)


cdef guard(object connection)
