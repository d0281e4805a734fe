"""For whom a proxy on this machine asks: X-Forwarded-For and -Proto, as uvicorn reads them.

uvicorn's middleware looks at every request's peer and headers for that; most requests
come through no proxy, so it is only asked where one of its headers is there. Whom it
believes is decided here. Knows neither routes nor tasks.
"""

from __future__ import annotations

from collections.abc import Awaitable

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

LOCAL_PROXIES = "127.0.0.1,::1"
"""Whose X-Forwarded-For is believed; said here so that no variable says otherwise."""

FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
"""What uvicorn's middleware reads; a test holds it to that."""


class Forwarded:
    """An application behind a proxy, or not."""

    def __init__(self, app: ASGI3Application) -> None:
        self._app = app
        self._behind = ProxyHeadersMiddleware(app, LOCAL_PROXIES)

    def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> Awaitable[None]:
        """One request or one socket; the lifespan goes through untouched."""
        if scope["type"] != "lifespan":
            for name, _ in scope["headers"]:
                if name in FORWARDED:
                    return self._behind(scope, receive, send)
        return self._app(scope, receive, send)
