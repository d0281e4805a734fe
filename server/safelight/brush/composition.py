"""What a picture will show, decided before a stroke is laid.

`compose` is pure: the prompt decides subject, palette, hour and arrangement, the
seed decides shapes and places, so another seed is the same picture on another
day. Sizes are world units (see `canvas.py`); nothing here depends on pixels.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from .lexicon import Reading, read
from .noise import stream
from .palette import PALETTES, Palette, tinted, turned

Bloom = Literal["poppy", "daisy", "tulip", "lavender", "sunflower"]
BLOOMS: tuple[Bloom, ...] = ("poppy", "daisy", "tulip", "lavender", "sunflower")


class Light(msgspec.Struct, frozen=True):
    """Sun or moon. `x` and `radius` in world units, `y` a fraction of the height."""

    x: float
    y: float
    radius: float
    moon: bool = False
    crescent: bool = False


class Composition(msgspec.Struct, frozen=True):
    """Everything that the stages ask. `clouds` and `stars` run from 0 to 1."""

    words: tuple[str, ...]
    seed: int
    scene: str
    hour: str
    weather: str
    palette: Palette
    horizon: float
    light: Light | None
    clouds: float
    stars: float
    props: tuple[str, ...] = ()
    bloom: Bloom = "poppy"
    snowy: bool = False

    def rng(self, *key: object) -> np.random.Generator:
        """A stream that prompt and seed decide."""
        return stream(self.seed, *self.words, *key)

    def taste(self, *key: object) -> np.random.Generator:
        """A stream that the prompt alone decides, for what all its pictures share."""
        return stream("taste", *self.words, *key)


_SCENES = ("mountains", "hills", "lake", "sea", "meadow", "forest", "abstract", "desert", "town")
_IMPLIED = {
    "boat": ("sea", "lake"),
    "ship": ("sea",),
    "lighthouse": ("sea",),
    "whale": ("sea",),
    "astronaut": ("space",),
    "rocket": ("space",),
    "robot": ("city", "desert"),
    "monk": ("hills", "mountains"),
    "castle": ("mountains", "hills"),
    "deer": ("forest", "hills"),
    "cat": ("hills", "meadow", "lake"),
    "dog": ("hills", "meadow", "sea"),
    "balloon": ("mountains", "hills"),
    "blossom": ("hills", "lake"),
    "windmill": ("meadow", "hills"),
}
_HOURS = {
    "meadow": ("dawn", "day", "golden", "sunset", "day"),
    "forest": ("dawn", "golden", "day", "dusk", "golden"),
    "city": ("dusk", "night", "sunset", "night"),
    "town": ("dawn", "golden", "dusk", "sunset"),
    "desert": ("day", "golden", "sunset", "dusk"),
}
_ANY_HOUR = ("dawn", "day", "golden", "sunset", "dusk", "dawn", "day", "golden")
_PALETTES = {
    "dawn": ("rose", "sage", "spring"),
    "day": ("noon", "spring", "tropic", "noon"),
    "golden": ("gold", "autumn", "desert"),
    "sunset": ("ember", "plum", "riso", "ember"),
    "dusk": ("violet", "blue", "plum"),
    "night": ("moon", "blue", "moon"),
}
_DIM = frozenset({"dusk", "night"})
_HEIGHTS = {
    "dawn": (0.10, 0.20),
    "day": (0.32, 0.46),
    "golden": (0.18, 0.30),
    "sunset": (0.05, 0.15),
    "dusk": (0.20, 0.34),
    "night": (0.34, 0.48),
}
"""How far the light stands over the horizon, as fractions of the height."""


def compose(prompt: str, seed: int, negative: str = "") -> Composition:
    """The composition for a prompt and a seed."""
    reading = read(prompt, negative)
    taste = stream("compose 14", *reading.words)
    scene = _scene(reading, taste)
    hour = _hour(reading, taste, scene)
    weather = _weather(reading, taste, scene, hour)
    chance = stream(seed, "compose", *reading.words)
    palette = _palette(reading, taste, scene, hour, weather)
    for colour in reading.colours[:2]:
        palette = tinted(palette, colour, 0.62 if len(reading.colours) == 1 else 0.4)
    horizon = _HORIZONS.get(scene, 0.64) + float(chance.uniform(-0.025, 0.025))
    return Composition(
        words=reading.words,
        seed=seed,
        scene=scene,
        hour=hour,
        weather=weather,
        palette=turned(palette, float(chance.uniform(-7, 7))),
        horizon=horizon,
        light=_light(reading, taste, chance, scene, hour, weather, horizon),
        clouds=_clouds(taste, hour, weather),
        stars={"night": 1.0, "dusk": 0.3}.get(hour, 0.0) * (weather in ("clear", "aurora", "snow")),
        props=reading.props[:3],
        bloom=_bloom(reading, taste),
        snowy="snow" in reading.weather,
    )


_HORIZONS = {"sea": 0.60, "lake": 0.60, "desert": 0.62, "meadow": 0.56, "city": 0.70, "town": 0.62}


def _scene(reading: Reading, taste: np.random.Generator) -> str:
    named = set(reading.scenes)
    if {"mountains", "sea"} <= named or {"mountains", "lake"} <= named:
        return "lake"
    if reading.scenes:
        return reading.scenes[0]
    for name in reading.props:
        if name in _IMPLIED:
            return str(taste.choice(_IMPLIED[name]))
    return str(taste.choice(_SCENES))


def _hour(reading: Reading, taste: np.random.Generator, scene: str) -> str:
    drawn = str(taste.choice(_HOURS.get(scene, _ANY_HOUR)))
    if "aurora" in reading.weather:
        return "night"
    for name, hour in (("monk", "dusk"), ("blossom", "dawn"), ("whale", "dusk")):
        if name in reading.props:
            drawn = hour
    return reading.hours[0] if reading.hours else drawn


def _weather(reading: Reading, taste: np.random.Generator, scene: str, hour: str) -> str:
    drawn = str(taste.choice(["clear", "clear", "cloudy", "mist"]))
    if reading.weather:
        return "aurora" if "aurora" in reading.weather else reading.weather[0]
    return "clear" if hour == "night" else drawn


def _palette(
    reading: Reading, taste: np.random.Generator, scene: str, hour: str, weather: str
) -> Palette:
    drawn = str(taste.choice(_PALETTES[hour]))
    if weather == "aurora":
        drawn = "aurora"
    elif scene == "space":
        drawn = str(taste.choice(["nebula", "ice", "cinder"]))
    elif scene == "abstract":
        drawn = str(taste.choice(["ember", "riso", "plum", "tropic", "blue", "sage", "gold"]))
    elif reading.moods and not (hour in _DIM and reading.moods[0] in _PALE):
        drawn = reading.moods[0]
    elif weather == "storm" or (weather == "rain" and hour == "day"):
        drawn = "slate"
    elif weather == "snow" and hour == "day":
        drawn = "winter"
    elif scene == "desert" and hour in ("day", "golden"):
        drawn = "desert"
    return PALETTES[drawn]


_PALE = frozenset({"winter", "sepia", "sage", "spring", "slate", "desert", "tropic", "autumn"})
"""Palettes of the day, which a night does not take."""


def _light(
    reading: Reading,
    taste: np.random.Generator,
    chance: np.random.Generator,
    scene: str,
    hour: str,
    weather: str,
    horizon: float,
) -> Light | None:
    side = 1 if taste.random() < 0.5 else -1
    crescent = taste.random() < 0.35
    x = side * float(chance.uniform(0.06, 0.24))
    if scene == "space":
        return Light(x, float(chance.uniform(0.3, 0.52)), float(chance.uniform(0.15, 0.23)))
    if weather in ("rain", "storm"):
        return None
    low, high = _HEIGHTS[hour]
    y = horizon - float(chance.uniform(low, high))
    moon = hour in _DIM
    size = {"sunset": 0.085, "dawn": 0.06, "golden": 0.065}.get(hour, 0.05)
    if {"sun", "moon", "sunset", "sunrise"} & set(reading.words):
        size *= 1.35
    return Light(x, max(0.12, y), size * float(chance.uniform(0.9, 1.15)), moon, moon and crescent)


def _bloom(reading: Reading, taste: np.random.Generator) -> Bloom:
    named = [bloom for bloom in BLOOMS if bloom in reading.blooms]
    return named[0] if named else BLOOMS[int(taste.integers(3))]


def _clouds(taste: np.random.Generator, hour: str, weather: str) -> float:
    drawn = float(taste.uniform(0.3, 0.55))
    fixed = {"clear": 0.32, "aurora": 0.0, "cloudy": 0.68, "storm": 0.85, "rain": 0.75, "mist": 0.2}
    if hour == "night":
        return min(0.34, fixed.get(weather, drawn))
    return fixed.get(weather, drawn)
