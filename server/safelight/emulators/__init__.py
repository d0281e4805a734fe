"""Emulators: servers on loopback that speak as the paid providers do, and cost nothing.

For whoever has no key and for tests over real sockets. Each is a package of its own beside
these files, found by its name and imported when it is asked for; it offers `app(bench)`,
`settings(address, key)` (the lines for safelight.toml) and `FAULTS`. They share no module
with the adapters: what one side gets wrong, the other must notice. docs/emulators.md tells
how they are run, what goes wrong on request, and what their log looks like.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from starlette.types import ASGIApp

from .bench import Bench

PORTS = {
    "anthropic": 8191,
    "gemini": 8192,
    "openai": 8193,
    "replicate": 8194,
    "superduperai": 8195,
}
"""Every emulator, and where it listens unless it is told otherwise: settings that name the
address stay true when it is started again."""


class Emulator(Protocol):
    """What a package of an emulator offers."""

    FAULTS: Mapping[str, str]
    """Each fault that it knows, and the place where it strikes unless its value says another;
    `faults.common` gives those that several have."""

    def app(self, bench: Bench) -> ASGIApp:
        """The application; one for each bench."""

    def settings(self, address: str, key: str) -> str:
        """What to put into safelight.toml."""


def emulator(name: str) -> Emulator:
    """The emulator of that name. Raises KeyError, and ImportError where it is not built."""
    if name not in PORTS:
        raise KeyError(name)
    return cast(Emulator, importlib.import_module(f".{name}", __name__))
