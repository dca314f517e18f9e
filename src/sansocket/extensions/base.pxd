cdef class Extension:
    pass
