from __future__ import annotations

import msgspec
import numpy as np

from .noise import stream
from .palette import Palette


class Light(msgspec.Struct, frozen=True):
    x: float
    y: float
    radius: float
    moon: bool = False
    crescent: bool = False

class Composition(msgspec.Struct, frozen=True):
    words: str
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

    def rng(self, *key: object) -> np.random.Generator:
        return stream(self.seed, self.words, *key)
