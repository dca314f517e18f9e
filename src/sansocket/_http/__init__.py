"""The opening handshake: messages of HTTP/1.1, and what they must say."""
