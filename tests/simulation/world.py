"""One simulated world from its seed: who is in it, what befalls it, what must hold.

    simulate(seed)  ->  Outcome: what was counted, and every rule that was broken

Everything that is left to chance is drawn from the seed: who creates, cancels, deletes
and follows what and when, how providers and the disk behave, when the server crashes or
is stopped, and in which order whoever is ready goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import anyio
import msgspec
import structlog

from safelight.edges.lanes import Lanes
from safelight.log import Log
from safelight.subscriptions import Subscriptions
from tests.simulation import clients, followers
from tests.simulation.clients import Wish
from tests.simulation.disk import Disk, empty_database
from tests.simulation.fates import Fates
from tests.simulation.followers import Follower
from tests.simulation.ledger import Ledger
from tests.simulation.loop import BusyLoop, Deadlock, VirtualLoop, end
from tests.simulation.server import Life

LIMIT_SECONDS = 1800.0
"""Virtual time after which whoever still waits waits for ever: past all deadlines."""


class Bug(msgspec.Struct, frozen=True, kw_only=True):
    """What is planted, to see whether it is found; nothing by default."""

    eager: bool = False
    forgetful: bool = False
    blind: bool = False
    subscriptions: Callable[[], Subscriptions] = Subscriptions
    lanes: Callable[[Log, Subscriptions], Lanes] | None = None
    kinds: tuple[type[Follower], ...] = followers.KINDS


class Outcome(msgspec.Struct, frozen=True):
    """What a seed came to."""

    seed: int
    breaches: list[str]
    counts: dict[str, int]
    seconds: float


class World:
    """Everything there is."""

    def __init__(self, seed: int, directory: Path, loop: VirtualLoop, bug: Bug) -> None:
        self.seed = seed
        self.loop = loop
        self.bug = bug
        self.ledger = Ledger(loop.time)
        plan = self.dice("plan")
        self.disk = Disk(
            directory,
            self.dice("disk"),
            _windows(plan),
            eager=bug.eager,
            forgetful=bug.forgetful,
        )
        self.ledger.ask = self.disk.ask
        self.ledger.is_ill = lambda: self.disk.failures > 0
        self.fates = Fates(
            self.ledger,
            seed,
            resumable=plan.random() < 0.5,
            billed=bug.blind or plan.random() < 0.5,
            blind=bug.blind,
        )
        self.wishes = [Wish(n, self.dice(f"wish {n}")) for n in range(plan.randint(1, 3))]
        self.ends = sorted(plan.random() * 15 for _ in range(plan.choice([0, 1, 1, 2, 3])))
        self.life: Life | None = None
        self._plan = plan
        self._changed = asyncio.Event()
        self._last = False

    def dice(self, name: str) -> Random:
        """A source of chance of one's own, so that nobody's draws move another's."""
        return Random(f"{self.seed} {name}")

    async def alive(self) -> Life:
        """The server that runs, as soon as there is one."""
        while self.life is None or not self.life.up.is_set() or self.life.crashed:
            await self._changed.wait()
        return self.life

    async def run(self) -> None:
        """From the first start to the last stop."""
        with anyio.move_on_after(LIMIT_SECONDS) as limit:
            async with anyio.create_task_group() as group:
                group.start_soon(self._lives)
                async with anyio.create_task_group() as people:
                    for wish in self.wishes:
                        self._populate(wish, people)
                await self._rest()
                group.cancel_scope.cancel()
        if limit.cancelled_caught:
            self._stuck()
            return
        life = await self.alive()
        self._check_idle(life)
        await life.stop()
        await anyio.sleep(1.0)

    def _populate(self, wish: Wish, people: anyio.abc.TaskGroup) -> None:
        dice = wish.dice
        for number in range(dice.randint(1, 3)):
            own = self.dice(f"{wish.prompt} creator {number}")
            people.start_soon(clients.create, self, wish, own)
        for number in range(dice.randint(1, 3)):
            people.start_soon(self._follow, wish, self.dice(f"{wish.prompt} follower {number}"))
        if dice.random() < 0.4:
            people.start_soon(clients.cancel, self, wish, self.dice(f"{wish.prompt} cancel"))
        if wish.deletes:
            people.start_soon(clients.delete, self, wish, self.dice(f"{wish.prompt} delete"))

    async def _follow(self, wish: Wish, dice: Random) -> None:
        await wish.acked.wait()
        await anyio.sleep(dice.choice([0.0, dice.random(), dice.random() * 10]))
        kind = dice.choice(self.bug.kinds)
        await kind(self, wish, dice, kind.__name__.lower()).follow()

    async def _lives(self) -> None:
        """Life after life: the server runs until its end comes, then again after a while."""
        for number in range(1, 100):
            life = Life(
                number,
                self.disk,
                self.fates,
                self.dice(f"life {number}"),
                self.bug.subscriptions,
                self.bug.lanes,
                self.dice(f"patience {number}").choice([1.0, 30.0]),
            )
            self.life = life
            main = life.start()
            await asyncio.wait(
                [main, asyncio.ensure_future(life.up.wait())],
                return_when=asyncio.FIRST_COMPLETED,
            )
            if main.done():
                return self.ledger.breach("a server starts", repr(main.exception()))
            self._changed.set()
            self._changed = asyncio.Event()
            if not self.ends:
                await anyio.sleep_forever()
            await anyio.sleep(max(0.0, self.ends.pop(0) - self.loop.time()))
            self.ledger.counts["lives"] += 1
            if self._plan.random() < 0.75:
                life.crash()
            else:
                await life.stop()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([main])
            await anyio.sleep(self._plan.random())

    async def _rest(self) -> None:
        """Wait until every task has its end and nobody does anything."""
        self.disk.heal()
        while True:
            life = await self.alive()
            counted = life.context.orchestrator.statistics()
            if counted["live"] == 0 and not self.ends:
                return await anyio.sleep(40.0)  # past every cancel that waits to be confirmed
            await anyio.sleep(1.0)

    def _check_idle(self, life: Life) -> None:
        counted = life.context.statistics() | life.context.lanes.statistics()
        for name in ("live", "running", "waiting", "predictions", "followers", "laned"):
            if counted.get(name):
                self.ledger.breach("nothing is left behind", f"{name}: {counted[name]}")

    def _stuck(self) -> None:
        for wish in self.wishes:
            for witness in wish.witnesses:
                if not witness.done:
                    rows = self.disk.ask("SELECT state, seq FROM tasks WHERE id = ?", witness.id)
                    told = f"{witness.name} of {witness.id} at {witness.last}"
                    stored = [tuple(row) for row in rows]
                    self.ledger.breach("nobody waits for what has come", f"{told}, it is {stored}")
        if not self.ledger.breaches:
            self.ledger.breach("everything ends", self.loop.unfinished())


