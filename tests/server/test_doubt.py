"""What becomes of an attempt in doubt: it is looked up, never guessed, never for ever.

The table at the end is the rule of starts: at most once where a second start could be
billed, at least once elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from safelight.doubt import LEAST_TRIES, Doubt, Resolver, look_up
from safelight.providers.base import Gone, Prediction, Unclear, Unknowable
from safelight.providers.scripted import Scripted
from safelight.retry import RetryPolicy
from tests.doubles.served import PATIENCE, served

POLICY = RetryPolicy(base_seconds=0.001, max_seconds=0.002)
NO = Unclear("not now")
ASKED = Prediction(uid="u1", attempt=1, kind="image", model="m", prompt="p", params={}, seed=1, n=1)
LOST = {"do": "answer_lost", "attempt": 1}
IMAGE = {"do": "image"}


def resolver(now: int = 0) -> Resolver:
    """A resolver whose clock stands still."""
    return Resolver(POLICY, lambda: now, lambda: 1.0)


async def test_it_is_asked_until_somebody_knows() -> None:
    """No answer, an answer that says nothing, and a failure are all asked again."""
    provider = Scripted(answers=(NO, OSError("down"), NO, "handle-1"))
    assert await resolver().learn(Doubt(1), provider, ASKED, 60_000) == "handle-1"
    assert provider.looked_up == [("u1", 1)] * 4


async def test_gone_is_an_answer() -> None:
    """What certainly never began is not asked about again."""
    provider = Scripted(answers=(Gone("never seen"), "handle-1"))
    assert await resolver().learn(Doubt(1), provider, ASKED, 60_000) == Gone("never seen")


async def test_the_deadline_ends_the_asking() -> None:
    """Past it some look-ups are still made, since the server may have been down for long."""
    provider = Scripted(answers=(NO,) * 50)
    assert await resolver(now=9).learn(Doubt(1), provider, ASKED, 5) is None
    assert len(provider.looked_up) == LEAST_TRIES


async def test_tries_count_over_all_doubts_of_an_attempt() -> None:
    """A provider that shows a handle and loses it again does not begin from zero."""
    doubt, provider = Doubt(1), Scripted(answers=("a", "b", NO, "c"))
    asking = resolver(now=9)
    assert [await asking.learn(doubt, provider, ASKED, 5) for _ in range(4)] == [
        "a",
        "b",
        None,
        None,
    ]


async def test_a_nudge_ends_the_pause() -> None:
    """Somebody who waits for the answer has it asked for at once."""
    slow = Resolver(RetryPolicy(base_seconds=900.0, max_seconds=900.0), lambda: 0, lambda: 1.0)
    doubt, provider, found = Doubt(1), Scripted(answers=(NO, "handle-1")), []

    async def learn() -> None:
        found.append(await slow.learn(doubt, provider, ASKED, None))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(learn)
            await anyio.wait_all_tasks_blocked()
            assert found == []
            doubt.nudge()
    assert found == ["handle-1"]


async def test_a_second_nudge_changes_nothing() -> None:
    """Whoever is found and lost again each time is not asked in a circle because somebody
    wants its end each time that it is found."""
    doubt = Doubt(1)
    doubt.nudge()
    with anyio.fail_after(PATIENCE):
        await doubt.wait(900)
    doubt.nudge()
    with anyio.move_on_after(0.01) as limit:
        await doubt.wait(900)
    assert limit.cancelled_caught


class _Silent(Scripted):
    """A provider that is asked and never answers."""

    async def look_up(self, prediction: Prediction) -> Gone:
        await anyio.sleep_forever()
        return Gone("never said")


async def test_a_look_up_without_an_answer_has_told_nothing() -> None:
    """It is cut off, and counts as not knowing."""
    assert isinstance(await look_up(_Silent(), ASKED, seconds=0.01), Unclear)


@pytest.mark.parametrize("billed", [True, False])
async def test_a_lost_answer_is_looked_up_and_followed(tmp_path: Path, billed: bool) -> None:
    """The start arrived, its answer did not: the prediction is found and not begun again."""
    provider = Scripted(billed=billed, answers=(NO, NO))
    async with served(tmp_path, scripted_provider=provider) as house:
        data = await house.create(params={"script": [LOST, IMAGE]})
        events = await house.events(data["task_id"])
    assert [e["type"] for e in events] == ["queued", "started", "artifact", "completed"]
    uid = provider.started[0][0]
    assert (provider.started, provider.looked_up) == ([(uid, 1)], [(uid, 1)] * 3)
    assert events[-1]["result_data"]["prediction_id"] == f"scripted-{uid}-1"
    assert events[2]["prediction_id"] == f"scripted-{uid}-1"


async def test_what_nobody_will_ever_tell_is_not_waited_for(tmp_path: Path) -> None:
    """A provider that keeps nothing says so: the doubt ends at once as outcome_unknown, after
    one question and without another start."""
    provider = Scripted(billed=True, answers=(Unknowable("it keeps nothing"),))
    async with served(tmp_path, scripted_provider=provider) as house:
        data = await house.create(params={"script": [LOST, IMAGE]})
        (*_, end) = await house.events(data["task_id"])
    assert (end["type"], end["error_data"]["code"]) == ("failed", "outcome_unknown")
    assert end["charge"]["verdict"] == "unknown"
    assert (len(provider.started), len(provider.looked_up)) == (1, 1)


async def test_what_never_arrived_is_started_again(tmp_path: Path) -> None:
    """A billed start that certainly did not arrive goes back into the queue, as a loss."""
    provider = Scripted(billed=True, answers=(NO,))
    async with served(tmp_path, scripted_provider=provider) as house:
        script = [{"do": "unreached", "attempt": 1}, IMAGE]
        events = await house.events((await house.create(params={"script": script}))["task_id"])
    retrying = next(e for e in events if e["type"] == "retrying")
    assert retrying["error"]["code"] == "lost"
    assert (events[-1]["type"], events[-1]["attempt"]) == ("completed", 2)
    assert [attempt for _, attempt in provider.started] == [2]


async def test_a_doubt_survives_a_restart(tmp_path: Path) -> None:
    """The doubt is no more than the row: after a restart it is looked up from there."""
    before = Scripted(billed=True, answers=(NO,) * 10_000)
    async with served(tmp_path, scripted_provider=before) as house:
        await house.create(id="x", params={"script": [LOST, IMAGE]})
        await _asked_about(before)
    after = Scripted(billed=True, answers=(NO, f"scripted-{before.started[0][0]}-1"))
    async with served(tmp_path, scripted_provider=after) as house:
        events = await house.events("x")
    assert (events[-1]["type"], events[-1]["attempt"]) == ("completed", 1)
    assert (len(before.started), after.started) == (1, [])


async def test_a_crash_in_the_start_of_a_billed_provider_is_a_doubt(tmp_path: Path) -> None:
    """Claimed, perhaps started, no handle on disk: found by its marks and followed."""
    script = [{"do": "start_hangs", "gate": "never"}, IMAGE]
    before = Scripted(billed=True)
    async with served(tmp_path, scripted_provider=before) as house:
        await house.create(id="x", params={"script": script})
        with anyio.fail_after(PATIENCE):
            while not before.started:
                await anyio.lowlevel.checkpoint()
    after = Scripted(billed=True, answers=(f"scripted-{before.started[0][0]}-1",))
    async with served(tmp_path, scripted_provider=after) as house:
        events = await house.events("x")
    assert [e["type"] for e in events] == ["queued", "started", "artifact", "completed"]
    assert after.started == []


async def test_a_cancel_in_doubt_is_carried_out_once_it_is_found(tmp_path: Path) -> None:
    """Looked up at once, whatever the pause, then canceled at the provider, who confirms."""
    scripted, slow = Scripted(answers=(NO,)), {"retry_base_seconds": 900, "retry_max_seconds": 900}
    async with served(tmp_path, scripted_provider=scripted, **slow) as house:
        await house.create(id="x", params={"script": [LOST, {"do": "hang"}]})
        await _asked_about(scripted)
        await house.post("/api/tasks/x/cancel")
        events = await house.events("x")
    assert [e["type"] for e in events] == ["queued", "started", "canceling", "canceled"]
    assert events[-1]["confirmed"] is True
    assert scripted.canceled == [f"scripted-{scripted.started[0][0]}-1"]


async def test_a_cancel_in_doubt_that_nobody_can_place(tmp_path: Path) -> None:
    """At the deadline it is canceled, unconfirmed, at an unknown price."""
    provider = Scripted(billed=True, answers=(NO,) * 100_000)
    async with served(tmp_path, scripted_provider=provider, attempt_timeout_seconds=2.0) as house:
        await house.create(id="x", params={"script": [LOST]})
        await _asked_about(provider)
        await house.post("/api/tasks/x/cancel")
        end = (await house.events("x"))[-1]
    assert (end["type"], end["confirmed"], end["charge"]["verdict"]) == (
        "canceled",
        False,
        "unknown",
    )


async def test_a_cancel_in_doubt_of_what_never_began(tmp_path: Path) -> None:
    """Nothing runs, so the cancel is certain, and free."""
    provider = Scripted(billed=True, answers=(NO,) * 5 + (Gone("never seen"),))
    async with served(tmp_path, scripted_provider=provider, retry_base_seconds=0.05) as house:
        await house.create(id="x", params={"script": [LOST]})
        await _asked_about(provider)
        await house.post("/api/tasks/x/cancel")
        end = (await house.events("x"))[-1]
    assert (end["type"], end["confirmed"], end["charge"]["verdict"]) == ("canceled", True, "free")


async def test_a_prediction_that_flickers_ends_all_the_same(tmp_path: Path) -> None:
    """Found, lost in doubt, found again …: bounded by the attempt's deadline."""
    provider = Scripted(billed=True)
    async with served(tmp_path, scripted_provider=provider, attempt_timeout_seconds=1.0) as house:
        data = await house.create(params={"script": [{"do": "unclear"}]})
        end = (await house.events(data["task_id"]))[-1]
    assert end["error_data"]["code"] == "outcome_unknown"
    assert len(provider.started) == 1


