"""Which moves of a task bring a notice, and that no other wakes whoever sends them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from safelight.store import open_store
from tests.doubles.receiver import receiving
from tests.doubles.served import served
from tests.doubles.turns import until


class _Through:
    """Hands on what it stands before, but for what is given."""

    def __init__(self, behind: Any, **own: Any) -> None:
        self._behind = behind
        self.__dict__ |= own

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)


async def test_only_what_is_told_wakes_the_sender(tmp_path: Path) -> None:
    """A task with a webhook that reports its progress a hundred times makes nobody look for
    notices a hundred times."""
    looks: list[int] = []

    @asynccontextmanager
    async def opened(directory: Path, now: int) -> AsyncIterator[Any]:
        async with open_store(directory, now) as store:
            deliveries = store.read.deliveries

            async def due(owner: str, now: int, **more: Any) -> Any:
                looks.append(now)
                return await deliveries.due(owner, now, **more)

            read = _Through(store.read, deliveries=_Through(deliveries, due=due))
            yield _Through(store, read=read)

    steps = [{"do": "progress", "to": number / 200} for number in range(1, 101)]
    async with (
        receiving() as receiver,
        served(tmp_path, webhook_allow_private=True, opened=opened) as house,
    ):
        script = [*steps, {"do": "image"}]
        await house.create(params={"script": script}, webhook=receiver.url())
        await receiver.wait(1)
        await until(lambda: house.context.statistics()["webhooks_sent"] == 1)
        assert 1 <= len(looks) <= 5
