"""All exceptions of this package.

::

    WebSocketException
    |-- ConnectionClosed             the connection is closed
    |   |-- ConnectionClosedOK       both sides closed it in good order
    |   `-- ConnectionClosedError    anything else
    |-- InvalidURI                   not a WebSocket URI
    |-- InvalidProxy                 not a usable proxy
    |-- InvalidHandshake             the opening handshake failed      (has a status)
    |   |-- SecurityError            a limit was exceeded
    |   |   |-- RequestLineTooLong
    |   |   |-- StatusLineTooLong
    |   |   |-- HeaderLineTooLong
    |   |   `-- TooManyHeaders
    |   |-- ProxyError               the proxy did not connect
    |   |   |-- InvalidProxyMessage
    |   |   `-- InvalidProxyStatus
    |   |-- InvalidMessage           not valid HTTP
    |   |-- InvalidMethod            not GET
    |   |-- InvalidProtocol          not HTTP/1.1
    |   |-- InvalidStatus            the server did not answer with 101
    |   |-- InvalidHeader            a header is missing or wrong
    |   |   |-- InvalidHeaderFormat  it does not follow its grammar
    |   |   |-- InvalidHeaderValue   its value is not acceptable
    |   |   |-- InvalidOrigin        the origin is not acceptable
    |   |   `-- InvalidUpgrade       not an upgrade to WebSocket
    |   `-- NegotiationError         extension or subprotocol not agreed
    |       |-- DuplicateParameter
    |       |-- InvalidParameterName
    |       `-- InvalidParameterValue
    |-- ProtocolError                a violation of RFC 6455       (has a close_code)
    |   `-- InvalidUTF8              text that is not UTF-8 (also a UnicodeError)
    |-- PayloadTooBig                a message over the limit      (has a close_code)
    |-- TooManyFragments             a message in too many pieces  (has a close_code)
    |-- InvalidState                 not possible in this state (an AssertionError)
    `-- ConcurrencyError             two tasks did the same at once (a RuntimeError)

``status`` is the HTTP status of a server's response, and ``close_code`` the code with
which the connection fails. ``str()`` returns one line, in which text from the peer is
escaped and shortened; the attributes keep it unchanged.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .frames import Close
    from .http11 import Response

__all__ = [
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "DuplicateParameter",
    "HeaderLineTooLong",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidHeaderFormat",
    "InvalidHeaderValue",
    "InvalidMessage",
    "InvalidMethod",
    "InvalidOrigin",
    "InvalidParameterName",
    "InvalidParameterValue",
    "InvalidProtocol",
    "InvalidProxy",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidState",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUTF8",
    "InvalidUpgrade",
    "NegotiationError",
    "PayloadTooBig",
    "ProtocolError",
    "ProxyError",
    "RequestLineTooLong",
    "SecurityError",
    "StatusLineTooLong",
    "TooManyFragments",
    "TooManyHeaders",
    "WebSocketException",
]

SHOWN = 80  # maximum number of characters from the peer in a message


def shown(text: str) -> str:
    """Make text from the peer safe for a log: one short line of printable ASCII."""
    cut = text[:SHOWN]
    if not (cut.isascii() and cut.isprintable()):
        cut = ascii(cut)[1:-1]
    return cut if len(text) <= SHOWN else cut + "..."


class WebSocketException(Exception):
    """Base of all exceptions of this package."""


# Closed connections


class ConnectionClosed(WebSocketException):
    """The connection is closed.

    Args:
        rcvd: the close frame received, or ``None``.
        sent: the close frame sent, or ``None``.
        rcvd_then_sent: whether the one received was first; ``None`` unless there
            were two.
    """

    def __init__(
        self,
        rcvd: Close | None,
        sent: Close | None,
        rcvd_then_sent: bool | None = None,
    ) -> None:
        super().__init__(rcvd, sent, rcvd_then_sent)
        if (rcvd_then_sent is None) != (rcvd is None or sent is None):
            raise AssertionError("rcvd_then_sent is for two close frames")
        self.rcvd = rcvd
        self.sent = sent
        self.rcvd_then_sent = rcvd_then_sent

    @property
    def code(self) -> int:
        """The close code received; 1006 if none (RFC 6455, section 7.1.5)."""
        return 1006 if self.rcvd is None else self.rcvd.code

    @property
    def reason(self) -> str:
        """The close reason received; empty if none (RFC 6455, section 7.1.6)."""
        return "" if self.rcvd is None else self.rcvd.reason

    def __str__(self) -> str:
        if self.rcvd is None:
            if self.sent is None:
                return "connection lost: no close frame sent or received"
            return f"closed with {shown(str(self.sent))}; the peer did not answer"
        if self.sent is None:
            return f"peer closed with {shown(str(self.rcvd))}; no answer was sent"
        if self.rcvd_then_sent:
            return f"peer closed with {self._both(self.rcvd, self.sent)}"
        return f"closed with {self._both(self.sent, self.rcvd)}"

    def _both(self, first: Close, second: Close) -> str:
        return f"{shown(str(first))}, answered with {shown(str(second))}"


class ConnectionClosedOK(ConnectionClosed):
    """Both close codes are 1000, 1001 or 1005."""


class ConnectionClosedError(ConnectionClosed):
    """The connection ended in any other way."""


# Addresses


class InvalidURI(WebSocketException):
    """``uri`` is not a WebSocket URI, for the reason ``msg``."""

    def __init__(self, uri: str, msg: str) -> None:
        super().__init__(uri, msg)
        self.uri = uri
        self.msg = msg

    def __str__(self) -> str:
        return f"not a WebSocket URI: {shown(self.uri)}: {self.msg}"


class InvalidProxy(WebSocketException):
    """``proxy`` cannot be used, for the reason ``msg``."""

    def __init__(self, proxy: str, msg: str) -> None:
        super().__init__(proxy, msg)
        self.proxy = proxy
        self.msg = msg

    def __str__(self) -> str:
        user_info, at, rest = self.proxy.rpartition("@")
        if at:  # it may have a password
            rest = f"{user_info.partition('://')[0]}://...@{rest}"
        return f"not a usable proxy: {shown(rest)}: {self.msg}"


# Opening handshake


class InvalidHandshake(WebSocketException):
    """The opening handshake failed."""

    status: int = 400


class SecurityError(InvalidHandshake):
    """The peer exceeded a limit that protects this side."""


class RequestLineTooLong(SecurityError):
    """The request line exceeds its limit."""

    status = 414


class StatusLineTooLong(SecurityError):
    """The status line exceeds its limit."""


class HeaderLineTooLong(SecurityError):
    """A header line exceeds its limit."""

    status = 431


class TooManyHeaders(SecurityError):
    """There are more headers, or more bytes in them, than allowed."""

    status = 431


class ProxyError(InvalidHandshake):
    """The proxy did not open a connection."""


class InvalidProxyMessage(ProxyError):
    """The answer of the proxy is not HTTP."""


class InvalidProxyStatus(ProxyError):
    """The proxy refused."""

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response

    def __str__(self) -> str:
        return f"proxy refused with HTTP status {self.response.status_code}"


class InvalidMessage(InvalidHandshake):
    """A message is not valid HTTP."""


class InvalidMethod(InvalidHandshake):
    """The method of the request is not GET."""

    status = 405

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.method = method

    def __str__(self) -> str:
        return f"method is not GET: {shown(self.method)}"


class InvalidProtocol(InvalidHandshake):
    """The protocol of a message is not HTTP/1.1."""

    status = 505

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.protocol = protocol

    def __str__(self) -> str:
        return f"protocol is not HTTP/1.1: {shown(self.protocol)}"


class InvalidStatus(InvalidHandshake):
    """The server did not switch to WebSocket; ``response`` is its answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response

    def __str__(self) -> str:
        return f"server refused with HTTP status {self.response.status_code}"


