cimport cython

from ..datastructures cimport from_lines, is_plain, lines_of


cpdef object accept_response(object accept, object extensions=*, object subprotocol=*)
@cython.locals(lines=str)
cpdef object name_server(object response, object server)
cpdef object reject_response(object status, object text, object extra_headers=*,
                             object connection=*)
cpdef object rejection(object exc)
@cython.locals(lines=str)
cdef object _add(object headers, str name, object value)
