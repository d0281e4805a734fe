"""When those who wait will have ended: what is known of the queue and of the past, put
together.

Knows who stands before a task from the dispatcher, how long each takes from the history,
and how often somebody comes. Those who come later and have their turn before all the same,
since owners take turns, are expected in proportion.
"""

from __future__ import annotations

from ..dispatch import Dispatcher, Standing, Waiting
from . import eta
from .eta import Each
from .history import History

FEW = 16
"""Up to this many who stand before a task are expected one by one."""

GAPS = 32
"""Over so many arrivals it is averaged how often somebody comes."""


class Forecast:
    """Ranges for tasks in the queue."""

    def __init__(self, dispatcher: Dispatcher, history: History) -> None:
        self._dispatcher = dispatcher
        self._history = history
        self._came: dict[str, tuple[int, float]] = {}

    def note(self, host: str, now: int) -> None:
        """Somebody comes to a host."""
        last, gap = self._came.get(host, (now, 0.0))
        passed = max(0, now - last)  # a clock may be set back
        self._came[host] = (now, gap + (passed - gap) / GAPS if gap else float(passed))

    def kept(self, waiting: Waiting, standing: Standing, now: int) -> eta.Range | None:
        """The range of a task that may have been promised one before: while its position and
        the places are the same, neither end is later than it was."""
        if standing.held:
            waiting.standing = None
            return None
        stands = (standing.ahead, standing.places)
        found = self.range(waiting, standing, now)
        if stands == waiting.standing and waiting.low is not None and waiting.high is not None:
            found = eta.promised((waiting.low, waiting.high), found, now)
        waiting.standing = stands
        if found is not None:
            waiting.low, waiting.high = found
        return found

    def promise(self, waiting: Waiting, low: int, high: int) -> None:
        """This was told to a task when it was born, which stands in its line now."""
        _, standing = self._dispatcher.look(waiting)
        waiting.low, waiting.high = low, high
        waiting.standing = (standing.ahead, standing.places)

    def range(self, waiting: Waiting, at: Standing, now: int) -> eta.Range | None:
        """The range of one who waits, or would, by what is known now."""
        run = self._history.spread((waiting.host, waiting.model))
        if run is None or at.held:
            return None
        if at.free:
            return eta.queued(now, eta.NONE, run)
        each = Each(run.mean, run.deviation)
        left, own = self._left(waiting, now)
        waits = self._wait(waiting, at, left, each)
        if at.lane_places is not None:
            ahead = [each] * at.lane_ahead
            waits = max(waits, eta.wait(at.lane_places, own, ahead))
        return eta.queued(now, waits, run)

    def _wait(self, waiting: Waiting, at: Standing, left: list[Each], each: Each) -> eta.Wait:
        host = waiting.host
        if at.ahead <= FEW:
            models = self._dispatcher.models_before(waiting, FEW)
            waits = eta.wait(at.places, left, [self._each(host, one, each) for one in models])
        else:
            mix = self._dispatcher.mix(host)
            each = eta.mixed((count, self._each(host, one, each)) for one, count in mix.items())
            waits = eta.long_wait(at.places, left, at.ahead, each)
        _, gap = self._came.get(host, (0, 0.0))
        if not gap or at.turns < 1 or not waits.expected or at.owners < 2:
            return waits
        come = waits.expected / gap * (1 - 1 / at.owners)
        come = min(come, max(0.0, at.turns * (at.owners - 1) - at.ahead))
        return eta.later(waits, come, each, at.places)

    def _each(self, host: str, model: str, unknown: Each) -> Each:
        found = self._history.spread((host, model))
        return unknown if found is None else Each(found.mean, found.deviation)

    def _left(self, waiting: Waiting, now: int) -> tuple[list[Each], list[Each]]:
        """What those still need that run at a host, and of them those of the model."""
        left, own = [], []
        for model, since in self._dispatcher.running_at(waiting.host):
            times = self._history.times((waiting.host, model))
            each = Each(0.0, 0.0) if times is None else Each(*times.rest(max(0, now - since)))
            left.append(each)
            if model == waiting.model:
                own.append(each)
        return left, own
