"""The providers that call us back, as the door for their calls sees them: by name, as
functions. So the door knows no provider, and no provider the door.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from .providers.base import Delivery, Hooked, Provider

Deliver = Callable[[Mapping[str, str], Mapping[str, str], bytes], Awaitable[None]]
"""Takes a call in: its query, its headers in lower case, its bytes. Raises Refused."""


def callbacks_of(providers: Mapping[str, Provider]) -> dict[str, Deliver]:
    """Those that take calls, by name."""
    return {name: _taking(one) for name, one in providers.items() if isinstance(one, Hooked)}


def _taking(provider: Hooked) -> Deliver:
    async def deliver(query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> None:
        await provider.deliver(Delivery(query, headers, body))

    return deliver
