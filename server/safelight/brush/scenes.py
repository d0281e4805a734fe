"""Which stages make which scene, from the sky down to what stands at our feet.

`stages` is the whole contract: a list in the order in which they are laid. Props
get their places in `cast.py`; a scene without ground gets some when somebody has to
stand on it.
"""

from __future__ import annotations

from . import abstract, cosmos, meadow, sky, town, trees, water, weather
from .cast import HIGH, afloat, aloft, away, stand, standing, without, wood
from .composition import Composition
from .figures import BUILDINGS, prop
from .land import Ridge, chain, ridge_stage
from .stage import Stage


def stages(picture: Composition) -> list[Stage]:
    """All stages of a picture, from back to front."""
    return [
        *_heaven(picture),
        *_SCENES[picture.scene](picture),
        *aloft(picture),
        *falling(picture),
    ]


def _heaven(picture: Composition) -> list[Stage]:
    if picture.scene == "space":
        return [cosmos.nebula, cosmos.starfield, cosmos.planet]
    if picture.scene == "abstract":
        return []
    found: list[Stage] = [sky.gradient]
    if picture.stars:
        found.append(sky.stars)
    if picture.weather == "aurora":
        found.append(sky.aurora)
    found += [sky.disc, sky.clouds]
    if picture.weather == "storm":
        found.append(weather.lightning)
    return found


def falling(picture: Composition) -> list[Stage]:
    """What falls in front of everything; nothing in most pictures."""
    found: list[Stage] = []
    if picture.scene in ("space", "abstract"):
        return found
    if picture.weather in ("rain", "storm"):
        found.append(weather.rain)
    elif picture.snowy:
        found.append(weather.snow)
    if "blossom" in picture.props or (
        picture.palette.name == "autumn" and picture.scene == "forest"
    ):
        found.append(weather.petals)
    return found


def _mountains(picture: Composition) -> list[Stage]:
    h, snow = picture.horizon, 0.9 if picture.snowy else 0.6
    front = Ridge("front", 0.94, 0.965, 0.04, 0.9, mist=0.15)
    rows = [
        Ridge("far", 0.08, h - 0.03, 0.13, 0.5, "peak", 0.7, snow),
        Ridge("main", 0.25, h + 0.04, 0.27, 0.75, "peak", 0.6, snow),
        Ridge("low", 0.46, h + 0.14, 0.12, 0.6, "peak", 0.6),
    ]
    slope = Ridge("wood", 0.64, h + 0.22, 0.05, 0.8, mist=0.6)
    back = Ridge("back", 0.8, h + 0.30, 0.05, 0.9, mist=0.5)
    return [
        *chain([*rows, slope], back),
        trees.grove(slope, "pine", 70, 0.045),
        *stand(picture, front, back),
    ]


def _hills(picture: Composition) -> list[Stage]:
    h = picture.horizon
    rows = [
        Ridge("far", 0.08, h - 0.02, 0.07, 0.45, mist=0.65),
        Ridge("mid", 0.3, h + 0.05, 0.06, 0.7, mist=0.6),
        Ridge("low", 0.48, h + 0.12, 0.05, 0.6, mist=0.55),
    ]
    back = Ridge("back", 0.66, h + 0.19, 0.05, 0.7, mist=0.5)
    front = Ridge("front", 0.9, 0.94, 0.045, 0.9, mist=0.12)
    kind = wood(picture)
    return [
        *chain(rows[:2], rows[2]),
        trees.grove(rows[1], kind, 60, 0.025),
        ridge_stage(rows[2], back),
        trees.grove(rows[2], kind, 40, 0.04),
        *stand(picture, front, back),
    ]


def _forest(picture: Composition) -> list[Stage]:
    if picture.taste("forest").random() < 0.5 and not standing(picture):
        return _pines(picture)
    found: list[Stage] = [] if picture.hour in ("dusk", "night") else [weather.shafts]
    for near, count, thick, row in (
        (0.15, 40, 0.012, 0.68),
        (0.4, 24, 0.02, 0.75),
        (0.68, 13, 0.034, 0.84),
    ):
        ground = Ridge(f"wood {near}", near + 0.03, row, 0.012, 0.8, mist=0.55)
        found += [trees.trunks(near, count, thick, row + 0.005), ridge_stage(ground)]
    front = Ridge("front", 0.93, 0.96, 0.02, 0.9, mist=0.1)
    return [*found, *stand(picture, front), trees.trunks(1.0, 6, 0.06, 1.04)]


