"""Who asks, and may this page ask at all: token, origin and host of a request.

Turns what arrives at a door into a `Principal` or a refusal, from plain values or an
ASGI scope; every door uses it and nothing else decides. Tokens are compared in
constant time and never logged. Which task an owner may see is not decided here.
The three ways to carry a token are written in docs/wire.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, unquote_plus, urlsplit

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.identity import shown

from ..settings import Settings, is_loopback

LOCAL_OWNER = "local"
SUBPROTOCOL = "base64url.bearer.phx."
"""What phoenix.js puts before its `authToken` in Sec-WebSocket-Protocol."""

QUERY_NAMES = ("token", "apikey")
"""What the query may call a token; the second is the word of supabase's clients."""

MOST_IN_QUERY = 4
"""How many of them are tried. The query is the one place that says the word for other things
too: a supabase client sends an `apikey` of its own, a long-poll the token of its session."""

MOST_REMEMBERED = 512
"""Of the headers with which somebody was admitted."""

Headers = tuple[tuple[bytes, bytes], ...]

_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


class Principal(msgspec.Struct, frozen=True):
    """Whoever asks; an owner sees the tasks of that owner and no others."""

    owner: str


def _one_origin(asking: tuple[str, int], ours: tuple[str, int] | None) -> bool:
    """Equal, or both this machine by another of its names: the server prints 127.0.0.1,
    and people write localhost."""
    if ours is None or asking == ours:
        return ours is not None
    return asking[1] == ours[1] and is_loopback(asking[0]) and is_loopback(ours[0])


