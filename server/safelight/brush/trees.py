"""Trees: conifers and leafy crowns on a ridge, bare branches, and trunks close at hand.

All are silhouettes in the colour of their layer; the air between the layers
makes the depth. Where they stand is fixed in world x, on the ridge's own crest.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from .canvas import Stencil, View, lay
from .land import Ridge, air, body_colour, crest_row
from .noise import Field, smoothstep
from .palette import mix, tone
from .stage import Paints, Stage

Kind = Literal["pine", "leaf", "bare"]


def grove(
    ridge: Ridge, kind: Kind, count: int, tall: float, gap: tuple[float, float] | None = None
) -> Stage:
    """`count` trees a world unit on the ridge, about `tall` units high, none inside `gap`."""

    def paint(sheet: Field, view: View, paints: Paints) -> None:
        picture = paints.composition
        rng = picture.rng("grove", ridge.name, kind)
        total = int(count * 3.2)
        places = np.sort(rng.uniform(-1.6, 1.6, total)).astype(np.float32)
        heights = (
            tall * rng.uniform(0.45, 1.0, total) ** 1.2 * (1 + 0.25 * rng.standard_normal(total))
        )
        feet = crest_row(view, picture, ridge, places)
        top = float(feet.min()) - 1.7 * tall * view.scale
        stencil = Stencil(view, top, view.height)
        for x, foot, high, salt in zip(
            places, feet, np.abs(heights), rng.integers(0, 2**32, total), strict=True
        ):
            if gap and gap[0] < x < gap[1]:
                continue
            column = view.column(float(x), ridge.near)
            if -0.3 * view.scale < column < view.width + 0.3 * view.scale:
                tree(stencil, kind, column, float(foot), float(high) * view.scale, int(salt))
        colour = mix(body_colour(picture, min(1.0, ridge.near + 0.06)), picture.palette.deep, 0.12)
        lay(sheet[stencil.rows], colour, stencil.mask())

    return paint


def tree(stencil: Stencil, kind: Kind, x: float, foot: float, high: float, salt: int) -> None:
    """One tree in pixels."""
    rng = np.random.Generator(np.random.PCG64(salt))
    if high < 3:
        stencil.stroke(np.array([[x, foot], [x, foot - high]]), max(0.6, high * 0.2), 0.8)
    elif kind == "pine":
        _pine(stencil, rng, x, foot, high)
    elif kind == "leaf":
        _leafy(stencil, rng, x, foot, high)
    else:
        branch(stencil, rng, np.array([x, foot + 2]), -np.pi / 2, high * 0.3, high * 0.035, 7)


def _pine(stencil: Stencil, rng: np.random.Generator, x: float, foot: float, high: float) -> None:
    tiers = int(np.clip(high / 5, 5, 16))
    half = high * rng.uniform(0.13, 0.2)
    down = np.linspace(0.04, 0.93, tiers) ** 0.92 * high
    outline = [(x, foot - high)]
    right = [(1, k) for k in range(tiers)]
    left = [(-1, k) for k in reversed(range(tiers))]
    for sign, k in right + left:
        reach = half * (down[k] / high) ** 0.85 * rng.uniform(0.72, 1.18)
        y = foot - high + down[k]
        tip = (x + sign * reach, y + high * 0.035)
        notch = (x + sign * reach * 0.42, y + high * 0.012)
        outline += [tip, notch] if sign > 0 else [notch, tip]
    stencil.polygon(np.array(outline))
    stencil.stroke(np.array([[x, foot - high * 0.2], [x, foot + 3]]), high * 0.03)


def _leafy(stencil: Stencil, rng: np.random.Generator, x: float, foot: float, high: float) -> None:
    stencil.stroke(np.array([[x, foot + 2], [x + high * 0.02, foot - high * 0.5]]), high * 0.05)
    count = int(np.clip(high * 0.5, 10, 46))
    angle, away = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0, 1, count))
    xs = x + np.cos(angle) * away * high * 0.27
    ys = foot - high * 0.64 + np.sin(angle) * away * high * 0.3
    for cx, cy, r in zip(xs, ys, rng.uniform(0.05, 0.12, count) * high, strict=True):
        stencil.dot(float(cx), float(cy), float(r))


def branch(
    stencil: Stencil,
    rng: np.random.Generator,
    at: Field,
    angle: float,
    length: float,
    width: float,
    left: int,
) -> list[Field]:
    """A branch and its twigs, `left` forks deep; returns where the twigs end."""
    bend = angle + rng.uniform(-0.18, 0.18)
    middle = at + 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
    end = middle + 0.5 * length * np.array([np.cos(bend), np.sin(bend)])
    stencil.stroke(np.array([at, middle, end]), width)
    if left == 0 or length < 1.5:
        return [end]
    ends: list[Field] = [end] if left < 4 else []
    for sign in (-1, 1) if rng.random() < 0.86 else (-1, 0, 1):
        fork = bend + sign * rng.uniform(0.22, 0.62) - 0.04 * np.cos(bend)
        shorter = length * rng.uniform(0.68, 0.86)
        ends += branch(stencil, rng, end, fork, shorter, width * 0.66, left - 1)
    return ends


def great(ridge: Ridge, kind: str, x: float, tall: float) -> Stage:
    """One large tree, `tall` world units high: `oak` in leaf, or `blossom` in the accent colour."""

    def paint(sheet: Field, view: View, paints: Paints) -> None:
        picture = paints.composition
        rng = picture.rng("great", kind)
        high = tall * view.scale
        foot = float(crest_row(view, picture, ridge, np.array([x], np.float32))[0])
        stencil = Stencil(view, foot - 1.4 * high, foot + 4)
        at = np.array([view.column(x, ridge.near), foot + 3])
        ends = branch(stencil, rng, at, -np.pi / 2, high * 0.26, high * 0.05, 7)
        wood = mix(picture.palette.deep, body_colour(picture, ridge.near), 0.25)
        lay(sheet[stencil.rows], wood, stencil.mask())
        _crown(sheet, view, paints, ends, (stencil.top, stencil.bottom), kind, high)

    return paint


def _crown(
    sheet: Field,
    view: View,
    paints: Paints,
    ends: list[Field],
    rows: tuple[int, int],
    kind: str,
    high: float,
) -> None:
    """Leaves round the twigs in three tones, the lightest on top and on the light's side."""
    picture = paints.composition
    rng = picture.rng("crown")
    palette = picture.palette
    dim = 0.35 if picture.hour in ("dusk", "night") else 0.0
    pink = mix(
        mix(mix((0.96, 0.60, 0.70), palette.accent, 0.2), palette.light, 0.25), palette.sky[1], dim
    )
    leaf = pink if kind == "blossom" else mix(palette.ground, palette.accent, 0.12)
    side = -1.0 if picture.light is None or picture.light.x < 0 else 1.0
    for step, (part, change) in enumerate(((1.0, -0.10), (0.8, -0.01), (0.45, 0.08))):
        stencil = Stencil(view, *rows)
        for end in ends:
            for _ in range(3):
                if rng.random() > part:
                    continue
                away = rng.normal(0, 0.022, 2) * high
                x = end[0] + away[0] + side * step * 0.008 * high
                y = end[1] + away[1] - step * 0.010 * high
                stencil.dot(x, y, high * rng.uniform(0.006, 0.017) * (1 - 0.2 * step))
        lay(sheet[stencil.rows], tone(leaf, change), stencil.mask() * np.float32(0.92))


