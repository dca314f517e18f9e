"""Extensions of the WebSocket protocol (RFC 6455, section 9)."""

from .._base.mirrored import names_from_elsewhere

__getattr__ = names_from_elsewhere(__name__)
