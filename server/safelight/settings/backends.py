"""The tables [backends.<name>], and what two backends may not have in common."""

from __future__ import annotations

import difflib

from safelight_protocol.identity import shown

from .address import is_at, same_server
from .fields import BackendSettings, Settings
from .named import Named
from .words import SettingsError

BACKENDS = Named("backends", BackendSettings, "kerniegen")


def check_backends(settings: Settings) -> None:
    """No two with one address or one variable, none at our own, and a default that is there.
    Raises SettingsError."""
    BACKENDS.check_spellings(settings.backends)
    places: dict[str, str] = {}
    for name, backend in settings.backends.items():
        url, token = BACKENDS.spelt(name, "url"), BACKENDS.spelt(name, "token")
        first = places.setdefault(same_server(backend.url), name)
        if first != name:
            raise SettingsError(
                f"{url}: found {backend.url}, which is where {first} is, too;"
                " expected an address of its own for each backend"
            )
        if is_at(backend.url, settings.host, settings.port):
            raise SettingsError(
                f"{url}: found {backend.url}, where this server listens itself,"
                " expected the address of another one"
            )
        if backend.token and any(header.lower() == "authorization" for header in backend.headers):
            raise SettingsError(
                f"{token}: found beside an Authorization header, expected only one of the two"
            )
    _check_default(settings)


def _check_default(settings: Settings) -> None:
    name, known = settings.default_backend, list(settings.backends)
    if name is None or name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    expected = f"{near[0]}?" if near else f"one of {', '.join(known)}" if known else "[backends]"
    raise SettingsError(f"default_backend: found {shown(name)}, expected {expected}")
