cimport cython

cdef Py_ssize_t _LITTLE, _PER_MESSAGE

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
    cpdef lift_limit(self)
    cpdef add(self, int opcode, bytes data, bint fin)
    cdef _enqueue(self, int opcode, bytes data)
    cdef bytes _dequeue(self)
    @cython.locals(data=bytes)
    cpdef take(self, object decode)
    @cython.locals(opcode=int, data=bytes)
    cpdef take_part(self, object arriving, object decode)
