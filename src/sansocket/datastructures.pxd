cimport cython

from ._native cimport kernels


cpdef list _pairs_of(object headers)
cpdef dict _index_of(object headers)
cpdef dict fields_of(object headers)
@cython.locals(pairs=list, index=dict, line=str, name=str, value=str)
cdef object _look_at(object headers, str lines)
cpdef object _from_wire(list pairs, dict index)
cpdef object from_lines(str lines, dict fields=*)
cpdef str lines_of(object headers)
cpdef bint is_plain(object value) except -1
@cython.locals(known_names=dict, lines=list, name=str, value=str, text=str,
               ends=Py_ssize_t)
cpdef bytes write_fields(str start, list pairs)
