"""The models that the Anthropic emulator has, newest first, with where their lives stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True):
    """`retires` is a date where one is announced; times are RFC 3339."""

    label: str
    line: str
    created: str
    most: int
    deprecated: str | None = None
    retires: str | None = None


MODELS: Mapping[str, Model] = {
    "claude-opus-5-5": Model("Claude Opus 5.5", "opus", "2026-09-22T00:00:00Z", 128_000),
    "claude-sonnet-5-5": Model("Claude Sonnet 5.5", "sonnet", "2026-09-22T00:00:00Z", 64_000),
    "claude-haiku-5-5": Model("Claude Haiku 5.5", "haiku", "2026-09-22T00:00:00Z", 64_000),
    "claude-haiku-4-5": Model("Claude Haiku 4.5", "haiku", "2025-10-15T00:00:00Z", 64_000),
    "claude-sonnet-4-5": Model(
        "Claude Sonnet 4.5",
        "sonnet",
        "2025-09-29T00:00:00Z",
        64_000,
        "2026-10-01T00:00:00Z",
        "2027-01-31T00:00:00Z",
    ),
}


def listed(name: str) -> dict[str, Any]:
    """A model as it is told."""
    model = MODELS[name]
    return {
        "type": "model",
        "id": name,
        "display_name": model.label,
        "created_at": model.created,
        "lifecycle": "deprecated" if model.deprecated else "active",
        "deprecated_at": model.deprecated,
        "retires_at": model.retires,
        "line": model.line,
        "max_input_tokens": 200_000,
        "max_tokens": model.most,
    }
