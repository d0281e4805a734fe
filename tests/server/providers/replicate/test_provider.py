"""The provider itself, against an emulated Replicate: marks, rumours, files, ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
import pytest
import standardwebhooks

from safelight.providers.base import (
    Delivery,
    Done,
    Ended,
    Failure,
    Found,
    Gone,
    InputFile,
    Never,
    Prediction,
    Unclear,
    Unknowable,
)
from safelight.providers.replicate import Replicate, Timings
from safelight.settings import ProviderSettings
from safelight_protocol.codes import Refused
from tests.doubles.emulated import Emulated, emulated
from tests.doubles.replicate_rig import FLUX, LANTERN, QUICK, WAN

NOWHERE = "http://127.0.0.1:9"
"""An address for webhooks at which nobody listens: those of these tests are sent by hand."""

LONG = msgspec.structs.replace(QUICK, poll=60.0, poll_most=60.0, hooked=60.0)


@pytest.fixture
def emulator(tmp_path: Path) -> Any:
    """An emulated Replicate that is quick."""
    with emulated(tmp_path, "replicate", pace=0.01) as running:
        yield running


class Desk:
    """A provider that is open, what it reports, and who signs for its Replicate."""

    def __init__(self, emulator: Emulated, timings: Timings, public_url: str | None) -> None:
        self.emulator = emulator
        settings = ProviderSettings(url=f"{emulator.url}/v1", key=emulator.key, request_seconds=5.0)
        self.provider = Replicate(settings, public_url=public_url, timings=timings)
        self.reports: list[Any] = []

    async def report(self, report: Any) -> None:
        """Keep what is reported."""
        self.reports.append(report)

    async def ask(self, path: str) -> Any:
        """A look at the emulator itself."""
        async with httpx2.AsyncClient(headers=self.emulator.headers, trust_env=False) as client:
            return (await client.get(f"{self.emulator.url}/v1/{path}")).json()

    async def call(self, said: Any, query: str, id: str = "msg_1") -> None:
        """A webhook, signed as the emulator would sign it."""
        secret = (await self.ask("webhooks/default/secret"))["key"]
        body, now = json.dumps(said), datetime.now(UTC)
        headers = {
            "webhook-id": id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": standardwebhooks.Webhook(secret).sign(id, now, body),
        }
        await self.provider.deliver(Delivery(dict(parse_qsl(query)), headers, body.encode()))

    def run(self) -> str:
        """The one run that there is."""
        [run] = self.emulator.runs()
        return str(run["run"])


@pytest.fixture
async def desk(emulator: Emulated) -> AsyncIterator[Desk]:
    """The provider with quick waits, which asks for webhooks."""
    made = Desk(emulator, QUICK, NOWHERE)
    async with made.provider.open():
        yield made


def prediction(uid: str = "u", attempt: int = 1, **fields: Any) -> Prediction:
    """An attempt at a picture."""
    given: dict[str, Any] = {"kind": "image", "model": FLUX, "params": {}, "seed": 7, "n": 1}
    return Prediction(uid=uid, attempt=attempt, prompt="a lamp", **(given | fields))


async def test_the_address_carries_task_and_attempt(desk: Desk) -> None:
    """The webhook's address names the task and the attempt; without an address of ours no
    webhook is asked for."""
    await desk.provider.start(prediction(attempt=3))
    told = desk.emulator.runs()[0]["marks"]["webhook"]
    assert told == f"{NOWHERE}/api/webhooks/replicate?task=u&attempt=3"
    silent = Desk(desk.emulator, QUICK, None)
    async with silent.provider.open():
        await silent.provider.start(prediction())
    assert desk.emulator.runs()[1]["marks"]["webhook"] is None


async def test_a_webhook_alone_ends_it(emulator: Emulated) -> None:
    """Whoever is first wins: an end that a webhook tells is not waited for by a poll."""
    desk = Desk(emulator, LONG, NOWHERE)
    async with desk.provider.open():
        asked = prediction()
        handle = await desk.provider.start(asked)
        following = asyncio.create_task(desk.provider.follow(asked, handle, desk.report))
        said = await desk.ask(f"predictions/{handle}")
        while said["status"] != "succeeded":
            said = await desk.ask(f"predictions/{handle}")
        asked_before = emulator.asked("GET", f"/v1/predictions/{handle}")
        await desk.call(said, "task=u&attempt=1")
        assert isinstance(await asyncio.wait_for(following, 10), Done)
        assert emulator.asked("GET", f"/v1/predictions/{handle}") == asked_before


async def test_a_call_that_comes_twice_is_taken_once(emulator: Emulated) -> None:
    """A call with an id that was taken in says nothing new, whatever is in it; one that comes
    after the end is taken, too."""
    desk = Desk(emulator, LONG, NOWHERE)
    async with desk.provider.open():
        asked = prediction()
        handle = await desk.provider.start(asked)
        following = asyncio.create_task(desk.provider.follow(asked, handle, desk.report))
        await desk.call({"id": handle, "status": "processing"}, "")
        await desk.call({"id": handle, "status": "failed", "error": "replayed"}, "")
        await desk.call({"id": handle, "status": "canceled", "started_at": "t"}, "", "msg_2")
        assert isinstance(await asyncio.wait_for(following, 10), Ended)
        await desk.call({"id": handle, "status": "processing"}, "", "msg_3")


async def test_what_is_no_prediction_is_taken_and_changes_nothing(desk: Desk) -> None:
    """A signed call that says nothing we know is taken: nobody is made to send it again."""
    await desk.call(["odd"], "task=u")
    await desk.call({"id": "other", "status": "new"}, "task=u&attempt=x", "msg_2")


async def _lost(desk: Desk, asked: Prediction) -> None:
    desk.emulator.arm("lost-answer@1")
    with pytest.raises(Failure) as failure:
        await desk.provider.start(asked)
    assert isinstance(failure.value.outcome, Unclear)


async def test_a_webhook_names_a_lost_start(desk: Desk) -> None:
    """A webhook that comes while the answer is lost says which prediction it is: the list is
    not needed."""
    asked = prediction()
    await _lost(desk, asked)
    await desk.call({"id": desk.run(), "status": "processing"}, "task=u&attempt=1")
    before = desk.emulator.asked("GET", "/v1/predictions?")
    assert await desk.provider.look_up(asked) == desk.run()
    assert desk.emulator.asked("GET", "/v1/predictions?") == before


async def test_a_create_that_is_still_on_its_way_is_waited_for(emulator: Emulated) -> None:
    """The list is looked through twice, with the pause between in which such a create arrives:
    it is not begun again."""
    sender, pauses = Desk(emulator, QUICK, NOWHERE), []

    async def arrive(seconds: float) -> None:
        pauses.append(seconds)
        await sender.provider.start(prediction())

    settings = ProviderSettings(url=f"{emulator.url}/v1", key=emulator.key)
    restarted = Replicate(settings, public_url=NOWHERE, timings=QUICK, sleep=arrive)
    async with sender.provider.open(), restarted.open():
        assert await restarted.look_up(prediction()) == sender.run()
    assert pauses == [QUICK.settle]


async def test_a_rumour_is_not_believed(desk: Desk) -> None:
    """A call that was recorded and sent again with another's mark gives nothing away."""
    await _lost(desk, prediction())
    await desk.call({"id": desk.run(), "status": "processing"}, "task=v&attempt=1")
    assert isinstance(await desk.provider.look_up(prediction("v", seed=8)), Gone)
    assert await desk.provider.look_up(prediction()) == desk.run()


