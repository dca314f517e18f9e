"""A slow model of DEFLATE (RFC 1951) as permessage-deflate uses it (RFC 7692).

It is written for reading and shares nothing with zlib. Where the RFC leaves open how
early a fault is seen, it is seen at the bit where zlib sees it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import count

Bits = Generator[None, None, int]
Steps = Generator[None, None, None]

TAIL = b"\x00\x00\xff\xff"
MOST = 65536  # bytes that a message may become before the model gives up


class Invalid(Exception):
    """The data is not DEFLATE, or its end is not the end of a message."""


class TooMuch(Exception):
    """The result is over its limit."""


class Undetermined(Exception):
    """The model has no say: the peer broke a rule that nobody has to enforce, or the
    result is larger than a slow model should make."""


class Code:
    """A prefix code, given by the lengths of its words (RFC 1951, section 3.2.2).

    Raises:
        Invalid: it has too many words, or too few. A single word of one bit may go
            without the other one, and there may be no word at all.

    """

    def __init__(self, lengths: Sequence[int], *, may_be_partial: bool = True) -> None:
        self.symbols: dict[tuple[int, int], int] = {}
        self.longest = max(lengths)
        word = 0
        for length in range(1, self.longest + 1):
            word <<= 1
            for symbol, its_length in enumerate(lengths):
                if its_length == length:
                    self.symbols[length, word] = symbol
                    word += 1
            if word > 1 << length:
                raise Invalid("too many words")
        partial = word < 1 << self.longest
        if self.symbols and partial and not (may_be_partial and self.longest == 1):
            raise Invalid("too few words")


FIXED_LITERALS = Code([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8)
FIXED_DISTANCES = Code([5] * 32)
ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


def with_extra_bits(first: int, extra: Sequence[int]) -> list[tuple[int, int]]:
    """Smallest value of each symbol, and how many bits are added to it."""
    table = []
    for bits in extra:
        table.append((first, bits))
        first += 1 << bits
    return table


LENGTHS = with_extra_bits(3, [0] * 8 + [n // 4 for n in range(4, 24)])
LENGTHS[27:] = [(227, 5), (258, 0)]  # symbols 284 and 285 share the value 258
DISTANCES = with_extra_bits(1, [0, 0, *(n // 2 - 1 for n in range(2, 30))])


class Inflater:
    """Decompresses payloads, one after the other.

    Decoding is a generator that stops wherever it needs another byte.
    """

    def __init__(self, window_bits: int) -> None:
        self.window = 1 << window_bits
        self.history = bytearray()
        self.start = 0  # where the result of the payload begins in the history
        self.limit: int | None = None
        self.hold = 0  # bits that came and were not taken, the next one lowest
        self.held = 0  # how many they are
        self.between_blocks = True
        self.in_tail = False
        self.steps = self.blocks()
        next(self.steps)

    def inflate(self, data: bytes, fin: bool, limit: int | None) -> bytes:
        """Decompress a payload; ``fin`` says whether it ends its message.

        Raises:
            Invalid, TooMuch, Undetermined: see there.

        """
        self.start, self.limit = len(self.history), limit
        self.feed(data)
        if fin:
            self.in_tail = True
            self.feed(TAIL)
            self.in_tail = False
            if not self.between_blocks or self.held:
                raise Invalid("the message ends inside a block")
        return bytes(self.history[self.start :])

    def feed(self, data: bytes) -> None:
        for byte in data:
            self.hold |= byte << self.held
            self.held += 8
            next(self.steps)

    def bits(self, size: int) -> Bits:
        """Take a number of so many bits."""
        while self.held < size:
            yield
        number = self.hold & ((1 << size) - 1)
        self.hold >>= size
        self.held -= size
        return number

    def blocks(self) -> Steps:
        """Blocks, without end (RFC 1951, section 3.2.3; RFC 7692, section 7.2.3.4)."""
        while True:
            self.between_blocks = True
            header = yield from self.bits(3)
            self.between_blocks = False
            final, kind = header & 1, header >> 1
            if kind == 0:
                yield from self.stored_block()
            elif kind == 1:
                yield from self.symbols(FIXED_LITERALS, FIXED_DISTANCES)
            elif kind == 2:
                yield from self.dynamic_block()
            else:
                raise Invalid("type of block")
            if final:
                if self.in_tail:
                    raise Invalid("the last block is in the tail")
                yield from self.bits(self.held % 8)

    def stored_block(self) -> Steps:
        yield from self.bits(self.held % 8)
        sizes = yield from self.bits(32)
        size = sizes & 0xFFFF
        if size != sizes >> 16 ^ 0xFFFF:
            raise Invalid("length of a stored block")
        for _ in range(size):
            self.put((yield from self.bits(8)))

    def dynamic_block(self) -> Steps:
        """A block with codes of its own (RFC 1951, section 3.2.7)."""
        numbers = yield from self.bits(14)
        literals, distances = (numbers & 31) + 257, (numbers >> 5 & 31) + 1
        if literals > 286 or distances > 30:
            raise Invalid("too many symbols")
        lengths = [0] * 19
        for symbol in ORDER[: (numbers >> 10) + 4]:
            lengths[symbol] = yield from self.bits(3)
        code = Code(lengths, may_be_partial=False)
        lengths = []
        while len(lengths) < literals + distances:
            yield from self.code_length(code, lengths)
        if len(lengths) > literals + distances:
            raise Invalid("a repetition is too long")
        if lengths[256] == 0:
            raise Invalid("no symbol ends the block")
        yield from self.symbols(Code(lengths[:literals]), Code(lengths[literals:]))

    def code_length(self, code: Code, lengths: list[int]) -> Steps:
        """Add one length, or a repetition."""
        if not code.symbols:  # zlib reads on, and finds no end of the block
            yield from self.bits(1)
            lengths.append(0)
            return
        symbol = yield from self.symbol(code)
        if symbol < 16:
            lengths.append(symbol)
            return
        extra, least = {16: (2, 3), 17: (3, 3), 18: (7, 11)}[symbol]
        times = least + (yield from self.bits(extra))
        if symbol == 16 and not lengths:
            raise Invalid("nothing to repeat")
        lengths += [lengths[-1] if symbol == 16 else 0] * times

    def symbol(self, code: Code) -> Bits:
        word = 0
        for length in count(1):
            word = word << 1 | (yield from self.bits(1))
            if (length, word) in code.symbols:
                break
            if length >= code.longest:
                raise Invalid("no such word")
        return code.symbols[length, word]

    def symbols(self, literals: Code, distances: Code) -> Steps:
        """What is in a block, up to its end (RFC 1951, section 3.2.5)."""
        while True:
            symbol = yield from self.symbol(literals)
            if symbol < 256:
                self.put(symbol)
            elif symbol == 256:
                return
            else:
                yield from self.repetition(symbol, distances)

    def repetition(self, symbol: int, distances: Code) -> Steps:
        if symbol > 285:
            raise Invalid("no such length")
        length, extra = LENGTHS[symbol - 257]
        length += yield from self.bits(extra)
        symbol = yield from self.symbol(distances)
        if symbol > 29:
            raise Invalid("no such distance")
        distance, extra = DISTANCES[symbol]
        distance += yield from self.bits(extra)
        if distance > len(self.history):
            raise Invalid("nothing is that far back")
        if distance > self.window:
            raise Undetermined("further back than the agreed window")
        for _ in range(length):
            self.put(self.history[-distance])

    def put(self, byte: int) -> None:
        if self.in_tail:
            raise Invalid("the tail is content")
        self.history.append(byte)
        size = len(self.history) - self.start
        if self.limit is not None and size > self.limit:
            raise TooMuch
        if size > MOST:
            raise Undetermined("too large for a slow model")
