"""How long to wait for what, in seconds."""

from __future__ import annotations

import msgspec

from .. import pace


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction is asked about after `poll` seconds, then after ever longer ones up to
    `poll_most`; once a webhook of it has come, and as long as they come, not before `hooked`.
    `again` is the pause after trouble, which grows to `again_most`. A start that was lost is
    given `settle` seconds to arrive. `slack` is how far their clock may be from ours.
    `schema` is how long a model is believed to take what it took; a secret that did not help
    is not asked for again within `secret`.
    """

    poll: float = 0.3
    poll_most: float = 5.0
    hooked: float = 15.0
    again: float = 1.0
    again_most: float = 20.0
    settle: float = 5.0
    slack: float = 120.0
    schema: float = 3600.0
    secret: float = 30.0


GROWTH = 1.3
"""By how much a pause between two polls grows."""

MOST_WISH = 60.0
"""The longest pause that the other side may ask for between two looks at what runs."""


class Pace(pace.Pace[Timings]):
    """Waits, and ever longer while nothing new comes."""

    def poll(self, count: int, *, hooked: bool) -> float:
        """The pause before the next question, after so many that brought nothing new."""
        timings = self.timings
        pause = pace.grown(timings.poll, timings.poll_most, count, GROWTH)
        return max(pause, timings.hooked) if hooked else pause

    def again(self, troubles: int, wish: float | None = None) -> float:
        """The pause after so many troubles in a row, at least what the other side wishes."""
        timings = self.timings
        pause = pace.grown(timings.again, timings.again_most, troubles - 1)
        return max(pause, min(wish or 0.0, MOST_WISH))
