"""The models that the OpenAI emulator has, and those that it had.

`GET /v1/models` tells a `shutdown_date` where one is announced. A model that has ended is
not listed, and a request for it is refused as one for a model that never was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

SUNSET = "2026-12-01"


class Model(msgspec.Struct, frozen=True):
    """`does` is `text` or `image`; `owner` is told as it is."""

    does: str
    created: int
    owner: str = "openai"
    shutdown_date: str | None = None


MODELS: Mapping[str, Model] = {
    "gpt-6-luna": Model("text", 1786000000),
    "gpt-6.1-terra": Model("text", 1789000000),
    "gpt-6.2-sol": Model("text", 1791000000),
    "gpt-5.4": Model("text", 1772600000),
    "gpt-5.4-mini": Model("text", 1773700000),
    "gpt-5.4-nano": Model("text", 1773700000),
    "gpt-4.1": Model("text", 1744300000),
    "gpt-4.1-mini": Model("text", 1744300000),
    "gpt-image-2.6-sunburst": Model("image", 1793000000),
    "gpt-image-2.6-flare": Model("image", 1793000000),
    "gpt-image-2.5-sunburst": Model("image", 1788800000),
    "gpt-image-2.5-flare": Model("image", 1788800000),
    "gpt-image-2": Model("image", 1776700000),
    "gpt-image-1.5": Model("image", 1765800000, shutdown_date=SUNSET),
    "gpt-image-1-mini": Model("image", 1759500000, shutdown_date=SUNSET),
    "llama3.2": Model("text", 1727200000, "library"),
}
"""The last one is of a kind that people run by themselves: it has no price."""


def listed(name: str) -> dict[str, Any]:
    """A model as it is told."""
    model = MODELS[name]
    return {
        "id": name,
        "object": "model",
        "created": model.created,
        "owned_by": model.owner,
        "shutdown_date": model.shutdown_date,
    }
