"""A scripted provider that can be ill: then it refuses every start, in a way that is told.

Stands for a host of a model in trouble. `asked` counts starts, refused ones included;
`started` of the script only those that it began.
"""

from __future__ import annotations

from safelight.providers.base import Again, Failure, Never, Prediction
from safelight.providers.scripted import Scripted

SICK = Again("provider_failed", "the service is ill", elsewhere=True)


class Ailing(Scripted):
    """Well, until `ill` says what a start is answered with."""

    def __init__(self, name: str, *, billed: bool = False) -> None:
        super().__init__(name=name, billed=billed)
        self.ill: Again | Never | None = None
        self.asked = 0

    async def start(self, prediction: Prediction) -> str:
        """Refuse, or begin."""
        self.asked += 1
        if self.ill is not None:
            raise Failure(self.ill)
        return await super().start(prediction)


TWINS = """
[providers]
north = {{ label = "North" }}
south = {{ label = "South" }}

[schemas.twin]
open = true

[[models]]
name = "north/x"
label = "X"
kind = "image"
provider = "north"
schema = "twin"
order = 900
{north}

[[models]]
name = "south/x"
label = "X"
kind = "image"
provider = "south"
schema = "twin"
order = 901
{south}
"""
"""Two hosts of one model; more about each row comes in its braces."""


def twins(north: str = 'equals = ["south/x"]', south: str = "") -> str:
    """A file of models with both."""
    return TWINS.format(north=north, south=south)
