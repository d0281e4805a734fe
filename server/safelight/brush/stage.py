"""What every stage of a picture gets: the composition and the paints mixed for it.

A stage lays one layer onto the sheet, for any view: it must not keep anything
between calls, and what it draws is fixed in world units, so that a preview, a
full picture and a frame of a clip show the same thing.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from .canvas import View
from .composition import Composition
from .noise import Field, texture
from .palette import ramp

Stage = Callable[[Field, View, "Paints"], None]


class Paints(msgspec.Struct, frozen=True):
    """Textures and the sky's ramp, made once for a composition.

    `soft` is cloud-like, `rough` a dry brush, `fine` nearly grain.
    """

    composition: Composition
    soft: Field
    rough: Field
    fine: Field
    sky: Field


def prepare(composition: Composition) -> Paints:
    """Mix the paints for a composition."""
    return Paints(
        composition,
        texture(composition.rng("soft"), 1.9, 3),
        texture(composition.rng("rough"), 1.2, 6),
        texture(composition.rng("fine"), 0.55, 20),
        ramp(list(composition.palette.sky)),
    )
