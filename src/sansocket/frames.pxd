cimport cython

from ._native cimport kernels


cdef class Frame:
    cdef public object opcode
    cdef public object data
    cdef public bint fin
    cdef public bint rsv1
    cdef public bint rsv2
    cdef public bint rsv3


cpdef int first_byte(Frame frame) except? -1
@cython.locals(frame=Frame)
cdef Frame new_frame(object opcode, object data, bint fin)
