"""Many tests on one server: each is an owner of its own, who sees nothing of the others.

For tables of hundreds of rows, where a server for each would be most of the time. What
they share is the provider, so each has a gate of his own and lets his tasks end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from .served import PATIENCE, Guests, Phone, Served


class Tenant(Served):
    """A shared server as one owner sees it, at every door. `name` is his alone, for gates."""

    def __init__(self, shared: Served, token: str) -> None:
        self.url = shared.url
        self.scripted = shared.scripted
        self.context = shared.context
        self.connections = Guests()
        self.name = token
        self.http = httpx2.AsyncClient(
            base_url=shared.url,
            timeout=PATIENCE,
            headers={"Authorization": f"Bearer {token}"},
            verify=False,
        )

    @asynccontextmanager
    async def connect(self, query: str = "vsn=2.0.0", **more: Any) -> AsyncIterator[Phone]:
        """A socket of this owner."""
        async with super().connect(f"{query}&token={self.name}", **more) as phone:
            yield phone


def tokens(count: int) -> dict[str, str]:
    """The setting `tokens` for that many tenants."""
    return {f"token-{number:04d}": f"owner-{number}" for number in range(count)}


@asynccontextmanager
async def tenant(shared: Served, number: int) -> AsyncIterator[Tenant]:
    """The tenant of that number."""
    one = Tenant(shared, f"token-{number:04d}")
    async with one.http:
        yield one
