"""The permessage-deflate extension (RFC 7692)."""

from __future__ import annotations

import zlib

from .. import frames
from .._base.mirrored import names_from_elsewhere
from .._native import kernels
from .._native.zstream import NO_LIMIT, Deflater, Inflater
from ..exceptions import NegotiationError, ProtocolError
from .base import ClientExtensionFactory, Extension, ServerExtensionFactory
from .negotiation import (
    accept_offer,
    build_parameters,
    check_answer,
    check_client_config,
    check_server_config,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ..frames import Frame
    from ..typing import BytesLike, ExtensionParameter
    from .negotiation import Parameters

__all__ = [
    "ClientPerMessageDeflateFactory",
    "PerMessageDeflate",
    "ServerPerMessageDeflateFactory",
    "enable_client_permessage_deflate",
    "enable_server_permessage_deflate",
]

NAME = "permessage-deflate"
_NO_SETTINGS: dict[str, Any] = {}


class PerMessageDeflate(Extension):
    """Compression of messages, as negotiated for one connection.

    A context is created when the first message needs it. ``decode()`` and ``encode()``
    are the interface of every extension; ``inflate()`` and ``deflate()`` do the same
    for bare payloads, if the caller handles the frames.

    Args:
        remote_no_context_takeover: whether the peer compresses every message with
            an empty window.
        local_no_context_takeover: whether we must do so.
        remote_max_window_bits: size of the peer's window, 8 to 15.
        local_max_window_bits: size of our window, 8 to 15. zlib cannot compress with
            8, so messages are then sent uncompressed.
        compress_settings: ``level``, ``memLevel`` and ``strategy``, as for
            ``zlib.compressobj()``.

    Attributes:
        deflated_received: compressed payload bytes received.
        inflated_received: payload bytes after decompressing them.
        inflated_sent: payload bytes before compressing them.
        deflated_sent: compressed payload bytes sent.
    """

    name = NAME
    # No other extension may use this bit as well (RFC 7692, section 5).
    rsv1 = True

    def __init__(
        self,
        remote_no_context_takeover: bool,
        local_no_context_takeover: bool,
        remote_max_window_bits: int,
        local_max_window_bits: int,
        compress_settings: dict[str, Any] | None = None,
    ) -> None:
        if not 8 <= remote_max_window_bits <= 15:
            raise ValueError("remote_max_window_bits must be from 8 to 15")
        if not 8 <= local_max_window_bits <= 15:
            raise ValueError("local_max_window_bits must be from 8 to 15")
        self.remote_no_context_takeover = remote_no_context_takeover
        self.local_no_context_takeover = local_no_context_takeover
        self.remote_max_window_bits = remote_max_window_bits
        self.local_max_window_bits = local_max_window_bits
        self.compress_settings: dict[str, Any] = _check_settings(compress_settings)
        self._inflater: Inflater | None = None
        self._deflater: Deflater | None = None
        self._decoding = False  # whether the incoming message is compressed
        self._encoding = False  # whether the outgoing message is
        self.deflated_received: int = 0
        self.inflated_received: int = 0
        self.inflated_sent: int = 0
        self.deflated_sent: int = 0

    def __repr__(self) -> str:
        return (
            "PerMessageDeflate("
            f"remote_no_context_takeover={bool(self.remote_no_context_takeover)}, "
            f"local_no_context_takeover={bool(self.local_no_context_takeover)}, "
            f"remote_max_window_bits={self.remote_max_window_bits}, "
            f"local_max_window_bits={self.local_max_window_bits})"
        )

    def can_deflate(self) -> bool:
        """Whether it can compress with the negotiated window."""
        return self.local_max_window_bits > 8

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Decompress a frame (RFC 7692, section 6.2).

        Raises:
            PayloadTooBig: if the result would exceed ``max_size`` bytes.
            ProtocolError: if RSV1 is set on a continuation, or the data is invalid.
        """
        opcode = frame.opcode
        if opcode & 0x8:
            return frame
        if opcode == 0x0:
            if frame.rsv1:
                raise ProtocolError("RSV1 is set on a continuation frame")
        else:
            self._decoding = frame.rsv1
        if not self._decoding:
            return frame
        limit = NO_LIMIT if max_size is None else max_size
        data = self.inflate(bytes(frame.data), frame.fin, limit)
        return _with_data(frame, data, False)

    def encode(self, frame: Frame) -> Frame:
        """Compress a frame (RFC 7692, section 6.1); control frames are not changed."""
        opcode = frame.opcode
        if opcode & 0x8 or not self.can_deflate():
            return frame
        if opcode == 0x0 and not self._encoding:
            return frame  # a message that began without compression
        data = self.deflate(frame.data, frame.fin)
        return _with_data(frame, data, opcode != 0x0)

    def inflate(self, data: bytes, fin: bool, limit: int) -> bytes:
        """Decompress the next payload of a compressed message.

        Args:
            data: payload of one frame.
            fin: whether it ends the message.
            limit: maximum size of the result in bytes.

        Raises:
            PayloadTooBig: if the result would be larger.
            ProtocolError: if the data is invalid, or ends inside a block.
        """
        inflater = self._inflater
        if inflater is None:
            inflater = Inflater(self.remote_max_window_bits)
            self._inflater = inflater
        payload = inflater.inflate(data, fin, limit)
        self.deflated_received += len(data)
        self.inflated_received += len(payload)
        if fin and self.remote_no_context_takeover:
            self._inflater = None
        self._decoding = not fin
        return payload

    def deflate(self, data: BytesLike, fin: bool) -> bytes:
        """Compress the next payload of a message.

        Args:
            data: payload of one frame.
            fin: whether it ends the message.

        Raises:
            ValueError: if it cannot compress with the negotiated window.
        """
        deflater = self._deflater
        if deflater is None:
            deflater = self._new_deflater()
        # Lost if compressing raises: a new context cannot refer to unsent data.
        self._deflater = None
        plain = kernels.as_bytes(data)
        payload = deflater.deflate(plain, fin)
        self.inflated_sent += len(plain)
        self.deflated_sent += len(payload)
        if not (fin and self.local_no_context_takeover):
            self._deflater = deflater
        self._encoding = not fin
        return payload

    def deflate_alone(self, data: bytes) -> bytes:
        """Compress a whole message without references to earlier ones.

        Every connection with these settings may send it, and calls ``sent_alone()``.
        """
        deflater = self._new_deflater()
        return deflater.deflate(data, True)

    def sent_alone(self, inflated: int, deflated: int) -> None:
        """Record that such a message, of these sizes, is being sent.

        It is in the peer's window, but not in ours, which begins after it.
        """
        self._deflater = None
        self.inflated_sent += inflated
        self.deflated_sent += deflated

    def _new_deflater(self) -> Deflater:
        if not self.can_deflate():
            raise ValueError("cannot compress with a window of 8 bits")
        settings = self.compress_settings
        return Deflater(
            self.local_max_window_bits,
            settings.get("level", zlib.Z_DEFAULT_COMPRESSION),
            settings.get("memLevel", 8),
            settings.get("strategy", zlib.Z_DEFAULT_STRATEGY),
        )

    def forget_sent(self, in_message: bool, inflated: int, deflated: int) -> None:
        """Undo ``encode()`` or ``deflate()`` for a frame that is not sent after all.

        Later messages must not refer to it, so they begin with an empty window.

        Args:
            in_message: whether a compressed message was in progress before it.
            inflated: value of ``inflated_sent`` before it.
            deflated: value of ``deflated_sent`` before it.
        """
        self._deflater = None
        self._encoding = in_message
        self.inflated_sent = inflated
        self.deflated_sent = deflated

    def release(self) -> None:
        """Free the memory of the contexts; the connection is over."""
        self._inflater = None
        self._deflater = None


def _with_data(frame: Frame, data: bytes, rsv1: bool) -> Frame:
    changed = frames.Frame(frame.opcode, data, frame.fin)
    changed.rsv1 = rsv1
    changed.rsv2 = frame.rsv2
    changed.rsv3 = frame.rsv3
    return changed


def _check_settings(settings: dict[str, Any] | None) -> dict[str, Any]:
    if settings is None:
        return _NO_SETTINGS
    unknown = set(dict(settings)) - {"level", "memLevel", "method", "strategy"}
    if unknown:
        raise ValueError(f"unknown compress setting: {', '.join(sorted(unknown))}")
    return settings


class ClientPerMessageDeflateFactory(ClientExtensionFactory):
    """Offers permessage-deflate (RFC 7692, section 7.1).

    Args:
        server_no_context_takeover: ask the server to compress every message with an
            empty window.
        client_no_context_takeover: announce that we do.
        server_max_window_bits: ask the server to limit its window to this many bits,
            8 to 15.
        client_max_window_bits: announce a limit for our window, 9 to 15, or with
            ``True`` only that the server may choose one.
        compress_settings: ``level``, ``memLevel`` and ``strategy``, as for
            ``zlib.compressobj()``.
    """

    name: Any = NAME

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | bool | None = True,
        compress_settings: dict[str, Any] | None = None,
    ) -> None:
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings: dict[str, Any] = _check_settings(compress_settings)
        check_client_config(self._config())

    def _config(self) -> Parameters:
        return (
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
            self.client_max_window_bits,
        )

    def get_request_params(self) -> Sequence[ExtensionParameter]:
        """Return the parameters of the offer."""
        return build_parameters(self._config())

    def process_response_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> PerMessageDeflate:
        """Check the server's answer, and make the extension.

        Raises:
            NegotiationError: if the answer does not match the offer, or if another
                extension already uses RSV1.
        """
        _check_reserved_bit(accepted_extensions)
        agreed = check_answer(self._config(), params)
        return PerMessageDeflate(*agreed, self.compress_settings)


class ServerPerMessageDeflateFactory(ServerExtensionFactory):
    """Answers offers of permessage-deflate (RFC 7692, section 7.1).

    Args:
        server_no_context_takeover: compress every message with an empty window, even
            if the client does not ask for it.
        client_no_context_takeover: ask the client to do the same.
        server_max_window_bits: limit our window to this many bits, 9 to 15.
        client_max_window_bits: ask clients that can limit their window to do so,
            8 to 15.
        compress_settings: ``level``, ``memLevel`` and ``strategy``, as for
            ``zlib.compressobj()``.
        require_client_max_window_bits: decline offers from clients that cannot.
    """

    name: Any = NAME

    def __init__(
        self,
        server_no_context_takeover: bool = False,
        client_no_context_takeover: bool = False,
        server_max_window_bits: int | None = None,
        client_max_window_bits: int | None = None,
        compress_settings: dict[str, Any] | None = None,
        require_client_max_window_bits: bool = False,
    ) -> None:
        self.server_no_context_takeover = server_no_context_takeover
        self.client_no_context_takeover = client_no_context_takeover
        self.server_max_window_bits = server_max_window_bits
        self.client_max_window_bits = client_max_window_bits
        self.compress_settings: dict[str, Any] = _check_settings(compress_settings)
        self.require_client_max_window_bits = require_client_max_window_bits
        check_server_config(self._config(), require_client_max_window_bits)

    def _config(self) -> Parameters:
        return (
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits,
            self.client_max_window_bits,
        )

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], PerMessageDeflate]:
        """Accept an offer: return the parameters of the answer, and the extension.

        Raises:
            NegotiationError: to decline the offer, for instance if another extension
                already uses RSV1.
        """
        _check_reserved_bit(accepted_extensions)
        answer, agreed = accept_offer(
            self._config(),
            params,
            require_client_max_window_bits=self.require_client_max_window_bits,
        )
        return answer, PerMessageDeflate(*agreed, self.compress_settings)


def enable_client_permessage_deflate(
    extensions: Sequence[ClientExtensionFactory] | None,
) -> Sequence[ClientExtensionFactory]:
    """Add permessage-deflate with settings that save memory, unless it is included."""
    if _has_deflate(extensions):
        return extensions or []
    factory = ClientPerMessageDeflateFactory(compress_settings={"memLevel": 5})
    return [*(extensions or []), factory]


def enable_server_permessage_deflate(
    extensions: Sequence[ServerExtensionFactory] | None,
) -> Sequence[ServerExtensionFactory]:
    """Add permessage-deflate with settings that save memory, unless it is included.

    Windows have 4 KiB if the client agrees.
    """
    if _has_deflate(extensions):
        return extensions or []
    factory = ServerPerMessageDeflateFactory(
        server_max_window_bits=12,
        client_max_window_bits=12,
        compress_settings={"memLevel": 5},
    )
    return [*(extensions or []), factory]


def _has_deflate(factories: Sequence[Any] | None) -> bool:
    return NAME in [factory.name for factory in factories or ()]


def _check_reserved_bit(accepted: Sequence[Extension]) -> None:
    if NAME in [extension.name for extension in accepted]:
        raise NegotiationError(f"{NAME} is agreed already")


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
