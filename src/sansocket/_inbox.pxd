cdef class Inbox:
    cdef readonly bint in_parts
    cdef double _high
    cdef Py_ssize_t _low
    cdef object _queue
    cdef int _opcode
    cdef list _parts
    cdef object _decoder
    cdef Py_ssize_t _size

    cpdef bint is_full(self) noexcept
    cpdef bint is_low(self) noexcept
    cpdef lift_limit(self)
    cpdef add(self, int opcode, bytes data, bint fin)
    cdef _enqueue(self, int opcode, bytes data)
    cpdef take(self, object decode)
    cpdef take_part(self, object arriving, object decode)