async def test_a_rumour_of_nothing(desk: Desk) -> None:
    """A call about a prediction that is not there keeps nobody from finding the right one."""
    await _lost(desk, prediction())
    await desk.call({"id": "nosuchprediction", "status": "processing"}, "task=u&attempt=1")
    assert await desk.provider.look_up(prediction()) == desk.run()


async def test_equal_requests_are_told_apart(emulator: Emulated) -> None:
    """Without marks, a run that is known to be another attempt's is not taken for a lost one,
    though it is equal in everything."""
    desk = Desk(emulator, QUICK, None)
    async with desk.provider.open():
        known = await desk.provider.start(prediction("u"))
        assert isinstance(await desk.provider.look_up(prediction("v")), Gone)
        await _lost(desk, prediction("v"))
        found = await desk.provider.look_up(prediction("v"))
        assert isinstance(found, str) and found != known


async def test_a_restarted_provider_finds_it(desk: Desk) -> None:
    """Another process finds the same prediction; where it can no longer tell what was sent, it
    does not say that nothing was."""
    await _lost(desk, prediction())
    again = Desk(desk.emulator, QUICK, NOWHERE)
    async with again.provider.open():
        gone = prediction("w", model="gone/away")
        assert isinstance(await again.provider.look_up(gone), Unclear)
        assert await again.provider.look_up(prediction()) == desk.run()


async def test_a_large_file_goes_before(desk: Desk, tmp_path: Path) -> None:
    """A small file travels with the request, a large one is handed over before."""
    small, large = tmp_path / "small.png", tmp_path / "large.png"
    small.write_bytes(b"\x89PNG" + b"s" * 100)
    large.write_bytes(b"\x89PNG" + b"l" * 300_000)
    for path in (small, large):
        given = (InputFile(path, "image/png"),)
        asked = prediction(path.name, kind="video", model=WAN, inputs=given)
        await desk.provider.start(asked)
    first, second = (run["marks"]["input"]["image"] for run in desk.emulator.runs())
    assert first.startswith("data:image/png;base64,")
    assert urlsplit(second).path.startswith("/v1/files/")
    assert desk.emulator.asked("POST", "/v1/files") == 1


