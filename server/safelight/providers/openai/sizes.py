"""The size of a picture in OpenAI's words, from ours: width and height, or their ratio.

Newer models take any size on a grid of 16 pixels within limits; older ones have three. What
lies between is brought to the nearest that there is. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

PATTERN = r"^(auto|[1-9][0-9]{1,4}x[1-9][0-9]{1,4})\Z"

FIXED = ((1024, 1024), (1536, 1024), (1024, 1536))
"""The only sizes of the older models."""

FIXED_MODELS = ("gpt-image-1", "chatgpt-image")
"""How the names of those begin."""

GRAIN = 16
AREA = 1024 * 1024
"""Pixels of a picture of which only the ratio is asked for."""

MOST_RATIO = 3.0
LONGER, SHORTER = 3840, 2160


def size_of(params: Mapping[str, Any], model: str, *, own: bool) -> str | None:
    """`WxH`; None leaves it to the model. A server that is not OpenAI's is asked for just
    what was asked of us."""
    if "size" in params:
        return str(params["size"])
    sides = _sides(params)
    if sides is None:
        return None
    if own and model.startswith(FIXED_MODELS):
        wanted = math.log(sides[0] / sides[1])
        sides = min(FIXED, key=lambda one: abs(math.log(one[0] / one[1]) - wanted))
    elif own or "width" not in params or "height" not in params:
        sides = _on_grid(*sides)
    return f"{round(sides[0])}x{round(sides[1])}"


def _sides(params: Mapping[str, Any]) -> tuple[float, float] | None:
    width, height, ratio = (params.get(name) for name in ("width", "height", "aspect_ratio"))
    if width and height:
        return width, height
    across, down = (int(part) for part in str(ratio).split(":")) if ratio else (1, 1)
    if width:
        return width, width * down / across
    if height:
        return height * across / down, height
    if ratio is None:
        return None
    scale = math.sqrt(AREA / (across * down))
    return across * scale, down * scale


def _on_grid(width: float, height: float) -> tuple[int, int]:
    """The nearest size on the grid that no limit forbids."""
    if width < height:
        down, across = _on_grid(height, width)
        return across, down
    longer, shorter = min(width, LONGER), min(height, SHORTER)
    across = max(GRAIN, round(longer / GRAIN) * GRAIN)
    least = math.ceil(across / MOST_RATIO / GRAIN) * GRAIN
    return across, max(least, round(shorter / GRAIN) * GRAIN)
