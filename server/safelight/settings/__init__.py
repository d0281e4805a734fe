"""Settings, read once: defaults, one TOML file, SAFELIGHT_* environment, arguments.

The only package that reads the environment (it is handed in by whoever starts the
process). Knows what each setting may be, not what it is for. Each source overrides
the one before it; `Loaded` says which won, for `safelight settings`. The settings
are the fields of `Settings` and, for each named backend or provider, those of
`BackendSettings` and `ProviderSettings`; all stand in fields.py, named with their units.
docs/operations.md tells more.
"""

from __future__ import annotations

from .address import is_loopback, normal_url
from .backends import check_backends
from .fields import (
    MEBIBYTE,
    NAMES,
    PREFIX,
    BackendSettings,
    ProviderSettings,
    Settings,
)
from .printed import Line, lines
from .providers import check_providers, type_of
from .sources import FILE, NAMED, Loaded, Remote, Source, load, load_remote
from .words import SettingsError

__all__ = [
    "FILE",
    "MEBIBYTE",
    "NAMED",
    "NAMES",
    "PREFIX",
    "BackendSettings",
    "Line",
    "Loaded",
    "ProviderSettings",
    "Remote",
    "Settings",
    "SettingsError",
    "Source",
    "check_backends",
    "check_providers",
    "is_loopback",
    "lines",
    "load",
    "load_remote",
    "normal_url",
    "type_of",
]
