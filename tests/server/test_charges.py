"""Never billed in silence: what may be on somebody's bill is not called free."""

from __future__ import annotations

import errno
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from safelight.charging import charge_of
from safelight.providers.base import (
    Again,
    Done,
    Failure,
    Made,
    Never,
    Outcome,
    Prediction,
    Report,
)
from safelight.providers.scripted import Scripted
from safelight.retry import Dice, RetryPolicy
from safelight.run import EXHAUSTED_SECONDS
from safelight_protocol.charges import FREE
from safelight_protocol.events import Charge
from safelight_protocol.inputs import GaveUp
from tests.doubles.lives import CHARGED, NOW, fresh
from tests.doubles.served import Served, served

HANG: list[dict[str, Any]] = [{"do": "hang"}]
ELSEWHERE = {"scripted_as": "local"}
"""The next house has another provider only: the one that ran is not configured."""


async def _leave_running(tmp_path: Path, *, cancel: bool) -> None:
    """A task under way, at best with a cancel that nobody has answered, and the end."""
    provider = Scripted(billed=True, resumable=True)
    provider.deaf = True
    async with served(tmp_path, scripted_provider=provider) as house:
        await house.create(id="x", params={"script": HANG})
        for n in range(4):
            await house.create(id=f"y{n}", params={"script": HANG})
        async with house.connect() as phone:
            await phone.join("task:x", {"after": 0})
            await phone.until_event("started")
            if cancel:
                await house.post("/api/tasks/x/cancel")
                await phone.until_event("canceling")


async def _end_of(house: Served, id: str) -> dict[str, Any]:
    return (await house.events(id))[-1]


async def test_what_ran_at_a_provider_that_is_gone_is_unknown(tmp_path: Path) -> None:
    """It was claimed, so it may be on the bill; what only waited is free."""
    await _leave_running(tmp_path, cancel=False)
    async with served(tmp_path, **ELSEWHERE) as house:
        end, waited = await _end_of(house, "x"), await _end_of(house, "y3")
    assert (end["type"], end["error_data"]["code"]) == ("failed", "provider_not_configured")
    assert (end["charge"]["verdict"], waited["charge"]["verdict"]) == ("unknown", "free")


async def test_a_cancel_at_a_provider_that_is_gone_is_unconfirmed(tmp_path: Path) -> None:
    """Nobody can say that it stopped, or that it was free."""
    await _leave_running(tmp_path, cancel=True)
    async with served(tmp_path, **ELSEWHERE) as house:
        end = await _end_of(house, "x")
    assert (end["type"], end["confirmed"]) == ("canceled", False)
    assert end["charge"]["verdict"] == "unknown"


FAULTS: dict[str, dict[str, Any]] = {
    "faults": {"do": "fault"},
    "losses": {"do": "lost"},
    "a seed refused": {"do": "conflict"},
}


@pytest.mark.parametrize("billed", [True, False])
@pytest.mark.parametrize("step", FAULTS.values(), ids=FAULTS)
async def test_what_is_given_up_after_a_handle(
    tmp_path: Path, step: dict[str, Any], billed: bool
) -> None:
    """A provider that bills had begun it and says no price: unknown; else free."""
    provider = Scripted(billed=billed)
    async with served(tmp_path, scripted_provider=provider, max_losses=2) as house:
        await house.create(id="x", params={"script": [step]})
        await house.create(id="y", params={"script": [step]}, seed=7)
        ends = [await _end_of(house, "x"), await _end_of(house, "y")]
    told = [(end["type"], end["charge"]["verdict"]) for end in ends]
    assert told == [("failed", "unknown" if billed else "free")] * 2


SILENCE: dict[str, tuple[list[dict[str, Any]], str]] = {
    "done": ([{"do": "image"}], "completed"),
    "never": ([{"do": "never"}], "failed"),
    "a fault": ([{"do": "fault"}], "failed"),
    "a loss": ([{"do": "lost"}], "failed"),
    "a result that nobody can keep": ([{"do": "rubbish"}], "failed"),
    "its deadline": (HANG, "failed"),
}
"""What a provider does that names no price, and how its task ends."""


