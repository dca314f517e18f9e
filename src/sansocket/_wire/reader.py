"""Reading frames: the half of ``Protocol`` that looks at incoming bytes.

Rules of this path:

* ``_parse`` is one flat loop. It asks only *whether* a header is wrong; ``rules``
  finds out what. Whatever is wrong is raised, and caught in one place by
  ``Protocol._read_frames``, which fails the connection.
* A payload that is complete is copied once, out of the read into the object that
  the application gets. One that is not waits in ``_payload``, unmasked and, if it
  is text, checked as far as it came. Control frames wait until they are whole.
* ``_parse(1)`` pulls a single frame, for callers that want no more than that.
* A session gets data in ``_got``, and no ``Frame`` is made for it: see ``_pulls``.
"""

from __future__ import annotations

from operator import index

from .. import frames
from .._base.constants import FRAMES, Opcode
from .._native import kernels
from ..exceptions import InvalidUTF8, PayloadTooBig
from ..extensions.permessage_deflate import PerMessageDeflate
from .rules import (
    CUSTOM,
    DEFLATE,
    DEFLATED,
    FIRST_BYTES,
    IN_MESSAGE,
    NO_LIMIT,
    PLAIN,
    WHOLE,
    HeaderRules,
    too_big,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..extensions.base import Extension
    from ..frames import Frame

NOTHING = -1  # instead of the opcode of a data frame

# The compiled form keeps these as C values, which imported names cannot be.
_PLAIN, _DEFLATE, _CUSTOM = PLAIN, DEFLATE, CUSTOM
_WHOLE, _DEFLATED = WHOLE, DEFLATED
_NO_LIMIT = NO_LIMIT
_HUGE = 1 << 62
_NO_EXTENSIONS: tuple[Extension, ...] = ()
_FIRST_BYTES = FIRST_BYTES
_IN_MESSAGE = IN_MESSAGE
_FRAMES = FRAMES
_NOTHING = NOTHING
_KNOWN_OPCODES: dict[int, Any] = {int(opcode): opcode for opcode in Opcode}
_OPCODES: tuple[Any, ...] = tuple([_KNOWN_OPCODES.get(n) for n in range(16)])


class Reader(kernels.TextReader):
    """Incoming bytes and the message under way."""

    def _begin_reader(
        self,
        max_size: int | tuple[int | None, int | None] | None,
        max_fragments: int | None,
        max_inflated_size: int | None,
    ) -> None:
        if isinstance(max_size, tuple):
            max_message, max_fragment = max_size
        else:
            max_message, max_fragment = max_size, None
        self._max_message = _to_limit(max_message)
        self._max_fragment = _to_limit(max_fragment)
        self._max_fragments = _to_limit(max_fragments)
        self._max_inflated = _to_limit(max_inflated_size)
        self._extensions: list[Extension] | tuple[Extension, ...] = _NO_EXTENSIONS
        self.validate_utf8 = True
        self.debug = False
        self._client = False
        self._own_recv_frame = False
        self._events: list[Any] | None = None  # made when it is needed
        self._pulls = False  # whether a session is reading, which wants no Frame
        self._got = _NOTHING  # opcode of the data frame that it gets
        self._got_data = b""
        self._got_fin = False
        self._phase = _FRAMES
        self._data = b""  # what is not parsed yet, from _pos on
        self._pos = 0
        self._needed = 0  # bytes of it without which nothing more can be told
        self._message = 0  # opcode of the message under way, or 0
        self._compressed = False  # whether that message is
        self._text = False  # whether its payload is checked as it arrives
        self._budget = 0  # bytes that the application may still get of it
        self._room = 0  # bytes that may still come of it
        self._fragments = 0  # its frames so far
        self._utf8 = 0  # state of its check, as in kernels
        self._first = 0  # first byte of the frame whose payload is arriving
        self._payload: kernels.Payload | None = None
        self._frames_received = 0
        self._messages_received = 0

    @property
    def extensions(self) -> Sequence[Extension]:
        """Extensions in use, in the order in which they encode; a list or a tuple.

        They may be replaced between messages.
        """
        if self._extensions is _NO_EXTENSIONS:
            self._extensions = []  # to which some may be added
        return self._extensions

    @extensions.setter
    def extensions(self, extensions: Sequence[Extension]) -> None:
        if isinstance(extensions, (list, tuple)):
            self._extensions = extensions
        else:
            self._extensions = list(extensions)

    @property
    def max_message_size(self) -> int | None:
        """Largest incoming message in bytes, or ``None`` for no limit."""
        return _from_limit(self._max_message)

    @max_message_size.setter
    def max_message_size(self, size: int | None) -> None:
        self._max_message = _to_limit(size)

    @property
    def max_fragment_size(self) -> int | None:
        """Largest incoming frame in bytes, or ``None`` for no limit of its own."""
        return _from_limit(self._max_fragment)

    @max_fragment_size.setter
    def max_fragment_size(self, size: int | None) -> None:
        self._max_fragment = _to_limit(size)

    def _parse(self, limit: int) -> None:
        """Parse unread input, up to ``limit`` frames; a negative one means all.

        Raises:
            WebSocketException: at the first byte that breaks a rule.
            Exception: whatever an extension or an overridden method raises.

        """
        data = self._data
        buf = data  # the same bytes; when compiled, as a pointer
        end = len(data)
        pos = min(self._pos, end)  # whatever was done in the midst of the last call
        self._needed = 0
        mode = _PLAIN
        most = most_deflated = 0
        kinds = _FIRST_BYTES
        idle = 0  # where they begin outside of a message
        changed = True  # whether settings may have been, by code that is not ours
        masked = not self._client
        mask_bit = 0x80 if masked else 0
        key_size = 4 if masked else 0
        while limit != 0 and self._phase == _FRAMES:
            if changed:
                changed = False
                mode = extension_mode(self._extensions) if self._extensions else _PLAIN
                idle = mode * 256
                most = self._max_message
                if self._max_fragment < most:
                    most = self._max_fragment
                if mode == _DEFLATE:
                    most_deflated = _slack(self._inflated_limit())
            if self._payload is not None:
                pos = self._payload.feed(data, pos, end)
                if self._payload.state < 0:
                    raise text_error(-1)
                if self._payload.missing:
                    break
                first = self._first
                self._utf8 = self._payload.state
                payload = self._payload.finish()
                self._payload = None
            else:
                if pos == end:
                    break
                first = buf[pos]
                opcode = first & 0x0F
                kind = kinds[idle + first + (_IN_MESSAGE if self._message else 0)]
                if kind == 0 or (
                    opcode == 0 and self._fragments >= self._max_fragments
                ):
                    raise self._header_error(pos)
                if end - pos == 1:
                    break
                length = buf[pos + 1] & 0x7F
                if buf[pos + 1] & 0x80 != mask_bit or (length > 125 and opcode & 0x8):
                    raise self._header_error(pos)
                start = pos + 2
                if length > 125:
                    start += 2 if length == 126 else 8
                    if start > end:
                        self._check_header(pos)
                        break
                    if length == 126:
                        length = buf[pos + 2] << 8 | buf[pos + 3]
                        if length < 126:
                            raise self._header_error(pos)
                    else:
                        length = kernels.uint64(data, pos + 2)
                        if length < 65536 or length >> 63:
                            raise self._header_error(pos)
                if kind >= _WHOLE:
                    if length > (most if kind == _WHOLE else most_deflated):
                        raise self._header_error(pos)
                elif not opcode & 0x8 and length > self._room_for(first, mode):
                    raise self._header_error(pos)
                start += key_size
                if start > end:
                    self._needed = start - pos
                    break
                left = end - start
                if kind >= _WHOLE and length <= left:
                    limit -= 1
                    pos = start + length
                    if kind == _DEFLATED:
                        payload = kernels.take(data, start, length, masked)
                        payload = self._inflate_whole(payload, opcode)
                    elif opcode == 1 and self.validate_utf8:
                        self._utf8 = 0
                        payload = self._take_text(buf, start, length, masked)
                        if self._utf8:
                            raise text_error(self._utf8)
                    else:
                        payload = kernels.take(data, start, length, masked)
                    self._messages_received += 1
                    self._hand_over(opcode, payload, True)
                    changed = self._own_recv_frame or self.debug
                    continue
                if opcode & 0x8:
                    if length > left:
                        self._needed = start + length - pos
                        break
                    payload = kernels.take(data, start, length, masked)
                else:
                    if opcode:
                        self._start_message(first, mode)
                    self._fragments += 1
                    self._room -= length
                    if length > left:
                        self._payload = kernels.arriving(
                            data, start, length, masked, self._text, self._utf8
                        )
                        self._first = first
                        pos = start
                        continue
                    if self._text:
                        payload = self._take_text(buf, start, length, masked)
                        if self._utf8 < 0:
                            raise text_error(self._utf8)
                    else:
                        payload = kernels.take(data, start, length, masked)
                pos = start + length
            limit -= 1
            self._deliver(first, payload, mode)
            changed = mode == _CUSTOM or self._own_recv_frame or self.debug
        # Keep what is not parsed yet, and of the read no more than that.
        if pos == end or self._phase != _FRAMES:
            self._data = b""
            pos = 0
        elif pos and limit != 0:
            self._data = data[pos:]
            pos = 0
        self._pos = pos

    def _room_for(self, first: int, mode: int) -> int:
        """How many bytes the payload behind this first byte may have."""
        room = self._room_of_message(first, mode)
        if self._is_compressed(first, mode):
            return room
        return min(room, self._max_fragment)

    def _room_of_message(self, first: int, mode: int) -> int:
        if first & 0x0F == 0:
            return self._room
        if self._is_compressed(first, mode):
            return _slack(self._inflated_limit())
        return self._max_message

    def _is_compressed(self, first: int, mode: int) -> bool:
        """Whether an extension decodes the frame; then its limit is another one."""
        if first & 0x0F:
            return mode == _CUSTOM or (first & 0x40) != 0
        return self._compressed

    def _inflated_limit(self) -> int:
        if self._max_inflated < self._max_message:
            return self._max_inflated
        return self._max_message

    def _start_message(self, first: int, mode: int) -> None:
        self._message = first & 0x0F
        self._compressed = self._is_compressed(first, mode)
        if self._compressed:
            self._text = False
            self._budget = self._inflated_limit()
            self._room = _slack(self._budget)
        else:
            self._text = self._message == 1 and self.validate_utf8
            self._room = self._max_message
        self._fragments = 0
        self._utf8 = 0

    def _deliver(self, first: int, payload: bytes, mode: int) -> None:
        """Hand over one frame whose payload is whole."""
        fin = first >= 0x80
        control = first & 0x08
        if mode == _CUSTOM:
            frame = self._decode(first, payload)
        else:
            if not control:
                if self._compressed:
                    payload = self._inflate(payload, fin)
                if fin:
                    self._end_message()
                self._hand_over(first & 0x0F, payload, fin)
                return
            frame = frames.new_frame(_OPCODES[first & 0x0F], payload, fin)
        self._frames_received += 1
        if self._own_recv_frame or self.debug:
            self.recv_frame(frame)
        elif control:
            self._receive_control(frame)
        else:
            self._add_event(frame)

    def _add_event(self, event: Any) -> None:
        if self._events is None:
            self._events = [event]
        else:
            self._events.append(event)

    def _hand_over(self, opcode: int, payload: bytes, fin: bool) -> None:
        """Hand over a data frame: to a session in fields, to all others as a Frame."""
        self._frames_received += 1
        if self._pulls and not (self._own_recv_frame or self.debug):
            self._got = opcode
            self._got_data = payload
            self._got_fin = fin
            return
        frame = frames.new_frame(_OPCODES[opcode], payload, fin)
        if self._own_recv_frame or self.debug:
            self.recv_frame(frame)
        else:
            self._add_event(frame)

    def _end_message(self) -> None:
        if self._utf8:
            raise text_error(self._utf8)
        self._message = 0
        self._messages_received += 1

    def _inflate(self, payload: bytes, fin: bool) -> bytes:
        """Decompress a frame of a message."""
        inflated = self._inflate_within(self._budget, payload, fin)
        self._spend(inflated)
        return inflated

    def _inflate_whole(self, payload: bytes, opcode: int) -> bytes:
        """Decompress a message that came in one frame."""
        inflated = self._inflate_within(self._inflated_limit(), payload, True)
        if opcode == 1 and self.validate_utf8:
            state = kernels.utf8(0, inflated, 0, len(inflated))
            if state:
                raise text_error(state)
        return inflated

    def _inflate_within(self, budget: int, payload: bytes, fin: bool) -> bytes:
        if extension_mode(self._extensions) != _DEFLATE:
            raise RuntimeError("extensions were replaced inside a compressed message")
        extension: Any = self._extensions[0]
        limit = budget if budget < self._max_fragment else self._max_fragment
        inflated: bytes | None
        try:
            inflated = extension.inflate(payload, fin, limit)
        except PayloadTooBig:
            inflated = None
        if inflated is None:
            # Outside of the handler, or what came out would live on in its traceback.
            raise too_big(budget, self._inflated_limit(), self._max_fragment)
        return inflated

    def _decode(self, first: int, payload: bytes) -> Frame:
        """Let extensions of any kind decode a frame; then it must be a valid one."""
        frame = frames.new_frame(_OPCODES[first & 0x0F], payload, first >= 0x80)
        frame.rsv1 = bool(first & 0x40)
        frame.rsv2 = bool(first & 0x20)
        frame.rsv3 = bool(first & 0x10)
        limit = min(self._budget, self._max_fragment)
        most = None if first & 0x08 else _from_limit(limit)
        extensions = self._extensions  # a variable keeps what is replaced meanwhile
        fits = True
        try:
            for extension in reversed(extensions):
                frame = extension.decode(frame, max_size=most)
        except PayloadTooBig:
            fits = False
        if not fits:
            raise self._inflated_too_big()
        frame.data = kernels.as_bytes(frame.data)
        frame.check()
        if not first & 0x08:
            size = len(frame.data)
            if size > limit:
                raise self._inflated_too_big()
            self._spend(frame.data)
            if frame.fin:
                self._end_message()
        return frame

    def _spend(self, inflated: bytes) -> None:
        """Count and check what an extension made of a payload."""
        size = len(inflated)
        if self._budget != _NO_LIMIT:
            self._budget -= size
        if self._message == 1 and self.validate_utf8:
            self._utf8 = kernels.utf8(self._utf8, inflated, 0, size)
            if self._utf8 < 0:
                raise text_error(-1)

    def _inflated_too_big(self) -> PayloadTooBig:
        return too_big(self._budget, self._inflated_limit(), self._max_fragment)

    def _check_header(self, pos: int) -> None:
        """Raise if the header at ``pos``, still arriving, can only be wrong."""
        error = self._header_error(pos)
        if error is not None:
            raise error

    def _header_error(self, pos: int) -> Any:
        """What is wrong with the header at ``pos``, if anything."""
        header = self._data[pos : pos + 14]
        mode = extension_mode(self._extensions)
        compressed = self._is_compressed(header[0], mode)
        rules = HeaderRules(
            in_message=self._message != 0,
            mode=mode,
            masked=not self._client,
            fragments=self._fragments,
            max_fragments=self._max_fragments,
            room=self._room_of_message(header[0], mode),
            max_message=self._inflated_limit() if compressed else self._max_message,
            max_frame=NO_LIMIT if compressed else self._max_fragment,
        )
        return rules.error(header)

    def _receive_control(self, frame: Frame) -> None:
        raise NotImplementedError

    def recv_frame(self, frame: Frame) -> None:
        raise NotImplementedError


def extension_mode(extensions: Sequence[Extension]) -> int:
    """How these extensions concern the reserved bits; see ``rules``."""
    if not extensions:
        return _PLAIN
    if len(extensions) == 1 and type(extensions[0]) is PerMessageDeflate:
        return _DEFLATE
    return _CUSTOM


def text_error(state: int) -> InvalidUTF8:
    """What is wrong with a text whose check is in this state, at its end or inside."""
    if state < 0:
        return InvalidUTF8("text message is not valid UTF-8")
    return InvalidUTF8("text message ends inside a character")


def _to_limit(size: int | None) -> int:
    if size is None:
        return NO_LIMIT
    number = int(index(size))
    if number < 0:
        raise ValueError("a limit is a number of at least 0, or None")
    return min(number, NO_LIMIT)


def _from_limit(limit: int) -> int | None:
    return None if limit == NO_LIMIT else limit


def _slack(limit: int) -> int:
    """How many compressed bytes may stand for ``limit`` bytes.

    DEFLATE adds little to what it cannot compress; more only serves to be a burden.
    """
    return limit if limit >= _HUGE else limit + (limit >> 3) + 1024
