"""Bugs that are put into a simulated world on purpose: the rules must name each.

Three lie in the disk or in a provider's word (see `Disk` and `Fates`); the others are
small replacements of product parts that break the one order that matters in each.
"""

from __future__ import annotations

import asyncio
from typing import Any

from safelight.edges.lanes import Lane, Lanes, Member, Write
from safelight.edges.voice import Voice
from safelight.subscriptions import Follower, Subscriptions
from tests.simulation.followers import Bare, Socket
from tests.simulation.world import Bug


class ReadsFirst(Bare):
    """Subscribes after its first read: what is written in between wakes nobody."""

    async def read(self, life: Any) -> None:
        context, changed = life.context, asyncio.Event()
        task = await context.orchestrator.find("local", self.id)
        seq = self.witness.last or 0
        for entry in await context.log.read(task.uid, seq, 1000):
            self.witness.take(entry.body)
            seq = entry.seq
        since = life.loop.time()
        self.cursor = context.log.cursor(seq)
        await asyncio.sleep(0.5)
        subscription = context.subscriptions.follow(task.uid, changed.set)
        try:
            while not self.witness.done:
                await changed.wait()
                await self.pull_once(context, task.uid, changed, since)
        finally:
            subscription.close()

    async def pull_once(self, context: Any, uid: str, changed: asyncio.Event, since: float) -> None:
        """What came since."""
        changed.clear()
        for entry in await context.log.read(uid, self.witness.last or 0, 1000):
            self.witness.take(entry.body, since)
            self.cursor = context.log.cursor(entry.seq)
        if not self.witness.done and await self.is_gone(context):
            self.witness.gone = True


class LateSubscriptions(Subscriptions):
    """Registers a moment later: a wake between read and register is lost."""

    def __init__(self) -> None:
        super().__init__()
        self._coming: set[tuple[str, Follower]] = set()

    def enter(self, topic: str, follower: Follower) -> None:
        self._coming.add((topic, follower))
        asyncio.get_running_loop().call_later(0.5, self._let_in, topic, follower)

    def leave(self, topic: str, follower: Follower) -> None:
        self._coming.discard((topic, follower))
        super().leave(topic, follower)

    def _let_in(self, topic: str, follower: Follower) -> None:
        if (topic, follower) in self._coming:
            self._coming.discard((topic, follower))
            super().enter(topic, follower)


class ForgetfulSubscriptions(Subscriptions):
    """Every tenth wake of a task is lost."""

    count = 0

    def wake(self, topic: str) -> None:
        self.count += 1
        if self.count % 10:
            super().wake(topic)


class LateLane(Lane):
    """Notes after its writes how far it is: who falls behind in its own is told it again."""

    __slots__ = ()

    def _tell(self, cursor: int, piece: bytes) -> None:
        for write in [self._write, *(self._members or {}).values()]:
            write(piece)
        self.cursor = cursor


class LateLanes(Lanes):
    """Has such lanes."""

    def enter(
        self, member: Member, uid: str, voice: Voice, cursor: int, write: Write
    ) -> Lane | None:
        lane = super().enter(member, uid, voice, cursor, write)
        if lane is not None:
            lane.__class__ = LateLane
        return lane


PLANTED: dict[str, tuple[Bug, set[str]]] = {
    "acknowledge before commit": (
        Bug(eager=True),
        {"told only after the commit", "accepted means on disk", "no accepted task is lost"},
    ),
    "seq reused after a crash": (
        Bug(forgetful=True),
        {
            "a told event stays as it is",
            "a told event is never lost",
            "no accepted task is lost",
            "what is told is what is stored",
            "no gap where nothing is swept",
        },
    ),
    "subscribe after the first read": (
        Bug(kinds=(ReadsFirst,)),
        {"nobody waits for what has come", "who waits is woken"},
    ),
    "register after the wake": (
        Bug(subscriptions=LateSubscriptions),
        {"nobody waits for what has come", "who waits is woken"},
    ),
    "a wake is lost": (
        Bug(subscriptions=ForgetfulSubscriptions),
        {"nobody waits for what has come", "who waits is woken"},
    ),
    "a lane notes too late how far it is": (
        Bug(lanes=LateLanes, kinds=(Socket,)),
        {"no follower is told twice"},
    ),
    "a billed provider that says it is free": (
        Bug(blind=True),
        {"nothing is billed twice"},
    ),
}
"""Each bug, and the rules that it breaks."""