class Authenticator:
    """Checks against the settings, of whose tokens it holds digests; of what was sent it holds
    the last heads that were let in, tokens and all, in memory alone."""

    def __init__(self, settings: Settings) -> None:
        self._owners = {_digest(token): owner for token, owner in settings.tokens.items()}
        self._open_owner = settings.anonymous_owner
        self._admitted: dict[Headers, str] = {}
        self._origins = frozenset(origin.lower() for origin in settings.allowed_origins)
        scheme, _, rest = (settings.public_url or "").lower().partition("://")
        self._public = _authority(rest.partition("/")[0], scheme)
        self._names = {settings.host.strip("[]").lower()}
        if self._public is not None:
            self._names.add(self._public[0])

    def admit_page(self, scope: Mapping[str, Any]) -> dict[str, str]:
        """Only whether this page may ask, by this name; returns the headers.

        Raises Refused `forbidden`.
        """
        headers = {
            name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]
        }
        self.check_host(headers)
        self.check_origin(headers)
        return headers

    def admit(self, scope: Mapping[str, Any]) -> Principal:
        """All checks on an ASGI scope, `http` or `websocket` (then before accepting).

        Raises Refused `unauthorized` or `forbidden`.
        """
        owner = self._at_once(scope["headers"])
        if owner is not None:
            return Principal(owner)
        headers = self.admit_page(scope)
        client = scope.get("client")
        return self.principal(
            headers,
            scope.get("query_string", b"").decode("latin-1"),
            scope.get("subprotocols") or (),
            None if client is None else client[0],
        )

    def _at_once(self, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
        """The owner of a known token in the header of a program, which names no page; None
        says nothing: all is looked at in turn."""
        if not self._owners:
            return None
        if type(headers) is not tuple:
            return self._bearer_of(headers)
        # Headers that our own server remembers, and compares as a whole: what was admitted
        # with all of them is so again, and nothing is learnt from the time by guessing.
        owner = self._admitted.get(headers)
        if owner is None:
            owner = self._bearer_of(headers)
            if owner is not None:
                if len(self._admitted) >= MOST_REMEMBERED:
                    self._admitted.clear()
                self._admitted[headers] = owner
        return owner

    def _bearer_of(self, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
        sent = b""
        for name, value in headers:
            if name == b"authorization":
                sent = value
            elif name == b"origin":
                return None
        scheme, _, bearer = sent.decode("latin-1").partition(" ")
        token = bearer.strip() if scheme.lower() == "bearer" else ""
        return self._owner_of(token) if token else None

    def principal(
        self,
        headers: Mapping[str, str],
        query: str,
        subprotocols: Sequence[str],
        peer: str | None,
    ) -> Principal:
        """The owner of the token that is carried; header names are in lower case.

        `query` is the raw query string. `peer` is the caller's address, None for a
        Unix socket. The header counts before the query, the query before the
        sub-protocol; an empty token is none; of several in the query the first that is
        known. Without configured tokens a token that is sent is ignored.
        """
        if not self._owners:
            return self._without_tokens(peer)
        for token in _carried(headers, query, subprotocols):
            owner = self._owner_of(token)
            if owner is not None:
                return Principal(owner)
        raise Refused("unauthorized", "No token, or one that is not known.")

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Browsers name the page that asks: it must be ours or an allowed one.

        Programs send no Origin and pass; so does `*` among the allowed ones.
        """
        origin = headers.get("origin")
        if origin is None or "*" in self._origins or origin.lower() in self._origins:
            return
        scheme, _, netloc = origin.lower().partition("://")
        asking = _authority(netloc, scheme)
        ours = (_authority(headers.get("host", ""), scheme), self._public)
        if asking is None or not any(_one_origin(asking, our) for our in ours):
            message = f"The origin {shown(origin)} is not allowed here: add it to allowed_origins."
            raise Refused("forbidden", message)

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Without tokens, the name by which we are asked must be ours.

        A page on evil.example may point its name at 127.0.0.1 (DNS rebinding) and so
        be of our origin; but the browser still says Host: evil.example. Addresses
        cannot be rebound and pass.
        """
        host = headers.get("host")
        if self._owners or not host:
            return
        name, _ = _authority(host, "http") or ("", 0)
        if not (is_loopback(name) or _is_address(name) or name in self._names):
            message = f"The host {shown(host)} is not a name of this server (see public_url)."
            raise Refused("forbidden", message)

    def _without_tokens(self, peer: str | None) -> Principal:
        if self._open_owner is not None:
            return Principal(self._open_owner)
        if peer is None or is_loopback(peer):
            return Principal(LOCAL_OWNER)
        message = "Without tokens only callers on this machine are let in."
        raise Refused("unauthorized", message)

    def _owner_of(self, token: str) -> str | None:
        """Every configured token is compared, so that the time taken tells nothing."""
        digest = _digest(token)
        found = None
        for known, owner in self._owners.items():
            if hmac.compare_digest(known, digest):
                found = owner
        return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _carried(headers: Mapping[str, str], query: str, subprotocols: Sequence[str]) -> list[str]:
    """The token that is carried, in each way in which it may be meant."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return [bearer.strip()]
    if headers.get("x-phoenix-authtoken"):  # what phoenix.js makes of `authToken` when it polls
        return [headers["x-phoenix-authtoken"]]
    pairs = [pair.partition("=") for pair in query.split("&")]
    values = [value for name, _, value in pairs if name in QUERY_NAMES and value]
    if values:
        return [reading for value in values[:MOST_IN_QUERY] for reading in _query_readings(value)]
    entries = [entry for entry in subprotocols if entry.startswith(SUBPROTOCOL)]
    if len(entries) != 1:
        return []
    return _decoded(entries[0].removeprefix(SUBPROTOCOL))


def _query_readings(value: str) -> list[str]:
    """`+` is a blank in HTML forms and itself in RFC 3986; clients do both."""
    return list(dict.fromkeys([unquote(value), unquote_plus(value)]))


def _decoded(text: str) -> list[str]:
    """Base64 without padding. phoenix.js sends the URL-safe alphabet, others the plain one."""
    plain = text.replace("-", "+").replace("_", "/")
    try:
        return [base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode("utf-8")]
    except (binascii.Error, UnicodeDecodeError):
        return []


@lru_cache(maxsize=256)
def _authority(netloc: str, scheme: str) -> tuple[str, int] | None:
    """Host name and port of `host[:port]`; None if it is none, or no scheme of the web."""
    try:
        parts = urlsplit(f"//{netloc}")
        port = parts.port or _DEFAULT_PORTS[scheme]
    except (ValueError, KeyError):
        return None
    return None if not parts.hostname else (parts.hostname, port)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