class _Illegible(Scripted):
    """Finds a handle that no database takes."""

    async def look_up(self, prediction: Prediction) -> str:
        return "\ud800"


async def test_a_handle_that_cannot_be_kept_leaves_nothing_behind(tmp_path: Path) -> None:
    """What a look-up finds cannot be written: the task ends by that, and no prediction of it
    stays in the books."""
    async with served(tmp_path, scripted_provider=_Illegible(billed=True)) as house:
        await house.create(id="x", params={"script": [LOST]})
        end = (await house.events("x"))[-1]
        assert (end["type"], end["error_data"]["code"]) == ("failed", "internal")
        assert (end["charge"]["verdict"], bool(end["charge"]["reason"])) == ("unknown", True)
        with anyio.fail_after(PATIENCE):
            while house.context.statistics()["predictions"]:
                await anyio.lowlevel.checkpoint()


STARTS: list[tuple[str, bool, str, int]] = [
    # what happens to the start, billed, the end, requests that arrived
    ("answer_lost", True, "completed", 1),
    ("answer_lost", False, "completed", 1),
    ("unreached", True, "completed", 1),
    ("unreached", False, "completed", 1),
    ("unclear", True, "outcome_unknown", 1),
    ("lost", True, "completed", 2),
    ("lost", False, "completed", 2),
]


@pytest.mark.parametrize(("fate", "billed", "end", "arrived"), STARTS)
async def test_starts_are_counted(
    tmp_path: Path, fate: str, billed: bool, end: str, arrived: int
) -> None:
    """A second start reaches the provider only when the first one certainly did not, or
    the provider itself says that it is gone."""
    provider = Scripted(billed=billed)
    script: list[dict[str, Any]] = [{"do": fate, "attempt": 1}, IMAGE]
    limits = {"attempt_timeout_seconds": 1.0 if end == "outcome_unknown" else 60.0}
    async with served(tmp_path, scripted_provider=provider, **limits) as house:
        data = await house.create(params={"script": script})
        last = (await house.events(data["task_id"]))[-1]
    assert end in (last["type"], last.get("error_data", {}).get("code"))
    assert len(provider.started) == arrived
    assert len(set(provider.started)) == arrived


async def _asked_about(provider: Scripted) -> None:
    """Return once the provider was asked what became of a start."""
    with anyio.fail_after(PATIENCE):
        while not provider.looked_up:
            await anyio.lowlevel.checkpoint()
