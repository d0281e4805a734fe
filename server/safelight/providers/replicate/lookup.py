"""What became of a start whose answer was lost: remembered, told by a webhook, or in the list.

Starts nothing. What is not there is looked for twice, with a pause between in which a request
that was on its way would have arrived. How a prediction in the list is told to be an attempt's
is in finding.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from ..base import Gone, Unclear, Unknowable
from ..http import Trouble
from .client import Client
from .finding import Sought, TooMany, find, is_ours
from .memory import Attempt, Memory
from .pace import Pace
from .wire import Snapshot


class LookUp:
    """Looks attempts up at Replicate, or whoever is called `name` and speaks like it."""

    def __init__(self, client: Client, memory: Memory, pace: Pace, name: str) -> None:
        self._client = client
        self._memory = memory
        self._pace = pace
        self._name = name

    async def look_up(
        self, attempt: Attempt, describe: Callable[[], Awaitable[Sought]]
    ) -> str | Gone | Unclear | Unknowable:
        """The attempt's prediction, by its id. `describe` tells what to look for, and is asked
        only where nothing is remembered."""
        known = self._memory.id_of(attempt)
        try:
            if known is not None:
                return await self._still(known)
            return await self._anywhere(await describe())
        except Trouble as trouble:
            return Unclear(f"{self._name} cannot be asked now: {trouble}")
        except TooMany:
            return Unclear("the list of predictions is too long")

    async def _anywhere(self, sought: Sought) -> str | Gone | Unclear:
        for last in (False, True):
            found = await self._find(sought)
            if found is not None:
                self._memory.known(sought.attempt, found.id)
                return found.id
            if not last:
                await self._pace.sleep(self._pace.timings.settle)
        if sought.given is None:
            return Unclear("it cannot be told now what the model was given")
        return Gone(f"{self._name} has no such prediction")

    async def _find(self, sought: Sought) -> Snapshot | None:
        """By what a webhook has told, else in the list. Raises Trouble and TooMany."""
        attempt = sought.attempt
        rumour = self._memory.rumour(attempt)
        if rumour is not None and not self._memory.is_anothers(rumour, attempt):
            snapshot = await self._if_there(rumour)
            if snapshot is not None and is_ours(snapshot, sought):
                return snapshot

        async def rest(tries: int, wish: float | None) -> None:
            await self._pace.sleep(self._pace.again(tries, wish))

        is_anothers = partial(self._memory.is_anothers, attempt=attempt)
        return await find(self._client, sought, is_anothers, rest)

    async def _still(self, id: str) -> str | Unknowable:
        """A prediction that was there, unless it is said twice that it is not: what became of
        it will then never be told. Raises Trouble."""
        for last in (False, True):
            if await self._if_there(id) is not None:
                return id
            if not last:
                await self._pace.sleep(self._pace.timings.settle)
        return Unknowable(f"{self._name} no longer has the prediction, or not for this key")

    async def _if_there(self, id: str) -> Snapshot | None:
        """A prediction; None if there is no such one. Raises Trouble."""
        try:
            return await self._client.prediction(id)
        except Trouble as trouble:
            if trouble.status == 404:
                return None
            raise
