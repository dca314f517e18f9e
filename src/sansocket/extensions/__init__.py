"""Extensions of the WebSocket protocol (RFC 6455, section 9)."""
