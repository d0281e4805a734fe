"""A child process that writes to a store and says what was acknowledged, until it is killed.

    python -m tests.doubles.acknowledger DATA_DIRECTORY

Every line is one `put` that has returned: a task's uid and the seq of the event that is
on disk. Eight tasks are written at once, so that groups have several members.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from safelight.store import Store, open_store
from safelight_protocol import inputs as happened
from tests.doubles.lives import NOW, fresh
from tests.doubles.writes import Writing, create

AT_ONCE = 8


async def write_for_ever(store: Store, uid: str) -> None:
    """Make a task and let it write text without end, saying each event that was kept."""
    writing = Writing(store, await create(store, fresh(uid)))
    say(writing)
    await writing.move(happened.Claimed(NOW))
    while True:
        say(writing)
        await writing.move(happened.Wrote("a word or two "))


def say(writing: Writing) -> None:
    sys.stdout.write(f"{writing.task.uid} {writing.task.seq}\n")
    sys.stdout.flush()


async def main(directory: Path) -> None:
    """Open the store and write until the end."""
    async with open_store(directory, NOW) as store, asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(write_for_ever(store, f"run{store.run}-{number}"))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
