"""GET /api/providers beside emulated providers: keys, addresses, and what runs say of both."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync

from safelight.configured import providers_of
from safelight.greetings import Manners
from safelight.settings import ProviderSettings, Settings
from tests.doubles import replicate_rig, superduper_rig
from tests.doubles.emulated import KEY, Emulated, emulated
from tests.doubles.schemas import unfit
from tests.doubles.served import PATIENCE, Served, served

AT = {"replicate": "/v1", "openai": "/v1", "anthropic": "", "gemini": "", "superduperai": ""}
ASKED = {
    "replicate": "/v1/account",
    "openai": "/v1/models",
    "anthropic": "/v1/models",
    "gemini": "/v1/models",
    "superduperai": "/api/v1/user/me",
}
REFUSED = {
    "replicate": "(401): Unauthenticated",
    "openai": "(401): invalid_api_key",
    "anthropic": "(401): authentication_error",
    "gemini": "(400): API_KEY_INVALID",
    "superduperai": "(401): Unauthorized",
}
RUNS: dict[str, dict[str, Any]] = {
    "replicate": {"kind": "image", "model": "flux-schnell"},
    "openai": {"kind": "text", "model": "gpt-5.4-mini"},
    "anthropic": {"kind": "text", "model": "claude-haiku-4-5"},
    "gemini": {"kind": "text", "model": "gemini-3.8-flash"},
    "superduperai": {
        "kind": "image",
        "model": "superduperai/comfyui/flux",
        "params": {"width": 64, "height": 64},
    },
}
BEGUN = {"replicate": "/v1/predictions/", "superduperai": "/api/v1/events/"}
"""What is asked of each once a run has begun."""

MODELS = {"replicate": {"model": replicate_rig.FLUX}}
NAMES = list(AT)
ONCE = Manners(first_seconds=3600, most_seconds=3600)
SOON = Manners(first_seconds=0.02, most_seconds=0.05)


class Rig:
    """A server, and one provider that it has the key of, or not."""

    def __init__(self, house: Served, emulator: Emulated) -> None:
        self.house = house
        self.emulator = emulator
        self.name = emulator.name

    async def told(self) -> dict[str, Any]:
        """The provider as it is shown."""
        answer = await self.house.http.get("/api/providers")
        assert answer.status_code == 200, answer.text
        assert unfit("ProvidersData", answer.json()["data"]) == []
        (one,) = answer.json()["data"]["providers"]
        found: dict[str, Any] = one
        return found

    async def until(self, state: str) -> dict[str, Any]:
        """The provider as it is shown, as soon as it has this state."""
        async with asyncio.timeout(PATIENCE):
            while (told := await self.told())["state"] != state:
                pass  # asking takes its time
        return told

    async def run(self, **fields: Any) -> dict[str, Any]:
        """The last event of a task there."""
        body = {"prompt": "a lamp", "max_cost": 50} | RUNS[self.name] | fields
        answer = await self.house.post("/api/tasks", body)
        assert answer.status_code == 202, answer.text
        async with asyncio.timeout(PATIENCE):
            return (await self.house.events(answer.json()["data"]["task_id"]))[-1]

    async def take_only(self, key: str) -> None:
        """Let the provider take this key alone."""
        await run_sync(self.emulator.take_only, key)


@asynccontextmanager
async def beside(
    emulator: Emulated, folder: Path, manners: Manners, key: str = KEY, **settings: Any
) -> AsyncIterator[Rig]:
    """A server beside an emulator."""
    name = emulator.name
    own = {name: ProviderSettings(url=emulator.url + AT[name], key=key, request_seconds=10)}
    made = {name: providers_of(Settings(providers=own), {})[name]}
    more = {"providers": own, "beside": made, "manners": manners}
    async with served(folder / "data", **more, **settings) as house:
        yield Rig(house, emulator)


@asynccontextmanager
async def rigged(
    folder: Path, name: str, manners: Manners = ONCE, **more: Any
) -> AsyncIterator[Rig]:
    """Both, up."""
    with emulated(folder, name) as emulator:
        async with beside(emulator, folder, manners, **more) as rig:
            yield rig


@pytest.mark.parametrize("name", NAMES)
async def test_a_right_key_is_seen_at_once(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The provider is up by one request that runs nothing, and is told with its places, its
    models and its address."""
    async with rigged(tmp_path, name) as rig:
        told = await rig.until("up")
        models = (await rig.house.http.get("/api/models")).json()["data"]["models"]
        ours = [one for one in models if one["provider"] == name and one["usable"]]
        statistics = (await rig.house.http.get("/healthz")).json()["data"]["statistics"]
        requests = rig.emulator.log("request")
        assert rig.emulator.runs() == []
    assert [line["path"] for line in requests] == [ASKED[name]]
    assert (told["name"], told["type"], told["why"]) == (name, name, None)
    assert told["url"] == rig.emulator.url + AT[name] and told["since"] is not None
    assert told["places"] == {"taken": 0, "of": 4, "waiting": 0} and told["breakers"] == []
    assert told["models"] == len(ours) > 0
    assert (statistics["providers_up"], statistics["providers_refused"]) == (1, 0)
    assert capsys.readouterr().out.count("provider.up") == 1


