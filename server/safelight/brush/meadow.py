"""Flowers and grass close at hand: a field that runs from dots far off to blooms at our feet.

Bands are laid from far to near; every plant has a place in the world, so panning
shows depth. The kinds are poppy, daisy, tulip, lavender and sunflower.
"""

from __future__ import annotations

from random import Random

import numpy as np

from .canvas import Sketch, View
from .composition import Bloom
from .land import air, body_colour
from .noise import Field
from .outlines import bent, numbers
from .palette import Rgb, mix, tone
from .stage import Paints, Stage


def field(bloom: Bloom, near: float, row: float, size: float, count: int) -> Stage:
    """A band of `count` plants a world unit whose feet are about at the fraction `row`.

    `size` is the width of a bloom in world units.
    """

    def paint(sheet: Field, view: View, paints: Paints) -> None:
        picture = paints.composition
        rng = picture.rng("field", near)
        sketch = Sketch(view, (row - 0.02) * view.height - 9 * size * view.scale, view.height)
        green = mix(body_colour(picture, 0.45 + 0.5 * near), picture.palette.ground, 0.35)
        _grass(sketch, view, rng, near, row, size, int(count * 2.4) + 30, green)
        places = np.sort(rng.uniform(-1.5, 1.5, int(count * 3)))
        rng.shuffle(places)
        salts = rng.integers(0, 2**32, len(places))
        for i, x in enumerate(places):
            plant = Random(int(salts[i]))
            column = view.column(float(x), near)
            foot = (row + plant.uniform(-0.03, 0.05) * (0.4 + near)) * view.height
            if -0.2 * view.scale < column < view.width + 0.2 * view.scale:
                _plant(sketch, plant, bloom, (column, foot), size * view.scale, paints, near, green)
        sketch.lay(sheet)

    return paint


def _grass(
    sketch: Sketch,
    view: View,
    rng: np.random.Generator,
    near: float,
    row: float,
    size: float,
    count: int,
    green: Rgb,
) -> None:
    total = int(count * 3)
    xs, feet = rng.uniform(-1.5, 1.5, total), rng.uniform(-0.01, 0.07, total)
    longs = size * view.scale * rng.uniform(1.2, 3.0, total)
    leans, shades = rng.normal(0, 0.16, total), rng.integers(0, 5, total)
    greens = [tone(green, change) for change in (-0.08, -0.04, 0.0, 0.04, 0.09)]
    x = (xs - view.pan * near) * view.scale + view.width / 2
    foot, half = (row + feet) * view.height, np.maximum(0.35, longs * 0.022)
    knee, bow = foot - longs * 0.6, x + leans * longs * 0.35
    blades = np.stack(
        (
            *(x - half, foot, bow - half * 0.7, knee),
            *(x + leans * longs, foot - longs),
            *(bow + half * 0.7, knee, x + half, foot),
        ),
        axis=-1,
    ).reshape(total, 5, 2)
    for blade, shade in zip(blades, shades, strict=True):
        sketch.polygon(blade, greens[shade])


def _plant(
    sketch: Sketch,
    rng: Random,
    bloom: Bloom,
    place: tuple[float, float],
    size: float,
    paints: Paints,
    near: float,
    green: Rgb,
) -> None:
    x, foot = place
    size = size * rng.uniform(0.65, 1.2)
    long = size * rng.uniform(1.8, 4.2) * (1.35 if bloom in ("tulip", "sunflower") else 1.0)
    lean = rng.gauss(0, 0.11) * long
    head = (x + lean, foot - long)
    stem = np.array([[x, foot + 2], [x + lean * 0.25, foot - long * 0.55], list(head)], np.float32)
    curve = bent(stem, closed=False, parts=4) if size > 12 else stem
    sketch.stroke(curve, max(0.4, size * 0.045), green)
    colour = _petal(rng, bloom, paints, near)
    if size < 5:
        sketch.oval(*head, max(0.7, size * 0.5), max(0.7, size * 0.42), colour)
    else:
        _HEADS[bloom](
            sketch, rng, head, size, colour, mix(paints.composition.palette.deep, colour, 0.12)
        )


def _petal(rng: Random, bloom: Bloom, paints: Paints, near: float) -> Rgb:
    picture = paints.composition
    palette = picture.palette
    choice = {
        "poppy": (mix(_RED, palette.accent, 0.3), mix(_RED, palette.light, 0.22)),
        "tulip": (palette.accent, mix(palette.accent, palette.light, 0.5), palette.light),
        "daisy": (palette.light, mix(palette.light, palette.sky[1], 0.15)),
        "lavender": ((0.47, 0.38, 0.70), (0.60, 0.50, 0.80), (0.40, 0.33, 0.62)),
        "sunflower": ((0.97, 0.74, 0.20), (0.95, 0.64, 0.16)),
    }[bloom]
    colour = choice[rng.randrange(len(choice))]
    colour = mix(tone(colour, (-0.05, -0.025, 0.0, 0.02)[rng.randrange(4)]), palette.ground, 0.08)
    dim = {"night": 0.42, "dusk": 0.22}.get(picture.hour, 0.0)
    return mix(mix(colour, palette.deep, dim), air(picture), 0.42 * (1 - near))


