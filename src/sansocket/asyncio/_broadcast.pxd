cimport cython

from .._shared cimport SharedMessage
from .connection cimport Connection


@cython.locals(connection=Connection)
cdef list _share(object connections, SharedMessage message)
