"""A slow model of how one side reads frames (RFC 6455, RFC 7692).

It is written for reading: byte after byte, in the order of the RFC. It tells the
events, the answers, and at which byte a connection fails or is closed.
"""

from __future__ import annotations

from typing import NamedTuple

from .inflate import Inflater, Invalid, TooMuch

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class Settings(NamedTuple):
    """What a connection was made with; ``None`` is no limit.

    Attributes:
        server: whether the reader is a server.
        deflate: whether permessage-deflate is agreed.
        takeover: whether the peer's window lasts from message to message.
        window_bits: size of that window.
        max_message: largest message, decompressed.
        max_fragment: largest frame, decompressed.
        max_fragments: most frames of a message.
        check_text: whether text must be UTF-8.

    """

    server: bool
    deflate: bool = False
    takeover: bool = True
    window_bits: int = 15
    max_message: int | None = None
    max_fragment: int | None = None
    max_fragments: int | None = None
    check_text: bool = True


class Event(NamedTuple):
    """A frame, and how many bytes had come when it was complete."""

    position: int
    opcode: int
    payload: bytes
    fin: bool


class Outcome(NamedTuple):
    """What a stream does to a connection.

    Attributes:
        events: frames, in order.
        failed: code with which the connection fails, or ``None``.
        answer: payload of the close frame that answers the peer's, or ``None``.
        position: number of bytes that were read; nothing counts behind a failure or
            a close frame.

    """

    events: list[Event]
    failed: int | None
    answer: bytes | None
    position: int