class InvalidHeader(InvalidHandshake):
    """A header is missing (``value`` is ``None``), empty or invalid."""

    def __init__(self, name: str, value: str | None = None) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    def __str__(self) -> str:
        name = shown(self.name)
        if self.value is None:
            return f"{name} header is missing"
        if not self.value:
            return f"{name} header is empty"
        return f"{name} header is not acceptable: {shown(self.value)}"


class InvalidHeaderFormat(InvalidHeader):
    """The value ``header`` violates its grammar at ``pos``; ``error`` explains how."""

    def __init__(self, name: str, error: str, header: str, pos: int) -> None:
        super().__init__(name, f"{error} at {pos} in {header}")
        self.args: tuple[Any, ...] = (name, error, header, pos)


class InvalidHeaderValue(InvalidHeader):
    """The value of a header is not acceptable."""


class InvalidOrigin(InvalidHeader):
    """The origin of the request is not acceptable."""

    status = 403

    def __init__(self, origin: str | None) -> None:
        super().__init__("Origin", origin)
        self.args: tuple[Any, ...] = (origin,)


class InvalidUpgrade(InvalidHeader):
    """The message is not an upgrade to WebSocket."""

    status = 426


class NegotiationError(InvalidHandshake):
    """An extension or a subprotocol could not be agreed on."""


