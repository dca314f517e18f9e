"""Target ``parameters``: what client and server agree on for permessage-deflate.

The first four bytes of the input are what a server and a client are configured with;
the rest is the value of ``Sec-WebSocket-Extensions`` that either gets.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .support import alike, attempt, same

BITS = (None, 8, 9, 10, 12, 14, 15, True)


def configured(flags: int, bits: int) -> dict[str, Any]:
    """Arguments of a factory."""
    return {
        "server_no_context_takeover": flags & 1 != 0,
        "client_no_context_takeover": flags & 2 != 0,
        "server_max_window_bits": BITS[bits & 7] if bits & 7 < 7 else None,
        "client_max_window_bits": BITS[bits >> 3 & 7],
    }


def new_factories(form: ModuleType, data: bytes) -> tuple[Any, Any]:
    """A client's and a server's; ``None`` where such a configuration is refused."""
    module = form.extensions.permessage_deflate
    factories: list[Any] = []
    for kind, flags, bits in (("Client", *data[:2]), ("Server", *data[2:4])):
        config = configured(flags, bits)
        if kind == "Server":
            config["require_client_max_window_bits"] = flags & 4 != 0
            if config["client_max_window_bits"] is True:
                config["client_max_window_bits"] = None
        factory = getattr(module, f"{kind}PerMessageDeflateFactory")
        try:
            factories.append(factory(**config))
        except ValueError:
            factories.append(None)
    return factories[0], factories[1]


def settings(extension: Any) -> tuple[bool, bool, int, int]:
    """What is agreed: for the peer and for this side, takeover and window."""
    return (
        bool(extension.remote_no_context_takeover),
        bool(extension.local_no_context_takeover),
        extension.remote_max_window_bits,
        extension.local_max_window_bits,
    )


def meet(form: ModuleType, client: Any, server: Any) -> Any:
    """Let a client and a server agree: each must be able to read the other."""
    offer = client.get_request_params()
    kind, answer = attempt(
        form, ["NegotiationError"], lambda: server.process_request_params(offer, [])
    )
    if kind != "returned":
        return kind, answer
    params, extension = answer
    theirs = settings(extension)
    kind, extension = attempt(
        form, ["NegotiationError"], lambda: client.process_response_params(params, [])
    )
    assert kind == "returned", (offer, params, extension)
    ours = settings(extension)
    for local, remote in ((ours[1::2], theirs[::2]), (theirs[1::2], ours[::2])):
        # Who sends may do without takeover and with less window, not with more.
        assert local[0] >= remote[0], (ours, theirs)
        assert local[1] <= remote[1], (ours, theirs)
    return params, ours, theirs


def answer(form: ModuleType, client: Any, server: Any, text: str) -> list[Any]:
    """What both make of parameters that the fuzzer chose."""
    kind, extensions = attempt(
        form, ["InvalidHeaderFormat"], lambda: form.headers.parse_extension(text)
    )
    if kind != "returned":
        return [(kind, extensions)]
    return [
        factory and one_answer(form, factory, params)
        for _, params in extensions
        for factory in (server, client)
    ]


def one_answer(form: ModuleType, factory: Any, params: Any) -> Any:
    is_server = hasattr(factory, "process_request_params")
    local = "server" if is_server else "client"
    process = getattr(
        factory, f"process_{'request' if is_server else 'response'}_params"
    )
    kind, result = attempt(form, ["NegotiationError"], lambda: process(params, []))
    if kind != "returned":
        return kind, result
    given, extension = result if isinstance(result, tuple) else (None, result)
    agreed = settings(extension)
    assert 8 <= agreed[2] <= 15, agreed
    # A client need not compress, so it agrees to a window that zlib does not have.
    assert (9 if is_server else 8) <= agreed[3] <= 15, agreed
    check_against(params, given, agreed)
    # What this side is configured with binds it, whatever the other one says.
    assert agreed[1] or not getattr(factory, f"{local}_no_context_takeover")
    bits = getattr(factory, f"{local}_max_window_bits")
    assert agreed[3] <= (15 if bits in (None, True) else bits), (bits, agreed)
    return given, agreed


def check_against(params: Any, given: Any, agreed: tuple[Any, ...]) -> None:
    """What is agreed follows from what was asked for (RFC 7692, section 7.1)."""
    asked = dict(params)
    same(len(asked), len(params), "number of different parameters")
    is_server = given is not None
    local, remote = ("server", "client") if is_server else ("client", "server")
    if f"{local}_no_context_takeover" in asked:
        assert agreed[1], (asked, agreed)
    local_bits = asked.get(f"{local}_max_window_bits")
    if local_bits is not None:
        assert agreed[3] <= int(local_bits), (asked, agreed)
    remote_bits = (dict(given) if is_server else asked).get(f"{remote}_max_window_bits")
    same(agreed[2], int(remote_bits or 15), "window of the peer")
    if is_server and "client_max_window_bits" in dict(given):
        assert "client_max_window_bits" in asked, (asked, given)


def check(data: bytes) -> None:
    """Raise if a promise is broken."""
    config, text = data[:4].ljust(4, b"\0"), data[4:].decode("latin-1")

    def run(form: ModuleType) -> Any:
        client, server = new_factories(form, config)
        met = meet(form, client, server) if client and server else None
        return met, answer(form, client, server, text)

    alike(run)
