"""Settings, read once: defaults, one TOML file, SAFELIGHT_* environment, arguments.

The only package that reads the environment (it is handed in by whoever starts the
process). Knows what each setting may be, not what it is for. Each source overrides
the one before it; `Loaded` says which won, for `safelight settings`. The settings
are the fields of `Settings` and, for each named backend, those of `BackendSettings`;
both stand in fields.py, named with their units. docs/operations.md tells more.
"""

from __future__ import annotations

from .address import is_loopback, normal_url
from .backends import check_backends
from .fields import BACKEND_NAMES, MEBIBYTE, NAMES, PREFIX, BackendSettings, Settings
from .printed import Line, lines
from .sources import FILE, Loaded, Remote, Source, load, load_remote
from .words import SettingsError

__all__ = [
    "BACKEND_NAMES",
    "FILE",
    "MEBIBYTE",
    "NAMES",
    "PREFIX",
    "BackendSettings",
    "Line",
    "Loaded",
    "Remote",
    "Settings",
    "SettingsError",
    "Source",
    "check_backends",
    "is_loopback",
    "lines",
    "load",
    "load_remote",
    "normal_url",
]
