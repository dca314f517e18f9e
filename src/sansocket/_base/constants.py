"""Constants of RFC 6455 that several modules share."""

from __future__ import annotations

from enum import Enum, IntEnum

__all__ = [
    "CLIENT",
    "CLOSED",
    "CLOSING",
    "CONNECTING",
    "OPEN",
    "SERVER",
    "CloseCode",
    "Opcode",
    "Side",
    "State",
    "Transport",
]


class Opcode(IntEnum):
    """Types of frames (RFC 6455, section 5.2)."""

    CONT = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(IntEnum):
    """Close codes (RFC 6455, section 7.4.1, and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


class Side(IntEnum):
    """Whether this end of the connection is the server or the client."""

    SERVER = 0
    CLIENT = 1


class State(IntEnum):
    """State of the connection (RFC 6455, sections 4.1 and 7.1)."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


class Transport(Enum):
    """What to do with the TCP connection."""

    KEEP = "keep"
    CLOSE = "close"  # once everything is written
    ABORT = "abort"  # at once


SERVER = Side.SERVER
CLIENT = Side.CLIENT
CONNECTING = State.CONNECTING
OPEN = State.OPEN
CLOSING = State.CLOSING
CLOSED = State.CLOSED

# How a connection interprets incoming bytes, which its state alone does not determine:
# as the head of a handshake message; held until the handshake is decided; as frames; or
# discarded.
HEAD, HOLD, FRAMES, DISCARD = range(4)

# RFC 9110, section 5.6.2.
TOKEN_CHARACTERS = (
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

# Header fields at which a handshake looks, in lower case; all others are read once
# somebody asks for them.
HANDSHAKE_FIELDS = (
    *("host", "origin", "upgrade", "connection", "transfer-encoding"),
    *("sec-websocket-key", "sec-websocket-accept", "sec-websocket-version"),
    *("sec-websocket-protocol", "sec-websocket-extensions"),
)
