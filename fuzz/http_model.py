"""A slow model of the grammars of HTTP (RFC 9110, RFC 9112) as the core reads them.

It is written for reading: sets of characters and loops, no regular expressions.
"""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_letters, digits, hexdigits
from typing import NamedTuple

TOKEN = frozenset(ascii_letters + digits + "!#$%&'*+-.^_`|~")  # RFC 9110, 5.6.2
UNRESERVED = frozenset(ascii_letters + digits + "-._~")  # RFC 3986, 2.3
SUB_DELIMS = frozenset("!$&'()*+,;=")  # RFC 3986, 2.2
VISIBLE = frozenset(map(chr, range(0x21, 0x7F)))
MOST_HEADERS = MOST_MEMBERS = 128


class Refused(Exception):
    """This is not what the grammar allows."""


def is_token(text: str) -> bool:
    return text != "" and set(text) <= TOKEN


# Heads (RFC 9112, sections 2 to 5)


class Head(NamedTuple):
    """A complete head: start line, fields, and how many bytes it has."""

    start: str
    fields: list[tuple[str, str]]
    size: int


def read_head(data: bytes, check_start: Callable[[str], None]) -> Head | None:
    """Read a head; ``None`` if its end has not come.

    Raises:
        Refused: a complete line cannot be right.

    """
    start = None
    fields: list[tuple[str, str]] = []
    size = 0
    for number, line in enumerate(data.split(b"\n")[:-1]):
        size += len(line) + 1
        if not line.endswith(b"\r"):
            raise Refused("LF alone")
        text = line[:-1].decode("latin-1")
        if any(char != "\t" and (char < " " or char == "\x7f") for char in text):
            raise Refused("control character")
        if start is not None:
            if not text:
                return Head(start, fields, size)
            add_field(fields, text)
        elif text or number > 0:  # one empty line is skipped
            check_start(text)
            start = text
    return None


def add_field(fields: list[tuple[str, str]], line: str) -> None:
    name, colon, value = line.partition(":")
    if not colon or not is_token(name) or len(fields) == MOST_HEADERS:
        raise Refused("field")
    value = value.strip(" \t")
    if name.lower() == "content-length":
        if any(known.lower() == "content-length" for known, _ in fields):
            raise Refused("repeated Content-Length")
        if not 1 <= len(value) <= 18 or not set(value) <= set(digits):
            raise Refused("Content-Length")
    fields.append((name, value))


def check_request_line(line: str) -> None:
    parts = line.split(" ")
    if len(parts) != 3:
        raise Refused("request line")
    method, target, version = parts
    if not is_token(method) or not is_version(version):
        raise Refused("request line")
    if not set(target) <= VISIBLE - {"#"}:
        raise Refused("target")
    if not target.startswith("/") and not is_host(split_target(target)[0]):
        raise Refused("target")


def is_version(text: str) -> bool:
    return text[:5] + text[6:7] == "HTTP/." and is_number(text[5:6] + text[7:], 2)


def is_number(text: str, size: int) -> bool:
    return len(text) == size and set(text) <= set(digits)


def split_target(target: str) -> tuple[str, str]:
    """Authority and path of a target in absolute-form (RFC 9112, section 3.2.2)."""
    scheme, _, rest = target.partition("://")
    if scheme.lower() not in ("http", "https", "ws", "wss"):
        raise Refused("scheme")
    size = min(rest.find(char) % (len(rest) + 1) for char in "/?")
    path = rest[size:]
    return rest[:size], path if path.startswith("/") else f"/{path}"


def check_status_line(line: str) -> None:
    version, _, rest = line.partition(" ")
    code = rest.partition(" ")[0]
    if version not in ("HTTP/1.0", "HTTP/1.1") or not is_number(code, 3):
        raise Refused("status line")
    if code.startswith("0") or (version == "HTTP/1.0" and code == "101"):
        raise Refused("status code")


# Hosts (RFC 3986, section 3.2.2)


def is_host(text: str) -> bool:
    """Whether ``text`` is a host that may have a port."""
    if text.startswith("["):
        address, bracket, port = text[1:].partition("]")
        good = bracket and ":" in address and set(address) <= set(hexdigits + ":.")
        good = good and (not port or port.startswith(":"))
        port = port[1:]
    else:
        name, _, port = text.partition(":")
        good = name and is_name(name)
    if not set(port) <= set(digits):
        return False
    return bool(good) and len(port) <= 5 and int(port or "0") <= 65535


def is_name(text: str) -> bool:
    first, *escapes = text.split("%")
    for escape in escapes:
        if len(escape) < 2 or not set(escape[:2]) <= set(hexdigits):
            return False
    plain = first + "".join(escape[2:] for escape in escapes)
    return set(plain) <= UNRESERVED | SUB_DELIMS


# Lists (RFC 9110, section 5.6.1) and extensions (RFC 6455, section 9.1)


def read_list(text: str, is_member: Callable[[str], bool]) -> list[str]:
    pieces = text.split(",")
    if ",".join(pieces[MOST_MEMBERS:]).strip(" \t"):
        raise Refused("too many members")
    members = [member for piece in pieces if (member := piece.strip(" \t"))]
    if not members or not all(map(is_member, members)):
        raise Refused("list")
    return members


def is_protocol(text: str) -> bool:
    """A token, or two with a slash between them (RFC 9110, section 7.8)."""
    return all(map(is_token, text.split("/"))) and text.count("/") < 2


Extension = tuple[str, list[tuple[str, "str | None"]]]


def read_extensions(text: str) -> list[Extension]:
    """Members, each a name with parameters."""
    members = split_unquoted(text, ",")
    if len(members) > MOST_MEMBERS + 1:
        raise Refused("too many members")
    extensions = []
    for member in members:
        if member.strip(" \t"):
            name, *parameters = split_unquoted(member, ";")
            if not is_token(name.strip(" \t")):
                raise Refused("name")
            extensions.append(
                (name.strip(" \t"), list(map(read_parameter, parameters)))
            )
    if not extensions:
        raise Refused("no member")
    return extensions


def read_parameter(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    name, value = name.strip(" \t"), value.strip(" \t")
    if value.startswith('"'):
        value = unquote(value)
    if not is_token(name) or (equals and not is_token(value)):
        raise Refused("parameter")
    return name, value if equals else None


def unquote(text: str) -> str:
    """The content of a quoted string, which must end with its quote."""
    content = ""
    chars = iter(text[1:])
    for char in chars:
        if char == '"':
            if "".join(chars):
                raise Refused("text behind a quoted string")
            return content
        content += next(chars, "") if char == "\\" else char
    raise Refused("no end of the quoted string")


def split_unquoted(text: str, separator: str) -> list[str]:
    """``text`` split at separators outside of quoted strings."""
    pieces = [""]
    quoted = escaped = False
    for char in text:
        if char == separator and not quoted:
            pieces.append("")
            continue
        pieces[-1] += char
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
    return pieces
