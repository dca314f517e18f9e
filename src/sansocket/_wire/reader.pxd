cimport cython
from libc.stdint cimport int32_t, uint64_t

from .._native cimport kernels
from .. cimport frames
from ..extensions.permessage_deflate cimport PerMessageDeflate

cdef int _PLAIN, _DEFLATE, _CUSTOM
cdef int _WHOLE, _DEFLATED
cdef int _FRAMES, _NOTHING
cdef uint64_t _NO_LIMIT, _HUGE
cdef int _IN_MESSAGE
cdef bytes _FIRST_BYTES
cdef tuple _OPCODES

cpdef int extension_mode(object extensions) except -1
cdef uint64_t _to_limit(object size) except? 1
cdef uint64_t _slack(uint64_t limit) noexcept


cdef class Reader(kernels.TextReader):
    cdef dict __dict__
    cdef object __weakref__

    # What the other layers of the connection need too.
    cdef object _extensions
    cdef public bint debug
    cdef public bint validate_utf8
    cdef list _events
    cdef bint _pulls
    cdef int _got
    cdef bytes _got_data
    cdef bint _got_fin
    cdef int _phase
    cdef bint _client
    cdef bint _own_recv_frame

    cdef uint64_t _max_message
    cdef uint64_t _max_fragment
    cdef uint64_t _max_fragments
    cdef uint64_t _max_inflated

    cdef bytes _data
    cdef Py_ssize_t _pos
    cdef Py_ssize_t _needed
    cdef int _message
    cdef bint _compressed
    cdef bint _text
    cdef uint64_t _budget
    cdef uint64_t _room
    cdef uint64_t _fragments
    cdef int _first
    cdef kernels.Payload _payload

    cdef uint64_t _frames_received
    cdef uint64_t _messages_received

    cdef object _begin_reader(
        self, object max_size, object max_fragments, object max_inflated_size)
    @cython.locals(
        data=bytes, buf="const unsigned char *", pos=Py_ssize_t, end=Py_ssize_t,
        start=Py_ssize_t, mode=int, kinds="const unsigned char *", idle=int,
        masked=bint, mask_bit=int, key_size=int,
        first=int, opcode=int, kind=int, length=uint64_t, left=uint64_t,
        most=uint64_t, most_deflated=uint64_t, changed=bint, payload=bytes)
    cdef int _parse(self, Py_ssize_t limit) except -1
    @cython.locals(room=uint64_t)
    cdef uint64_t _room_for(self, int first, int mode) noexcept
    cdef uint64_t _room_of_message(self, int first, int mode) noexcept
    cdef bint _is_compressed(self, int first, int mode) noexcept
    cdef uint64_t _inflated_limit(self) noexcept
    cdef void _start_message(self, int first, int mode) noexcept
    @cython.locals(fin=bint, control=int, frame=frames.Frame)
    cdef object _deliver(self, int first, bytes payload, int mode)
    cdef object _add_event(self, object event)
    @cython.locals(frame=frames.Frame)
    cdef object _hand_over(self, int opcode, bytes payload, bint fin)
    cdef object _end_message(self)
    @cython.locals(inflated=bytes)
    cdef bytes _inflate(self, bytes payload, bint fin)
    @cython.locals(inflated=bytes, state=int32_t)
    cdef bytes _inflate_whole(self, bytes payload, int opcode)
    @cython.locals(extension=PerMessageDeflate, limit=uint64_t, inflated=bytes)
    cdef bytes _inflate_within(self, uint64_t budget, bytes payload, bint fin)
    @cython.locals(limit=uint64_t, size=uint64_t)
    cdef object _decode(self, int first, bytes payload)
    cdef object _spend(self, bytes inflated)
    cdef object _inflated_too_big(self)
    cdef object _check_header(self, Py_ssize_t pos)
    cdef object _header_error(self, Py_ssize_t pos)
    cdef object _receive_control(self, frames.Frame frame)