class Failure(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class EndOfInput(Exception):
    pass


class Closed(Exception):
    def __init__(self, answer: bytes) -> None:
        super().__init__(answer)
        self.answer = answer


def read(data: bytes, settings: Settings) -> Outcome:
    """What ``data`` does to an open connection.

    Raises:
        Undetermined: that is not determined; see there.

    """
    reader = _Reader(data, settings)
    failed = answer = None
    try:
        while True:
            reader.read_frame()
    except Failure as failure:
        failed = failure.code
    except Closed as closed:
        answer = closed.answer
    except EndOfInput:
        pass
    return Outcome(reader.events, failed, answer, reader.position)


class _Reader:
    def __init__(self, data: bytes, settings: Settings) -> None:
        self.data = data
        self.settings = settings
        self.position = 0
        self.events: list[Event] = []
        self.inflater = Inflater(settings.window_bits)
        # The message under way:
        self.opcode = CONT  # none
        self.compressed = False
        self.fragments = 0
        self.arrived = 0  # bytes of payload
        self.delivered = 0  # the same, decompressed
        self.text = Text()

    def byte(self) -> int:
        if self.position == len(self.data):
            raise EndOfInput
        self.position += 1
        return self.data[self.position - 1]

    def read_frame(self) -> None:
        """A frame (RFC 6455, section 5.2)."""
        first = self.byte()
        fin, opcode = first >= 0x80, first & 0x0F
        self.check_first(first)
        second = self.byte()
        if (second >= 0x80) != self.settings.server:
            raise Failure(1002)  # section 5.1
        if opcode in (CLOSE, PING, PONG):
            if second & 0x7F > 125:
                raise Failure(1002)  # section 5.5
            payload = self.read_payload(second & 0x7F, check=False)
            self.control(opcode, payload)
        else:
            compressed = self.compressed if opcode == CONT else first & 0x40 != 0
            length = self.read_length(second & 0x7F, self.room(opcode, compressed))
            key = self.read_key()
            if opcode != CONT:
                self.begin_message(opcode, compressed)
            self.fragments += 1
            self.arrived += length
            payload = self.data_payload(length, key, fin)
            opcode = opcode if self.fragments == 1 else CONT
            if fin:
                self.opcode = CONT
        self.events.append(Event(self.position, opcode, payload, fin))
        if opcode == CLOSE:
            raise Closed(self.answer_to(payload))

    def check_first(self, first: int) -> None:
        fin, reserved, opcode = first >= 0x80, first & 0x70, first & 0x0F
        if opcode not in (CONT, TEXT, BINARY, CLOSE, PING, PONG):
            raise Failure(1002)
        if reserved == 0x40 and opcode in (TEXT, BINARY) and self.settings.deflate:
            reserved = 0  # RFC 7692, section 6
        if reserved:
            raise Failure(1002)
        if opcode in (CLOSE, PING, PONG):
            if not fin:
                raise Failure(1002)  # section 5.5
        elif (opcode == CONT) != (self.opcode != CONT):
            raise Failure(1002)  # section 5.4
        elif opcode == CONT and over(self.fragments + 1, self.settings.max_fragments):
            raise Failure(1009)

    def room(self, opcode: int, compressed: bool) -> int | None:
        """How long a data frame may say it is."""
        most = self.settings.max_message
        if compressed:  # its own limits count what comes out
            most = None if most is None else most + most // 8 + 1024
        if most is not None and opcode == CONT:
            most -= self.arrived
        if compressed or self.settings.max_fragment is None:
            return most
        return smaller(most, self.settings.max_fragment)

    def read_length(self, length: int, room: int | None) -> int:
        """The rest of the length; it is refused at the first byte that can tell."""
        if length < 126:
            if over(length, room):
                raise Failure(1009)
            return length
        size, least_legal = (2, 126) if length == 126 else (8, 65536)
        number = 0
        for missing in reversed(range(size)):
            number = number << 8 | self.byte()
            least = number << 8 * missing
            most = least + (1 << 8 * missing) - 1
            if least >= 1 << 63 or most < least_legal:
                raise Failure(1002)
            if over(least, room):
                raise Failure(1009)
        return number

    def read_key(self) -> bytes:
        if not self.settings.server:
            return bytes(4)
        return bytes([self.byte(), self.byte(), self.byte(), self.byte()])

    def read_payload(
        self, length: int, key: bytes | None = None, *, check: bool
    ) -> bytes:
        """The payload, unmasked (section 5.3), and perhaps checked as it comes."""
        key = self.read_key() if key is None else key
        payload = bytearray()
        for number in range(length):
            payload.append(self.byte() ^ key[number % 4])
            if check:
                self.text.add(payload[-1])
        return bytes(payload)

    def begin_message(self, opcode: int, compressed: bool) -> None:
        self.opcode = opcode
        self.compressed = compressed
        self.fragments = self.arrived = self.delivered = 0
        self.text = Text()
        if compressed and not self.settings.takeover:
            self.inflater = Inflater(self.settings.window_bits)

    def data_payload(self, length: int, key: bytes, fin: bool) -> bytes:
        is_text = self.opcode == TEXT and self.settings.check_text
        check = is_text and not self.compressed
        payload = self.read_payload(length, key, check=check)
        if self.compressed:
            payload = self.inflate(payload, fin)
            for byte in payload if is_text else b"":
                self.text.add(byte)
        self.delivered += len(payload)
        if is_text and fin:
            self.text.end()
        return payload

    def inflate(self, payload: bytes, fin: bool) -> bytes:
        most = self.settings.max_message
        limit = None if most is None else most - self.delivered
        try:
            return self.inflater.inflate(
                payload, fin, smaller(limit, self.settings.max_fragment)
            )
        except Invalid:
            raise Failure(1002) from None
        except TooMuch:
            raise Failure(1009) from None

    def control(self, opcode: int, payload: bytes) -> None:
        """A control frame is checked before it counts (section 5.5)."""
        if opcode == CLOSE and payload:
            code = int.from_bytes(payload[:2], "big")
            if len(payload) == 1 or not may_travel(code):
                raise Failure(1002)
            reason = Text()
            for byte in payload[2:]:
                reason.add(byte)
            reason.end()

    def answer_to(self, payload: bytes) -> bytes:
        """A close frame is echoed (section 5.5.1); 1010 is not for servers."""
        if self.settings.server and payload[:2] == (1010).to_bytes(2, "big"):
            return (1000).to_bytes(2, "big")
        return payload


def over(number: int, limit: int | None) -> bool:
    return limit is not None and number > limit


def smaller(one: int | None, other: int | None) -> int | None:
    return min((n for n in (one, other) if n is not None), default=None)


def may_travel(code: int) -> bool:
    """Whether a close frame may have this code (section 7.4)."""
    defined = code in (1000, 1001, 1002, 1003, *range(1007, 1015))
    return defined or 3000 <= code <= 4999


REST = range(0x80, 0xC0)
CHARACTERS = (  # RFC 3629, section 4
    (range(0x00, 0x80),),
    (range(0xC2, 0xE0), REST),
    (range(0xE0, 0xE1), range(0xA0, 0xC0), REST),
    (range(0xE1, 0xED), REST, REST),
    (range(0xED, 0xEE), range(0x80, 0xA0), REST),
    (range(0xEE, 0xF0), REST, REST),
    (range(0xF0, 0xF1), range(0x90, 0xC0), REST, REST),
    (range(0xF1, 0xF4), REST, REST, REST),
    (range(0xF4, 0xF5), range(0x80, 0x90), REST, REST),
)


class Text:
    """Bytes that should be UTF-8."""

    def __init__(self) -> None:
        self.expected: tuple[range, ...] = ()  # what the character still needs

    def add(self, byte: int) -> None:
        """Take the next byte; it fails if no text goes on like this."""
        if self.expected:
            if byte not in self.expected[0]:
                raise Failure(1007)
            self.expected = self.expected[1:]
            return
        for first, *others in CHARACTERS:
            if byte in first:
                self.expected = tuple(others)
                return
        raise Failure(1007)

    def end(self) -> None:
        if self.expected:
            raise Failure(1007)