class DuplicateParameter(NegotiationError):
    """A parameter of an extension is repeated."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"extension parameter is repeated: {shown(self.name)}"


class InvalidParameterName(NegotiationError):
    """A parameter of an extension is unknown."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"extension parameter is unknown: {shown(self.name)}"


class InvalidParameterValue(NegotiationError):
    """A parameter of an extension lacks its value, or has an invalid one."""

    def __init__(self, name: str, value: str | None) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    def __str__(self) -> str:
        name = shown(self.name)
        if self.value is None:
            return f"extension parameter {name} needs a value"
        return f"extension parameter {name} cannot be {shown(self.value) or 'empty'}"


# Open connections


class ProtocolError(WebSocketException):
    """The peer, or the caller, violated RFC 6455."""

    close_code: int = 1002


class InvalidUTF8(ProtocolError, UnicodeError):
    """Text is not valid UTF-8 (RFC 6455, section 8.1)."""

    close_code = 1007


class PayloadTooBig(WebSocketException):
    """A message exceeds the limit.

    Args:
        size_or_message: announced number of bytes, or ``None`` if unknown; or the
            complete text of the error.
        max_size: number of bytes that were still allowed.
        current_size: number of bytes of the message that arrived earlier.
    """

    close_code: int = 1009

    def __init__(
        self,
        size_or_message: int | str | None,
        max_size: int | None = None,
        current_size: int | None = None,
    ) -> None:
        super().__init__(size_or_message, max_size, current_size)
        self.message: str | None = None
        self.size: int | None = None
        if isinstance(size_or_message, str):
            self.message = size_or_message
        else:
            self.size = size_or_message
        self.max_size = max_size
        self.current_size: int | None = None
        if current_size is not None:
            self.set_current_size(current_size)

    def set_current_size(self, current_size: int) -> None:
        """Record the earlier bytes; ``max_size`` becomes the limit of the message."""
        self.current_size = current_size
        if self.max_size is not None:
            self.max_size += current_size

    def __str__(self) -> str:
        if isinstance(self.message, str):
            return self.message
        before = f" after {self.current_size} bytes" if self.current_size else ""
        size = "payload" if self.size is None else f"payload of {self.size} bytes"
        return f"{size}{before} exceeds the limit of {self.max_size} bytes"


class TooManyFragments(WebSocketException):
    """A message has more fragments than allowed."""

    close_code: int = 1009

    def __init__(self, max_fragments: int) -> None:
        super().__init__(max_fragments)
        self.max_fragments = max_fragments

    def __str__(self) -> str:
        return f"message exceeds the limit of {self.max_fragments} fragments"


# Misuse


class InvalidState(WebSocketException, AssertionError):
    """The call is not possible in this state of the connection."""


class ConcurrencyError(WebSocketException, RuntimeError):
    """Two callers did something at once that only one may do at a time."""
