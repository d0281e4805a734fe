"""How each provider takes us: what the last word makes of that, and when one is greeted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from safelight.greetings import Manners, Reception, Receptions
from safelight.greetings.reception import Whom, greeted, heard, said_in
from safelight.providers.base import Again, Done, Ended, Never, Outcome, Unclear
from safelight.providers.greeting import Answer, Away, Denied, Heard, Welcome, unheard
from tests.doubles.served import PATIENCE

WHOM = Whom("paint", "http://127.0.0.1:9")
KEY, CREDIT, RIGHTS = (
    Denied(401, "key", "Unauthorized"),
    Denied(402, "credit"),
    Denied(403, "rights"),
)
AWAY = Away("it takes no connections now")


@pytest.mark.parametrize(
    ("answer", "state", "why"),
    [
        (Welcome(), "up", None),
        (KEY, "refused", "[providers.paint] key was not accepted (401): Unauthorized"),
        (CREDIT, "refused", "[providers.paint] account has no credit for what was asked (402)"),
        (RIGHTS, "refused", "[providers.paint] key may not do what was asked (403)"),
        (
            AWAY,
            "unreachable",
            "[providers.paint] url http://127.0.0.1:9 cannot be reached:"
            " it takes no connections now",
        ),
    ],
)
def test_why_names_the_setting(answer: Answer, state: str, why: str | None) -> None:
    """Each answer is a state, and a sentence with the setting that it is about."""
    found = greeted(Reception(), answer, WHOM, 5)
    assert (found.state, found.why, found.since) == (state, why, 5)


def test_since_is_when_the_state_began() -> None:
    """Another word for the same state does not begin it anew."""
    first = greeted(Reception(), KEY, WHOM, 5)
    again = heard(first, CREDIT, WHOM, 9, proves=True)
    assert (again.state, again.since) == ("refused", 5)
    assert again.why is not None and "credit" in again.why
    assert heard(again, Welcome(), WHOM, 11, proves=True).since == 11


@pytest.mark.parametrize(
    ("said", "proves", "lifted"),
    [(KEY, True, True), (KEY, False, False), (CREDIT, True, False), (RIGHTS, True, False)],
)
def test_a_greeting_undoes_only_what_it_can_see(said: Denied, proves: bool, lifted: bool) -> None:
    """Credit and rights are no matter of greetings, nor the key where nobody is asked for it; a
    request that is taken undoes all of them."""
    refused = heard(Reception(), said, WHOM, 1, proves=proves)
    assert refused.state == "refused" and refused.is_open == lifted
    assert (greeted(refused, Welcome(), WHOM, 2).state == "up") == lifted
    assert heard(refused, Welcome(), WHOM, 2, proves=proves).state == "up"


@pytest.mark.parametrize("said", [RIGHTS, KEY, CREDIT])
def test_who_asks_for_what_is_not_ours_changes_nothing_for_others(said: Denied) -> None:
    """Once a run was taken, a lack of rights is that request's alone; key and credit are not.
    A greeting that was answered well is no such proof."""
    taken = heard(Reception(), Welcome(), WHOM, 1, proves=True)
    after = heard(taken, said, WHOM, 2, proves=True)
    assert (after == taken) == (said is RIGHTS)
    greeting = greeted(Reception(), Welcome(), WHOM, 1)
    assert heard(greeting, said, WHOM, 2, proves=True).state == "refused"


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Done(), Welcome()),
        (Never("provider_refused", "not now", denied=KEY), KEY),
        (Again("provider_unreachable", "paint cannot be reached: it is away"), Away("it is away")),
        (Never("content_refused", "no"), None),
        (Again("throttled", "later"), None),
        (Ended(), None),
        (Unclear("it may have run"), None),
    ],
)
def test_what_an_outcome_says_of_us(outcome: Outcome, said: Answer | None) -> None:
    """Only a success, a refusal of ours, and a request that never arrived say something."""
    assert said_in(outcome) == said


class Host:
    """A provider whose answers to greetings the test gives."""

    speaks, url = "paint", "http://127.0.0.1:9"

    def __init__(self) -> None:
        self.heard: Heard = unheard
        self.asked = 0
        self.answers: list[Answer | Exception] = []
        self.silent = False

    async def greet(self) -> Answer:
        """The next answer; the last of them again and again."""
        self.asked += 1
        if self.silent:
            await anyio.sleep_forever()
        found = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found


class Sleeps:
    """A sleep that the test ends. `naps` are those that are under way."""

    def __init__(self) -> None:
        self.naps: list[tuple[float, anyio.Event]] = []
        self._began = anyio.Event()

    async def __call__(self, seconds: float) -> None:
        nap = (seconds, anyio.Event())
        self.naps.append(nap)
        self._began.set()
        try:
            await nap[1].wait()
        finally:
            self.naps.remove(nap)

    async def next(self) -> float:
        """End the nap that is under way, or that comes, and tell how long it would have been."""
        async with asyncio.timeout(PATIENCE):
            while not self.naps:
                self._began = anyio.Event()
                await self._began.wait()
        seconds, over = self.naps[0]
        over.set()
        await asyncio.sleep(0)
        return seconds


@asynccontextmanager
async def receiving(host: Host, sleeps: Sleeps) -> AsyncIterator[Receptions]:
    """The receptions of one host, begun."""
    manners = Manners(first_seconds=2, most_seconds=10)
    made = Receptions(
        {"paint": host, "local": object()}, clock=lambda: 7, sleep=sleeps, manners=manners
    )
    async with anyio.create_task_group() as group:
        made.start(group)
        yield made
        group.cancel_scope.cancel()


async def turns() -> None:
    """Let everybody go on who can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_that_is_up_is_left_alone() -> None:
    """It is greeted once, and nobody waits to do it again."""
    host, sleeps = Host(), Sleeps()
    host.answers = [Welcome()]
    async with receiving(host, sleeps) as made:
        await turns()
        assert list(made) == ["paint"]
        assert (made.of("paint").state, host.asked, sleeps.naps) == ("up", 1, [])


