"""One try at fetching a provider's file: streamed to our disk, bounded, believed in nothing.

A redirect is followed by hand: to the same origin, or to another one by https, a few times.
What the provider wants sent along (credentials) goes to the announced origin only. Nothing
of an address is ever told on: it may be a capability. What may pass is `Passing`; every
other trouble is Refused. When to try again is decided in fetches.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy

import anyio
import anyio.to_thread
import httpx2

from safelight_protocol.codes import Refused

from .artifacts import ArtifactStore, Kept, Wanted
from .incoming import Damaged, refuse_larger
from .providers.base import Found

MOST_REDIRECTS = 5

PIECE_BYTES = 64 * 1024

LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=16)
"""Who hangs must not keep others waiting; how many fetch at once is bounded by the tasks that
run."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same request may succeed."""

PAGES = ("text/html", "application/xhtml+xml")
"""What stands where a file should: the page of a proxy, say, whose server is away."""


class Passing(Exception):
    """It could not be fetched now; the message may be told."""


Follow = Callable[[httpx2.URL, httpx2.URL], bool]


def may_follow(announced: httpx2.URL, to: httpx2.URL) -> bool:
    """Whether a redirect may lead there. A provider must not make us ask our own network:
    another origin has to answer by https, for a name that is its own."""
    return origin(announced) == origin(to) or (to.scheme == "https" and not to.userinfo)


def origin(url: httpx2.URL) -> tuple[str, str, int]:
    """Scheme, host and port."""
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme, 0)


class Fetcher:
    """Fetches over clients that are made when they are first needed, and closed at the end of
    `open`. A source may be silent for `silence` seconds."""

    def __init__(
        self, artifacts: ArtifactStore, silence: float, follow: Follow = may_follow
    ) -> None:
        self._artifacts = artifacts
        self._silence = silence
        self._follow = follow
        self._clients: dict[str, httpx2.AsyncClient] = {}
        self._making = anyio.Lock()
        self.requests = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Close at the end what was opened meanwhile."""
        try:
            yield
        finally:
            for client in self._clients.values():
                await client.aclose()

    async def fetch(self, found: Found, wanted: Wanted) -> Kept:
        """Ask once and keep what comes. Raises Passing or Refused (as `receive` does, and
        `artifact_unavailable` for a source that says no)."""
        try:
            async with self._answer(found) as answer:
                self._check(answer, found)
                return await self._artifacts.receive(_bytes(answer, found), wanted)
        except Damaged as damage:
            raise Passing(str(damage)) from None
        except httpx2.TimeoutException:
            raise Passing("its source did not answer in time") from None
        except httpx2.TransportError as trouble:
            raise Passing(f"its source could not be read: {type(trouble).__name__}") from None

    @asynccontextmanager
    async def _answer(self, found: Found) -> AsyncIterator[httpx2.Response]:
        """The answer behind all redirects, its body unread."""
        url = announced = _address(found.url)
        for _ in range(MOST_REDIRECTS + 1):
            headers = {"Accept-Encoding": "identity"}
            if origin(url) == origin(announced):
                headers |= found.headers
            self.requests += 1
            client = await self._client(url.scheme)
            try:
                request = client.build_request("GET", url, headers=headers)
            except ValueError:
                raise _no("what is to be sent along is no header") from None
            answer = await client.send(request, stream=True)
            try:
                if not answer.has_redirect_location:
                    yield answer
                    return
                url = _address(answer.headers["location"], base=url)
            finally:
                await answer.aclose()
            if not self._follow(announced, url):
                raise _no("its source leads to where we may not go")
        raise _no(f"its source leads on more than {MOST_REDIRECTS} times")

    async def _client(self, scheme: str) -> httpx2.AsyncClient:
        """Certificates are read (in a thread: it takes a while) for https only. What is meant
        for this machine is not to go through a proxy of the environment's. Nobody's cookies are
        kept: they would be sent to another port of the same host."""
        secure, silence = scheme == "https", self._silence
        make = partial(
            httpx2.AsyncClient,
            timeout=silence,
            limits=LIMITS,
            verify=secure,
            trust_env=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )
        async with self._making:
            if scheme not in self._clients:
                self._clients[scheme] = await anyio.to_thread.run_sync(make)
        return self._clients[scheme]

    def _check(self, answer: httpx2.Response, found: Found) -> None:
        """What the head says; nothing of the body is read if it is wrong."""
        status, headers = answer.status_code, answer.headers
        if status in PASSING:
            raise Passing(f"its source answered {status}")
        if status != 200:
            raise _no(f"its source answered {status}")
        if headers.get("content-type", "").partition(";")[0].strip().lower() in PAGES:
            raise Passing("its source answered with an HTML page")
        if headers.get("content-encoding", "identity") != "identity":
            raise _no("its source answered with encoded bytes, which we did not ask for")
        announced = headers.get("content-length", "")
        size = int(announced[:18]) if announced.isdecimal() else 0
        refuse_larger(max(size, found.bytes or 0), self._artifacts.max_bytes)


async def _bytes(answer: httpx2.Response, found: Found) -> AsyncIterator[bytes]:
    size = 0
    async for piece in answer.aiter_raw(PIECE_BYTES):
        size += len(piece)
        yield piece
    if found.bytes not in (None, size):
        raise Damaged(f"{size} bytes came, and {found.bytes} were announced")


def _address(text: str, base: httpx2.URL | None = None) -> httpx2.URL:
    try:
        url = httpx2.URL(text) if base is None else base.join(text)
    except (httpx2.InvalidURL, ValueError):
        raise _no("its address is none") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise _no("its address is neither http nor https")
    if not 0 < (url.port or 80) < 65536:
        raise _no("its address has a port that is none")
    return url


def _no(why: str) -> Refused:
    return Refused("artifact_unavailable", f"A file of the result could not be fetched: {why}.")
