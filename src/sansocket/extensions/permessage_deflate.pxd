cimport cython
from libc.stdint cimport uint64_t

from .._native cimport kernels
from .._native.zstream cimport Deflater, Inflater
from .base cimport Extension

cdef class PerMessageDeflate(Extension):
    cdef public bint remote_no_context_takeover
    cdef public bint local_no_context_takeover
    cdef public unsigned char remote_max_window_bits
    cdef public unsigned char local_max_window_bits
    cdef unsigned char _decoding
    cdef unsigned char _encoding
    cdef public object compress_settings
    cdef Inflater _inflater
    cdef Deflater _deflater
    cdef readonly uint64_t deflated_received
    cdef readonly uint64_t inflated_received
    cdef readonly uint64_t inflated_sent
    cdef readonly uint64_t deflated_sent

    cpdef bint can_deflate(self) except -1
    cpdef object forget_sent(
        self, bint in_message, uint64_t inflated, uint64_t deflated)
    cpdef bytes inflate(self, bytes data, bint fin, uint64_t limit)
    @cython.locals(deflater=Deflater, plain=bytes, payload=bytes)
    cpdef bytes deflate(self, object data, bint fin)
    @cython.locals(deflater=Deflater)
    cpdef bytes deflate_alone(self, bytes data)
    cpdef sent_alone(self, uint64_t inflated, uint64_t deflated)
    cdef Deflater _new_deflater(self)
    cpdef release(self)
