"""A run that we ceased to follow: it is ended before another one begins, or found again."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from safelight.providers.base import Outcome, Prediction, Report
from safelight.providers.scripted import Scripted
from safelight.run import Run, prediction_of
from safelight_protocol.codes import Refused
from tests.doubles.lives import fresh
from tests.doubles.remote import Remote, remote
from tests.doubles.remote_provider import RemoteProvider
from tests.doubles.served import served

TROUBLES = [
    RuntimeError("a bug of ours"),
    Refused("artifact_unavailable", "its file is not there"),
]
SCRIPT = [{"do": "wait", "gate": "go", "attempt": 1}, {"do": "image"}]


class _Breaks(RemoteProvider):
    """Its first follow ends by a trouble, while the prediction runs on; `silent` cannot be
    asked for its end."""

    def __init__(self, url: str, trouble: Exception, *, silent: bool = False) -> None:
        super().__init__(url)
        self.troubles = [trouble]
        self.silent = silent
        self.followed = 0

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        self.followed += 1
        if self.troubles:
            raise self.troubles.pop()
        return await super().follow(prediction, handle, report)

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        if self.silent:
            await anyio.sleep_forever()
        await super().cancel(prediction, handle)


def _count_beside(service: Remote) -> list[int]:
    """How many runs were under way at each start."""
    beside: list[int] = []

    def note(uid: str, attempt: int) -> str:
        beside.append(sum(run.outcome is None for run in service.runs.values()))
        return "none"

    service.choose = note  # type: ignore[assignment]
    return beside


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: type(trouble).__name__)
async def test_what_we_ceased_to_follow_is_ended_first(tmp_path: Path, trouble: Exception) -> None:
    """Another attempt begins only when nothing of the one before runs any more."""
    async with remote() as service:
        beside = _count_beside(service)
        provider = _Breaks(service.url, trouble)
        async with served(tmp_path, scripted_provider=provider) as house:
            data = await house.create(params={"script": SCRIPT})
            last = (await house.events(data["task_id"]))[-1]
    assert (last["type"], last["attempt"]) == ("completed", 2)
    assert (beside, service.canceled) == ([0, 0], ["remote-1"])


async def test_what_cannot_be_ended_is_found_again(tmp_path: Path) -> None:
    """A provider that does not confirm the end keeps the attempt: it is looked up and
    followed, and nothing begins beside it."""
    async with remote() as service:
        beside = _count_beside(service)
        provider = _Breaks(service.url, TROUBLES[0], silent=True)
        async with served(
            tmp_path, scripted_provider=provider, cancel_timeout_seconds=0.05
        ) as house:
            data = await house.create(params={"script": SCRIPT})
            with anyio.fail_after(10):
                while provider.followed < 2 and len(service.asked) < 2:
                    await anyio.lowlevel.checkpoint()
            service.gate("go").set()
            last = (await house.events(data["task_id"]))[-1]
    assert (last["type"], last["attempt"]) == ("completed", 1)
    assert (beside, len(service.looked_up)) == ([0], 1)


class _Fleeting(Scripted):
    """All that it runs comes to this process, or to nobody."""

    def is_fleeting(self, handle: str) -> bool:
        """Whether nobody else can hear it."""
        return True


@pytest.mark.parametrize("billed", [True, False])
@pytest.mark.parametrize("handle", ["h", None])
async def test_a_stop_waits_for_what_is_paid_alone(billed: bool, handle: str | None) -> None:
    """What costs nothing, or was not begun, is begun again at the next start: no stop is held
    up for it."""
    task = fresh(handle=handle)
    run = Run(task, _Fleeting(billed=billed), prediction_of(task, ()))
    assert run.fleeting is (billed and handle is not None)
