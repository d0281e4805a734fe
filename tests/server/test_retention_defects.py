"""A sweeper that meets a bug: the house goes on, and so does the sweeping."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.retention import Retention, Rules


class Enough(Exception):
    """The test has seen what it wanted to see."""


class Broken:
    """A store whose every use is a bug of ours."""

    def __init__(self) -> None:
        self.uses = 0

    @property
    def read(self) -> Any:
        self.uses += 1
        raise ValueError("a bug")


async def test_a_bug_in_a_sweep_is_logged_and_tried_again(capsys: Any) -> None:
    """It ends neither the sweeper nor the house, and each time is told."""
    store = Broken()

    async def sleep(seconds: float) -> None:
        if store.uses == 2:
            raise Enough

    retention = Retention(
        store=store,
        log=None,
        artifacts=None,
        expire=None,
        rules=Rules(log_seconds=1.0, task_seconds=None),
        clock=lambda: 0,
        sleep=sleep,
        monotonic=lambda: 0.0,
    )
    with pytest.raises(Enough):
        await retention.run()
    assert capsys.readouterr().out.count("retention.defect") == 2
