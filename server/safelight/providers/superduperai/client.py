"""HTTP with SuperDuperAI: every request that is made of it.

Repeats nothing, and tells what failed as `Trouble`, which knows whether the request may
have arrived. Knows no prediction and decides nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
import msgspec

from ...settings import ProviderSettings
from ..http import Fault, Trouble, body_of, client, json_of
from .shapes import File, Garbled, Page, read, read_files

T = TypeVar("T")

HOST = "https://editor.superduperai.co"
ROOT = "/api/v1"
PAGE = 100
"""Rows of a list that are asked for at once."""

MOST_ROWS = 1000
"""Rows of a list that are looked at."""


class Client:
    """One account's interface, while `open` holds."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.url = (settings.url or HOST).rstrip("/").removesuffix(ROOT)
        self.headers = {"Authorization": f"Bearer {settings.key}"} if settings.key else {}
        self.seconds = settings.request_seconds
        self._http: httpx2.AsyncClient | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hold its connections."""
        async with client(f"{self.url}{ROOT}", self.headers, self.seconds) as self._http:
            yield

    @property
    def http(self) -> httpx2.AsyncClient:
        """The connections."""
        assert self._http is not None, "it is open"
        return self._http

    async def me(self) -> None:
        """Whose key it is. Raises Trouble."""
        _read(_somebody, await self._ask("GET", "/user/me"))

    async def generate(self, kind: str, body: dict[str, Any]) -> list[File]:
        """Begin one, and never twice. Raises Trouble."""
        content = msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        answer = await self._ask("POST", f"/file/generate-{kind}", content=content, headers=headers)
        return _read(read_files, answer)

    async def file(self, id: str) -> File:
        """A file as it is now. Raises Trouble."""
        answer = await self._ask("GET", f"/file/{quote(id, safe='')}")
        return _read(_file, answer)

    async def files(self, kind: str) -> list[File]:
        """The newest files of a kind, newest first. Raises Trouble."""
        query = {"types": kind, "order_by": "created_at", "order": "descendent"}
        return await self.rows("/file", File, query)

    async def upload(self, name: str, data: bytes, media_type: str) -> File:
        """Give it a file to start from. Raises Trouble."""
        files = {"payload": (name, data, media_type)}
        query = {"type": media_type.partition("/")[0]}
        answer = await self._ask("POST", "/file/upload", files=files, params=query)
        return _read(_file, answer)

    async def rows(self, path: str, type_: type[T], query: dict[str, str] | None = None) -> list[T]:
        """A list, page by page; rows that cannot be read are none of ours. Raises Trouble."""
        found: list[T] = []
        for offset in range(0, MOST_ROWS, PAGE):
            asked = {**(query or {}), "limit": str(PAGE), "offset": str(offset)}
            answer = await self._ask("GET", path, params=asked)
            page = _read(_page, answer)
            for row in page.items:
                try:
                    found.append(read(bytes(row), type_))
                except Garbled:
                    continue
            if page.next is None or len(page.items) < PAGE:
                break
        return found

    async def _ask(self, method: str, path: str, **more: Any) -> bytes:
        """The body of a success, which may be long in coming. Raises Trouble."""
        return await body_of(self.http, method, path, seconds=2 * self.seconds, **more)


def _file(body: bytes) -> File:
    return read(body, File)


def _somebody(body: bytes) -> None:
    if not isinstance(json_of(body), dict):
        raise Garbled


def _page(body: bytes) -> Page:
    return read(body, Page)


def _read(reader: Callable[[bytes], T], body: bytes) -> T:
    try:
        return reader(body)
    except Garbled:
        why = "its answer is none that SuperDuperAI gives"
        raise Trouble(Fault(sent=True, why=why)) from None