def _pines(picture: Composition) -> list[Stage]:
    h = picture.horizon
    found: list[Stage] = [ridge_stage(Ridge("far", 0.1, h - 0.1, 0.14, 0.6, "peak", 0.7))]
    for near, down, tall, count in (
        (0.25, -0.05, 0.05, 80),
        (0.45, 0.05, 0.09, 52),
        (0.66, 0.16, 0.15, 30),
        (0.86, 0.29, 0.24, 17),
    ):
        ridge = Ridge(f"pines {near}", near, h + down, 0.05, 0.7, mist=0.75)
        found += [ridge_stage(ridge), trees.grove(ridge, "pine", count, tall)]
    front = Ridge("front", 1.0, 1.12, 0.03, 0.9, mist=0.0)
    return [*found, trees.grove(front, "pine", 8, 0.42, (-0.22, 0.2))]


def _sea(picture: Composition) -> list[Stage]:
    h, side = picture.horizon, away(picture)
    found: list[Stage] = []
    if picture.taste("isles").random() < 0.6:
        found.append(ridge_stage(Ridge("isles", 0.14, h + 0.012, 0.035, 0.5, "peak", 0.45)))
    found.append(water.water(h, {"storm": 0.0, "rain": 0.15}.get(picture.weather, 0.35)))
    if "lighthouse" in picture.props:
        cliff = Ridge("cliff", 0.72, h + 0.17, 0.05, 0.4, "hill", 0.12, tilt=0.3 * side)
        found += [prop("lighthouse", 0.24 * side, HIGH["lighthouse"], cliff), ridge_stage(cliff)]
        picture = without(picture, frozenset({"lighthouse"}))
    found += afloat(picture, h + 0.13)
    if "beach" in picture.props:
        beach = Ridge("beach", 0.5, 0.95, 0.02, 0.9, mist=0.0, tilt=0.16 * side, sand=True)
        found.append(ridge_stage(beach))
    if standing(picture):
        found += stand(picture, Ridge("shore", 0.95, 0.975, 0.03, 0.9, mist=0.0, tilt=0.12 * side))
    return found


def _lake(picture: Composition) -> list[Stage]:
    h, snow = picture.horizon, 0.9 if picture.snowy else 0.6
    calm = 0.9 if picture.weather in ("clear", "mist", "aurora", "snow") else 0.7
    houses = [name for name in picture.props if name in BUILDINGS]
    peaks = [
        Ridge("far", 0.08, h - 0.09, 0.12, 0.5, "peak", 0.7, snow),
        Ridge("main", 0.24, h - 0.05, 0.20, 0.7, "peak", 0.6, snow),
    ]
    slope = Ridge("wood", 0.4, h - 0.03, 0.06, 0.6, mist=0.6)
    bank = Ridge("bank", 0.62, h - 0.004, 0.018, 0.7, mist=0.3)
    return [
        *chain([*peaks, slope], bank),
        trees.grove(slope, "pine", 50, 0.035),
        *(prop(name, 0.16, HIGH[name] * 0.9, bank) for name in houses),
        ridge_stage(bank),
        trees.grove(bank, "pine", 70, 0.06, (0.08, 0.24) if houses else None),
        water.water(h, calm),
        *afloat(picture, h + 0.14),
        *_shore(without(picture, BUILDINGS)),
    ]


def _shore(picture: Composition) -> list[Stage]:
    """Our own side of a lake, with somebody on it, or a few pines, or nothing."""
    shore = Ridge("shore", 0.95, 1.0, 0.03, 0.8, mist=0.0, tilt=0.14)
    if standing(picture):
        return stand(picture, shore)
    if picture.taste("shore").random() < 0.6:
        return [ridge_stage(shore), trees.grove(shore, "pine", 9, 0.2, (-0.3, 0.22))]
    return []


def _desert(picture: Composition) -> list[Stage]:
    h = picture.horizon
    front = Ridge("front", 0.72, h + 0.34, 0.15, 0.85, "dune", 0.0)
    rows = [
        Ridge("far", 0.05, h - 0.02, 0.04, 0.7, "peak", 0.7),
        Ridge("a", 0.3, h + 0.03, 0.05, 0.5, "dune", 0.3),
        Ridge("b", 0.48, h + 0.15, 0.10, 0.7, "dune", 0.15),
    ]
    return [*chain(rows, front), *stand(picture, front)]