@pytest.mark.parametrize("name", NAMES)
async def test_a_wrong_key_is_told_with_its_setting(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any task: the setting, the status and the provider's own word for it, and no key.
    It is told once, however often it is found again."""
    async with rigged(tmp_path, name, SOON, key="not-the-key") as rig:
        told = await rig.until("refused")
        async with asyncio.timeout(PATIENCE):
            while rig.emulator.asked("GET", ASKED[name]) < 3:
                await rig.told()
        assert (await rig.told())["since"] == told["since"]
        assert rig.emulator.runs() == []
    log = capsys.readouterr().out
    assert told["why"] == f"[providers.{name}] key was not accepted {REFUSED[name]}"
    assert log.count("provider.refused") == 1 and "not-the-key" not in log
    assert "provider.up" not in log


async def test_one_that_is_away_is_found_when_it_comes_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody at the address is told with the address; whoever listens there later is up without
    a task, and each of both is one line of the log."""
    with emulated(tmp_path, "replicate") as emulator:
        emulator.kill()
        async with beside(emulator, tmp_path, SOON) as rig:
            told = await rig.until("unreachable")
            await run_sync(emulator.start)
            await rig.until("up")
            assert emulator.runs() == []
    url = f"{emulator.url}/v1"
    assert told["why"].startswith(f"[providers.replicate] url {url} cannot be reached: it ")
    log = capsys.readouterr().out
    assert (log.count("provider.unreachable"), log.count("provider.up")) == (1, 1)


@pytest.mark.parametrize("name", NAMES)
async def test_a_run_tells_that_the_key_was_revoked(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run fails with its provider's own error, opens no breaker and marks the provider; a
    run that succeeds takes that back. Neither costs a request more."""
    async with rigged(tmp_path, name, breaker_faults=1, attempts=1) as rig:
        assert (await rig.run())["type"] == "completed"
        await rig.take_only("another")
        failed = await rig.run(seed=2)
        told = await rig.told()
        await rig.take_only(KEY)
        assert (await rig.run(seed=3))["type"] == "completed"
        healed = await rig.told()
        asked = rig.emulator.asked("GET", ASKED[name])
        assert len(rig.emulator.runs()) == 2
    assert (failed["type"], failed["error_data"]["code"]) == ("failed", "provider_refused"), failed
    assert told["why"] == f"[providers.{name}] key was not accepted {REFUSED[name]}"
    assert (told["state"], told["breakers"], healed["state"]) == ("refused", [], "up")
    assert asked == 1
    log = capsys.readouterr().out
    assert (log.count("provider.refused"), log.count("provider.up")) == (1, 2)


async def test_a_key_that_is_taken_again_is_found_without_a_task(tmp_path: Path) -> None:
    """After a run was refused the provider is greeted, until it takes the key."""
    async with rigged(tmp_path, "anthropic", SOON) as rig:
        await rig.until("up")
        await rig.take_only("another")
        await rig.run()
        await rig.until("refused")
        await rig.take_only(KEY)
        await rig.until("up")
        assert rig.emulator.runs() == []


async def test_no_greeting_hides_that_credit_is_short(tmp_path: Path) -> None:
    """What only a run can learn stays told until a run is taken, and nobody is greeted for it."""
    async with rigged(tmp_path, "replicate", SOON) as rig:
        await rig.until("up")
        await run_sync(rig.emulator.arm, "no-credit@1")
        await rig.run()
        told = await rig.until("refused")
        assert (await rig.run(seed=2))["type"] == "completed"
        assert (await rig.told())["state"] == "up"
        assert rig.emulator.asked("GET", ASKED["replicate"]) == 1
    word = "account has no credit for what was asked (402): Insufficient credit"
    assert told["why"] == f"[providers.replicate] {word}"


@pytest.mark.parametrize("name", ["replicate", "superduperai"])
async def test_a_request_is_refused_for_the_key_and_not_for_the_line(
    name: str, tmp_path: Path
) -> None:
    """Where the provider is asked what its model takes before anything is accepted, a key that
    it does not take is told as that, and not as silence; with `queue` the task is tried."""
    body = {"prompt": "a lamp", "max_cost": 50} | RUNS[name]
    async with rigged(tmp_path, name) as rig:
        await rig.until("up")
        await rig.take_only("another")
        answer = await rig.house.post("/api/tasks", body)
        assert unfit("Problem", answer.json()) == []
        assert (answer.status_code, answer.json()["code"]) == (424, "provider_refused")
        assert (await rig.told())[
            "why"
        ] == f"[providers.{name}] key was not accepted {REFUSED[name]}"
        assert rig.emulator.asked("GET", ASKED[name]) == 1
    async with rigged(tmp_path / "later", name, key="not-the-key", unreachable="queue") as rig:
        made = await rig.house.post("/api/tasks", body)
        assert made.status_code == 202 and "tried all the same" in made.text
        failed = (await rig.house.events(made.json()["data"]["task_id"]))[-1]
    assert failed["error_data"]["code"] == "provider_refused"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "begun"), list(BEGUN.items()))
async def test_a_key_that_is_revoked_in_the_middle_of_a_run_is_seen(
    name: str, begun: str, tmp_path: Path
) -> None:
    """The look at what runs tells that the key is not taken any more; the run goes on, and ends
    well once it is."""
    rigs: dict[str, Any] = {
        "replicate": partial(replicate_rig.rigged, webhooks=False),
        "superduperai": superduper_rig.rigged,
    }
    async with rigs[name](tmp_path, pace=0.2, manners=ONCE) as both:
        rig = Rig(both.house, both.emulator)
        await rig.until("up")
        body = {"prompt": "a lamp", "max_cost": 50} | RUNS[name] | MODELS.get(name, {})
        made = await rig.house.post("/api/tasks", body)
        await run_sync(rig.emulator.wait_asked, begun)
        await rig.take_only("another")
        await rig.until("refused")
        await rig.take_only(KEY)
        async with asyncio.timeout(3 * PATIENCE):
            events = await rig.house.events(made.json()["data"]["task_id"])
        assert events[-1]["type"] == "completed"
        assert (await rig.told())["state"] == "up"
        assert len(rig.emulator.runs()) == 1


async def test_a_call_that_cannot_be_checked_tells_of_the_key(tmp_path: Path) -> None:
    """Who calls back is told no reason where the secret is refused; the operator is."""
    call = {
        "webhook-id": "1",
        "webhook-timestamp": str(int(time.time())),
        "webhook-signature": "v1,x",
    }
    async with rigged(tmp_path, "replicate") as rig:
        await rig.until("up")
        await rig.take_only("another")
        answer = await rig.house.http.post("/api/webhooks/replicate", headers=call, content=b"{}")
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_unreachable")
        assert (await rig.told())["state"] == "refused"


async def test_a_silent_provider_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A server whose provider says nothing listens and works at once; the provider is unknown."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        own = {"replicate": ProviderSettings(url=url, key=KEY)}
        made = providers_of(Settings(providers=own), {})["replicate"]
        async with served(tmp_path, providers=own, beside={"replicate": made}) as house:
            answer = await house.http.get("/api/providers")
            (told,) = answer.json()["data"]["providers"]
            assert (told["state"], told["since"], told["why"]) == ("unknown", None, None)
            id = (await house.create())["task_id"]
            assert (await house.events(id))[-1]["type"] == "completed"


async def test_who_may_not_ask_is_told_nothing(tmp_path: Path) -> None:
    """With tokens, the providers are told to who has one, as backends are."""
    async with rigged(tmp_path, "anthropic", tokens={"t-1": "ada"}) as rig:
        answer = await rig.house.http.get("/api/providers")
        assert answer.status_code == 401 and "anthropic" not in answer.text
        known = {"Authorization": "Bearer t-1"}
        answer = await rig.house.http.get("/api/providers", headers=known)
        assert answer.status_code == 200 and rig.emulator.url in answer.text


async def test_places_and_breakers_are_told(tmp_path: Path) -> None:
    """A model whose provider asked for a pause is told with its end, and who waits is counted;
    the provider is up all the same."""
    body = {"prompt": "a lamp", "max_cost": 50} | RUNS["replicate"]
    async with rigged(tmp_path, "replicate") as rig:
        await rig.until("up")
        await run_sync(rig.emulator.arm, "throttle=120@1")
        assert (await rig.house.post("/api/tasks", body)).status_code == 202
        async with asyncio.timeout(PATIENCE):
            while not (told := await rig.told())["breakers"]:
                pass  # asking takes its time
    (breaker,) = told["breakers"]
    assert breaker["model"] == "black-forest-labs/flux-schnell"
    assert breaker["until"] > told["since"]
    assert (told["state"], told["places"]) == ("up", {"taken": 0, "of": 4, "waiting": 1})