def _ring(
    head: tuple[float, float], size: float, count: int, turn: float, flat: float, thin: float
) -> list[Field]:
    """Petals round a head: long ovals turned about it, seen a little from the side."""
    t = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    petals = []
    for k in range(count):
        angle = turn + 2 * np.pi * k / count
        along = 0.28 * size * (1 + 0.86 * np.cos(t)) + 0.02 * size
        across = thin * size * np.sin(t)
        px = along * np.cos(angle) - across * np.sin(angle)
        py = (along * np.sin(angle) + across * np.cos(angle)) * flat
        petals.append(np.stack([head[0] + px, head[1] + py], -1).astype(np.float32))
    return petals


_RED = (0.83, 0.21, 0.15)
Head = tuple[float, float]


def _poppy(sketch: Sketch, rng: Random, head: Head, size: float, colour: Rgb, dark: Rgb) -> None:
    t = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    for k, (dx, dy, r) in enumerate(
        ((-0.2, -0.1, 0.42), (0.22, -0.12, 0.42), (0.0, -0.24, 0.4), (0.02, 0.1, 0.44))
    ):
        wave = r * size * (1 + 0.10 * np.sin(3 * t + rng.uniform(0, 6)) + 0.05 * np.sin(7 * t))
        points = np.stack(
            [head[0] + dx * size + wave * np.cos(t), head[1] + dy * size + 0.72 * wave * np.sin(t)],
            -1,
        )
        sketch.polygon(points.astype(np.float32), tone(colour, (-0.10, -0.04, -0.07, 0.03)[k]))
    sketch.oval(head[0], head[1] - 0.08 * size, 0.13 * size, 0.10 * size, dark)


def _daisy(sketch: Sketch, rng: Random, head: Head, size: float, colour: Rgb, dark: Rgb) -> None:
    flat = rng.uniform(0.55, 0.9)
    for k, petal in enumerate(_ring(head, size, 13, rng.uniform(0, 1), flat, 0.075)):
        sketch.polygon(petal, tone(colour, -0.05 if k % 2 else 0.0))
    sketch.oval(*head, 0.15 * size, 0.15 * size * flat, mix((0.94, 0.70, 0.22), dark, 0.12))


def _sunflower(
    sketch: Sketch, rng: Random, head: Head, size: float, colour: Rgb, dark: Rgb
) -> None:
    flat = rng.uniform(0.75, 0.98)
    for shade in (-0.09, 0.0):
        for petal in _ring(head, size * 1.15, 15, rng.uniform(0, 1), flat, 0.085):
            sketch.polygon(petal, tone(colour, shade))
    sketch.oval(*head, 0.27 * size, 0.27 * size * flat, mix((0.27, 0.16, 0.09), dark, 0.3))
    sketch.oval(*head, 0.15 * size, 0.15 * size * flat, mix((0.42, 0.26, 0.12), dark, 0.3))


_CUP = "-.3 .1  -.34 -.25  -.26 -.62  -.1 -.36  0 -.68  .1 -.36  .26 -.62  .34 -.25  .3 .1"
_INNER = "-.16 .2  -.2 -.2  0 -.6  .2 -.2  .16 .2"


def _tulip(sketch: Sketch, rng: Random, head: Head, size: float, colour: Rgb, dark: Rgb) -> None:
    cup = numbers(f"{_CUP}  .12 .26  -.12 .26") * np.float32(size)
    inner = numbers(_INNER) * np.float32(size)
    sketch.polygon(bent(cup, parts=3) + head, tone(colour, -0.06))
    sketch.polygon(bent(inner, parts=4) + head, tone(colour, 0.035))


def _lavender(sketch: Sketch, rng: Random, head: Head, size: float, colour: Rgb, dark: Rgb) -> None:
    for k in range(16):
        t = k / 15
        x = head[0] + rng.gauss(0, 0.09) * size * (1.1 - t * 0.6)
        y = head[1] + (0.75 - 1.5 * t) * size
        shade = tone(colour, (-0.08, -0.03, 0.02, 0.07)[rng.randrange(4)])
        sketch.oval(x, y, 0.13 * size * (1.2 - 0.7 * t), 0.10 * size, shade)


_HEADS = {
    "poppy": _poppy,
    "daisy": _daisy,
    "tulip": _tulip,
    "lavender": _lavender,
    "sunflower": _sunflower,
}
