"""HTTP with Replicate: every request that is made of it, and what can go wrong.

What goes wrong is a `Trouble`, whose `fault` says whether the request may have arrived and
what was answered. Repeats nothing. The key goes to the configured origin and nowhere else,
and is in no message. Knows no prediction of ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx2
import msgspec

from ...settings import ProviderSettings
from .. import http
from ..http import Fault, Trouble
from .wire import Page, Snapshot, read_page, read_snapshot

T = TypeVar("T")

API = "https://api.replicate.com/v1"

FILE_SECONDS = 300.0
"""How long it may take to hand a file over."""


class Client:
    """The interface, while `open` holds."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.url = (settings.url or API).rstrip("/")
        self._key = settings.key or ""
        self._seconds = settings.request_seconds
        self._http: httpx2.AsyncClient | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hold its connections."""
        given = {"Authorization": f"Bearer {self._key}", "User-Agent": "safelight"}
        async with http.client(self.url, given, self._seconds) as self._http:
            yield

    def credentials(self, url: str) -> dict[str, str]:
        """What has to be sent along to fetch a file: our key, to this very origin only."""
        is_ours = http.is_same_origin(url, self.url)
        return {"Authorization": f"Bearer {self._key}"} if is_ours else {}

    async def create(self, path: str, body: Mapping[str, Any]) -> Snapshot:
        """Begin a prediction. Asked once, whatever comes of it."""
        return _read(await self._send("POST", path, body), read_snapshot)

    async def prediction(self, id: str) -> Snapshot:
        """How it is now."""
        return _read(await self._send("GET", f"predictions/{_part(id)}"), read_snapshot)

    async def cancel(self, id: str) -> Snapshot | None:
        """Ask for its end; how it is then, if that is told."""
        return read_snapshot(await self._send("POST", f"predictions/{_part(id)}/cancel"))

    async def predictions(self, created_after: str) -> Page:
        """The newest of this account's."""
        query = urlencode({"created_after": created_after})
        return _read(await self._send("GET", f"predictions?{query}"), read_page)

    async def more(self, next: str) -> Page:
        """A further page, by the address that the one before has told. One that leads away
        from where we ask is not followed."""
        url = http.joined(self.url, next)
        if not http.is_same_origin(url, self.url):
            raise Trouble(Fault(sent=False, why="its list leads elsewhere"))
        return _read(await self._send("GET", url), read_page)

    async def described(self, path: str) -> dict[str, Any]:
        """A model, a version or a deployment."""
        return _read(await self._send("GET", path), _object)

    async def account(self) -> dict[str, Any]:
        """Whose key it is."""
        return _read(await self._send("GET", "account"), _object)

    async def secret(self) -> str:
        """What webhooks are signed with."""
        said = _read(await self._send("GET", "webhooks/default/secret"), _object)
        key = said.get("key")
        if not isinstance(key, str) or not key:
            raise _garbled()
        return key

    async def upload(self, name: str, data: bytes, media_type: str) -> str:
        """Hand a file over; the address by which a prediction may take it."""
        files = {"content": (name, data, media_type)}
        said = _read(await self._ask("POST", "files", FILE_SECONDS, files=files), _object)
        urls = said.get("urls")
        url = urls.get("get") if isinstance(urls, dict) else None
        if not isinstance(url, str):
            raise _garbled()
        return url

    async def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        if body is None:
            return await self._ask(method, path, self._seconds)
        content, headers = msgspec.json.encode(body), {"Content-Type": "application/json"}
        return await self._ask(method, path, self._seconds, content=content, headers=headers)

    async def _ask(self, method: str, path: str, seconds: float, **more: Any) -> bytes:
        assert self._http is not None, "it is open"
        return await http.body_of(self._http, method, path, seconds=seconds, **more)


def _part(id: str) -> str:
    return quote(id, safe="")


def _object(body: bytes) -> dict[str, Any] | None:
    said = http.json_of(body)
    return said if isinstance(said, dict) else None


def _read(body: bytes, read: Callable[[bytes], T | None]) -> T:
    """What it says; Trouble for a success that is none of Replicate's."""
    found = read(body)
    if found is None:
        raise _garbled()
    return found


def _garbled() -> Trouble:
    return Trouble(Fault(sent=True, why="its answer is not one of Replicate's"))
