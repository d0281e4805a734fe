"""The REST door from the client's side: one request, its answer, and trying again.

Owns how answers and refusals are read, and when a request is sent again: only what
does no harm twice is. Bodies are handed over; what they mean is not known here. Their
forms stand in docs/wire.md.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from random import random
from typing import Any, Generic, TypeVar
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import anyio
import httpx2
import msgspec

from safelight_protocol.backoff import connect_delay

from .errors import Damaged, RequestRefused, Unreachable, WrongAnswer, refusal_of_answer
from .times import USUAL, Times

T = TypeVar("T")

PIECE_BYTES = 256 * 1024


class _Answer(msgspec.Struct, Generic[T], frozen=True):
    data: T


class Rest:
    """Requests to one server. `base` is its address, without a slash at the end.

    `patience` is for how many seconds a request that may be repeated is tried again;
    0 means one try.
    """

    def __init__(
        self,
        base: str,
        token: str | None,
        *,
        patience: float,
        times: Times = USUAL,
        clock: Callable[[], float] = time.monotonic,
        die: Callable[[], float] = random,
    ) -> None:
        self._base = base
        self._own = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._patience = patience
        self._clock = clock
        self._die = die
        # `trust_env` would send what is meant for this machine through a proxy.
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(times.request, connect=times.open), trust_env=False
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        body: object = None,
        file: bytes | Path | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """One try: `data` of the answer. A `file` is sent as it is, in place of a body.
        Raises Unreachable, RequestRefused, WrongAnswer; OSError for a file that cannot be read."""
        url = self._base + path
        content = None if body is None else msgspec.json.encode(body)
        size = 0
        if isinstance(file, Path):
            size = (await anyio.Path(file).stat()).st_size
            headers = {**(headers or {}), "Content-Length": str(size)}
        try:
            response = await self._http.request(
                method,
                url,
                params=query,
                content=pieces_of(file, size) if isinstance(file, Path) else file or content,
                headers={**self._own, **(headers or {})},
            )
        except httpx2.HTTPError as trouble:
            raise Unreachable(self._base, _why(trouble)) from None
        if response.status_code >= 300:
            raise refusal_of_answer(response.status_code, response.content, url)
        try:
            return msgspec.json.decode(response.content, type=_Answer[answer]).data  # type: ignore[valid-type]
        except msgspec.DecodeError as trouble:
            raise WrongAnswer(f"the answer of {url} cannot be read: {trouble}") from None

    async def insist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make an attempt again when the connection was lost or the server says "later",
        until `patience` is over; then its last trouble is raised."""
        ends_at = self._clock() + self._patience
        failures = 0
        while True:
            try:
                return await attempt()
            except (Unreachable, RequestRefused) as trouble:
                if isinstance(trouble, RequestRefused) and trouble.retry != "later":
                    raise
                failures += 1
                delay = connect_delay(failures, self._die())
                if self._clock() + delay > ends_at:
                    raise
            await anyio.sleep(delay)

    async def download(self, url: str, path: Path, sha256: str | None) -> None:
        """One try: the file at `url`, whole or not at all, in place of what is at `path`."""
        part = path.with_name(f".{path.name}.{uuid4().hex[:8]}.part")
        try:
            found = await self._fetch(urljoin(self._base + "/", self._rooted(url)), part)
            if sha256 is not None and found != sha256:
                raise Damaged(f"{url}: found the hash {found[:12]}…, expected {sha256[:12]}…")
            await anyio.to_thread.run_sync(os.replace, part, path)
        finally:
            part.unlink(missing_ok=True)

    async def _fetch(self, url: str, part: Path) -> str:
        digest = hashlib.sha256()
        try:
            async with self._http.stream("GET", url, headers=self._headers_for(url)) as response:
                if response.status_code != 200:
                    raise refusal_of_answer(response.status_code, await response.aread(), url)
                async with await anyio.open_file(part, "wb") as file:
                    async for chunk in response.aiter_bytes():
                        digest.update(chunk)
                        await file.write(chunk)
                    await file.flush()
                    await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
        except httpx2.HTTPError as trouble:
            raise Unreachable(self._base, _why(trouble)) from None
        return digest.hexdigest()

    def _rooted(self, url: str) -> str:
        """A path of the server's may stand below a path of the base address."""
        return self._base + url if url.startswith("/") else url

    def _headers_for(self, url: str) -> Mapping[str, str]:
        """The token goes to our server and to nobody else."""
        asked, own = urlsplit(url), urlsplit(self._base)
        return self._own if (asked.scheme, asked.netloc) == (own.scheme, own.netloc) else {}


async def pieces_of(file: Path, size: int) -> AsyncIterator[bytes]:
    """So many bytes of a file, which were announced: it may be written to meanwhile. Raises
    OSError for one that has become shorter."""
    async with await anyio.open_file(file, "rb") as opened:
        while size:
            piece = await opened.read(min(size, PIECE_BYTES))
            if not piece:
                raise OSError(f"{file} became shorter while it was sent")
            size -= len(piece)
            yield piece


def _why(trouble: httpx2.HTTPError) -> str:
    match trouble:
        case httpx2.ConnectError():
            return "no connection"
        case httpx2.TimeoutException():
            return "no answer in time"
        case _:
            return str(trouble) or type(trouble).__name__


def query_of(**values: Any) -> dict[str, str]:
    """A query of what is given; None is left out."""
    return {name: str(value) for name, value in values.items() if value is not None}
