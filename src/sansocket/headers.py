"""The grammar of header values: parses text to typed values, and builds text.

The text comes from the peer, so everything here takes time in proportion to its
length, and the length of lists is limited.
"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache

from ._base.mirrored import names_from_elsewhere
from .datastructures import TOKEN, is_token
from .exceptions import InvalidHeaderFormat, InvalidHeaderValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from .typing import (
        ConnectionOption,
        ExtensionHeader,
        ExtensionName,
        ExtensionParameter,
        Subprotocol,
        UpgradeProtocol,
    )

__all__ = [
    "build_authorization_basic",
    "build_extension",
    "build_host",
    "build_quoted_string",
    "build_subprotocol",
    "build_www_authenticate_basic",
    "is_host",
    "parse_authorization_basic",
    "parse_connection",
    "parse_extension",
    "parse_subprotocol",
    "parse_upgrade",
    "validate_subprotocols",
]

# Maximum number of members in a list, including empty ones.
MAX_MEMBERS = 128

# RFC 3986, section 3.2.2. Nearly all hosts match the first form.
_PLAIN_HOST = re.compile(r"[0-9A-Za-z\-._]+(?::([0-9]*))?")
_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]"  # up to the first colon: one way to match
    r"|(?:[0-9A-Za-z\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::([0-9]*))?"
)

_SPACE = re.compile(r"[ \t]*")
_PROTOCOL = re.compile(rf"{TOKEN.pattern}(?:/{TOKEN.pattern})?")
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"')
_ESCAPE = re.compile(r"\\(.)")
_TOKEN68 = re.compile(r"[0-9A-Za-z\-._~+/]+=*")


# Host (RFC 9110, section 7.2)


@lru_cache(maxsize=32)  # a server has few names
def is_host(text: str) -> bool:
    """Whether ``text`` is a valid ``host [":" port]``."""
    match = _PLAIN_HOST.fullmatch(text) or _HOST.fullmatch(text)
    if match is None:
        return False
    port = match[1]
    return not port or (len(port) <= 5 and int(port) <= 65535)


def build_host(
    host: str, port: int, secure: bool, *, always_include_port: bool = False
) -> str:
    """Build ``Host``; it has a port if that is not the default, or if requested."""
    if ":" in host:
        # A zone is meaningless to the other side (RFC 6874, section 4).
        host = f"[{host.partition('%')[0]}]"
    if always_include_port or port != (443 if secure else 80):
        return f"{host}:{port}"
    return host


# Lists (RFC 9110, section 5.6.1)


def parse_connection(header: str) -> list[ConnectionOption]:
    """Parse ``Connection``.

    Raises:
        InvalidHeaderFormat: if it is not a list of tokens.
    """
    return _parse_list("Connection", header, TOKEN)


def parse_upgrade(header: str) -> list[UpgradeProtocol]:
    """Parse ``Upgrade``.

    Raises:
        InvalidHeaderFormat: if it is not a list of protocols.
    """
    return _parse_list("Upgrade", header, _PROTOCOL)


def parse_subprotocol(header: str) -> list[Subprotocol]:
    """Parse ``Sec-WebSocket-Protocol``.

    Raises:
        InvalidHeaderFormat: if it is not a list of distinct tokens.
    """
    name = "Sec-WebSocket-Protocol"
    members: list[Subprotocol] = _parse_list(name, header, TOKEN)
    if len(set(members)) != len(members):
        raise InvalidHeaderFormat(name, "repeated subprotocol", header, 0)
    return members


def build_subprotocol(subprotocols: Sequence[Subprotocol]) -> str:
    """Build ``Sec-WebSocket-Protocol``."""
    return ", ".join(subprotocols)


def validate_subprotocols(subprotocols: Sequence[Subprotocol]) -> None:
    """Check subprotocols supplied by the application.

    Raises:
        TypeError: if they are a ``str``, which is a sequence of characters.
        ValueError: if one is not a token.
    """
    if isinstance(subprotocols, str):
        raise TypeError("subprotocols must be a list of str, not one str")
    for subprotocol in subprotocols:
        if not is_token(subprotocol):
            raise ValueError(f"subprotocol is not a token: {subprotocol!r}")


def _parse_list(name: str, header: str, member: re.Pattern[str]) -> list[Any]:
    """Parse a list; empty members are skipped."""
    members = []
    pos = 0
    for count, piece in enumerate(header.split(",", MAX_MEMBERS)):
        text = piece.strip(" \t")
        if text:
            if count == MAX_MEMBERS:
                raise InvalidHeaderFormat(name, "too many members", header, pos)
            if member.fullmatch(text) is None:
                raise InvalidHeaderFormat(name, "malformed member", header, pos)
            members.append(text)
        pos += len(piece) + 1
    if not members:
        raise InvalidHeaderFormat(name, "no member", header, len(header))
    return members


# Extensions (RFC 6455, section 9.1)


def parse_extension(header: str) -> list[ExtensionHeader]:
    """Parse ``Sec-WebSocket-Extensions``.

    Raises:
        InvalidHeaderFormat: if the value does not follow the grammar.
    """
    common = _COMMON_OFFERS.get(header)
    if common is not None:
        return [(common[0], list(common[1]))]
    scanner = _Scanner("Sec-WebSocket-Extensions", header)
    extensions: list[ExtensionHeader] = []
    scanner.skip_commas()
    while not scanner.at_end():
        extensions.append(_parse_one_extension(scanner))
        if not scanner.at_end():
            scanner.expect(",")
            scanner.skip_commas()
    if not extensions:
        raise scanner.error("no member")
    return extensions


def build_extension(extensions: Sequence[ExtensionHeader]) -> str:
    """Build ``Sec-WebSocket-Extensions``."""
    return ", ".join(
        "; ".join([name, *map(_build_parameter, parameters)])
        for name, parameters in extensions
    )


def _parse_one_extension(scanner: _Scanner) -> ExtensionHeader:
    name: Any = scanner.token()
    parameters: list[ExtensionParameter] = []
    while scanner.accept(";"):
        key = scanner.token()
        parameters.append((key, scanner.value() if scanner.accept("=") else None))
    return name, parameters


def _build_parameter(parameter: ExtensionParameter) -> str:
    name, value = parameter
    return name if value is None else f"{name}={value}"


# The offers of browsers and of other well-known clients.
_COMMON_OFFERS: dict[str, tuple[ExtensionName, tuple[ExtensionParameter, ...]]]
_COMMON_OFFERS = {
    "permessage-deflate; client_max_window_bits": (
        "permessage-deflate",  # type: ignore[dict-item]
        (("client_max_window_bits", None),),
    ),
    "permessage-deflate": ("permessage-deflate", ()),  # type: ignore[dict-item]
}


class _Scanner:
    """Reads one header value from left to right, without going back.

    Its position is never before a space or a tab.
    """

    def __init__(self, name: str, header: str) -> None:
        self._name = name
        self._header = header
        self._members = 0
        self._advance(0)

    def at_end(self) -> bool:
        return self._pos == len(self._header)

    def accept(self, char: str) -> bool:
        """Skip ``char`` if it is next, and return whether it was."""
        if not self._header.startswith(char, self._pos):
            return False
        self._advance(self._pos + 1)
        return True

    def expect(self, char: str) -> None:
        if not self.accept(char):
            raise self.error(f"no {char!r}")

    def skip_commas(self) -> None:
        """Skip empty members of a list."""
        self._count_member()
        while self.accept(","):
            self._count_member()

    def token(self) -> str:
        match = TOKEN.match(self._header, self._pos)
        if match is None:
            raise self.error("no token")
        self._advance(match.end())
        return match[0]

    def value(self) -> str:
        """Read a token, plain or quoted."""
        match = _QUOTED.match(self._header, self._pos)
        if match is None:
            return self.token()
        text = _ESCAPE.sub(r"\1", match[1])
        if not is_token(text):
            raise self.error("quoted value is not a token")
        self._advance(match.end())
        return text

    def error(self, error: str) -> InvalidHeaderFormat:
        return InvalidHeaderFormat(self._name, error, self._header, self._pos)

    def _count_member(self) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise self.error("too many members")

    def _advance(self, pos: int) -> None:
        space = _SPACE.match(self._header, pos)
        self._pos = pos if space is None else space.end()


# Quoted strings and basic authentication (RFC 9110, section 5.6.4; RFC 7617)


def build_quoted_string(text: str) -> str:
    """Build a quoted-string.

    Raises:
        ValueError: if the text has control characters.
    """
    if not text.replace("\t", "").isprintable():
        raise ValueError(f"text cannot be quoted: {text!r}")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def build_www_authenticate_basic(realm: str) -> str:
    """Build ``WWW-Authenticate`` for basic authentication.

    Raises:
        ValueError: if the realm has control characters.
    """
    return f'Basic realm={build_quoted_string(realm)}, charset="UTF-8"'


def parse_authorization_basic(header: str) -> tuple[str, str]:
    """Parse ``Authorization`` into user name and password.

    Raises:
        InvalidHeaderFormat: if the value does not follow the grammar.
        InvalidHeaderValue: if it is not basic authentication, or not in UTF-8.
    """
    name = "Authorization"
    scheme, space, credentials = header.partition(" ")
    if not is_token(scheme):
        raise InvalidHeaderFormat(name, "no scheme", header, 0)
    if scheme.lower() != "basic":
        raise InvalidHeaderValue(name, f"scheme is not Basic: {scheme}")
    credentials = credentials.strip(" ")
    if not space or _TOKEN68.fullmatch(credentials) is None:
        raise InvalidHeaderFormat(name, "no credentials", header, len(scheme))
    try:
        text = binascii.a2b_base64(credentials).decode()
    except ValueError:
        raise InvalidHeaderValue(name, "credentials are not Base64 of UTF-8") from None
    username, colon, password = text.partition(":")
    if not colon:
        raise InvalidHeaderValue(name, "credentials lack a colon")
    return username, password


def build_authorization_basic(username: str, password: str) -> str:
    """Build ``Authorization`` for basic authentication.

    Raises:
        ValueError: if the user name has a colon.
    """
    if ":" in username:
        raise ValueError("user name cannot have a colon")
    credentials = f"{username}:{password}".encode()
    return "Basic " + binascii.b2a_base64(credentials, newline=False).decode()


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
