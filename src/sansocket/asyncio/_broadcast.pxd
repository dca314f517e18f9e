cimport cython

from .._wire.writer cimport SharedMessage
from .connection cimport Connection


@cython.locals(connection=Connection)
cdef list _share(
    object connections, SharedMessage frames, object message, object text)
