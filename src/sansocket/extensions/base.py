"""What an extension and its factories must offer (RFC 6455, section 9).

An ``Extension`` changes the frames of one connection; a factory takes part in the
opening handshake and makes one. Write your own against these classes, and pass
the factories to ``ServerProtocol`` or ``ClientProtocol``.
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
    """The state that one connection keeps for one extension.

    Attributes:
        name: name of the extension in ``Sec-WebSocket-Extensions``.

    """

    name = ""
    __signature__ = LazySignature()

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Change a frame that came in.

        Args:
            frame: as it came, or as the extension before left it.
            max_size: largest payload, in bytes, to return; ``None`` for any.

        Raises:
            PayloadTooBig: if the payload would be larger.
            ProtocolError: if the frame is not valid.

        """
        raise NotImplementedError

    def encode(self, frame: Frame) -> Frame:
        """Change a frame that goes out."""
        raise NotImplementedError


class ClientExtensionFactory:
    """How a client offers an extension.

    Attributes:
        name: name of the extension in ``Sec-WebSocket-Extensions``.

    """

    name: ExtensionName

    def get_request_params(self) -> Sequence[ExtensionParameter]:
        """The parameters of the offer."""
        raise NotImplementedError

    def process_response_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> Extension:
        """Check what the server answered, and make the extension.

        Args:
            params: parameters in the response.
            accepted_extensions: extensions named before this one.

        Raises:
            NegotiationError: if the answer does not fit the offer.

        """
        raise NotImplementedError


class ServerExtensionFactory:
    """How a server answers the offer of an extension.

    Attributes:
        name: name of the extension in ``Sec-WebSocket-Extensions``.

    """

    name: ExtensionName

    def process_request_params(
        self,
        params: Sequence[ExtensionParameter],
        accepted_extensions: Sequence[Extension],
    ) -> tuple[list[ExtensionParameter], Extension]:
        """Accept one offer: give the parameters to answer and the extension.

        Args:
            params: parameters of the offer.
            accepted_extensions: extensions accepted before this one.

        Raises:
            NegotiationError: to decline the offer.

        """
        raise NotImplementedError


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
