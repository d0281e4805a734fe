"""Following one prediction where its provider says things that nobody has heard before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safelight.providers.base import Delta, Done, Moved, Prediction
from safelight.providers.http import Trouble, fault_in
from safelight.providers.replicate.client import Client
from safelight.providers.replicate.course import Course
from safelight.providers.replicate.following import WAITS, Following
from safelight.providers.replicate.pace import Pace, Timings
from safelight.providers.replicate.wire import Snapshot, snapshot_in
from safelight.settings import ProviderSettings
from tests.doubles.replicate_rig import QUICK


class Told(Client):
    """Answers each question with the next line of a script; the last one is repeated."""

    def __init__(self, *script: dict[str, Any] | int) -> None:
        super().__init__(ProviderSettings(key="k"))
        self.script = list(script)
        self.asked = 0

    async def prediction(self, id: str) -> Snapshot:
        """The next line: a prediction, or a status of HTTP."""
        said = self.script[min(self.asked, len(self.script) - 1)]
        self.asked += 1
        if isinstance(said, int):
            raise Trouble(fault_in(said, {}, b'{"retry_after": 0.01}'))
        found = snapshot_in({"id": "p", **said})
        assert found is not None, json.dumps(said)
        return found


def _prediction(kind: Any) -> Prediction:
    return Prediction(
        uid="u", attempt=1, kind=kind, model="a/b", prompt="x", params={}, seed=1, n=1
    )


async def _follow(client: Told, kind: Any = "text") -> tuple[Any, list[Any]]:
    reports: list[Any] = []

    async def report(one: Any) -> None:
        reports.append(one)

    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    pace = Pace(QUICK, sleep)
    outcome = await Following(
        client, Course("p"), _prediction(kind), report, pace, "replicate"
    ).run()
    return outcome, reports


BEGUN = {"status": "processing", "started_at": "t"}


async def test_an_unknown_status_is_waited_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A status that nobody knows ends nothing, and is written to the log once."""
    odd = {"status": "reticulating"}
    client = Told(
        {"status": "starting"},
        odd,
        odd,
        {**BEGUN, "output": ["a"]},
        {"status": "succeeded", "output": ["a", "b"]},
    )
    outcome, reports = await _follow(client)
    assert isinstance(outcome, Done)
    assert "".join(one.text for one in reports if isinstance(one, Delta)) == "ab"
    assert capsys.readouterr().out.count("provider.status") == 1


async def test_trouble_is_waited_out() -> None:
    """Whatever a question meets, it is asked again: only the provider's own word ends it."""
    client = Told(500, 429, 401, 503, {"status": "succeeded", "output": "x"})
    outcome, _ = await _follow(client)
    assert isinstance(outcome, Done) and client.asked == 5


async def test_waiting_is_told_and_taken_back() -> None:
    """That it waits for its turn is told once, and no longer true once it runs."""
    client = Told(
        {"status": "starting"},
        {"status": "starting"},
        BEGUN,
        {**BEGUN, "logs": " 50%|█████     | 1/2 [00:01<00:01]"},
        {"status": "succeeded", "output": "x"},
    )
    _, reports = await _follow(client)
    told = [one for one in reports if isinstance(one, Moved)]
    assert [one.message for one in told] == [WAITS, None, None]
    assert (told[-1].progress, told[-1].step, told[-1].steps) == (0.5, 1, 2)


async def test_polls_are_rare_while_webhooks_come() -> None:
    """They become rarer by themselves, wait for calls while these come, and are frequent again
    once one tells what a call should have told."""
    later = {**BEGUN, "logs": "a line"}
    client = Told(BEGUN, later, later, later, {"status": "succeeded", "output": "x"})
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(round(seconds, 3))

    async def ignore(one: Any) -> None:
        """Nobody looks at what is told."""

    course, begun = Course("p"), snapshot_in({"id": "p", **BEGUN})
    assert begun is not None
    course.learn(begun)
    course.hooked = True
    pace, asked = Pace(Timings(), sleep), _prediction("text")
    await Following(client, course, asked, ignore, pace, "replicate").run()
    assert pauses == [15, 15, 0.3, 0.39, 0.507]
    assert pace.poll(100, hooked=False) == 5
