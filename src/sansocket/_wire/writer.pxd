cimport cython
from libc.stdint cimport uint64_t

from .._native cimport kernels
from .reader cimport Reader, extension_mode
from ..extensions.permessage_deflate cimport PerMessageDeflate
from ..frames cimport Frame

cdef int _OPEN, _CLOSING
cdef int _FRAMES
cdef int _DEFLATE, _CUSTOM
cdef Py_ssize_t _QUEUE_UNCOPIED
cdef int _LATEST, _EVERY, _HELD


cdef class SharedMessage:
    cdef readonly int opcode
    cdef readonly bytes data
    cdef bytes _frame
    cdef dict _deflated

    cdef bytes frame(self)
    cdef tuple deflated(self, PerMessageDeflate extension)


cdef class Writer(Reader):
    cdef public object logger
    cdef public bint eof_sent
    cdef int _state
    cdef list _writes
    cdef bint _own_send_frame
    cdef int _sending
    cdef bint _sending_compressed
    cdef bytes _pong
    cdef Py_ssize_t _pong_at
    cdef int _pongs

    cdef uint64_t _bytes_sent
    cdef uint64_t _frames_sent
    cdef uint64_t _messages_sent

    cdef object _begin_writer(
        self, bint client, object logger, object max_size, object max_fragments,
        object max_inflated_size)
    @cython.locals(writes=list)
    cdef list _take_writes(self)
    cdef list _outgoing(self)
    cdef object _check_control(self)
    cdef object _refuse_to_send(self)
    cdef object _queue(self, bytes data)
    @cython.locals(first=int)
    cdef object _send_data(self, int opcode, object data, bint fin, object compress)
    @cython.locals(extension=PerMessageDeflate, frame=bytes, size=Py_ssize_t)
    cdef bint _share(self, SharedMessage message) except -1
    cdef bint _has_writes(self) noexcept
    @cython.locals(head=bytes, frame=bytes, writes=list)
    cdef object _queue_frame(self, int first, object data)
    @cython.locals(opcode=int, compressed=bint)
    cdef object _queue_extended(self, int first, object data, object compress)
    cdef bint _is_straight(self) except -1
    @cython.locals(extension=PerMessageDeflate)
    cdef bint _deflates(self) except -1
    @cython.locals(extension=PerMessageDeflate, deflated=bytes, opcode=int,
                   inflated_sent=uint64_t, deflated_sent=uint64_t)
    cdef object _queue_deflated(self, int first, object data)
    cdef object _send_frame_with(self, bint compressed, Frame frame)
    @cython.locals(payload=bytes)
    cdef object _queue_control(self, int opcode, object data)
    cdef object _answer_ping(self, bytes data)
    cdef object _log_frame(self, int first, object data)
    @cython.locals(data=bytes)
    cdef object _send_pong_due(self)
    @cython.locals(data=bytes, payload=bytes)
    cdef object _build_pong(self)


cdef Frame _frame(int first, object data)
