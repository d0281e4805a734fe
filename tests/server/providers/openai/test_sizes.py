"""Sizes of pictures: any on a grid, or the nearest of three."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.providers.openai.sizes import size_of

CASES: list[tuple[dict[str, Any], str, bool, str | None]] = [
    ({}, "gpt-image-2", True, None),
    ({"size": "auto", "width": 512}, "gpt-image-2", True, "auto"),
    ({"width": 1536, "height": 864}, "gpt-image-2", True, "1536x864"),
    ({"width": 1001, "height": 999}, "gpt-image-2", True, "1008x992"),
    ({"aspect_ratio": "1:1"}, "gpt-image-2.6-flare", True, "1024x1024"),
    ({"aspect_ratio": "16:9"}, "gpt-image-2", True, "1360x768"),
    ({"aspect_ratio": "9:16"}, "gpt-image-2", True, "768x1360"),
    ({"aspect_ratio": "10:1"}, "gpt-image-2", True, "3232x1088"),
    ({"width": 512}, "gpt-image-2", True, "512x512"),
    ({"height": 512, "aspect_ratio": "2:1"}, "gpt-image-2", True, "1024x512"),
    ({"width": 512, "aspect_ratio": "2:1"}, "gpt-image-2", True, "512x256"),
    ({"width": 3840, "height": 3840}, "gpt-image-2", True, "3840x2160"),
    ({"width": 800, "height": 600}, "gpt-image-1.5", True, "1536x1024"),
    ({"width": 700, "height": 600}, "gpt-image-1.5", True, "1024x1024"),
    ({"aspect_ratio": "9:16"}, "chatgpt-image-latest", True, "1024x1536"),
    ({"width": 500, "height": 300}, "sdxl", False, "500x300"),
    ({"aspect_ratio": "16:9"}, "sdxl", False, "1360x768"),
]


@pytest.mark.parametrize(("params", "model", "own", "size"), CASES)
def test_a_size_is_the_nearest_that_there_is(
    params: dict[str, Any], model: str, own: bool, size: str | None
) -> None:
    """Width and height win over their ratio; who is not OpenAI is asked for just that."""
    assert size_of(params, model, own=own) == size


@pytest.mark.parametrize("across", range(16, 3841, 239))
@pytest.mark.parametrize("down", range(16, 3841, 317))
def test_every_size_keeps_the_limits(across: int, down: int) -> None:
    """On the grid, not larger than 3840 by 2160, and no longer than three times its side."""
    size = size_of({"width": across, "height": down}, "gpt-image-2", own=True)
    assert size is not None
    width, height = map(int, size.split("x"))
    assert width % 16 == height % 16 == 0
    longer, shorter = max(width, height), min(width, height)
    assert longer <= 3840
    assert 16 <= shorter <= 2160
    assert longer <= 3 * shorter
