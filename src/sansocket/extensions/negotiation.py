"""Negotiation of the parameters of permessage-deflate (RFC 7692).

Parameters are sent as a list of names and values. Here they are a tuple of four, called
``Parameters``, in the same order for both sides:

- ``server_no_context_takeover``: bool,
- ``client_no_context_takeover``: bool,
- ``server_max_window_bits``: 8 to 15, or ``None`` if absent,
- ``client_max_window_bits``: 8 to 15, ``True`` if present without a value, ``None`` if
  absent.

The result is ``Agreed``: for "remote" (messages that this side receives) and "local"
(messages that it sends), whether each message starts with an empty window, and the
bits of the window: ``(remote_no_context_takeover, local_no_context_takeover,
remote_max_window_bits, local_max_window_bits)``.

zlib can decompress with a window of 8 bits, but not compress. So a server declines an
offer that requires 8 bits of it; the client may have made other offers. A client of
which a server requires 8 bits sends its messages uncompressed, which is allowed for
each message (RFC 7692, section 6).
"""

from __future__ import annotations

from functools import lru_cache

from ..exceptions import (
    DuplicateParameter,
    InvalidParameterName,
    InvalidParameterValue,
    NegotiationError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from ..typing import ExtensionParameter

    Parameters: TypeAlias = tuple[bool, bool, int | None, int | bool | None]
    Agreed: TypeAlias = tuple[bool, bool, int, int]

__all__ = [
    "accept_offer",
    "build_parameters",
    "check_answer",
    "check_client_config",
    "check_server_config",
    "parse_parameters",
]

_WINDOW_BITS = {str(bits): bits for bits in range(8, 16)}


# Configuration


def check_server_config(
    config: Parameters, require_client_max_window_bits: bool
) -> None:
    """Check the configuration of a server.

    Raises:
        ValueError: if a value is out of range, or contradicts another.
    """
    _, _, server_bits, client_bits = config
    _check_bits("server_max_window_bits", server_bits, 9)
    _check_bits("client_max_window_bits", client_bits, 8)
    if require_client_max_window_bits and client_bits is None:
        raise ValueError("client_max_window_bits is required but not configured")


def check_client_config(config: Parameters) -> None:
    """Check the configuration of a client.

    Raises:
        ValueError: if a value is out of range.
    """
    _, _, server_bits, client_bits = config
    _check_bits("server_max_window_bits", server_bits, 8)
    if client_bits is not True:
        _check_bits("client_max_window_bits", client_bits, 9)


def _check_bits(name: str, bits: int | None, least: int) -> None:
    if bits is not None and not least <= bits <= 15:
        raise ValueError(f"{name} must be from {least} to 15")


# Lists of parameters


def build_parameters(parameters: Parameters) -> list[ExtensionParameter]:
    """Write ``Parameters`` as a list."""
    server_no_takeover, client_no_takeover, server_bits, client_bits = parameters
    params: list[ExtensionParameter] = []
    if server_no_takeover:
        params.append(("server_no_context_takeover", None))
    if client_no_takeover:
        params.append(("client_no_context_takeover", None))
    if server_bits is not None:
        params.append(("server_max_window_bits", str(server_bits)))
    if client_bits is True:
        params.append(("client_max_window_bits", None))
    elif client_bits is not None:
        params.append(("client_max_window_bits", str(client_bits)))
    return params


def parse_parameters(
    params: Sequence[ExtensionParameter], *, is_server: bool
) -> Parameters:
    """Parse a list of parameters (RFC 7692, section 7.1).

    Args:
        params: names and values.
        is_server: whether this is a server that parses an offer, rather than a client
            that parses an answer.

    Raises:
        InvalidParameterName: if a parameter is not defined.
        InvalidParameterValue: if a parameter has an invalid value, or lacks one.
        DuplicateParameter: if a parameter is repeated.
    """
    found: dict[str, int | bool] = {}
    for name, value in params:
        bits: int | bool | None
        if name in _FLAGS:
            bits = True if value is None else None
        elif name in _BITS:
            bits = None if value is None else _WINDOW_BITS.get(value)
            if value is None and is_server and name == "client_max_window_bits":
                bits = True
        else:
            raise InvalidParameterName(name)
        if name in found:
            raise DuplicateParameter(name)
        if bits is None:
            raise InvalidParameterValue(name, value)
        found[name] = bits
    return (
        "server_no_context_takeover" in found,
        "client_no_context_takeover" in found,
        found.get("server_max_window_bits"),
        found.get("client_max_window_bits"),
    )


_FLAGS = frozenset({"server_no_context_takeover", "client_no_context_takeover"})
_BITS = frozenset({"server_max_window_bits", "client_max_window_bits"})


# Server


def accept_offer(
    config: Parameters,
    params: Sequence[ExtensionParameter],
    *,
    require_client_max_window_bits: bool = False,
) -> tuple[list[ExtensionParameter], Agreed]:
    """Answer an offer, as a server with the configuration ``config``.

    Returns:
        The parameters of the answer, and the result of the negotiation.

    Raises:
        NegotiationError: if the offer must be declined.
    """
    answer, agreed = _accept_offer(
        config, tuple(params), require_client_max_window_bits
    )
    return build_parameters(answer), agreed


@lru_cache(64)  # there are few kinds of clients
def _accept_offer(
    config: Parameters,
    params: tuple[ExtensionParameter, ...],
    require_client_max_window_bits: bool,
) -> tuple[Parameters, Agreed]:
    offer = parse_parameters(params, is_server=True)
    server_no_takeover = config[0] or offer[0]
    client_no_takeover = config[1] or offer[1]
    server_bits = _smaller(config[2], offer[2])
    if server_bits == 8:
        raise NegotiationError("cannot compress with server_max_window_bits=8")
    if offer[3] is None:
        # The client did not offer to limit its window (RFC 7692, 7.1.2.2).
        if require_client_max_window_bits:
            raise NegotiationError("client_max_window_bits is required")
        client_bits = None
    else:
        client_bits = _smaller(config[3], None if offer[3] is True else offer[3])
    answer = (server_no_takeover, client_no_takeover, server_bits, client_bits)
    agreed = (
        client_no_takeover,
        server_no_takeover,
        client_bits or 15,
        server_bits or 15,
    )
    return answer, agreed


def _smaller(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


# Client


def check_answer(config: Parameters, params: Sequence[ExtensionParameter]) -> Agreed:
    """Check the answer of a server, as a client that offered ``config``.

    Raises:
        NegotiationError: if the answer does not match the offer.
    """
    answer = parse_parameters(params, is_server=False)
    if config[0] and not answer[0]:
        raise NegotiationError("answer lacks server_no_context_takeover")
    _check_limit("server_max_window_bits", config[2], answer[2])
    return (
        answer[0],
        config[1] or answer[1],
        answer[2] or 15,
        _client_bits(config[3], answer[3]),
    )


def _check_limit(name: str, offered: int | None, answered: int | None) -> None:
    if offered is None:
        return
    if answered is None:
        raise NegotiationError(f"answer lacks {name}")
    if answered > offered:
        raise NegotiationError(f"answer exceeds {name}={offered}")


def _client_bits(offered: int | bool | None, answered: int | None) -> int:
    if answered is None:
        # Keep what was offered in any case; a smaller window is always legal.
        return 15 if offered is None or offered is True else offered
    if offered is None:
        raise NegotiationError("answer has client_max_window_bits, not offered")
    if offered is not True:
        _check_limit("client_max_window_bits", offered, answered)
    return answered
