cimport cython

from ..datastructures cimport fields_of
from .responses cimport accept_response, reject_response, rejection


@cython.locals(index=dict)
cpdef str check_upgrade_request(object request, object hosts=*)
cpdef str accept_key(str key)
cpdef object check_origin(object headers, object origins)
cdef object _shared(object origin)
cpdef list offered_subprotocols(object headers)
cpdef object select_subprotocol(object supported, object offered)
@cython.locals(offers=list, answers=list, accepted=list)
cpdef tuple negotiate_extensions(object headers, object factories)
cdef object _joined(dict index, str key)
cdef str _single(dict index, str name)
cdef object _check_upgrade(dict index)
cdef object _check_host(dict index, object hosts)
cdef object _check_no_body(dict index)
cdef str _check_key(dict index)
cdef object _check_version(dict index)
cdef bint _is_key(str key) except -1