async def test_one_that_is_not_up_is_greeted_ever_more_seldom() -> None:
    """After twice the pause each time, up to the longest; from there on as before."""
    host, sleeps = Host(), Sleeps()
    host.answers = [AWAY]
    async with receiving(host, sleeps) as made:
        assert [await sleeps.next() for _ in range(5)] == [2, 4, 8, 10, 10]
        await turns()
        assert (host.asked, made.of("paint").state) == (6, "unreachable")
        host.answers = [Welcome()]
        await sleeps.next()
        await turns()
        assert (made.of("paint").state, sleeps.naps) == ("up", [])


async def test_what_runs_say_counts_and_asks_nobody() -> None:
    """A refusal by a run is told at once, and greeted about after a pause; a success ends it."""
    host, sleeps = Host(), Sleeps()
    host.answers = [Welcome()]
    async with receiving(host, sleeps) as made:
        await turns()
        made.heard("paint", Never("provider_refused", "not now", denied=KEY))
        made.heard("local", Never("provider_refused", "not now", denied=KEY))
        assert made.of("paint").state == "refused"
        await turns()
        assert (host.asked, [seconds for seconds, _ in sleeps.naps]) == (1, [2])
        made.heard("paint", Done())
        await turns()
        assert (made.of("paint").state, host.asked, sleeps.naps) == ("up", 1, [])
        host.heard(CREDIT)
        await turns()
        assert (made.of("paint").state, host.asked, sleeps.naps) == ("refused", 1, [])


async def test_a_welcome_that_is_anybodys_proves_no_key() -> None:
    """Where models are told to whoever asks, no greeting is made about a key that a run was
    refused for; the next run that succeeds is believed."""
    host, sleeps = Host(), Sleeps()
    host.answers = [Welcome(proves_key=False)]
    async with receiving(host, sleeps) as made:
        await turns()
        made.heard("paint", Never("provider_refused", "not now", denied=KEY))
        await turns()
        assert (made.of("paint").state, host.asked, sleeps.naps) == ("refused", 1, [])
        made.heard("paint", Done())
        assert made.of("paint").state == "up"


async def test_a_change_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """However often the same is heard, the log has a line for each change, and no more."""
    host, sleeps = Host(), Sleeps()
    host.answers = [AWAY, AWAY, KEY, KEY, Welcome()]
    async with receiving(host, sleeps) as made:
        for _ in range(4):
            await sleeps.next()
        await turns()
        made.heard("paint", Done())
        for denied in (KEY, CREDIT, KEY):
            host.heard(denied)
        assert made.statistics() == {
            "providers_up": 0,
            "providers_refused": 1,
            "providers_unreachable": 0,
            "provider_flips": 4,
        }
    log = capsys.readouterr().out
    told = [word for word in log.split() if word.startswith("provider.")]
    first = ["provider.unreachable", "provider.refused", "provider.up"]
    assert told == [*first, "provider.refused"]


async def test_a_bug_of_an_adapter_is_logged_and_survived(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A greeting that raises leaves the provider unreachable, and is tried again."""
    host, sleeps = Host(), Sleeps()
    host.answers = [RuntimeError("a bug"), Welcome()]
    async with receiving(host, sleeps) as made:
        await sleeps.next()
        await turns()
        assert made.of("paint").state == "up"
    assert "provider.defect" in capsys.readouterr().out


async def test_nobody_is_known_before_he_has_answered() -> None:
    """One that says nothing is unknown, and no reason to wait."""
    host, sleeps = Host(), Sleeps()
    host.silent = True
    async with receiving(host, sleeps) as made:
        await turns()
        assert made.of("paint") == Reception()
