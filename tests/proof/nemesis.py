"""What goes wrong on purpose: the server killed, drained or stopped, the network cut.

The order and the moments are drawn from a seed, so a seed is a plan; what it meets in a
real process is not the same twice. Every blow is written into the history.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Callable

from tests.doubles.child import Child
from tests.doubles.fault_proxy import FaultProxy

from .history import Recorder, Struck

KILL, DRAIN, FREEZE, NETWORK = "kill", "drain", "freeze", "network"
BLOWS = (KILL,) * 7 + (DRAIN, FREEZE) + (NETWORK,) * 3


class Nemesis:
    """Strikes one child and one proxy. `kills_only` is for counting kills quickly."""

    def __init__(
        self,
        child: Child,
        proxy: FaultProxy,
        recorder: Recorder,
        die: random.Random,
        *,
        kills_only: bool = False,
    ) -> None:
        self._child = child
        self._proxy = proxy
        self._recorder = recorder
        self._die = die
        self._kills_only = kills_only
        self.kills = 0

    async def strike(self, seconds: float, kills: int | None = None) -> None:
        """Go on for so long, or until so many kills; leaves a running server and a good
        network behind."""
        end = self._recorder.now + seconds
        try:
            while self._recorder.now < end and (kills is None or self.kills < kills):
                await asyncio.sleep(self._pause())
                await self._blow(KILL if self._kills_only else self._die.choice(BLOWS))
        finally:
            self._proxy.heal()

    def _pause(self) -> float:
        if self._kills_only:
            return self._die.uniform(0.0, 1.0)
        return self._die.uniform(0.1, 0.9)

    async def _blow(self, blow: str) -> None:
        if self._child.has_died:
            self._note("died", "by itself")
            return await self._restarted(self._child.kill)
        if blow == KILL:
            self.kills += 1
            self._note("kill")
            await self._restarted(self._child.kill)
        elif blow == DRAIN:
            self._note("drain")
            await self._restarted(self._child.stop)
        elif blow == FREEZE:
            seconds = self._die.uniform(0.1, 1.0)
            self._note("freeze", f"{seconds:.2f} s")
            os.kill(self._child.pid, signal.SIGSTOP)
            await asyncio.sleep(seconds)
            os.kill(self._child.pid, signal.SIGCONT)
        else:
            await self._trouble()

    async def _restarted(self, end: Callable[[], int | None]) -> None:
        code = await asyncio.to_thread(end)
        if code:
            self._note("died", f"with exit code {code} when it was asked to stop")
        await asyncio.to_thread(self._child.start)
        self._note("start")

    async def _trouble(self) -> None:
        """A bad network for a moment."""
        proxy, die = self._proxy, self._die
        match die.randrange(5):
            case 0:
                self._note("reset")
                proxy.reset_all()
            case 1:
                after = die.randrange(4000)
                self._note("cut", f"down after {after} bytes")
                proxy.cut("down", after=after)
            case 2:
                self._note("cut", "up")
                proxy.cut("up", after=die.randrange(400))
            case 3:
                self._note("drip")
                proxy.drip = die.randint(16, 200)
                await asyncio.sleep(die.uniform(0.2, 0.8))
                proxy.drip = 0
            case _:
                self._note("halve")
                proxy.freeze("down")
                await asyncio.sleep(die.uniform(0.2, 1.0))
                proxy.reset_all()

    def _note(self, what: str, detail: str = "") -> None:
        self._recorder.write(Struck(at=self._recorder.now, what=what, detail=detail))
