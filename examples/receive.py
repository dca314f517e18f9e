"""The server side of a connection as a single function: bytes in, bytes out."""

from sansocket import Frame, Opcode, Request, ServerProtocol, State


def receive(websocket: ServerProtocol, data: bytes) -> list[bytes]:
    """Process bytes from the network; return those to write. Messages are echoed."""
    websocket.receive_data(data)
    while events := websocket.events_received():
        for event in events:
            match event:
                case Request():
                    websocket.send_response(websocket.accept(event))
                case Frame() if websocket.state is not State.OPEN:
                    pass  # a close frame followed it
                case Frame(Opcode.TEXT, payload, fin):
                    websocket.send_text(payload, fin)
                case Frame(Opcode.BINARY, payload, fin):
                    websocket.send_binary(payload, fin)
                case Frame(Opcode.CONT, payload, fin):
                    websocket.send_continuation(payload, fin)
    return websocket.data_to_send()
