from .._native cimport kernels
from ..extensions.permessage_deflate cimport PerMessageDeflate


cdef class SharedMessage:
    cdef readonly int opcode
    cdef readonly bytes data
    cdef bytes _frame
    cdef dict _deflated

    cdef bytes frame(self)
    cdef tuple deflated(self, PerMessageDeflate extension)
