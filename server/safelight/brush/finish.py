"""From painted sheet to print: halation, a matte tone curve, paper, vignette and grain.

The last stage of every picture. Grain also hides the steps of eight bits, so
that no gradient bands. Works in bands of rows, which bounds its memory.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from .canvas import View
from .noise import Field, enlarge, smoothstep
from .stage import Paints

PAPER = (0.985, 0.966, 0.932)
INK = (0.045, 0.048, 0.062)
BAND = 128


def halation(sheet: Field, view: View, strength: float = 0.30) -> None:
    """Light bleeds out of the brightest parts, as it does in film."""
    small = Image.fromarray((np.clip(sheet, 0, 1) * 255).astype(np.uint8))
    small = small.resize((max(8, view.width // 8), max(8, view.height // 8)), Image.Resampling.BOX)
    values = np.asarray(small, np.float32) / 255
    luminance = values.mean(axis=2)
    bright = values * smoothstep(0.72, 1.0, luminance)[..., None]
    source = Image.fromarray((bright * 255).astype(np.uint8))
    blurred = source.filter(ImageFilter.GaussianBlur(view.scale / 8 * 0.022))
    field = np.asarray(blurred, np.float32) / 255
    for i, gain in enumerate((1.0, 0.82, 0.66)):
        wide = enlarge(field[..., i], view.width, view.height)
        sheet[..., i] += (1 - sheet[..., i]) * np.clip(wide, 0, 1) * np.float32(strength * gain)


def develop(sheet: Field, view: View, paints: Paints, grit: float = 1.0) -> None:
    """Tone curve, vignette, paper fibre and grain (`grit` times as strong), in place."""
    rng = paints.composition.rng("grain")
    x = (np.arange(view.width, dtype=np.float32) / view.width - 0.5)[None, :]
    for top in range(0, view.height, BAND):
        rows = (top, min(view.height, top + BAND))
        part = sheet[rows[0] : rows[1]]
        y = (np.arange(*rows, dtype=np.float32) / view.height - 0.5)[:, None]
        dark = np.float32(0.30) * np.clip((x * x + y * y) * 2 - 0.12, 0, 1) ** 1.4
        fibre = view.brush(paints.fine, 1.6, 1.6, 0.0, rows, 0.5)
        grain = rng.standard_normal((rows[1] - rows[0], view.width), dtype=np.float32)
        grain *= np.float32(grit)
        middle = part.mean(axis=2)
        light = np.clip(middle, 0, 1)
        grain *= 0.009 + 0.05 * light * (1 - light) * (1 - 0.5 * light)
        grain += np.float32(0.011) * fibre
        for i in range(3):
            part[..., i] = _printed(part[..., i], 1 - dark, grain, PAPER[i], INK[i])


def _printed(tone: Field, light: Field, grain: Field, paper: float, ink: float) -> Field:
    """One channel on paper: a soft S-curve between the ink's and the paper's own tone."""
    tone = np.clip(tone, 0, 1) * light
    tone += tone * (1 - tone) * (2 * tone - 1) * np.float32(0.42)
    tone += grain
    tone *= np.float32(paper - ink)
    tone += np.float32(ink)
    return np.clip(tone, 0, 1)


def to_bytes(sheet: Field) -> np.ndarray:
    """Eight bits a colour."""
    return np.asarray(sheet * np.float32(255) + np.float32(0.5), np.uint8)
