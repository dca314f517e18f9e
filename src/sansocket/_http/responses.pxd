cimport cython

from ..datastructures cimport _from_wire


@cython.locals(pairs=list, index=dict)
cpdef object accept_response(str accept, object extensions=*, object subprotocol=*)
cpdef object reject_response(object status, object text, object extra_headers=*,
                             object connection=*)
cpdef object rejection(object exc)
