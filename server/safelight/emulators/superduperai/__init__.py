"""SuperDuperAI on loopback: its REST, its two kinds of listening, and the faults it is known for.

There is no SDK to hold it against. Its bodies are those of the client that its own front
end was generated from; where they say nothing, docs/emulators.md says what was assumed.
"""

from __future__ import annotations

from ..faults import common
from .app import app

FAULTS = common(
    "lost-answer",
    "lost-request",
    "hang",
    "http-500",
    "http-503",
    "throttle",
    "unauthorized",
    "no-credit",
    "moderated",
    "cut",
    "fail",
    "late",
) | {
    "disorder": "event",
    "duplicate-event": "event",
    "integrity": "create",
    "lost-event": "event",
    "no-vip": "create",
}


def settings(address: str, key: str) -> str:
    """What to put into safelight.toml."""
    return f'[providers.superduperai]\nurl = "{address}"\nkey = "{key}"'


__all__ = ["FAULTS", "app", "settings"]
