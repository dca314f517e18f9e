"""The interface of extensions and their factories (RFC 6455, section 9).

An ``Extension`` transforms the frames of one connection. A factory takes part in the
opening handshake and makes the extension. To write your own, subclass these classes
and pass the factories to ``ServerProtocol`` or ``ClientProtocol``.
"""

from __future__ import annotations

from .._base.dataclass import LazySignature
from .._base.mirrored import names_from_elsewhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..frames import Frame
    from ..typing import ExtensionName, ExtensionParameter

__all__ = ["ClientExtensionFactory", "Extension", "ServerExtensionFactory"]


class Extension:
    """An extension of one connection, with its state.

    Attributes:
        name: name of the extension in ``Sec-WebSocket-Extensions``.
    """

    name = ""
    if not TYPE_CHECKING:
        __signature__ = LazySignature()

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Transform an incoming frame.

        Args:
            frame: the frame, as received or as returned by the previous extension.
            max_size: maximum size of the payload to return; ``None`` for no limit.

        Raises:
            PayloadTooBig: if the payload would be larger.
            ProtocolError: if the frame is not valid.
        """
        raise NotImplementedError

    def encode(self, frame: Frame) -> Frame:
        """Transform an outgoing frame."""
        raise NotImplementedError


class ClientExtensionFactory:
    """Offers an extension, for a client.

    Attributes:
        name: name of the extension in ``Sec-WebSocket-Extensions``.
    """

    name: ExtensionName

    def get_request_params(self) -> Sequence[ExtensionParameter]:
        """Return the parameters of the offer."""
        raise NotImplementedError

    def process_response_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> Extension:
        """Check the server's answer, and make the extension.

        Args:
            params: parameters in the response.
            accepted_extensions: extensions that precede this one in the response.

        Raises:
            NegotiationError: if the answer does not match the offer.
        """
        raise NotImplementedError


class ServerExtensionFactory:
    """Answers the offer of an extension, for a server.

    Attributes:
        name: name of the extension in ``Sec-WebSocket-Extensions``.
    """

    name: ExtensionName

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], Extension]:
        """Accept an offer: return the parameters of the answer, and the extension.

        Args:
            params: parameters of the offer.
            accepted_extensions: extensions accepted before this one.

        Raises:
            NegotiationError: to decline the offer.
        """
        raise NotImplementedError


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
