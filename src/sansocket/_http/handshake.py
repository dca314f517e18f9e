"""Rules of the opening handshake (RFC 6455, section 4), for both sides.

These are functions of requests, responses and headers, without any state. An error in
a request or a response raises a subclass of ``InvalidHandshake``, whose ``status`` is
the HTTP status of the answer.
"""

from __future__ import annotations

import binascii
from hashlib import sha1

from .. import environment
from ..datastructures import Headers, fields_of
from ..exceptions import (
    InvalidHeader,
    InvalidHeaderValue,
    InvalidMessage,
    InvalidMethod,
    InvalidOrigin,
    InvalidProtocol,
    InvalidStatus,
    InvalidUpgrade,
    NegotiationError,
)
from ..headers import (
    build_authorization_basic,
    build_extension,
    build_host,
    build_subprotocol,
    is_host,
    parse_connection,
    parse_extension,
    parse_subprotocol,
    parse_upgrade,
    validate_subprotocols,
)
from ..http11 import Request
from .responses import accept_response, reject_response, rejection

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeAlias

    from ..http11 import Response
    from ..typing import ExtensionHeader, Origin, Subprotocol
    from ..uri import WebSocketURI

    Index: TypeAlias = dict[str, str | list[str]]

__all__ = [
    "accept_key",
    "accept_response",
    "agreed_extensions",
    "agreed_subprotocol",
    "build_request",
    "check_origin",
    "check_upgrade_request",
    "check_upgrade_response",
    "generate_key",
    "negotiate_extensions",
    "offered_subprotocols",
    "reject_response",
    "rejection",
    "select_subprotocol",
]

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_VERSION = "Sec-WebSocket-Version"

_latest_origin: Any = ""

# Nearly all clients send these. The grammar parses anything else.
_UPGRADES = frozenset({"websocket", "WebSocket"})
_CONNECTIONS = frozenset({"Upgrade", "upgrade", "keep-alive, Upgrade"})


# Server: reading the request


def check_upgrade_request(request: Request, hosts: Iterable[str] | None = None) -> str:
    """Check a request (RFC 6455, section 4.2.1) and return its key.

    Args:
        request: request from any HTTP parser.
        hosts: acceptable values of ``Host``, in any letter case; ``None`` accepts all.
            The port is compared only if the entry has one.

    Raises:
        InvalidMethod: if the method is not GET.
        InvalidProtocol: if the protocol is not HTTP/1.1 or a later 1.x.
        InvalidUpgrade: if the request is not an upgrade to WebSocket.
        InvalidMessage: if the request announces a body.
        InvalidHeader: if a header is missing, repeated or not valid.
    """
    if request.method != "GET":
        raise InvalidMethod(request.method)
    if request.protocol != "HTTP/1.1":
        _check_protocol(request.protocol)
    index = fields_of(request.headers)
    _check_host(index, hosts)
    _check_upgrade(index)
    if "transfer-encoding" in index or "content-length" in index:
        _check_no_body(index)
    # The version first: others may not use a key (RFC 6455, 4.4).
    if index.get("sec-websocket-version") != "13":
        _check_version(index)
    key = index.get("sec-websocket-key")
    if not isinstance(key, str) or not _is_key(key):
        key = _check_key(index)
    return key


def accept_key(key: str) -> str:
    """Return ``Sec-WebSocket-Accept`` for a key (RFC 6455, section 4.2.2)."""
    digest = sha1((key + _GUID).encode(), usedforsecurity=False).digest()
    return binascii.b2a_base64(digest, newline=False).decode()


def check_origin(
    headers: Headers, origins: Sequence[Origin | re.Pattern[str] | None] | None
) -> Origin | None:
    """Check the origin of a request and return it; ``None`` if there is none.

    Args:
        headers: headers of the request.
        origins: acceptable origins: strings, compared as a whole without regard to
            case; compiled regular expressions, which must match the whole lower-case
            origin; ``None`` if it may be missing. ``None`` instead of a list accepts
            all.

    Raises:
        InvalidOrigin: if the origin is not acceptable.
        InvalidHeader: if there are several.
    """
    origin: Any = fields_of(headers).get("origin")
    if isinstance(origin, list):
        raise _repeated("Origin")
    if origins is not None and not _is_acceptable(origin, origins):
        raise InvalidOrigin(origin)
    return None if origin is None else _shared(origin)


def _shared(origin: Origin) -> Origin:
    """The same string for all connections from a page, as long as no other comes."""
    global _latest_origin
    if origin != _latest_origin:
        _latest_origin = origin
    latest: Origin = _latest_origin
    return latest


def offered_subprotocols(headers: Headers) -> list[Subprotocol]:
    """Return the subprotocols in a message, in order of preference.

    Raises:
        InvalidHeaderFormat: if one is malformed or repeated.
    """
    value = _joined(fields_of(headers), "sec-websocket-protocol")
    return [] if value is None else parse_subprotocol(value)


