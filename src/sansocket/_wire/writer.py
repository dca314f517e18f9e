"""Queueing frames: the half of ``Protocol`` that looks at outgoing bytes.

Frames pass ``send_frame`` where a subclass overrides it, and where extensions other
than permessage-deflate are in use. All others are built in one step and queued.
"""

from __future__ import annotations

from logging import DEBUG

from .._base.constants import FRAMES, State
from .._native import kernels
from ..exceptions import InvalidState, ProtocolError
from ..extensions.permessage_deflate import PerMessageDeflate
from ..frames import MAX_CONTROL_PAYLOAD, Frame, Opcode
from .reader import Reader, extension_mode
from .rules import CUSTOM, DEFLATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..typing import BytesLike, LoggerLike

__all__ = ["SEND_EOF", "SharedMessage", "Writer"]

SEND_EOF = b""
"""Marks the end of what ``data_to_send()`` gives: half-close the connection."""

STATES = tuple(State)

# The compiled form keeps these as C values, which imported names cannot be.
_OPEN, _CLOSING = int(State.OPEN), int(State.CLOSING)
_FRAMES = FRAMES
_DEFLATE, _CUSTOM = DEFLATE, CUSTOM
_QUEUE_UNCOPIED = 65536  # bytes from which a payload is queued by itself

# Which pings are answered: of those that came since the output was last fetched the
# latest (RFC 6455, section 5.5.3); every one, in its place; or the latest once the
# peer takes more.
LATEST, EVERY, HELD = range(3)
_LATEST, _EVERY, _HELD = LATEST, EVERY, HELD


class SharedMessage:
    """A whole message as servers send it, once for each kind of compression agreed.

    Args:
        opcode: that of text or of binary.
        data: payload.

    Attributes:
        opcode: as given.
        data: payload.

    """

    def __init__(self, opcode: int, data: BytesLike) -> None:
        self.opcode = opcode
        self.data: bytes = kernels.as_bytes(data)
        self._frame: bytes | None = None
        self._deflated: dict[tuple[int, int], tuple[bytes, int]] = {}

    def frame(self) -> bytes:
        """The frame without compression."""
        if self._frame is None:
            self._frame = kernels.frame(0x80 | self.opcode, self.data, False)
        return self._frame

    def deflated(self, extension: PerMessageDeflate) -> tuple[bytes, int]:
        """The frame as such an extension makes it, and the length of its payload.

        Connections of one server share their settings.
        """
        key = extension.local_max_window_bits, id(extension.compress_settings)
        found = self._deflated.get(key)
        if found is None:
            payload = extension.deflate_alone(self.data)
            frame = kernels.frame(0xC0 | self.opcode, payload, False)
            found = self._deflated[key] = frame, len(payload)
        return found


