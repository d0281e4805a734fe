"""HTTP with one ComfyUI server: every request that is made of it, and what can go wrong.

Four things can, and they mean different things for a prompt: `Unreached`, nothing was
sent; `Unanswered`, it may have arrived; `Told`, an answer that is no success; `Garbled`, an
answer that is none of a ComfyUI server's. Sends the backend's credentials and no Origin.
Repeats nothing. Knows no prediction.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import anyio
import httpx2
import msgspec

from ...settings import BackendSettings
from ..http import Oversized, whole
from .answers import Accepted, Entry, Queue, Stats, Uploaded
from .graph import Graph
from .pace import Timings

T = TypeVar("T")

MAX_ANSWER = 128 * 1024 * 1024
"""Bytes of one answer: a queue carries the graphs of everybody."""


class Trouble(Exception):
    """A request that came to nothing; the message is one that people may read."""


class Unreached(Trouble):
    """No connection came about, so nothing was sent."""


class Unanswered(Trouble):
    """It was sent, perhaps, and no whole answer came."""


class Told(Trouble):
    """The answer is no success."""

    def __init__(self, status: int, body: bytes, page: bool) -> None:
        what = f"{status} with a web page" if page else str(status)
        super().__init__(f"the backend answered {what}")
        self.status = status
        self.body = body
        self.page = page


class Garbled(Trouble):
    """The answer is a success, and is not what a ComfyUI server says."""


def headers_of(settings: BackendSettings) -> dict[str, str]:
    """The credentials, for HTTP, the socket and its files alike."""
    headers = dict(settings.headers)
    if settings.token is not None:
        headers["Authorization"] = f"Bearer {settings.token}"
    return headers


class Client:
    """One server's HTTP interface, while `open` holds. No answer may have `most` bytes."""

    def __init__(self, settings: BackendSettings, timings: Timings, most: int = MAX_ANSWER) -> None:
        self._settings = settings
        self._most = most
        self._patience = max(timings.read, settings.timeout_seconds)
        self._http: httpx2.AsyncClient | None = None
        self._queue = _Shared()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hold its connections."""
        timeout = httpx2.Timeout(self._patience, connect=self._settings.timeout_seconds)
        secure = self._settings.url.startswith("https:")  # else no certificates are loaded
        async with httpx2.AsyncClient(
            base_url=self._settings.url,
            headers=headers_of(self._settings),
            timeout=timeout,
            limits=httpx2.Limits(max_connections=64, max_keepalive_connections=16),
            verify=secure,
            trust_env=False,
        ) as self._http:
            yield

    async def submit(self, graph: Graph, prompt_id: str, client_id: str) -> Accepted:
        """Queue a prompt. Never repeated here: two with one id would both run."""
        body = {"prompt": graph, "prompt_id": prompt_id, "client_id": client_id}
        return _read(await self._post("prompt", body), Accepted)

    async def history(self, prompt_id: str) -> Entry | None:
        """What became of a prompt; None while it has not ended, and if it is not known."""
        found = _read(await self._get(f"history/{quote(prompt_id, safe='')}"), dict[str, Entry])
        return found.get(prompt_id)

    async def queue(self) -> Queue:
        """What runs and waits, as it was after this call: callers of one moment share it."""
        return await self._queue.get(self._ask_queue)

    async def _ask_queue(self) -> Queue:
        body = await self._get("queue")
        try:
            return Queue.of(body)
        except (msgspec.DecodeError, RecursionError):
            raise _garbled(body) from None

    async def delete(self, prompt_id: str) -> None:
        """Take it out of the queue, if it waits there."""
        await self._post("queue", {"delete": [prompt_id]})

    async def interrupt(self, prompt_id: str) -> None:
        """Stop it, if it is the one that runs. Without an id it would stop whatever runs."""
        await self._post("interrupt", {"prompt_id": prompt_id})

    async def upload(self, name: str, data: bytes, media_type: str) -> Uploaded:
        """Give it a picture to start from."""
        form = {"type": "input", "subfolder": "safelight"}
        files = {"image": (name, data, media_type)}
        return _read(await self._ask("POST", "upload/image", data=form, files=files), Uploaded)

    async def stats(self) -> Stats:
        """Its version and devices."""
        return _read(await self._get("system_stats"), Stats)

    async def node_class(self, name: str) -> dict[str, Any] | None:
        """What one node class takes; None if it has no such class."""
        found = _read(await self._get(f"object_info/{quote(name, safe='')}"), dict[str, Any])
        info = found.get(name)
        return info if isinstance(info, dict) else None

    def view(self, filename: str, subfolder: str, type: str) -> str:
        """The address of a file, with exactly the three parts that every version takes."""
        asked = {"filename": filename, "subfolder": subfolder, "type": type}
        return f"{self._settings.url}/view?{urlencode(asked)}"

    async def _get(self, path: str) -> bytes:
        return await self._ask("GET", path)

    async def _post(self, path: str, body: Any) -> bytes:
        content = msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        return await self._ask("POST", path, content=content, headers=headers)

    async def _ask(self, method: str, path: str, **more: Any) -> bytes:
        assert self._http is not None, "it is open"
        try:
            with anyio.fail_after(2 * self._patience):
                async with self._http.stream(method, path, **more) as answer:
                    body = await whole(answer, self._most)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as trouble:
            raise Unreached(f"the backend {_UNREACHED[type(trouble)]}") from None
        except Oversized:
            raise Garbled("the backend's answer is larger than any that is expected") from None
        except (httpx2.HTTPError, TimeoutError) as trouble:
            how = (
                "in time"
                if isinstance(trouble, TimeoutError | httpx2.TimeoutException)
                else "whole"
            )
            raise Unanswered(f"the backend did not answer {how}") from None
        if answer.status_code != 200:
            raise Told(answer.status_code, body, _is_page(answer, body))
        return body


_UNREACHED: dict[type[Exception], str] = {
    httpx2.ConnectError: "refuses connections",
    httpx2.ConnectTimeout: "does not take connections",
    httpx2.PoolTimeout: "has too much under way",
}


def _is_page(answer: httpx2.Response, body: bytes) -> bool:
    return "html" in answer.headers.get("content-type", "") or body.lstrip()[:1] == b"<"


def _read(body: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, RecursionError):
        raise _garbled(body) from None


def _garbled(body: bytes) -> Garbled:
    if body.lstrip()[:1] == b"<":
        return Garbled("the backend answered with a web page; is its address right?")
    return Garbled("the backend's answer is not that of a ComfyUI server")


class _Shared:
    """One request at a time for many who ask: whoever comes while one is under way gets the
    answer to the next, which was asked after they came; or its trouble."""

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._asked = 0
        self._answer: Queue | Trouble | None = None

    async def get(self, ask: Callable[[], Awaitable[Queue]]) -> Queue:
        """Raises Trouble."""
        ticket = self._asked
        async with self._lock:
            if self._asked == ticket or self._answer is None:
                self._asked += 1
                self._answer = None  # should this one be called off
                try:
                    self._answer = await ask()
                except Trouble as trouble:
                    self._answer = trouble
            answer = self._answer
        if isinstance(answer, Trouble):
            raise answer
        return answer
