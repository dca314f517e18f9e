"""The opening handshake: HTTP/1.1 messages, and what they must contain."""
