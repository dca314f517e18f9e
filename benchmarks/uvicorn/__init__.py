"""uvicorn with our WebSockets and with its own three, as processes over loopback."""
