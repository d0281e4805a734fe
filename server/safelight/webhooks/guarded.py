"""Connections that lead to the open internet only: nobody's webhook may ask our own network.

A name is resolved here, every address it has is looked at, and the connection goes to one of
those very addresses: a name that leads elsewhere a moment later leads nowhere. TLS is still
held against the name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable

import httpcore2
import httpx2

Resolve = Callable[[str, int], Awaitable[list[str]]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")

_INSIDE = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b:1::/48", "::ffff:0:0:0/96", "fec0::/10", "3fff::/20", "5f00::/16")
)
"""What some versions of Python take for global: a network's own NAT64, IPv4 in its translated
form, sites, documentation and segment routing."""


class Forbidden(Exception):
    """The address is not one that may be asked; the message may be told to its owner."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the system's order. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(text: str) -> bool:
    """Whether an address is one of the open internet, also behind its wrappings: an IPv4
    address within an IPv6 one counts as itself."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network in _INSIDE):
            return False
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            address = inner
        elif address.teredo is not None or int(address) < 2**32:
            return False
    return address.is_global and not address.is_multicast


def literal(host: str) -> str | None:
    """The address that a host is, also in the spellings that only old resolvers know
    (`127.1`, `0x7f.1`, `2130706433`); None of a name."""
    bare = host.strip("[]").partition("%")[0]
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(bare)) if bare[:1].isdigit() else None
    except OSError:
        return None


def host_in(url: str) -> str:
    """The host that an address names, small and without brackets; empty where it names none:
    nothing that is written with an event may fail for a webhook's sake."""
    try:
        return httpx2.URL(url).host
    except httpx2.InvalidURL:
        return ""


def refuse_private(host: str) -> None:
    """Raises Forbidden for what is known to be private without asking anybody."""
    address = literal(host)
    name = host.rstrip(".").lower()
    if (address is not None and not is_public(address)) or name == "localhost":
        raise Forbidden(f"{host} is an address of a private network")
    if name.endswith((".localhost", ".local", ".internal")):
        raise Forbidden(f"{host} is a name of a private network")


class Guarded(httpcore2.AsyncNetworkBackend):
    """Connects to public addresses, or with `private` to any."""

    def __init__(self, *, private: bool, resolve: Resolve = resolve) -> None:
        self._private = private
        self._resolve = resolve
        self._below = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - its caller says so
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises Forbidden, or what httpcore2 raises."""
        if not self._private:
            refuse_private(host)
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"{host} was not resolved in time") from None
        except (OSError, UnicodeError):
            raise httpcore2.ConnectError(f"{host} could not be resolved") from None
        if not self._private and not all(map(is_public, addresses)):
            raise Forbidden(f"{host} leads to an address of a private network")
        trouble: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return await self._below.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as failed:
                trouble = failed
        raise trouble

    async def sleep(self, seconds: float) -> None:
        """As the loop sleeps."""
        await self._below.sleep(seconds)
