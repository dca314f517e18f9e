"""A WebSocket library whose core does no I/O.

::

    sansocket
    |-- server       ServerProtocol, the connection of a server
    |-- client       ClientProtocol, the connection of a client
    |-- session      Session, whole messages and deadlines on top of either
    |-- protocol     Protocol, their common base, its states and its events
    |-- frames       Frame, Opcode, Close, CloseCode
    |-- http11       Request and Response of the opening handshake
    |-- datastructures, headers, uri    what these are made of
    |-- extensions   base, to write your own; permessage_deflate
    |-- exceptions   everything that is raised
    |-- stats        counters of a connection
    |-- typing       aliases for annotations
    |
    |-- proxy, redirects, reconnection  what clients need beyond a connection
    |-- environment  where random bytes and the date come from
    |-- asyncio      serve and connect; client, server, connection, router
    |-- uvicorn      a protocol class for uvicorn
    |-- sanic        a protocol class for Sanic
    |-- standin      takes the place of websockets in programs that import it
    `-- cli          the sansocket command

The names that most programs need are here, too, and so are the modules above the
gap. Each is imported when first used, so ``import sansocket`` costs nothing.

With ``SANSOCKET_PURE=1`` in the environment the source runs where there is a compiled
form as well, such as for a debugger.
"""

from __future__ import annotations

from os import environ as _environ

if _environ.get("SANSOCKET_PURE", "0") not in ("", "0"):
    from ._base import pure as _pure  # noqa: F401 - for what comes after it

from .version import version as __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import client as client
    from . import datastructures as datastructures
    from . import exceptions as exceptions
    from . import extensions as extensions
    from . import frames as frames
    from . import headers as headers
    from . import http11 as http11
    from . import protocol as protocol
    from . import server as server
    from . import session as session
    from . import stats as stats
    from . import typing as typing
    from . import uri as uri
    from .asyncio.client import ClientConnection, connect, unix_connect
    from .asyncio.router import Router, route, unix_route
    from .asyncio.server import (
        Server,
        ServerConnection,
        basic_auth,
        broadcast,
        serve,
        unix_serve,
    )
    from .client import ClientProtocol
    from .datastructures import Headers, HeadersLike, MultipleValuesError
    from .exceptions import (
        ConcurrencyError,
        ConnectionClosed,
        ConnectionClosedError,
        ConnectionClosedOK,
        DuplicateParameter,
        HeaderLineTooLong,
        InvalidHandshake,
        InvalidHeader,
        InvalidHeaderFormat,
        InvalidHeaderValue,
        InvalidMessage,
        InvalidMethod,
        InvalidOrigin,
        InvalidParameterName,
        InvalidParameterValue,
        InvalidProtocol,
        InvalidProxy,
        InvalidProxyMessage,
        InvalidProxyStatus,
        InvalidState,
        InvalidStatus,
        InvalidUpgrade,
        InvalidURI,
        InvalidUTF8,
        NegotiationError,
        PayloadTooBig,
        ProtocolError,
        ProxyError,
        RequestLineTooLong,
        SecurityError,
        StatusLineTooLong,
        TooManyFragments,
        TooManyHeaders,
        WebSocketException,
    )
    from .extensions.base import (
        ClientExtensionFactory,
        Extension,
        ServerExtensionFactory,
    )
    from .extensions.permessage_deflate import (
        ClientPerMessageDeflateFactory,
        PerMessageDeflate,
        ServerPerMessageDeflateFactory,
        enable_client_permessage_deflate,
        enable_server_permessage_deflate,
    )
    from .frames import OK_CLOSE_CODES, Close, CloseCode, Frame, Opcode
    from .http11 import Request, Response
    from .protocol import (
        CLIENT,
        CLOSED,
        CLOSING,
        CONNECTING,
        OPEN,
        SEND_EOF,
        SERVER,
        Event,
        Protocol,
        Side,
        State,
    )
    from .server import ServerProtocol
    from .session import Ping, Session, Transport
    from .stats import Stats
    from .typing import (
        BytesLike,
        ConnectionOption,
        Data,
        DataLike,
        ExtensionHeader,
        ExtensionName,
        ExtensionParameter,
        LoggerLike,
        Origin,
        PathLike,
        StatusLike,
        Subprotocol,
        UpgradeProtocol,
    )
    from .uri import WebSocketURI, parse_uri
