"""Colours that go together: the palettes, and how they are mixed, tinted and spread.

Mixing is done in OKLab, so that ramps stay clean where plain RGB turns grey.
Knows nothing of words (`lexicon.py` chooses) or of pictures. The roles of a
palette are the fields of `Palette`.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import numpy as np

from .noise import Field

Rgb = tuple[float, float, float]
"""sRGB, 0 to 1 each."""


class Palette(msgspec.Struct, frozen=True):
    """Colours by role. `sky` runs from the zenith to the horizon."""

    name: str
    sky: tuple[Rgb, ...]
    haze: Rgb
    ground: Rgb
    deep: Rgb
    light: Rgb
    accent: Rgb


def rgb(code: str) -> Rgb:
    """A colour from six hex digits."""
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return (red, green, blue)


def _palette(name: str, line: str) -> Palette:
    *sky, haze, ground, deep, light, accent = (rgb(code) for code in line.split())
    return Palette(name, tuple(sky), haze, ground, deep, light, accent)


_LINES = {
    "rose": "56719f 9fabca ecc3b6 fbe4cb c9b0bb 6b6a80 27304a fff3da e77f63",
    "gold": "5f8b9c b9bd9f f0cc8c fce6b4 d8bb8c 8f6a3c 33261f fff6d8 d8642a",
    "ember": "2b2f5e 74466f dc6a57 fbb968 a9596c 5a2f4b 191730 ffe6ae ff7b43",
    "violet": "1d2150 4a4784 9b78a6 efbfb4 73699c 3d3a6b 141537 fdebd9 f4a458",
    "blue": "0d2141 225079 5f92b2 cfd8d3 4c7699 24486a 0a182c f6f1e2 ffb45c",
    "moon": "060b1d 0e2048 264a75 6d97ad 2e5073 173252 050a17 f1f4e6 eab76c",
    "noon": "2a7bae 6bb2d0 bddfdf f6efdb 86b5c2 4c8a6d 1a4650 fffbe9 e8634a",
    "spring": "74b3c8 b3d8d2 e7ecd3 fdf5dc a9c9ab 6f9e63 2a5342 fffce4 ee8499",
    "autumn": "66838f b3b5a4 e9d09f f9e5ba c4a382 a5572c 432521 fff3d0 cf4527",
    "winter": "5f82a6 93afc8 c3d3de efe6de a3b8ca 7d95aa 27394c fffaf0 cf4f3c",
    "slate": "27323c 52616b 8b9897 d0cfbe 6b7a81 3d4b52 141b22 f6efd6 dbb24a",
    "desert": "3a7c92 9dbaac f1d2a0 fbe5ba e2ac7d c4713f 6b2a20 fff4d5 b9472a",
    "sage": "a3b9b1 c6d3c8 e5e6d6 f6f0e0 b6c5b7 7d9881 27403c fffdf1 c97439",
    "sepia": "675f4d a6997a dbc99f f2e5c3 b9a781 7d6646 2a211a fff4d6 b4512c",
    "neon": "09091f 27124c 7d2080 f4608f 4e2679 2b1758 07071a ffd9ea 33e2e4",
    "aurora": "040a1c 0a2340 0f4d5b 4a9a8c 174560 0d2f45 030813 eafff4 6bffb2",
    "riso": "2c4ea6 7288ca f49fab ffdccb 8f81c0 4a5fb0 1a2765 fff5e4 ff5a5c",
    "tropic": "0e879b 4dc0b9 b9e6c8 fff2ce 74bfb4 2c9178 0c4350 fffbe6 ff7d5a",
    "plum": "2a1a3e 5d2f5e b0566f f3a78a 7f4a72 4a2a52 180f26 ffe9d4 ffc15e",
    "nebula": "05060f 141233 47246b c14f86 3a2a6b 231a4a 04040d fff0e0 5fd0e8",
    "ice": "031019 07304a 127089 8fe0d8 1b5a78 0d3a55 020a12 f3fffb ff9c70",
    "cinder": "0a0508 2c0f1c 7d2430 f58b4a 5a2034 361424 080307 fff1d8 ffd166",
}

PALETTES = {name: _palette(name, line) for name, line in _LINES.items()}

_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_FROM_LAB, _FROM_LMS = np.linalg.inv(_TO_LAB), np.linalg.inv(_TO_LMS)


def _lab(colours: Field | Rgb | list[Rgb]) -> Field:
    srgb = np.asarray(colours, np.float64)
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T)


def _srgb(lab: Field) -> Field:
    linear = np.clip((np.asarray(lab, np.float64) @ _FROM_LAB.T) ** 3 @ _FROM_LMS.T, 0, 1)
    coded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(coded, np.float32)


def _one(colour: Field) -> Rgb:
    red, green, blue = (float(part) for part in colour)
    return (red, green, blue)


@lru_cache(8192)
def mix(a: Rgb, b: Rgb, part: float) -> Rgb:
    """`a` at 0, `b` at 1."""
    return _one(_srgb(_lab(a) * (1 - part) + _lab(b) * part))


@lru_cache(8192)
def tone(colour: Rgb, lighter: float) -> Rgb:
    """The colour `lighter` (in OKLab lightness, -1 to 1) than it was, its hue kept."""
    lab = _lab(colour)
    lab[0] = np.clip(lab[0] + lighter, 0, 1)
    return _one(_srgb(lab))


def tinted(palette: Palette, colour: Rgb, part: float) -> Palette:
    """The palette drawn towards a hue; every role keeps its own lightness."""
    goal = _lab(colour)[1:]

    def draw(old: Rgb) -> Rgb:
        lab = _lab(old)
        # Near white and near black little colour fits; more would look like a stain.
        room = part * float(np.clip(4 * lab[0] * (1 - lab[0]), 0.25, 1))
        lab[1:] = lab[1:] * (1 - room) + goal * room
        return _one(_srgb(lab))

    return msgspec.structs.replace(
        palette,
        sky=tuple(draw(stop) for stop in palette.sky),
        haze=draw(palette.haze),
        ground=draw(palette.ground),
        deep=draw(palette.deep),
    )


def turned(palette: Palette, degrees: float) -> Palette:
    """The palette with all hues turned by a few degrees."""
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def rotate(old: Rgb) -> Rgb:
        lab = _lab(old)
        lab[1:] = turn @ lab[1:]
        return _one(_srgb(lab))

    return msgspec.structs.replace(
        palette,
        sky=tuple(rotate(stop) for stop in palette.sky),
        haze=rotate(palette.haze),
        ground=rotate(palette.ground),
        deep=rotate(palette.deep),
        accent=rotate(palette.accent),
    )


def ramp(stops: list[Rgb], steps: int = 1024) -> Field:
    """A table of `steps` colours through the stops, evenly spaced and smooth."""
    lab = _lab(stops)
    at = np.linspace(0, len(stops) - 1, steps)
    knots = np.arange(len(stops))
    table = np.stack([np.interp(at, knots, lab[:, i]) for i in range(3)], axis=-1)
    reach = steps // len(stops) // 2
    padded = np.pad(table, ((reach, reach), (0, 0)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0)
    return _srgb((sums[2 * reach + 1 :] - sums[: -2 * reach - 1]) / (2 * reach + 1))


def spread(table: Field, tones: Field) -> Field:
    """The ramp's colours at `tones` (0 to 1), one colour for each tone."""
    index = np.clip(tones * (len(table) - 1), 0, len(table) - 1).astype(np.int16)
    return np.asarray(table[index], np.float32)