async def test_files_that_need_the_key_get_it(desk: Desk) -> None:
    """Our key is sent along to Replicate's own origin."""
    asked = prediction()
    handle = await desk.provider.start(asked)
    assert isinstance(await desk.provider.follow(asked, handle, desk.report), Done)
    [found] = [one for one in desk.reports if isinstance(one, Found)]
    assert found.headers == {"Authorization": f"Bearer {desk.emulator.key}"}
    assert desk.provider._client.credentials("https://elsewhere.example/x") == {}


async def test_followed_again(desk: Desk) -> None:
    """A second follow of one handle reports the same files, and ends the same."""
    asked = prediction(n=2)
    handle = await desk.provider.start(asked)
    outcomes = [await desk.provider.follow(asked, handle, desk.report) for _ in range(2)]
    keys = [one.key for one in desk.reports if isinstance(one, Found)]
    assert outcomes[0] == outcomes[1] and keys == ["0", "1", "0", "1"]


async def test_results_that_were_removed(desk: Desk) -> None:
    """What the provider has thrown away before it was copied is told, and not run again."""
    asked = prediction()
    handle = await desk.provider.start(asked)
    await desk.provider.follow(asked, handle, desk.report)
    await asyncio.to_thread(desk.emulator.forward, 4000)
    outcome = await desk.provider.follow(asked, handle, desk.report)
    assert isinstance(outcome, Never) and outcome.code == "artifact_unavailable"


async def test_cancel_of_what_nobody_follows(desk: Desk) -> None:
    """A cancel of what nobody follows returns when it has ended, and what it came to can be
    asked for."""
    asked = prediction(model=LANTERN, params={"steps": 50})
    handle = await desk.provider.start(asked)
    assert await desk.provider.account(asked, handle) is None
    await desk.provider.cancel(asked, handle)
    assert desk.emulator.runs()[0]["outcome"] == "canceled"
    account = await desk.provider.account(asked, None)
    assert account is not None and (account.usage is not None or account.charge is not None)


async def test_a_cancel_is_asked_until_it_is_heard(desk: Desk) -> None:
    """Trouble on a cancel's way does not leave a run to be paid to its end."""
    asked = prediction(model=LANTERN, params={"steps": 50})
    handle = await desk.provider.start(asked)
    desk.emulator.arm("http-503=cancel@1", "lost-request=cancel@2")
    await desk.provider.cancel(asked, handle)
    assert desk.emulator.runs()[0]["outcome"] == "canceled"
    assert desk.emulator.asked("POST", f"/v1/predictions/{handle}/cancel") == 3


async def test_a_prediction_that_nobody_knows(desk: Desk) -> None:
    """A handle that leads nowhere is not clear: something may have run."""
    outcome = await desk.provider.follow(prediction(), "nosuchprediction", desk.report)
    assert isinstance(outcome, Unclear)


async def test_checks_name_the_model(desk: Desk) -> None:
    """A model that is not there is refused by name; one that cannot be asked about, later."""
    with pytest.raises(Refused) as refused:
        await desk.provider.check(prediction(model="no/where"))
    assert refused.value.code.name == "unknown_model"
    await asyncio.to_thread(desk.emulator.kill)
    with pytest.raises(Refused) as refused:
        await desk.provider.check(prediction())
    assert refused.value.code.name == "provider_unreachable"
    with pytest.raises(Failure) as failure:
        await desk.provider.start(prediction())
    assert not isinstance(failure.value.outcome, Unclear)


@pytest.mark.parametrize(
    ("public_url", "api", "called_at"),
    [
        ("https://us.example/", None, "https://us.example"),
        ("http://us.example", None, None),
        ("http://127.0.0.1:1", "http://127.0.0.1:2/v1", "http://127.0.0.1:1"),
        (None, None, None),
    ],
)
def test_no_webhook_that_would_be_refused(
    public_url: str | None, api: str | None, called_at: str | None
) -> None:
    """The real one refuses a create that names an address without TLS: it is not named one."""
    provider = Replicate(ProviderSettings(key="k", url=api), public_url=public_url)
    assert provider._called_at == called_at


def test_the_key_is_in_no_words(emulator: Emulated) -> None:
    """Whoever prints the provider or its settings does not print the key."""
    desk = Desk(emulator, QUICK, None)
    assert emulator.key not in repr(desk.provider) + str(vars(desk.provider)["_client"])


async def test_what_replicate_no_longer_has_is_not_asked_about_for_ever(
    emulator: Emulated,
) -> None:
    """A prediction that was there and is gone (another key, or deleted there) will never be
    told: the look-up says so instead of finding it again and again."""
    emulator.arm("late=60")
    desk = Desk(emulator, QUICK, None)
    async with desk.provider.open():
        asked = prediction()
        handle = await desk.provider.start(asked)
        assert await desk.provider.look_up(asked) == handle
        await asyncio.to_thread(emulator.restart)  # it remembers nothing
        outcome = await desk.provider.follow(asked, handle, desk.report)
        assert isinstance(outcome, Unclear)
        assert isinstance(await desk.provider.look_up(asked), Unknowable)
