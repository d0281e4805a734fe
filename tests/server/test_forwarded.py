"""Requests through a proxy: the short way past uvicorn's middleware changes no answer."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from safelight.forwarded import LOCAL_PROXIES, Forwarded

PEERS = [("127.0.0.1", 5), ("::1", 5), ("10.0.0.9", 5), None]
HEADERS: list[list[tuple[bytes, bytes]]] = [
    [],
    [(b"host", b"one.example"), (b"forwarded", b"for=1.2.3.4")],
    [(b"x-forwarded-for", b"1.2.3.4, 127.0.0.1")],
    [(b"x-forwarded-for", b"1.2.3.4"), (b"x-forwarded-for", b"5.6.7.8")],
    [(b"x-forwarded-for", b"")],
    [(b"x-forwarded-proto", b"https")],
    [(b"x-forwarded-proto", b"gopher"), (b"x-forwarded-for", b"1.2.3.4")],
    [(b"x-forwarded-port", b"81"), (b"x-real-ip", b"1.2.3.4"), (b"x-forwarded-host", b"h")],
]


async def seen(kind: Any, type_: str, peer: Any, headers: Any) -> Any:
    """The scope that the application is called with."""
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    made = kind(app) if kind is Forwarded else kind(app, LOCAL_PROXIES)
    scope = {"type": type_, "scheme": "http", "client": peer, "headers": headers}
    await made(scope, None, None)
    return scopes


@pytest.mark.parametrize("type_", ["http", "websocket"])
async def test_it_sees_what_uvicorns_own_way_sees(type_: str) -> None:
    """Whoever asks, and whatever is said of whom it asks for."""
    for peer, headers in product(PEERS, HEADERS):
        ours = await seen(Forwarded, type_, peer, headers)
        assert ours == await seen(ProxyHeadersMiddleware, type_, peer, headers)


async def test_a_proxy_here_is_believed_and_one_elsewhere_is_not() -> None:
    """The caller's address is the forwarded one only where the peer is this machine."""
    told = [(b"x-forwarded-for", b"1.2.3.4")]
    (here,) = await seen(Forwarded, "http", ("127.0.0.1", 5), told)
    (elsewhere,) = await seen(Forwarded, "http", ("10.0.0.9", 5), told)
    assert (here["client"][0], elsewhere["client"][0]) == ("1.2.3.4", "10.0.0.9")
