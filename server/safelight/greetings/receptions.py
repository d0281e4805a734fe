"""All providers that can be greeted, and how each of them takes us.

Every question is answered from memory. A provider is greeted once at the start, and then
only while it is not known to be up, ever more seldom: it is somebody's paid host. What real
requests say counts as much, and costs nothing more. Whether a task is sent is nobody's
business here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping

import anyio
import anyio.abc
import msgspec

from ..providers.base import Outcome
from ..providers.greeting import Answer, Away, Greeting, Welcome
from ..providers.pace import Pace
from ..stray import spared
from ..telemetry import log
from .reception import Reception, Whom, greeted, heard, said_in


class Manners(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that is not up is greeted again after `first_seconds`, then after twice that,
    at most every `most_seconds`."""

    first_seconds: float = 2.0
    most_seconds: float = 300.0


class Greeter:
    """Looks after one provider."""

    def __init__(
        self, name: str, provider: Greeting, clock: Callable[[], int], pace: Pace[Manners]
    ) -> None:
        self.provider = provider
        self.whom = Whom(name, provider.url)
        self.reception = Reception()
        self.flips = 0
        self._clock = clock
        self._pace = pace
        self._failures = 0
        self._proves = True
        self._news = anyio.Event()

    async def run(self) -> None:
        """Greet it when that may tell more, for ever; runs as a task of the group."""
        while True:
            answer = await self._ask()
            self._failures = 0 if isinstance(answer, Welcome) else self._failures + 1
            if isinstance(answer, Welcome):
                self._proves = answer.proves_key
            self._learn(greeted(self.reception, answer, self.whom, self._clock()))
            await self._until_due()

    def hear(self, said: Answer) -> None:
        """What a real request says."""
        now = self._clock()
        self._learn(heard(self.reception, said, self.whom, now, proves=self._proves))

    async def _until_due(self) -> None:
        """Until a pause has passed in which nothing changed."""
        while True:
            self._news = anyio.Event()
            if not self.reception.is_open:
                await self._news.wait()
            elif not await self._pace.wait(self._news, self._pause()):
                return

    async def _ask(self) -> Answer:
        try:
            return await spared(self.provider.greet())
        except Exception as defect:
            log("provider.defect", provider=self.whom.name, exc=defect)
            return Away("our code for it met a bug, which was logged")

    def _pause(self) -> float:
        manners = self._pace.timings
        doubled = manners.first_seconds * 2.0 ** min(max(self._failures - 1, 0), 30)
        return min(doubled, manners.most_seconds)

    def _learn(self, found: Reception) -> None:
        before, self.reception = self.reception, found
        if found.state == before.state and found.lasting == before.lasting:
            return
        self._news.set()
        if found.state == before.state:
            return
        self.flips += 1
        named = {"provider": self.whom.name, "url": self.whom.url}
        if found.state == "up":
            log("provider.up", **named)
        elif found.state == "refused":
            log("provider.refused", **named, error=found.why)
        else:
            log("provider.unreachable", **named, error=found.why)


class Receptions:
    """The providers by name, of which nothing is known until `start`."""

    def __init__(
        self,
        providers: Mapping[str, object],
        *,
        clock: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        manners: Manners | None = None,
    ) -> None:
        pace = Pace(manners or Manners(), sleep)
        self._greeters = {
            name: Greeter(name, one, clock, pace)
            for name, one in providers.items()
            if isinstance(one, Greeting)
        }
        for greeter in self._greeters.values():
            greeter.provider.heard = greeter.hear

    def start(self, group: anyio.abc.TaskGroup) -> None:
        """Greet all of them, each in a task of the group."""
        for name, greeter in self._greeters.items():
            group.start_soon(greeter.run, name=f"greeter of {name}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._greeters)

    def of(self, name: str) -> Reception:
        """How it takes us, going by its last word."""
        return self._greeters[name].reception

    def speaks(self, name: str) -> str:
        """The type of it."""
        return self._greeters[name].provider.speaks

    def url(self, name: str) -> str:
        """Where it is, without credentials."""
        return self._greeters[name].whom.url

    def heard(self, name: str, outcome: Outcome) -> None:
        """A run of this provider's has come to this."""
        greeter, said = self._greeters.get(name), said_in(outcome)
        if greeter is not None and said is not None:
            greeter.hear(said)

    def statistics(self) -> dict[str, int]:
        """How many there are of each state, and how often that has changed."""
        states = [one.reception.state for one in self._greeters.values()]
        return {
            "providers_up": states.count("up"),
            "providers_refused": states.count("refused"),
            "providers_unreachable": states.count("unreachable"),
            "provider_flips": sum(one.flips for one in self._greeters.values()),
        }
