"""Replicate on loopback: predictions, models, files and webhooks, without a key or a bill.

Held against the official clients, unmodified (tests/emulators/test_replicate_sdk.py). What
differs from the real one is told in docs/emulators.md.
"""

from __future__ import annotations

from starlette.types import ASGIApp

from ..bench import Bench
from ..faults import COMMON
from .app import create_app

FAULTS = {
    **{name: place for name, place in COMMON.items() if name != "http-529"},
    "begun-500": "create",
    "moderated": "run",
    "skew": "webhook",
}
"""Moderation is a prediction that fails, as at the real one."""


def app(bench: Bench) -> ASGIApp:
    """The application."""
    return create_app(bench)


def settings(address: str, key: str) -> str:
    """What to put into safelight.toml. The address of the real one ends in /v1 as well."""
    return f'[providers.replicate]\nkey = "{key}"\nurl = "{address}/v1"'