def _city(picture: Composition) -> list[Stage]:
    h = picture.horizon
    lit = {"night": 0.62, "dusk": 0.5, "sunset": 0.25}.get(picture.hour, 0.06)
    if picture.palette.name == "neon" or picture.weather in ("rain", "storm"):
        lit = max(lit, 0.45)
    middle = float(picture.rng("middle").uniform(-0.2, 0.2))
    rows = [
        town.Row(0.1, h - 0.01, 0.30, 0.05, "modern", lit * 0.4, middle, h + 0.03),
        town.Row(0.38, h + 0.005, 0.37, 0.07, "modern", lit * 0.8, middle + 0.08, h + 0.03),
        town.Row(0.66, h + 0.02, 0.22, 0.09, "modern", lit, -middle, h + 0.03),
    ]
    found: list[Stage] = [
        *map(town.street, rows),
        water.water(h + 0.02, 0.75),
        *afloat(picture, h + 0.14),
    ]
    if standing(picture):
        found += stand(picture, Ridge("shore", 0.97, 0.955, 0.015, 0.9, mist=0.0))
    return found


def _town(picture: Composition) -> list[Stage]:
    h = picture.horizon
    lit = {"night": 0.5, "dusk": 0.5, "sunset": 0.3}.get(picture.hour, 0.05)
    rows = [
        town.Row(0.3, h + 0.10, 0.09, 0.055, "old", lit * 0.5, until=h + 0.2),
        town.Row(0.55, h + 0.20, 0.12, 0.085, "old", lit, until=h + 0.37),
        town.Row(0.84, h + 0.37, 0.14, 0.135, "old", lit),
    ]
    hill = Ridge("hill", 0.2, h + 0.03, 0.07, 0.7, mist=0.5)
    houses = [prop(n, 0.1, HIGH[n] * 0.8, hill) for n in picture.props if n in BUILDINGS]
    people = without(picture, BUILDINGS)
    roof = Ridge("roof", 1.0, 0.97, 0.012, 0.9, mist=0.0)
    return [
        ridge_stage(Ridge("far", 0.1, h - 0.03, 0.10, 0.6, "peak", 0.6)),
        *houses,
        ridge_stage(hill),
        *map(town.street, rows),
        *(stand(people, roof) if standing(people) else []),
    ]


def _space(picture: Composition) -> list[Stage]:
    if not standing(picture):
        return []
    return [
        ridge_stage(Ridge("far", 0.55, 0.86, 0.05, 0.5, "peak", 0.0)),
        *stand(picture, Ridge("front", 0.85, 0.95, 0.04, 0.8, "dune", 0.0)),
    ]


_BANDS = (
    (0.1, 0.12, 0.006, 150),
    (0.25, 0.16, 0.011, 110),
    (0.45, 0.22, 0.02, 70),
    (0.7, 0.32, 0.04, 30),
    (1.0, 0.46, 0.085, 10),
)
"""Flowers by nearness: how far down, how large, how many in a world unit."""


def _meadow(picture: Composition) -> list[Stage]:
    h = picture.horizon
    back = Ridge("back", 0.4, h + 0.07, 0.03, 0.8, mist=0.5)
    field = Ridge("field", 0.52, h + 0.11, 0.012, 0.8, mist=0.1)
    return [
        ridge_stage(Ridge("far", 0.1, h, 0.06, 0.6, mist=0.6), back),
        *stand(picture, field, back),
        *(
            meadow.field(picture.bloom, near, h + down, size, count)
            for near, down, size, count in _BANDS
        ),
    ]


def _abstract(picture: Composition) -> list[Stage]:
    found: list[Stage] = [abstract.sheets(int(picture.taste("sheets").integers(7, 11)))]
    if standing(picture):
        found += stand(picture, Ridge("front", 1.0, 0.97, 0.03, 0.9, mist=0.0))
    return found


_SCENES = {
    "mountains": _mountains,
    "hills": _hills,
    "forest": _forest,
    "sea": _sea,
    "lake": _lake,
    "desert": _desert,
    "city": _city,
    "town": _town,
    "space": _space,
    "meadow": _meadow,
    "abstract": _abstract,
}
