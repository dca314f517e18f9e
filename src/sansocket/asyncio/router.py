"""An asyncio server that chooses the handler by the path of the request.

Patterns are those of werkzeug, which the extra ``router`` installs.
"""

from __future__ import annotations

from urllib.parse import unquote

from .._base import options
from .._base.mirrored import names_from_elsewhere
from .._base.options import awaitable
from .._base.values import refuse, text
from ..headers import is_host
from ._server_connection import _result
from .server import serve

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import ssl as ssl_module
    from typing import Any, Literal

    from werkzeug.routing import Map

    from ..http11 import Request, Response
    from ._server_connection import ProcessRequest
    from .server import Server, ServerConnection

__all__ = ["Router", "route", "unix_route"]


class Router:
    """The link between the server and the handlers of ``route()``, for subclassing.

    It sets ``handler`` and ``handler_kwargs`` of each connection for which there is a
    handler.

    Args:
        url_map: handlers by patterns of the path.
        server_name: host and optional port known to clients, for redirects and for
            rules that name a host; ``None`` uses the value of ``Host``.
        url_scheme: scheme for redirects, ``"ws"`` or ``"wss"``.

    Raises:
        ImportError: if werkzeug is missing.
        TypeError: if an argument has a wrong type, or a handler is certainly not a
            coroutine function with the right arguments.
    """

    def __init__(
        self, url_map: Map, server_name: str | None = None, url_scheme: str = "ws"
    ) -> None:
        try:
            import werkzeug.exceptions
            import werkzeug.routing
        except ImportError as exc:
            raise ImportError(
                "routing needs a library: pip install 'sansocket[router]'"
            ) from exc
        if not isinstance(url_map, werkzeug.routing.Map):
            refuse("url_map", "a Map of werkzeug", url_map, TypeError)
        text("server_name", server_name)
        self._redirection = werkzeug.routing.RequestRedirect
        self._no_match = werkzeug.exceptions.HTTPException
        self.url_map = url_map
        self.server_name = server_name
        self.url_scheme = url_scheme
        own = type(self).route_request is Router.route_request
        own = own and type(self).handler is Router.handler
        for rule in url_map.iter_rules():
            rule.websocket = True
            if own and rule.endpoint is not None:
                name = f"the handler of {rule.rule!r}"
                options.check_handler(name, rule.endpoint, sorted(rule.arguments))

    def get_server_name(self, connection: ServerConnection, request: Request) -> str:
        """Return the host and optional port in the request; "" if they are not valid.

        Args:
            connection: the connection.
            request: request of the client.
        """
        if self.server_name is not None:
            return self.server_name
        hosts = request.headers.get_all("Host")
        return hosts[0] if len(hosts) == 1 and is_host(hosts[0]) else ""

    def redirect(self, connection: ServerConnection, url: str) -> Response:
        """Make a redirect response.

        Args:
            connection: the connection.
            url: target of the redirect.
        """
        response = connection.respond(302, f"Found at {url}\n")
        response.headers["Location"] = url
        return response

    def not_found(self, connection: ServerConnection) -> Response:
        """Make the response for a path without a handler.

        Args:
            connection: the connection.
        """
        return connection.respond(404, "Not found.\n")

    def route_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Choose the handler; if there is none, return a response.

        Args:
            connection: the connection.
            request: request of the client.
        """
        server_name = self.get_server_name(connection, request)
        if not server_name:
            return connection.respond(400, "No valid Host.\n")
        path, _, query = request.path.partition("?")
        try:
            urls = self.url_map.bind(server_name, url_scheme=self.url_scheme)
            handler, arguments = urls.match(
                unquote(path), "GET", query_args=query, websocket=True
            )
        except self._redirection as exc:
            return self.redirect(connection, exc.new_url)
        except self._no_match:
            return self.not_found(connection)
        connection.handler = handler
        connection.handler_kwargs = arguments
        return None

    async def handler(self, connection: ServerConnection) -> None:
        """Run the handler that was chosen for a connection.

        Args:
            connection: the connection.
        """
        handler = connection.handler
        await awaitable(handler, handler(connection, **connection.handler_kwargs))


def route(
    url_map: Map,
    *args: Any,
    server_name: str | None = None,
    ssl: ssl_module.SSLContext | Literal[True] | None = None,
    create_router: type[Router] | None = None,
    **kwargs: Any,
) -> Server:
    """Make a WebSocket server that chooses the handler by the path.

    For example::

        url_map = Map([Rule("/rooms/<int:number>", endpoint=enter_room)])
        async with route(url_map, "localhost", 8765) as server:
            await server.serve_forever()

    A handler is called with the connection and, as keyword arguments, with the parts
    of the path that its pattern matched, percent-decoded. A path without a matching
    pattern gets a 404. Rules need no ``websocket=True``; it is set automatically.

    Args:
        url_map: handlers, as endpoints of werkzeug's rules.
        *args: as for ``serve()``, without the handler.
        server_name: host and optional port known to clients, for redirects and for
            rules that name a host; ``None`` uses the value of ``Host``.
        ssl: as for ``serve()``; ``True`` redirects to ``wss://`` without using TLS
            here, for a server behind a proxy that terminates TLS.
        create_router: class of the router.
        **kwargs: as for ``serve()``. ``process_request`` is called before a handler is
            chosen; if it returns a response, none is.

    Raises:
        ImportError: if werkzeug is missing.
        TypeError: as for ``serve()``, or if a handler is certainly not a coroutine
            function with the right arguments.
        ValueError: as for ``serve()``.
    """
    given = {"create_router": create_router}
    given["process_request"] = kwargs.get("process_request")
    options.check(options.SERVER_RULES, **given)
    if ssl is not None and ssl is not True:
        kwargs["ssl"] = ssl
    router = (create_router or Router)(
        url_map, server_name, "ws" if ssl is None else "wss"
    )
    kwargs["process_request"] = _then(
        kwargs.get("process_request"), router.route_request
    )
    return serve(router.handler, *args, **kwargs)


def unix_route(
    url_map: Map, path: str | os.PathLike[str] | None = None, **kwargs: Any
) -> Server:
    """Make a WebSocket server on a Unix socket that chooses the handler by the path.

    Args:
        url_map: as for ``route()``.
        path: path of the socket.
        **kwargs: as for ``route()`` and ``unix_serve()``.
    """
    return route(url_map, unix=True, path=path, **kwargs)


def _then(first: ProcessRequest | None, second: ProcessRequest) -> ProcessRequest:
    """Call the first; call the second if the first returned no response."""
    if first is None:
        return second

    async def process_request(
        connection: ServerConnection, request: Request
    ) -> Response | None:
        response: Response | None = await _result(first(connection, request))
        if response is None:
            response = await _result(second(connection, request))
        return response

    return process_request


if not TYPE_CHECKING:
    __getattr__ = names_from_elsewhere(__name__)
