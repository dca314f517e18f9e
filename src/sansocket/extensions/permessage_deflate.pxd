from libc.stdint cimport uint64_t

from ._zstream cimport Deflater, Inflater
from .base cimport Extension

cdef class PerMessageDeflate(Extension):
    cdef public bint remote_no_context_takeover
    cdef public bint local_no_context_takeover
    cdef public int remote_max_window_bits
    cdef public int local_max_window_bits
    cdef public object compress_settings
    cdef Inflater _inflater
    cdef Deflater _deflater
    cdef bint _decoding
    cdef bint _encoding

    cpdef bytes inflate(self, bytes data, bint fin, uint64_t limit)
    cpdef bytes deflate(self, object data, bint fin)
    cdef Deflater _new_deflater(self)
    cpdef release(self)
