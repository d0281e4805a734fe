"""Addresses: which mean this machine, and which mean one and the same server.

Pure text; nothing is looked up.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from functools import lru_cache
from urllib.parse import urlsplit, urlunsplit

_PORTS = {"http": 80, "https": 443}
_HERE = {"localhost", "ip6-localhost", "127.0.0.1", "[::1]", "0.0.0.0", "[::]"}
_NUMERIC = re.compile(r"[0-9a-fx.]+")


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host name or address (without port) can only mean this machine."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def normal_url(url: str) -> str:
    """One spelling for one address: scheme and host in lower case, no default port and no
    slash at the end. Raises ValueError for what is no http or https address, or has
    credentials, a query or a fragment in it."""
    parts = urlsplit(url.strip())
    scheme, host = parts.scheme.lower(), parts.hostname
    if scheme not in _PORTS or not host or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(f"no address of a server: {scheme}")
    port = parts.port
    place = _host(host) + ("" if port in (None, _PORTS[scheme]) else f":{port}")
    return urlunsplit((scheme, place, parts.path.rstrip("/"), "", ""))


def same_server(url: str) -> str:
    """What two addresses that reach the same server have in common: their normal form,
    every usual spelling of this machine taken as one."""
    parts = urlsplit(normal_url(url))
    host, colon, port = parts.netloc.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = parts.netloc, ""
    place = ("localhost" if host in _HERE else host) + (f":{port}" if port else "")
    return urlunsplit((parts.scheme, place, parts.path, "", ""))


def is_at(url: str, host: str, port: int) -> bool:
    """Whether an address leads to the port of this machine that is opened at `host`."""
    parts = urlsplit(normal_url(url))
    reached = parts.hostname or ""
    here = is_loopback(reached) or reached == host
    return (parts.port or _PORTS[parts.scheme]) == port and here


def _host(host: str) -> str:
    """A host name as it is compared; addresses in their one usual spelling, whether they
    were written in parts, in hexadecimal, or as IPv4 within IPv6."""
    name = unicodedata.normalize("NFKC", host).lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return _in_parts(name)
    address = getattr(address, "ipv4_mapped", None) or address
    return f"[{address.compressed}]" if address.version == 6 else address.compressed


def _in_parts(name: str) -> str:
    """`127.1` and `0x7f000001` are addresses too; anything else is a name."""
    if not _NUMERIC.fullmatch(name):
        return name
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except OSError:
        return name