def simulate(seed: int, directory: Path, bug: Bug | None = None) -> Outcome:
    """Run one world in a directory of its own; it is left there."""
    empty_database()
    with _listening() as heard:
        loop = VirtualLoop(seed)
        world = World(seed, directory, loop, bug or Bug())
        ledger = world.ledger
        try:
            loop.run_until_complete(world.run())
            ledger.close()
            for left in loop.unfinished():
                ledger.breach("no task is leaked", left)
            for trouble in [*loop.unheard(), *loop.trouble]:
                ledger.breach("no exception is swallowed", trouble)
        except (Deadlock, BusyLoop) as stuck:
            world._stuck()
            ledger.breach("time goes on", stuck)
        finally:
            seconds = loop.time()
            end(loop)
            world.disk.close()
        for told in heard:
            ledger.breach("no bug is logged", told)
        ledger.counts["disk failures"] = world.disk.failures
        return Outcome(seed, ledger.breaches, dict(ledger.counts), seconds)


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What the server logs as an error of ours; everything else is not printed."""
    heard: list[str] = []
    before = structlog.get_config()

    def hear(_: Any, level: str, fields: dict[str, Any]) -> Any:
        ours = fields["event"] not in ("store.trouble", "store.ill")
        expected = "a provider's code broke" in str(fields.get("exc"))
        if level == "error" and ours and not expected:
            heard.append(str(fields))
        raise structlog.DropEvent

    structlog.configure(processors=[hear], cache_logger_on_first_use=False)
    try:
        yield heard
    finally:
        structlog.configure(**before)


def _windows(dice: Random) -> list[tuple[float, float]]:
    starts = [dice.random() * 15 for _ in range(dice.choice([0, 0, 1, 2]))]
    return [(start, start + dice.random() * 3) for start in starts]