class _Rubbish(Scripted):
    """Makes a file that is none, where its script says so."""

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        if {"do": "rubbish"} in prediction.params["script"]:
            await report(Made("image", "image/png", b"rubbish"))
        return await super().follow(prediction, handle, report)


@pytest.mark.parametrize(("billed", "verdict"), [(True, "unknown"), (False, "free")])
@pytest.mark.parametrize(("script", "type"), SILENCE.values(), ids=SILENCE)
async def test_silence_is_no_gift(
    tmp_path: Path, script: list[dict[str, Any]], type: str, billed: bool, verdict: str
) -> None:
    """Whatever becomes of an attempt that a billed provider began and named no price for, its
    end is unknown and says why; of one that never bills it is free."""
    limits = {"attempts": 1, "max_losses": 0, "attempt_timeout_seconds": 1.0}
    provider = _Rubbish(billed=billed)
    async with served(tmp_path, scripted_provider=provider, **limits) as house:
        await house.create(id="x", params={"script": script})
        end = await _end_of(house, "x")
    assert (end["type"], end["charge"]["verdict"]) == (type, verdict)
    assert bool(end["charge"]["reason"]) is billed


def test_an_unknown_charge_of_a_provider_gets_a_reason() -> None:
    """A provider that says it does not know, and not why, is given the words."""
    silent, told = Done(Charge("unknown")), Done(Charge("unknown", reason="asleep"))
    assert charge_of(silent, fresh(), owed=True).reason
    assert charge_of(told, fresh(), owed=True).reason == "asleep"


class _Once(Scripted):
    """Begins the first attempt and refuses every other start, so that those are free."""

    refusal: Again | Never = Again("provider_failed", "no places left")

    async def start(self, prediction: Prediction) -> str:
        if prediction.attempt > 1:
            raise Failure(self.refusal)
        return await super().start(prediction)


@pytest.mark.parametrize("refusal", [_Once.refusal, Never("invalid_input", "too dark")])
async def test_a_refused_retry_does_not_forget_what_was_begun(
    tmp_path: Path, refusal: Again | Never
) -> None:
    """The first attempt may be on a bill, so the end is not free, and names it."""
    provider = _Once(billed=True)
    provider.refusal = refusal
    async with served(tmp_path, scripted_provider=provider) as house:
        await house.create(id="x", params={"script": [{"do": "fault"}]})
        end = await _end_of(house, "x")
    assert (end["type"], end["charge"]["verdict"]) == ("failed", "unknown")
    assert end["charge"]["reason"].startswith("attempt 1: ")


LATER = {"script": [{"do": "fault", "after_seconds": 900}]}


async def test_an_end_while_it_waits_for_its_retry(tmp_path: Path) -> None:
    """Overdue, or cancelled: nothing runs then, but something ran; also if the server was
    started again in between, and if the provider is not configured any more."""
    provider = Scripted(billed=True)
    async with served(tmp_path, scripted_provider=provider) as house:
        for id in ("canceled", "again", "gone"):
            await house.create(id=id, params=LATER)
            async with house.connect() as phone:
                await phone.join(f"task:{id}", {"after": 0})
                await phone.until_event("retrying")
        await house.post("/api/tasks/canceled/cancel")
        ends = [await _end_of(house, "canceled")]
    async with served(tmp_path, scripted_provider=provider) as house:
        await house.post("/api/tasks/again/cancel")
        ends += [await _end_of(house, "again")]
    async with served(tmp_path, **ELSEWHERE) as house:
        ends += [await _end_of(house, "gone")]
    assert [end["type"] for end in ends] == ["canceled", "canceled", "failed"]
    assert [end["charge"]["verdict"] for end in ends] == ["unknown"] * 3


async def test_overdue_while_it_waits_for_its_retry(tmp_path: Path) -> None:
    """Its time is up before the next attempt begins; the first one is not forgotten."""
    provider = Scripted(billed=True)
    async with served(tmp_path, scripted_provider=provider, task_timeout_seconds=2.0) as house:
        await house.create(id="x", params=LATER)
        end = await _end_of(house, "x")
    assert (end["error_data"]["code"], end["charge"]["verdict"]) == ("timeout", "unknown")