else:  # type checkers must not believe that every name exists

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name in _MODULES:
            return import_module(f".{name}", __name__)
        home = _HOMES.get(name) or _DRIVER.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f".{home}", __name__), name)
        globals()[name] = value
        return value


__all__ = [
    "CLIENT",
    "CLOSED",
    "CLOSING",
    "CONNECTING",
    "OK_CLOSE_CODES",
    "OPEN",
    "SEND_EOF",
    "SERVER",
    "BytesLike",
    "ClientConnection",
    "ClientExtensionFactory",
    "ClientPerMessageDeflateFactory",
    "ClientProtocol",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "ConnectionOption",
    "Data",
    "DataLike",
    "DuplicateParameter",
    "Event",
    "Extension",
    "ExtensionHeader",
    "ExtensionName",
    "ExtensionParameter",
    "Frame",
    "HeaderLineTooLong",
    "Headers",
    "HeadersLike",
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
    "LoggerLike",
    "MultipleValuesError",
    "NegotiationError",
    "Opcode",
    "Origin",
    "PathLike",
    "PayloadTooBig",
    "PerMessageDeflate",
    "Ping",
    "Protocol",
    "ProtocolError",
    "ProxyError",
    "Request",
    "RequestLineTooLong",
    "Response",
    "Router",
    "SecurityError",
    "Server",
    "ServerConnection",
    "ServerExtensionFactory",
    "ServerPerMessageDeflateFactory",
    "ServerProtocol",
    "Session",
    "Side",
    "State",
    "Stats",
    "StatusLike",
    "StatusLineTooLong",
    "Subprotocol",
    "TooManyFragments",
    "TooManyHeaders",
    "Transport",
    "UpgradeProtocol",
    "WebSocketException",
    "WebSocketURI",
    "__version__",
    "basic_auth",
    "broadcast",
    "connect",
    "enable_client_permessage_deflate",
    "enable_server_permessage_deflate",
    "parse_uri",
    "route",
    "serve",
    "unix_connect",
    "unix_route",
    "unix_serve",
]

# Where each name is at home, and the modules themselves.
_NAMES = {
    "client": "ClientProtocol",
    "datastructures": "Headers HeadersLike MultipleValuesError",
    "exceptions": (
        "ConcurrencyError ConnectionClosed ConnectionClosedError ConnectionClosedOK "
        "DuplicateParameter HeaderLineTooLong InvalidHandshake InvalidHeader "
        "InvalidHeaderFormat InvalidHeaderValue InvalidMessage InvalidMethod "
        "InvalidOrigin InvalidParameterName InvalidParameterValue InvalidProtocol "
        "InvalidProxy InvalidProxyMessage InvalidProxyStatus InvalidState "
        "InvalidStatus InvalidURI InvalidUTF8 InvalidUpgrade NegotiationError "
        "PayloadTooBig ProtocolError ProxyError RequestLineTooLong SecurityError "
        "StatusLineTooLong TooManyFragments TooManyHeaders WebSocketException"
    ),
    "extensions.base": "ClientExtensionFactory Extension ServerExtensionFactory",
    "extensions.permessage_deflate": (
        "ClientPerMessageDeflateFactory PerMessageDeflate "
        "ServerPerMessageDeflateFactory enable_client_permessage_deflate "
        "enable_server_permessage_deflate"
    ),
    "frames": "OK_CLOSE_CODES Close CloseCode Frame Opcode",
    "http11": "Request Response",
    "protocol": (
        "CLIENT CLOSED CLOSING CONNECTING OPEN SEND_EOF SERVER Event Protocol Side "
        "State"
    ),
    "server": "ServerProtocol",
    "session": "Ping Session Transport",
    "stats": "Stats",
    "typing": (
        "BytesLike ConnectionOption Data DataLike ExtensionHeader ExtensionName "
        "ExtensionParameter LoggerLike Origin PathLike StatusLike Subprotocol "
        "UpgradeProtocol"
    ),
    "uri": "WebSocketURI parse_uri",
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
# What is at home in the driver, which modules of the core do not give.
_DRIVER = {
    **dict.fromkeys(("ClientConnection", "connect", "unix_connect"), "asyncio.client"),
    **dict.fromkeys(("Router", "route", "unix_route"), "asyncio.router"),
    **dict.fromkeys(
        ("Server", "ServerConnection", "basic_auth", "broadcast", "serve"),
        "asyncio.server",
    ),
    "unix_serve": "asyncio.server",
}
_MODULES = frozenset({"extensions", "headers", *_NAMES})


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
