cimport cython

from ._http.heads cimport HeadParser
from .datastructures cimport _index_of, _pairs_of, lines_of, write_fields


cdef class RequestParser(HeadParser):
    cpdef object feed(self, bytes data)
    cpdef bint asks_for_head(self) except -1


cdef class ResponseParser(HeadParser):
    cdef Py_ssize_t _max_body
    cdef bint _read_body
    cdef int _interim
    cdef object _headers
    cdef object _body
    cdef readonly object flaw

    cdef object _response(self, object headers)
    cdef object _head_complete(self, object headers)


@cython.locals(parts=list, method=str, target=str, protocol=str, path=str)
cdef tuple _parse_request_line(str line)
