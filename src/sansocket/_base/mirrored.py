"""Names that a module of ``websockets`` has but another module defines.

Software imports such names from wherever it has found them. So the modules that mirror
``websockets`` provide them, too; nothing is imported until one is used. Names of older
releases are included.
"""

from __future__ import annotations

from .. import _HOMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["names_from_elsewhere"]

# In addition to those of the package itself.
_MORE = {
    "asyncio.connection": "Connection",
    "asyncio.server": "Server ServerConnection broadcast",
    "frames": "BINARY CLOSE CONT CTRL_OPCODES DATA_OPCODES PING PONG TEXT",
    "_http.handshake": "accept_key generate_key",
    "headers": (
        "build_authorization_basic build_extension build_host build_subprotocol "
        "build_www_authenticate_basic parse_authorization_basic parse_connection "
        "parse_extension parse_subprotocol parse_upgrade validate_subprotocols"
    ),
    "proxy": "Proxy get_proxy parse_proxy prepare_connect_request",
}
_ELSEWHERE = {
    **_HOMES,
    **{name: home for home, names in _MORE.items() for name in names.split()},
}
_OTHER_NAMES = {
    ("client", "ClientConnection"): "ClientProtocol",
    ("headers", "build_extension_list"): "build_extension",
    ("headers", "build_subprotocol_list"): "build_subprotocol",
    ("headers", "parse_extension_list"): "parse_extension",
    ("headers", "parse_subprotocol_list"): "parse_subprotocol",
    ("server", "ServerConnection"): "ServerProtocol",
}


def names_from_elsewhere(module: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module.

    Args:
        module: ``__name__`` of the module.
    """
    package = __name__.partition(".")[0]
    own = module.removeprefix(f"{package}.")

    def find(name: str) -> Any:
        original = _OTHER_NAMES.get((own, name))
        home = own if original else _ELSEWHERE.get(name, own)
        if home == own and not original:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{package}.{home}"), original or name)

    return find
