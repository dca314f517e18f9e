cimport cython


cpdef list _pairs_of(object headers)
cpdef dict _index_of(object headers)
cpdef object add_to_index(dict index, str key, str value)
cdef object _look_at(object headers, str lines)
cpdef object _from_wire(list pairs, dict index)
cpdef object from_lines(str lines)
cpdef str lines_of(object headers)
cpdef bint is_plain(object value) except -1
@cython.locals(
    pairs=list, index=dict, known_lines=dict, known_names=dict, line=str, known=tuple,
    colon=Py_ssize_t, name=str, key=str, value=str, pair=tuple)
cpdef object read_fields(list lines)
@cython.locals(known_names=dict, lines=list, name=str, value=str, text=str,
               ends=Py_ssize_t)
cpdef bytes write_fields(str start, list pairs)
