cdef class Waiter:
    cdef public bint waiting
    cdef object _loop
    cdef public bint _asyncio_future_blocking
    cdef object _callback
    cdef object _context
    cdef bint _done
    cdef bint _cancelled
    cdef object _message

    cpdef begin(self)
    cdef wake(self, bint soon)
