cimport cython

from ._http cimport responses, handshake
from .http11 cimport RequestParser
from .protocol cimport Protocol


cdef class ServerProtocol(Protocol):
    cdef public object origins
    cdef public object available_extensions
    cdef public object available_subprotocols
    cdef public object hosts
    cdef object _selector
    cdef object _method
    cdef RequestParser _head

    @cython.locals(head=RequestParser)
    cdef object _begin_server(
        self, object origins, object extensions, object subprotocols,
        object select_subprotocol, object state, object max_size, object logger,
        object hosts, tuple heads, tuple messages)
    @cython.locals(head=RequestParser, protocol=ServerProtocol)
    cpdef ServerProtocol _alike(self, object selector)
    cdef object _rejection(self, object exc)
    cdef object _bodiless(self, object response)


@cython.locals(position=Py_ssize_t)
cdef bint _are_usual(tuple numbers) except -1
