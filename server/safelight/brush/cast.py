"""Who is in the picture and where: on the ground, on the water, in the air.

The scenes (`scenes.py`) say which ridge or which row is free; here the props of a
composition get their places, most often on the side away from the light.
"""

from __future__ import annotations

import msgspec
import numpy as np

from . import trees
from .composition import Composition
from .figures import BUILDINGS, flock, path, prop
from .land import Ridge, crest, ridge_stage
from .stage import Stage

HIGH = {
    "monk": 0.21, "person": 0.17, "astronaut": 0.2, "cat": 0.19, "dog": 0.18, "deer": 0.17,
    "boat": 0.15, "ship": 0.24, "lighthouse": 0.34, "cottage": 0.11, "castle": 0.19,
    "church": 0.17, "windmill": 0.2, "balloon": 0.17, "whale": 0.14, "rocket": 0.26, "robot": 0.21,
}  # fmt: skip
"""How tall the props are, in world units."""

_WATER = frozenset({"boat", "ship", "whale"})
_AIR = frozenset({"balloon", "rocket"})
_TREES = frozenset({"oak", "blossom"})
_ELSEWHERE = frozenset({"flock", "path", "beach"})


def standing(picture: Composition) -> bool:
    """Whether anybody or anything needs ground to stand on."""
    return bool(set(picture.props) - _WATER - _AIR - _ELSEWHERE)


def without(picture: Composition, names: frozenset[str]) -> Composition:
    """The composition without some props, which have been laid already."""
    return msgspec.structs.replace(
        picture, props=tuple(name for name in picture.props if name not in names)
    )


def away(picture: Composition) -> int:
    """The side (-1 left, 1 right) on which the light is not."""
    return -1 if picture.light and picture.light.x > 0 else 1


def stand(picture: Composition, ridge: Ridge, back: Ridge | None = None) -> list[Stage]:
    """The front ridge and who stands on it; houses stand on the one behind, if there is one."""
    side = away(picture)
    behind: list[Stage] = []
    before: list[Stage] = []
    present = [name for name in picture.props if name not in _WATER | _AIR | _ELSEWHERE]
    houses = [name for name in present if name in BUILDINGS]
    behind += [_house(picture, name, back or ridge) for name in houses]
    for i, name in enumerate(name for name in present if name not in BUILDINGS):
        x = _high_place(picture, ridge, side if i % 2 == 0 else -side)
        if name in _TREES:
            before.append(trees.great(ridge, name, x + 0.06 * side, 0.52))
        else:
            before.append(prop(name, x, HIGH[name], ridge))
    ground: list[Stage] = [ridge_stage(ridge)]
    if "path" in picture.props:
        ground.append(path(ridge, -0.05 * side))
    if back:
        behind += [ridge_stage(back, ridge), trees.grove(back, wood(picture), 34, 0.055)]
    return [*behind, *ground, *before]


def _house(picture: Composition, name: str, ridge: Ridge) -> Stage:
    """A building: across from others if there are any, and then smaller."""
    crowd = len(picture.props) > 1
    x = _high_place(picture, ridge, -away(picture) if crowd else away(picture))
    return prop(name, x, HIGH[name] * (0.75 if crowd else 1), ridge)


def _high_place(picture: Composition, ridge: Ridge, side: int) -> float:
    """Where on one side the ridge is highest, so that nobody stands below the frame."""
    places = np.linspace(0.07, 0.24, 12, dtype=np.float32) * np.float32(side)
    return float(places[int(np.argmax(crest(picture, ridge, places)))])


def wood(picture: Composition) -> trees.Kind:
    """What kind of trees grows here."""
    return "pine" if picture.snowy or picture.taste("wood").random() < 0.55 else "leaf"


def afloat(picture: Composition, row: float) -> list[Stage]:
    """Boats, ships and whales on the water, about at the fraction `row`."""
    chance = picture.rng("afloat")
    side = -away(picture)
    found = []
    for i, name in enumerate(name for name in picture.props if name in _WATER):
        x = side * (float(chance.uniform(-0.06, 0.18)) - 0.22 * i)
        found.append(prop(name, x, HIGH[name], None, row - 0.02 * i))
    return found


def aloft(picture: Composition) -> list[Stage]:
    """Balloons, rockets and birds in the sky; birds now and then unasked."""
    chance, side = picture.rng("aloft"), away(picture)
    found: list[Stage] = []
    for name in (name for name in picture.props if name in _AIR):
        x = side * float(chance.uniform(0.08, 0.22))
        row = picture.horizon * float(chance.uniform(0.42, 0.55))
        found.append(prop(name, x, HIGH[name], None, row))
        if name == "balloon":
            found.append(prop(name, -x * 0.9, 0.07, None, row * 0.62))
            found.append(prop(name, x * 0.2, 0.04, None, row * 1.2))
    if "flock" in picture.props or _birds(picture):
        row = picture.horizon * float(chance.uniform(0.35, 0.6))
        x, count = -side * float(chance.uniform(0.0, 0.18)), int(chance.integers(5, 10))
        found.append(flock(x, row, count, 0.019))
    return found


def _birds(picture: Composition) -> bool:
    quiet = picture.hour == "night" or picture.weather in ("storm", "rain")
    indoors = picture.scene in ("space", "abstract", "forest")
    return not quiet and not indoors and picture.taste("birds").random() < 0.4