class Writer(Reader):
    """Outgoing frames, and the message under way among them."""

    def _begin_writer(
        self,
        client: bool,
        logger: LoggerLike,
        max_size: int | tuple[int | None, int | None] | None,
        max_fragments: int | None,
        max_inflated_size: int | None,
    ) -> None:
        self._begin_reader(max_size, max_fragments, max_inflated_size)
        self.logger = logger
        self.debug: bool = logger.isEnabledFor(DEBUG)
        self._client = client
        self._own_send_frame = type(self).send_frame is not _send_frame
        self._state = _OPEN
        self.eof_sent: bool = False
        self._writes: list[Any] | None = None  # made when it is needed
        self._sending = 0  # opcode of the message under way, or 0
        self._sending_compressed = False  # whether that message is
        self._pong: bytes | None = None  # payload of the pong that is still unsent
        self._pong_at = 0  # its place in _writes; -1 if it has none yet
        self._pongs = _LATEST
        self._bytes_sent = 0
        self._frames_sent = 0
        self._messages_sent = 0

    # --- public

    def send_continuation(self, data: BytesLike, fin: bool) -> None:
        """Send a further frame of a fragmented message (RFC 6455, section 5.4).

        Args:
            data: payload, of the same kind as the first frame's.
            fin: whether it is the last frame of the message.

        Raises:
            InvalidState: if the connection is not open.
            ProtocolError: if no fragmented message is under way.

        """
        self._send_data(0x0, data, fin, None)

    def send_text(
        self, data: BytesLike, fin: bool = True, *, compress: bool | None = None
    ) -> None:
        """Send a text message, or the first frame of one.

        Args:
            data: text as UTF-8; it is not checked.
            fin: whether the message ends with this frame.
            compress: ``False`` keeps this message out of the compression that was
                agreed, as for a secret next to text of others (RFC 7692, section 8).

        Raises:
            InvalidState: if the connection is not open.
            ProtocolError: if a fragmented message is under way.

        """
        self._send_data(0x1, data, fin, compress)

    def send_binary(
        self, data: BytesLike, fin: bool = True, *, compress: bool | None = None
    ) -> None:
        """Send a binary message, or the first frame of one.

        Args:
            data: payload.
            fin: whether the message ends with this frame.
            compress: as for ``send_text``.

        Raises:
            InvalidState: if the connection is not open.
            ProtocolError: if a fragmented message is under way.

        """
        self._send_data(0x2, data, fin, compress)

    def send_ping(self, data: BytesLike) -> None:
        """Send a ping (RFC 6455, section 5.5.2).

        Args:
            data: payload of up to 125 bytes.

        Raises:
            InvalidState: if the connection is neither open nor awaiting the peer's
                close frame.
            ProtocolError: if the payload is too long.

        """
        self._check_control()
        self._queue_control(0x9, data)

    def send_pong(self, data: BytesLike) -> None:
        """Send a pong nobody asked for; pings are answered anyway.

        Arguments and errors are those of ``send_ping``.
        """
        self._check_control()
        self._queue_control(0xA, data)

    def send_frame(self, frame: Frame) -> None:
        """Queue any frame, whatever the state; override it to see every frame.

        Raises:
            ProtocolError: if the frame is not valid.

        """
        if self.debug:
            self.logger.debug("> %s", frame)
        extensions = self._extensions  # a variable keeps what is replaced meanwhile
        data = frame.serialize(mask=self._client, extensions=extensions)
        self._queue(data)
        self._frames_sent += 1

    def send_eof(self) -> None:
        """Queue the half-close of the TCP connection."""
        assert not self.eof_sent
        if self.debug:
            self.logger.debug("> EOF")
        self._outgoing().append(SEND_EOF)
        self.eof_sent = True

    def data_to_send(self) -> list[bytes]:
        """Fetch and clear what is to be written, in order.

        The empty string ``SEND_EOF``, always last, asks to half-close the connection.
        """
        return self._take_writes()

    # --- inside

    def _take_writes(self) -> list[bytes]:
        if self._pong is not None and self._pong_at >= 0:
            self._build_pong()
        elif self._pong is not None and self._pongs != _HELD:
            self._send_pong_due()
        writes, self._writes = self._writes, None
        return [] if writes is None else writes

    def _outgoing(self) -> list[Any]:
        """The queue of what is to be written."""
        if self._writes is None:
            self._writes = []
        return self._writes

    def _check_control(self) -> None:
        """Control frames may go out until the peer's close frame has come."""
        closing = self._state == _CLOSING and self._phase == _FRAMES
        if self.eof_sent or (self._state != _OPEN and not closing):
            self._refuse_to_send()

    def _refuse_to_send(self) -> None:
        if self._state == _OPEN:
            raise InvalidState("the half-close was sent already")
        raise InvalidState(f"connection is {STATES[self._state].name.lower()}")

    def _queue(self, data: bytes) -> None:
        self._bytes_sent += len(data)
        self._outgoing().append(data)  # last, as it may be called again if this raises

    def _send_data(
        self, opcode: int, data: BytesLike, fin: bool, compress: bool | None
    ) -> None:
        """Queue a data frame; nothing changes if this raises."""
        if self._state != _OPEN or self.eof_sent:
            self._refuse_to_send()
        if opcode == 0:
            if not self._sending:
                raise ProtocolError("no fragmented message is under way")
        elif self._sending:
            raise ProtocolError("a fragmented message is not finished yet")
        first = opcode | 0x80 if fin else opcode
        if self._own_send_frame or self.debug or self._extensions:
            self._queue_extended(first, data, compress)
        else:
            self._queue_frame(first, data)
        if fin:
            self._sending = 0
            self._messages_sent += 1
        elif opcode:
            self._sending = opcode

    def _share(self, message: SharedMessage) -> bool:
        """Queue a message that many connections get, if it can be sent now.

        Where nobody has to see the frame, and no masking key has to be its own, it is
        the one that others send too.
        """
        if self._state != _OPEN or self.eof_sent or self._sending:
            return False
        if self._client or self.debug or not self._is_straight():
            self._send_data(message.opcode, message.data, True, None)
            return True
        if self._deflates():
            extension: Any = self._extensions[0]
            frame, size = message.deflated(extension)
            extension.sent_alone(len(message.data), size)
        else:
            frame = message.frame()
        self._bytes_sent += len(frame)
        self._frames_sent += 1
        self._messages_sent += 1
        self._outgoing().append(frame)
        return True

    def _has_writes(self) -> bool:
        """Whether anything waits to be fetched."""
        return self._pong is not None or self._writes is not None

    def _queue_frame(self, first: int, data: BytesLike) -> None:
        if type(data) is bytes and len(data) >= _QUEUE_UNCOPIED and not self._client:
            head = kernels.header(first, len(data), False)
            self._bytes_sent += len(head) + len(data)
            self._frames_sent += 1
            writes = self._outgoing()
            writes += (head, data)  # both or none, if there is no memory
        else:
            frame = kernels.frame(first, data, self._client)
            self._bytes_sent += len(frame)
            self._frames_sent += 1
            self._outgoing().append(frame)

    def _queue_extended(
        self, first: int, data: BytesLike, compress: bool | None
    ) -> None:
        """Queue data in which extensions, a subclass or the log have a part."""
        opcode = first & 0x0F
        compressed = compress is not False if opcode else self._sending_compressed
        if self._is_straight():
            if self.debug:
                self._log_frame(first, data)
            if compressed and self._deflates():
                self._queue_deflated(first, data)
            else:
                self._queue_frame(first, data)
        else:
            self._send_frame_with(compressed, _frame(first, data))
        self._sending_compressed = compressed

    def _is_straight(self) -> bool:
        """Whether nobody but permessage-deflate has to see outgoing frames."""
        if self._own_send_frame:
            return False
        return not self._extensions or extension_mode(self._extensions) != _CUSTOM

    def _deflates(self) -> bool:
        """Whether permessage-deflate, if there is nothing else, can compress."""
        if not self._extensions:
            return False
        extension: Any = self._extensions[0]
        can: bool = extension.can_deflate()
        return can

    def _log_frame(self, first: int, data: BytesLike) -> None:
        self.logger.debug("> %s", _frame(first, data))

    def _queue_deflated(self, first: int, data: BytesLike) -> None:
        extension: Any = self._extensions[0]
        inflated_sent, deflated_sent = extension.inflated_sent, extension.deflated_sent
        opcode = first & 0x0F
        deflated = extension.deflate(data, first >= 0x80)
        try:
            self._queue_frame(first | 0x40 if opcode else first, deflated)
        except BaseException:
            extension.forget_sent(opcode == 0, inflated_sent, deflated_sent)
            raise

    def _send_frame_with(self, compressed: bool, frame: Frame) -> None:
        extensions = self._extensions
        deflate = [
            (extension, extension.inflated_sent, extension.deflated_sent)
            for extension in extensions
            if isinstance(extension, PerMessageDeflate)
        ]
        if not compressed:
            self._extensions = [
                extension
                for extension in extensions
                if not isinstance(extension, PerMessageDeflate)
            ]
        try:
            self.send_frame(frame)
        except BaseException:
            in_message = compressed and frame.opcode == 0x0
            for extension, *sizes in deflate:
                extension.forget_sent(in_message, *sizes)
            raise
        finally:
            self._extensions = extensions

    def _queue_control(self, opcode: int, data: BytesLike) -> None:
        payload = kernels.as_bytes(data)
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise ProtocolError("control frame is over 125 bytes")
        first = 0x80 | opcode
        if not self._is_straight():
            self.send_frame(_frame(first, payload))
            return
        if self.debug:
            self._log_frame(first, payload)
        self._queue_frame(first, payload)

    def _answer_ping(self, data: bytes) -> None:
        """Answer with a pong.

        If only the latest counts, its place in the queue is that of the first, and it
        is built when it is fetched. One that ``send_frame`` has to see is sent at the
        end of the read instead.
        """
        if self.eof_sent:
            return
        if self._pongs == _EVERY:
            self._pong = None  # one that was held is out of date
            self._queue_control(0xA, data)
            return
        if self._pong is None:
            self._pong_at = -1
            if self._pongs == _LATEST and self._is_straight():
                writes = self._outgoing()
                self._pong_at = len(writes)
                writes.append(None)
        self._pong = data

    def _send_pong_due(self) -> None:
        """Send the pong that has no place in the queue, if there is one."""
        if self._pong is not None and self._pong_at < 0:
            data, self._pong = self._pong, None
            if not self.eof_sent:
                self.send_frame(Frame(Opcode.PONG, data))

    def _build_pong(self) -> None:
        payload = self._pong or b""
        data = kernels.frame(0x8A, payload, self._client)
        if self.debug:
            self._log_frame(0x8A, payload)
        self._pong = None
        self._outgoing()[self._pong_at] = data
        self._bytes_sent += len(data)
        self._frames_sent += 1


def to_state(state: State) -> int:
    """The number of a state.

    Raises:
        ValueError: if it is none.

    """
    if not 0 <= state <= 3:
        raise ValueError(f"not a State: {state!r}")
    return int(state)


def _frame(first: int, data: BytesLike) -> Frame:
    return Frame(Opcode(first & 0x0F), data, first >= 0x80)


_send_frame = Writer.send_frame
