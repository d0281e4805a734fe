"""From a graph's values to pictures: the one module here that knows the brush.

The same values always give the same bytes. All that decides a picture in the real one
decides it here too: seed, steps, cfg, sampler, scheduler, checkpoint, LoRAs, both texts.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import msgspec
from PIL import Image

from ..brush.paint import paint
from ..brush.spec import MAX_SIDE as MAX_SIDE
from ..brush.spec import MAX_STEPS, MIN_SIDE, PaintSpec
from .values import Latent, Model

__all__ = ["MAX_STEPS", "Recipe", "Stroke", "png", "strokes"]

ALIKE = 4
"""Up to this many pictures of a batch are painted one by one; the frames of a longer batch
are one painting seen by a camera that moves."""

DRIFT = 0.12
"""How much of the picture's width the camera crosses in a batch."""


class Recipe(msgspec.Struct, frozen=True):
    """What a sampler was asked for."""

    model: Model
    seed: int
    steps: int
    cfg: float
    sampler: str
    scheduler: str
    positive: str
    negative: str
    denoise: float
    latent: Latent


class Stroke(msgspec.Struct, frozen=True):
    """Step `index`, with what there is to see; the last one carries the pictures."""

    index: int
    preview: Image.Image | None
    pictures: tuple[Image.Image, ...] = ()


def strokes(recipe: Recipe, previews: bool) -> Iterator[Stroke]:
    """One stroke per step."""
    seeds = _seeds(recipe)
    pictures = tuple(_finished(recipe, seed) for seed in seeds[1:])
    for step in paint(_spec(recipe, seeds[0])):
        shown = None
        if previews and step.preview is not None:
            shown = Image.open(io.BytesIO(step.preview.data)).convert("RGB")
        if step.result is None:
            yield Stroke(step.index, shown)
        else:
            first = _opened(step.result.data, recipe.latent)
            batch = (first, *pictures) if len(seeds) > 1 else _frames(first, recipe.latent.count)
            yield Stroke(step.index, shown, batch)


def _seeds(recipe: Recipe) -> list[int]:
    """What the brush is given, for each picture that is painted."""
    told = [recipe.seed, recipe.steps, recipe.cfg, recipe.sampler, recipe.scheduler]
    told += [recipe.model.name, *recipe.model.loras]
    digest = hashlib.blake2b(json.dumps(told).encode(), digest_size=8).digest()
    first = int.from_bytes(digest, "big")
    painted = recipe.latent.count if recipe.latent.count <= ALIKE else 1
    return [(first + number) % 2**64 for number in range(painted)]


def _spec(recipe: Recipe, seed: int, steps: int | None = None) -> PaintSpec:
    latent = recipe.latent
    width, height = (min(MAX_SIDE, max(MIN_SIDE, side)) for side in (latent.width, latent.height))
    return PaintSpec(
        prompt=recipe.positive,
        seed=seed,
        width=width,
        height=height,
        steps=min(MAX_STEPS, steps or recipe.steps),
        negative=recipe.negative,
        image=png(latent.images[0]) if latent.images and recipe.denoise < 1 else b"",
        strength=recipe.denoise,
        metadata=False,
    )


def _finished(recipe: Recipe, seed: int) -> Image.Image:
    *_, last = paint(_spec(recipe, seed, steps=1))
    assert last.result is not None
    return _opened(last.result.data, recipe.latent)


def _opened(data: bytes, latent: Latent) -> Image.Image:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    size = (latent.width, latent.height)
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def _frames(first: Image.Image, count: int) -> tuple[Image.Image, ...]:
    if count == 1:
        return (first,)
    width, height = first.size
    wide = first.resize((max(width + 1, round(width * (1 + DRIFT))), height))
    spare = wide.width - width
    lefts = [round(spare * number / (count - 1)) for number in range(count)]
    return tuple(wide.crop((left, 0, left + width, height)) for left in lefts)


def png(image: Image.Image, info: Any = None, level: int = 4) -> bytes:
    """A picture as PNG."""
    out = io.BytesIO()
    image.save(out, "PNG", pnginfo=info, compress_level=level)
    return out.getvalue()
