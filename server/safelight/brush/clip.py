"""A short moving picture: the camera sways, water and air move, and it loops without a seam.

Two seconds at twelve frames a second as an animated WebP. Every frame is the whole
painting for another view, so near and far move apart as they do in the world.
Deterministic like `paint`; the steps are groups of frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from io import BytesIO

from PIL import Image

from . import exposure
from .canvas import View
from .composition import compose
from .finish import to_bytes
from .paint import rendered
from .scenes import falling
from .spec import PaintSpec, Result, Step, check, message
from .stage import Paints, prepare
from .tray import Tray, preview, preview_size

FRAMES = 24
FRAME_MS = 83
LONGEST = 768
MAX_BYTES = 4 * 1024 * 1024
SWAY = 0.022
"""How far the camera swings to each side, in world units."""


def clip(spec: PaintSpec) -> Iterator[Step]:
    """The steps of one clip; the last one carries the WebP.

    Width and height are scaled down together to at most 768 pixels. Raises
    `BadSpec` or `BadInput` before the first step.
    """
    check(spec)
    photo = exposure.read(spec.image) if spec.image else None
    return _clip(spec, photo)


def clip_size(width: int, height: int) -> tuple[int, int]:
    """The size a clip gets: the same shape, the longest side at most 768."""
    part = min(1.0, LONGEST / max(width, height))
    return (max(1, round(width * part)), max(1, round(height * part)))


def _clip(spec: PaintSpec, photo: Image.Image | None) -> Iterator[Step]:
    paints = prepare(compose(spec.prompt, spec.seed, spec.negative))
    small = View(*preview_size(spec.width, spec.height))
    tray = Tray(rendered(small, paints, photo, spec.strength, grit=0.0), spec.seed, spec.prompt)
    still = not falling(paints.composition)
    frames: dict[int, Image.Image] = {}
    for index in range(1, spec.steps + 1):
        for number in range(FRAMES * (index - 1) // spec.steps, FRAMES * index // spec.steps):
            key = frame_shown(number, still)
            if key not in frames:
                frames[key] = _frame(spec, paints, photo, key)
        shown = preview(tray.show(index / spec.steps))
        last = index == spec.steps
        result = _webp([frames[frame_shown(k, still)] for k in range(FRAMES)]) if last else None
        yield Step(index, spec.steps, message(index, spec.steps), shown, result)


def frame_shown(number: int, still: bool) -> int:
    """The frame (0 to 23) that is rendered for a frame number.

    The camera swings, so its way back can show the frames of its way out, unless
    something falls, which must not rise again.
    """
    quarter = FRAMES // 4
    way_out = number <= quarter or number >= 3 * quarter
    return number if way_out or not still else (2 * quarter - number) % FRAMES


def _frame(spec: PaintSpec, paints: Paints, photo: Image.Image | None, number: int) -> Image.Image:
    phase = number / FRAMES
    width, height = clip_size(spec.width, spec.height)
    view = View(width, height, pan=SWAY * math.sin(2 * math.pi * phase), phase=phase)
    return Image.fromarray(to_bytes(rendered(view, paints, photo, spec.strength, grit=0.0)))


def _webp(frames: list[Image.Image]) -> Result:
    """All frames in one file, at the best quality that stays under the limit."""
    for quality in (80, 65, 45, 20):
        out = BytesIO()
        frames[0].save(
            out,
            "WEBP",
            save_all=True,
            append_images=frames[1:],
            duration=FRAME_MS,
            loop=0,
            quality=quality,
            method=2,
        )
        if out.tell() <= MAX_BYTES:
            break
    return Result("image/webp", out.getvalue(), *frames[0].size)
