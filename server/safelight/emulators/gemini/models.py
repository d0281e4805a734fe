"""The models that the Gemini emulator has: for text, some of which think, and for pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True):
    """`picture` is what a picture of its is in tokens, 0 where it makes none."""

    label: str
    thinks: bool = False
    picture: int = 0


MODELS: Mapping[str, Model] = {
    "gemini-2.5-flash-lite": Model("Gemini 2.5 Flash-Lite"),
    "gemini-2.5-flash": Model("Gemini 2.5 Flash", thinks=True),
    "gemini-2.5-pro": Model("Gemini 2.5 Pro", thinks=True),
    "gemini-3.1-flash-lite": Model("Gemini 3.1 Flash-Lite"),
    "gemini-3.5-flash-lite": Model("Gemini 3.5 Flash-Lite"),
    "gemini-3.8-flash": Model("Gemini 3.8 Flash", thinks=True),
    "gemini-nano-banana-2.1": Model("Nano Banana 2.1", picture=1290),
    "gemini-3.1-flash-image": Model("Gemini 3.1 Flash Image", picture=1120),
    "gemini-3-pro-image": Model("Gemini 3 Pro Image", thinks=True, picture=1120),
}

SIZES = {
    "1:1": (1024, 1024),
    "2:3": (832, 1248),
    "3:2": (1248, 832),
    "3:4": (864, 1184),
    "4:3": (1184, 864),
    "4:5": (896, 1152),
    "5:4": (1152, 896),
    "9:16": (768, 1344),
    "16:9": (1344, 768),
    "21:9": (1536, 672),
}
"""The sides of a picture by its ratio."""


def listed(name: str) -> dict[str, Any]:
    """A model as it is told."""
    model = MODELS[name]
    return {
        "name": f"models/{name}",
        "version": name.removeprefix("gemini-"),
        "displayName": model.label,
        "description": "An emulated model.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
        "temperature": 1,
        "maxTemperature": 2,
        "topP": 0.95,
        "topK": 64,
        **({"thinking": True} if model.thinks else {}),
    }
