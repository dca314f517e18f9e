"""Extensions of the WebSocket protocol (RFC 6455, section 9)."""

from .._base.mirrored import names_from_elsewhere

TYPE_CHECKING = False
if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