class _Refusing(Scripted):
    """Refuses every start."""

    async def start(self, prediction: Prediction) -> str:
        raise Failure(Again("provider_failed", "no places left"))


async def test_a_start_that_is_refused_is_free(tmp_path: Path) -> None:
    """Nothing was begun, so nothing is on the bill, also of a provider that bills."""
    async with served(tmp_path, scripted_provider=_Refusing(billed=True)) as house:
        await house.create(id="x")
        assert (await _end_of(house, "x"))["charge"]["verdict"] == "free"


async def test_a_fault_that_settles_a_cancel_keeps_its_charge(tmp_path: Path) -> None:
    """The attempt failed while its cancel was under way: stopped for certain, but not free."""
    provider = Scripted(billed=True)
    provider.deaf = True
    async with served(tmp_path, scripted_provider=provider) as house:
        script = [{"do": "wait", "gate": "end"}, {"do": "fault"}]
        await house.create(id="x", params={"script": script})
        async with house.connect() as phone:
            await phone.join("task:x", {"after": 0})
            await phone.until_event("started")
            await house.post("/api/tasks/x/cancel")
            await phone.until_event("canceling")
        provider.gate("end").set()
        end = await _end_of(house, "x")
    assert (end["type"], end["confirmed"], end["charge"]["verdict"]) == (
        "canceled",
        True,
        "unknown",
    )


def test_a_price_that_is_told_is_told_on() -> None:
    """A fault may name its own charge, which wins over what we would guess."""
    fault = Again("provider_failed", "it broke", charge=CHARGED)
    dice = Dice(lambda: 0.0, lambda: 1)
    verdict = RetryPolicy(attempts=1).verdict(fresh(), fault, NOW, dice, owed=True)
    assert isinstance(verdict, GaveUp) and verdict.charge == CHARGED
    free = Again("provider_failed", "it broke", charge=FREE)
    verdict = RetryPolicy(attempts=1).verdict(fresh(), free, NOW, dice, owed=True)
    assert isinstance(verdict, GaveUp) and verdict.charge == FREE


class _Breaking(Scripted):
    """Raises what no contract names, once for each attempt up to `times`."""

    def __init__(self, defect: Exception, times: int = 1, **more: Any) -> None:
        super().__init__(**more)
        self._defect = defect
        self._left = times

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        if self._left:
            self._left -= 1
            raise self._defect
        return await super().follow(prediction, handle, report)


async def test_the_words_of_a_defect_stay_inside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end names a reference, under which the log has the rest; a path is not told."""
    provider = _Breaking(ValueError("no such thing: /srv/secret"), times=99)
    async with served(tmp_path, scripted_provider=provider, attempts=1) as house:
        await house.create(id="x")
        end = await _end_of(house, "x")
    message = end["error_data"]["message"]
    assert end["error_data"]["code"] == "internal"
    assert "secret" not in message and message.startswith("scripted met a bug, logged as ")
    assert f"reference={message.split()[-1]}" in capsys.readouterr().out


NO_FILES = OSError(errno.EMFILE, "Too many open files", "/srv/secret")


async def test_no_open_files_may_pass(tmp_path: Path) -> None:
    """A free attempt is made again after a pause that gives the machine some time."""
    async with served(tmp_path, scripted_provider=_Breaking(NO_FILES)) as house:
        await house.create(id="x")
        async with house.connect() as phone:
            await phone.join("task:x", {"after": 0})
            retrying = await phone.until_event("retrying")
    assert retrying["error"]["code"] == "unavailable"
    assert "secret" not in str(retrying)
    begun, again = (datetime.fromisoformat(retrying[at]) for at in ("timestamp", "retry_at"))
    # The event is written a moment after the pause was reckoned.
    assert (again - begun).total_seconds() > EXHAUSTED_SECONDS - 1


async def test_no_open_files_is_a_doubt_where_it_bills(tmp_path: Path) -> None:
    """The billed prediction runs on, so it is looked up and followed, and not begun again."""
    provider = _Breaking(NO_FILES, billed=True)
    async with served(tmp_path, scripted_provider=provider) as house:
        await house.create(id="x")
        assert (await _end_of(house, "x"))["type"] == "completed"
    assert len(provider.started) == len(provider.looked_up) == 1