def select_subprotocol(
    supported: Sequence[Subprotocol] | None, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """Return the first of ``supported`` that is in ``offered``.

    If ``supported`` is empty, return ``None``.

    Raises:
        NegotiationError: if none of the supported subprotocols is offered.
    """
    if not supported:
        return None
    for subprotocol in supported:
        if subprotocol in offered:
            return subprotocol
    if offered:
        raise NegotiationError("no subprotocol in common")
    raise NegotiationError("no subprotocol offered")


def negotiate_extensions(
    headers: Headers, factories: Sequence[Any] | None
) -> tuple[str | None, list[Any]]:
    """Choose extensions from those that the client offers.

    Offers are handled in the client's order; for each, all factories are tried in turn.

    Args:
        headers: headers of the request.
        factories: a ``ServerExtensionFactory`` for each extension.

    Returns:
        Value of ``Sec-WebSocket-Extensions`` in the response, ``None`` if it has none;
        and the extensions, in the same order.

    Raises:
        InvalidHeaderFormat: if the offer is malformed.
    """
    value = _joined(fields_of(headers), "sec-websocket-extensions")
    if value is None:
        return None, []
    offers = parse_extension(value)
    answers: list[ExtensionHeader] = []
    accepted: list[Any] = []
    for name, params in offers:
        for factory in factories or ():
            if factory.name != name:
                continue
            try:
                answer, extension = factory.process_request_params(params, accepted)
            except NegotiationError:
                continue
            if _uses_rsv1_twice(extension, accepted):
                continue
            answers.append((name, answer))
            accepted.append(extension)
            break
    # Without the room that a list has once it has grown.
    return (build_extension(answers) if answers else None), [*accepted]


# Client


def generate_key() -> str:
    """Return a random ``Sec-WebSocket-Key`` (RFC 6455, section 4.1)."""
    return binascii.b2a_base64(environment.random_bytes(16), newline=False).decode()


def build_request(
    uri: WebSocketURI,
    key: str,
    *,
    origin: Origin | None = None,
    extensions: Sequence[Any] | None = None,
    subprotocols: Sequence[Subprotocol] | None = None,
) -> Request:
    """Build the request that opens a connection (RFC 6455, section 4.1).

    Args:
        uri: URI of the server.
        key: key from ``generate_key()``.
        origin: value of ``Origin``, if any.
        extensions: factories of extensions, in order of preference.
        subprotocols: distinct subprotocols, in order of preference.

    Raises:
        ValueError: if a subprotocol is not a token, or is repeated.
        InvalidHeader: if a value is not allowed in a header.
    """
    headers = Headers(Host=build_host(uri.host, uri.port, uri.secure))
    if uri.user_info is not None:
        headers["Authorization"] = build_authorization_basic(*uri.user_info)
    if origin is not None:
        headers["Origin"] = origin
    headers["Upgrade"] = "websocket"
    headers["Connection"] = "Upgrade"
    headers["Sec-WebSocket-Key"] = key
    headers[_VERSION] = "13"
    if extensions:
        headers["Sec-WebSocket-Extensions"] = build_extension(
            [(factory.name, factory.get_request_params()) for factory in extensions]
        )
    if subprotocols:
        validate_subprotocols(subprotocols)
        if len(set(subprotocols)) != len(subprotocols):
            raise ValueError("a subprotocol is repeated")
        headers["Sec-WebSocket-Protocol"] = build_subprotocol(subprotocols)
    return Request(uri.resource_name, headers)


def check_upgrade_response(response: Response, key: str) -> None:
    """Check the response to a request that had ``key`` (RFC 6455, section 4.1).

    Raises:
        InvalidStatus: if the server did not switch protocols.
        InvalidUpgrade: if it switched to another protocol.
        InvalidHeader: if ``Sec-WebSocket-Accept`` is missing, repeated or wrong.
    """
    if response.status_code != 101:
        raise InvalidStatus(response)
    index = fields_of(response.headers)
    _check_upgrade(index)
    upgrade = _single(index, "Upgrade")
    if upgrade.lower() != "websocket":  # only requests may list others as well
        raise InvalidUpgrade("Upgrade", upgrade)
    accept = _single(index, "Sec-WebSocket-Accept")
    if accept != accept_key(key):
        raise InvalidHeaderValue("Sec-WebSocket-Accept", accept)


def agreed_extensions(headers: Headers, factories: Sequence[Any] | None) -> list[Any]:
    """Return the extensions in a response, in its order.

    Args:
        headers: headers of the response.
        factories: a ``ClientExtensionFactory`` for each extension offered.

    Raises:
        InvalidHeaderFormat: if the header is malformed.
        NegotiationError: if an extension was not offered, or cannot be accepted.
    """
    value = _joined(fields_of(headers), "sec-websocket-extensions")
    accepted: list[Any] = []
    if value is None:
        return accepted
    for answer in parse_extension(value):
        extension = _agreed_extension(answer, factories or (), accepted)
        if _uses_rsv1_twice(extension, accepted):
            raise NegotiationError("two extensions use RSV1")
        accepted.append(extension)
    return accepted


def agreed_subprotocol(
    headers: Headers, offered: Sequence[Subprotocol] | None
) -> Subprotocol | None:
    """Return the subprotocol in a response; ``None`` if there is none.

    Raises:
        InvalidHeader: if there are several, or one is malformed.
        NegotiationError: if it was not offered.
    """
    subprotocols = offered_subprotocols(headers)
    if not subprotocols:
        return None
    if len(subprotocols) > 1:
        raise InvalidHeaderValue(
            "Sec-WebSocket-Protocol", build_subprotocol(subprotocols)
        )
    if not offered or subprotocols[0] not in offered:
        raise NegotiationError("answer has a subprotocol that was not offered")
    return subprotocols[0]


def _agreed_extension(
    answer: ExtensionHeader, factories: Sequence[Any], accepted: list[Any]
) -> Any:
    name, params = answer
    error = NegotiationError("answer has an extension that was not offered")
    for factory in factories:
        if factory.name == name:
            try:
                return factory.process_response_params(params, accepted)
            except NegotiationError as exc:
                error = exc
    raise error


# Both sides


def _joined(index: Index, key: str) -> str | None:
    """Return a list field; its lines form one list (RFC 9110, section 5.3)."""
    value = index.get(key)
    return ", ".join(value) if isinstance(value, list) else value


def _single(index: Index, name: str) -> str:
    """Return a field that must occur once, without whitespace around its value."""
    value = index.get(name.lower())
    if value is None:
        raise InvalidHeader(name)
    if isinstance(value, list):
        raise _repeated(name)
    return value.strip(" \t")


def _repeated(name: str) -> InvalidHeader:
    return InvalidHeader(name, "it is repeated")


def _check_upgrade(index: Index) -> None:
    """Check ``Upgrade`` and ``Connection``, parsed by the grammar."""
    upgrade = index.get("upgrade")
    if not isinstance(upgrade, str) or upgrade not in _UPGRADES:
        _check_member(index, "Upgrade", "websocket", parse_upgrade)
    connection = index.get("connection")
    if not isinstance(connection, str) or connection not in _CONNECTIONS:
        _check_member(index, "Connection", "upgrade", parse_connection)


def _check_member(
    index: Index, name: str, member: str, parse: Callable[[str], Sequence[str]]
) -> None:
    value = _joined(index, name.lower())
    members = parse(value) if value else []
    if not any(found.lower() == member for found in members):
        raise InvalidUpgrade(name, value)


def _check_protocol(protocol: str) -> None:
    """Accept HTTP/1.1 and later versions 1.x.

    A server must ignore ``Upgrade`` in HTTP/1.0 (RFC 9110, section 7.8). So such a
    request is not an upgrade, and the client is told that an upgrade is required.
    """
    major, _, minor = protocol.partition(".")
    if major != "HTTP/1" or minor not in set("123456789"):
        exc = InvalidProtocol(protocol)
        if protocol == "HTTP/1.0":
            exc.status = InvalidUpgrade.status
        raise exc


def _check_host(index: Index, hosts: Iterable[str] | None) -> None:
    """Check ``Host`` (RFC 9112, section 3.2)."""
    host = index.get("host")
    if not isinstance(host, str) or not is_host(host):
        host = _single(index, "Host")
        if not is_host(host):
            raise InvalidHeaderValue("Host", host)
    if hosts is not None:
        host = host.lower()
        name, colon, port = host.rpartition(":")
        if not colon or not (port.isdigit() or not port):
            name = host
        if not any(entry.lower() in (host, name) for entry in hosts):
            raise InvalidHeaderValue("Host", host)


def _check_no_body(index: Index) -> None:
    """Refuse a body, which would be read as frames (RFC 9110, section 7.8)."""
    if "transfer-encoding" in index or index["content-length"] != "0":
        raise InvalidMessage("request for an upgrade announces a body")


def _check_key(index: Index) -> str:
    key = _single(index, "Sec-WebSocket-Key")
    if not _is_key(key):
        raise InvalidHeaderValue("Sec-WebSocket-Key", key)
    return key


def _check_version(index: Index) -> None:
    version = _single(index, _VERSION)
    if version != "13":
        raise InvalidHeaderValue(_VERSION, version)


def _is_key(key: str) -> bool:
    """Whether it is Base64 of 16 bytes: 22 characters of its alphabet and "=="."""
    if len(key) != 24 or not key.endswith("=="):
        return False
    try:
        # Characters outside the alphabet are ignored, so the result would be shorter.
        return len(binascii.a2b_base64(key)) == 16
    except ValueError:
        return False


def _is_acceptable(
    origin: str | None, origins: Sequence[str | re.Pattern[str] | None]
) -> bool:
    if origin is None:
        return None in origins
    # Converting non-ASCII to lower case could make two different origins equal.
    lower = origin.lower() if origin.isascii() else origin
    for accepted in origins:
        if isinstance(accepted, str):
            if lower == (accepted.lower() if accepted.isascii() else accepted):
                return True
        elif accepted is not None and accepted.fullmatch(lower) is not None:
            return True
    return False


def _uses_rsv1_twice(extension: Any, accepted: Sequence[Any]) -> bool:
    """Whether it uses RSV1 (RFC 7692, section 5), shown by an attribute ``rsv1``."""
    if not getattr(extension, "rsv1", False):
        return False
    return any(getattr(other, "rsv1", False) for other in accepted)
