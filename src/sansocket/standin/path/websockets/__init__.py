"""The package that ``import websockets`` returns under ``sansocket.standin``.

It has the top-level names; each is loaded from its module when first used. In a child
process, importing this package calls ``install()``.
"""

from __future__ import annotations

from importlib import import_module

from sansocket.standin import install

from .version import version as __version__  # noqa: F401 - for others to read

if __name__ == "websockets":
    install()

_NAMES = {
    "asyncio.client": "ClientConnection connect unix_connect",
    "asyncio.router": "Router route unix_route",
    "asyncio.server": "Server ServerConnection basic_auth broadcast serve unix_serve",
    "client": "ClientProtocol",
    "datastructures": "Headers HeadersLike MultipleValuesError",
    "exceptions": (
        "ConcurrencyError ConnectionClosed ConnectionClosedError ConnectionClosedOK "
        "DuplicateParameter HeaderLineTooLong InvalidHandshake InvalidHeader "
        "InvalidHeaderFormat InvalidHeaderValue InvalidMessage InvalidMethod "
        "InvalidOrigin InvalidParameterName InvalidParameterValue InvalidProtocol "
        "InvalidProxy InvalidProxyMessage InvalidProxyStatus InvalidState "
        "InvalidStatus InvalidURI InvalidUpgrade NegotiationError PayloadTooBig "
        "ProtocolError ProxyError RequestLineTooLong SecurityError StatusLineTooLong "
        "TooManyFragments TooManyHeaders WebSocketException"
    ),
    "frames": "Close CloseCode Frame Opcode",
    "http11": "Request Response",
    "protocol": "Protocol Side State",
    "server": "ServerProtocol",
    "typing": (
        "Data ExtensionName ExtensionParameter LoggerLike Origin StatusLike Subprotocol"
    ),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names.split()}
_MODULES = frozenset({"asyncio", "extensions", "headers", "uri", *_NAMES})

__all__ = list(_HOMES)


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(
            f"no '{__name__}.{name}': sansocket stands in for {__name__} and does "
            "not mirror it"
        )
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