def trunks(near: float, count: int, thick: float, row: float) -> Stage:
    """Straight trunks from above the picture to the height `row`, as deep in a wood."""

    def paint(sheet: Field, view: View, paints: Paints) -> None:
        picture = paints.composition
        rng = picture.rng("trunks", near)
        forks = 2 if near < 0.3 else 3 if near < 0.6 else 4
        stencil = Stencil(view, 0, view.height)
        for i in range(count):
            x = -1.5 + 3.0 * (i + rng.uniform(0.1, 0.9)) / count
            width = thick * rng.uniform(0.5, 1.25) * view.scale
            lean = rng.uniform(-0.03, 0.03) * view.scale
            foot = (row + rng.uniform(-0.01, 0.025)) * view.height
            column, salt = view.column(x, near), int(rng.integers(0, 2**32))
            if -0.4 * view.scale < column < view.width + 0.4 * view.scale:
                bark = np.random.Generator(np.random.PCG64(salt))
                _trunk(stencil, bark, column, foot, width, lean, forks)
        fade = smoothstep(0.55, 1.05, view.ys() / np.float32(row)) * np.float32(0.8 * (1 - near))
        wood, far = np.asarray(body_colour(picture, near)), np.asarray(air(picture))
        tints = wood + (far - wood) * fade[:, None]
        lay(sheet, np.asarray(tints, np.float32)[:, None, :], stencil.mask())

    return paint


def _trunk(
    stencil: Stencil,
    rng: np.random.Generator,
    x: float,
    foot: float,
    width: float,
    lean: float,
    forks: int,
) -> None:
    y = np.linspace(-5, foot, 9)
    t = (y + 5) / (foot + 5)
    middle = x + lean * (1 - t) + width * 0.12 * rng.standard_normal(9)
    half = width * (0.32 + 0.18 * t + 0.35 * np.maximum(0, t - 0.9) * 10 * 0.3)
    left = np.stack([middle - half, y], -1)
    right = np.stack([middle + half, y], -1)[::-1]
    stencil.polygon(np.concatenate([left, right]))
    for _ in range(rng.integers(2, 6)):
        k = rng.uniform(0.02, 0.6)
        start = np.array([x + lean * (1 - k), foot * k])
        side = -1 if rng.random() < 0.5 else 1
        angle = -np.pi / 2 + side * rng.uniform(0.5, 1.25)
        branch(stencil, rng, start, angle, width * rng.uniform(0.8, 2.4), width * 0.12, forks)
