"""Target ``grammars``: the values of headers, and URIs.

The first byte of the input chooses the function; the rest is its argument, as
ISO-8859-1 for headers and as UTF-8 for URIs.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from types import ModuleType
from typing import Any

from tests.streams import KEY

from . import http_model
from .support import alike, attempt, same

HEADER_ERRORS = ("InvalidHeaderFormat", "InvalidHeaderValue")


def listed(
    name: str, is_member: Callable[[str], bool], *, unique: bool = False
) -> Callable[[str], None]:
    """Check the parser of a list."""

    def check(text: str) -> None:
        kind, members = alike(
            lambda form: attempt(
                form, HEADER_ERRORS, lambda: getattr(form.headers, name)(text)
            )
        )
        try:
            expected = http_model.read_list(text, is_member)
            if unique and len(set(expected)) < len(expected):
                raise http_model.Refused("repeated")
        except http_model.Refused:
            assert kind != "returned", f"{name} takes {text!r}"
            return
        same((kind, members), ("returned", expected), f"{name}, model")

    return check


def extension(text: str) -> None:
    """Check ``parse_extension``."""

    def parse(form: ModuleType, header: str = text) -> Any:
        parser = form.headers.parse_extension
        return attempt(form, HEADER_ERRORS, lambda: parser(header))

    kind, extensions = alike(parse)
    try:
        expected = http_model.read_extensions(text)
    except http_model.Refused:
        assert kind != "returned", f"parse_extension takes {text!r}"
        return
    if kind == "returned":
        same(extensions, expected, "parse_extension, model")
        again = alike(lambda form: form.headers.build_extension(extensions))
        same(alike(lambda form: parse(form, again)), (kind, extensions), "round trip")
    else:
        assert "too many" in extensions, f"parse_extension refuses {text!r}"
        assert text.count(",") >= http_model.MOST_MEMBERS - 1, text


def authorization(text: str) -> None:
    """Check ``parse_authorization_basic``."""

    def parse(form: ModuleType, header: str = text) -> Any:
        parser = form.headers.parse_authorization_basic
        return attempt(form, HEADER_ERRORS, lambda: parser(header))

    kind, pair = alike(parse)
    if kind != "returned":
        return
    scheme, _, credentials = text.partition(" ")
    same(scheme.lower(), "basic", "scheme")
    same(base64.b64decode(credentials).decode(), ":".join(pair), "credentials")
    again = alike(lambda form: form.headers.build_authorization_basic(*pair))
    same(alike(lambda form: parse(form, again)), (kind, pair), "round trip")


def host(text: str) -> None:
    """Check ``is_host``."""
    found = alike(lambda form: form.headers.is_host(text))
    same(found, http_model.is_host(text), f"is_host({text!r}), model")


def uri(text: str) -> None:
    """Check ``parse_uri``: what it takes makes a request that a server reads."""

    def parse(form: ModuleType) -> Any:
        kind, parts = attempt(form, ["InvalidURI"], lambda: form.uri.parse_uri(text))
        if kind != "returned":
            return kind, parts
        client = form.client.ClientProtocol(parts)
        client.key = KEY
        if ":" in (parts.username or ""):  # it can be no user name in a request
            client.uri.username = client.uri.password = None
        request = client.connect()
        read = form.http11.RequestParser().feed(request.serialize())
        assert read is not None
        same(read.path, parts.resource_name, "target")
        assert http_model.is_host(read.headers["Host"]), read.headers["Host"]
        assert 0 <= parts.port <= 65535, parts.port
        assert text.lower().startswith("wss:" if parts.secure else "ws:")
        return [getattr(parts, name) for name in type(parts).__match_args__]

    alike(parse)


FUNCTIONS = (
    listed("parse_connection", http_model.is_token),
    listed("parse_upgrade", http_model.is_protocol),
    listed("parse_subprotocol", http_model.is_token, unique=True),
    extension,
    authorization,
    host,
    uri,
)


def check(data: bytes) -> None:
    """Raise if a promise is broken."""
    function = FUNCTIONS[data[0] % len(FUNCTIONS) if data else 0]
    if function is uri:
        function(data[1:].decode("utf-8", "surrogateescape"))
    else:
        function(data[1:].decode("latin-1"))
