# C types of the streams; zstream.py says what each one does.

from libc.stdint cimport uint64_t

cdef extern from "zlib.h" nogil:
    ctypedef unsigned char Bytef
    ctypedef unsigned int uInt
    ctypedef struct z_stream:
        const Bytef *next_in
        uInt avail_in
        Bytef *next_out
        uInt avail_out
        int data_type

cdef class Inflater:
    cdef z_stream _stream
    cdef bint _alive  # zlib holds memory for the stream
    cpdef bytes inflate(self, bytes data, bint final, uint64_t limit)

cdef class Deflater:
    cdef z_stream _stream
    cdef bint _alive  # zlib holds memory for the stream
    cpdef bytes deflate(self, object data, bint final)
