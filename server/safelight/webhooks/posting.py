"""One try at handing a notice over: posted, and what the receiver's answer means.

Follows no redirect and reads no more of an answer than it needs. Decides nothing about
another try but what the receiver itself says of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio.to_thread
import httpcore2
import msgspec

from .guarded import Forbidden, Guarded

MAX_WAIT_SECONDS = 86_400.0
"""The longest pause that a receiver may ask for."""


class Taken(msgspec.Struct, frozen=True):
    """The receiver has it."""


class NotTaken(msgspec.Struct, frozen=True):
    """It was not taken now; `after_seconds` is the receiver's own wish. With `final` there is
    no use in another try."""

    error: str
    after_seconds: float = 0.0
    final: bool = False


class Poster:
    """Posts over connections of its own, open within `open`, and made ready when they are first
    needed: certificates take a while to read. A try takes `seconds` at most; `private` allows
    receivers in private networks."""

    def __init__(self, seconds: float, *, private: bool, network: Guarded | None = None) -> None:
        self._seconds = seconds
        self._network = network or Guarded(private=private)
        self._pools: dict[bytes, httpcore2.AsyncConnectionPool] = {}
        self._making = asyncio.Lock()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Close at the end what was opened meanwhile."""
        try:
            yield
        finally:
            for pool in self._pools.values():
                await pool.aclose()

    async def _pool(self, scheme: bytes) -> httpcore2.AsyncConnectionPool:
        """Those for a scheme; certificates are read in a thread, once."""
        async with self._making:
            if scheme not in self._pools:
                secure = None
                if scheme == b"https":
                    secure = await anyio.to_thread.run_sync(httpcore2.default_ssl_context)
                self._pools[scheme] = httpcore2.AsyncConnectionPool(
                    ssl_context=secure,
                    max_connections=None,
                    max_keepalive_connections=16,
                    keepalive_expiry=30.0,
                    network_backend=self._network,
                )
        return self._pools[scheme]

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Taken | NotTaken:
        """Try once."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._post(url, headers, body)
        except (TimeoutError, httpcore2.TimeoutException):
            return NotTaken(f"no answer within {self._seconds:g} s")
        except Forbidden as forbidden:
            return NotTaken(str(forbidden), final=True)
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as trouble:
            return NotTaken(f"the connection failed: {type(trouble).__name__}")
        except (httpcore2.UnsupportedProtocol, ValueError, TypeError):  # of an address
            return NotTaken("the address cannot be asked", final=True)

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Taken | NotTaken:
        target = httpcore2.URL(url)
        pool = await self._pool(target.scheme)
        sent = {
            "Host": _host_of(target),
            "Content-Type": "application/json",
            "User-Agent": "safelight",
            "Content-Length": str(len(body)),
            **headers,
        }
        async with pool.stream("POST", target, headers=list(_spelt(sent)), content=body) as a:
            after = _seconds_in(dict(a.headers))
            match a.status:
                case status if 200 <= status < 300:
                    return Taken()
                case 410:
                    return NotTaken("the receiver wants no more of them (410)", final=True)
                case status if 300 <= status < 400:
                    return NotTaken(f"the receiver redirects ({status}), which is not followed")
                case status:
                    return NotTaken(f"the receiver answered {status}", after)


def _spelt(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


def _host_of(url: httpcore2.URL) -> str:
    host = url.host.decode()
    host = f"[{host}]" if ":" in host else host
    return host if url.port is None else f"{host}:{url.port}"


def _seconds_in(headers: Mapping[bytes, bytes]) -> float:
    """The Retry-After of an answer, where it counts seconds."""
    for name, value in headers.items():
        if name.lower() == b"retry-after" and value.strip().isdigit():
            return min(float(value), MAX_WAIT_SECONDS)
    return 0.0
