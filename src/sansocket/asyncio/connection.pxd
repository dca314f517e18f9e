from ._link cimport Link
from ._waiter cimport Waiter


cdef _flush_connection(Connection connection)


cdef class Connection(Link):
    cdef _check_receiver(self)
    cdef bint _must_wait(self, Py_ssize_t size) except -1
