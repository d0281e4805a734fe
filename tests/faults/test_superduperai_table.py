"""Everything that may go wrong with SuperDuperAI, as a table: what a client saw, how often it
was run there, and what the books say, which must be what the emulator's own log says.

It calls nobody back; what others lose as a webhook is lost here as an event of a channel.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from tests.doubles.emulated import emulated
from tests.doubles.process import ServerProcess, server_process
from tests.doubles.served import PATIENCE
from tests.doubles.superduper_rig import FILM, FREE, MOVED, PAID, asked, rigged

pytestmark = pytest.mark.slow


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for and goes wrong, and what must come of it. `runs` are those of the
    emulator's log; `end` is the last event, `code` its error."""

    name: str
    faults: tuple[str, ...] = ()
    model: str = PAID
    fields: dict[str, Any] = {}
    request_seconds: float = 5.0
    end: str = "completed"
    code: str | None = None
    runs: int = 1
    attempts: int = 1


def failed(name: str, fault: str, code: str, **more: Any) -> Row:
    """A row of a request that comes to no run."""
    return Row(name=name, faults=(fault,), end="failed", code=code, **{"runs": 0} | more)


ROWS = [
    Row(name="a picture"),
    Row(name="a picture for nothing", model=FREE),
    Row(name="three pictures", fields={"n": 3}),
    Row(name="a video", model=FILM),
    Row(name="a longer video", model=FILM, fields={"params": {"duration": 8}}),
    Row(name="lost answer", faults=("lost-answer@1",)),
    Row(name="lost answer of three", faults=("lost-answer@1",), fields={"n": 3}),
    Row(name="lost answer, and the list is away", faults=("lost-answer@1", "http-503=list@1")),
    Row(name="lost answer, of a video", faults=("lost-answer@1",), model=FILM),
    Row(name="lost request", faults=("lost-request@1",), attempts=2),
    Row(name="hang", faults=("hang@1",), request_seconds=2.0),
    Row(name="hang of a look", faults=("hang=get@1", "lost-event"), request_seconds=2.0),
    Row(name="lost events", faults=("lost-event",)),
    Row(name="lost last events", faults=("lost-event@11", "lost-event@12")),
    Row(name="a channel that is silent", faults=("hang=stream",)),
    Row(name="a channel that is cut", faults=("cut",)),
    Row(name="no channel at all", faults=("http-500=events",)),
    Row(name="duplicate events", faults=("duplicate-event",)),
    Row(name="duplicate events of a video", faults=("duplicate-event",), model=FILM),
    Row(name="disorder", faults=("disorder",)),
    Row(name="disorder at the end", faults=("disorder@11",)),
    Row(name="looks that fail", faults=("http-500=get@1", "throttle=get@2", "lost-event")),
    Row(name="429", faults=("throttle=0@1",), attempts=2),
    Row(name="500 of the create", faults=("http-500@1",), attempts=2),
    Row(name="503 of the create", faults=("http-503@1",), attempts=2),
    Row(name="a file that is away at first", faults=("http-503=file@1", "http-500=file@2")),
    Row(name="integrity, our seed", faults=("integrity@1",), attempts=2),
    Row(name="integrity twice, our seed", faults=("integrity@1", "integrity@2"), attempts=3),
    Row(name="integrity of a second attempt", faults=("http-503@1", "integrity@2"), attempts=3),
    failed("integrity, their seed", "integrity@1", "seed_conflict", fields={"seed": 7}),
    failed("a wrong key", "unauthorized", "provider_refused"),
    failed("no credit", "no-credit", "provider_refused"),
    failed("no vip", "no-vip", "provider_refused"),
    failed("moderated", "moderated", "content_refused"),
    failed("429 without end", "throttle=0", "throttled", attempts=3),
    failed("503 without end", "http-503", "provider_failed", attempts=3),
    failed("the run fails", "fail", "provider_failed", runs=1),
    failed("the run of three fails", "fail", "provider_failed", runs=1, fields={"n": 3}),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_row(row: Row, tmp_path: Path) -> None:
    """Each row ends as it should, is run as often as it should, and is paid as it was run."""
    async with rigged(tmp_path, request_seconds=row.request_seconds) as rig:
        await rig.arm(*row.faults)
        events = await rig.house.events(await rig.create(row.model, **row.fields))
        last = events[-1]
        assert last["type"] == row.end, last
        assert last.get("error_data", {}).get("code") == row.code
        assert last["attempt"] == row.attempts
        runs = rig.emulator.runs()
        assert len(runs) == row.runs
        assert await rig.spent() == rig.emulator.cost()
        made = [event for event in events if event["type"] == "artifact"]
        assert len(made) == (row.fields.get("n", 1) if row.end == "completed" else 0)
        assert "Insufficient" not in str(events) and "VIP" not in str(last.get("error_data"))
        told = [event["progress"] for event in events if event["attempt"] == row.attempts]
        assert told == sorted(told)


async def test_progress_comes_from_the_channel(tmp_path: Path) -> None:
    """It grows, and a client sees it before the end."""
    async with rigged(tmp_path, pace=0.03) as rig:
        events = await rig.house.events(await rig.create(FREE))
        between = [event["progress"] for event in events if 0 < event["progress"] < 1]
        assert len(between) >= 3


async def test_a_cancel_cannot_stop_it_and_says_so(tmp_path: Path) -> None:
    """The task ends at once, unconfirmed; what was begun there runs on, and its price is in
    the books before it ends."""
    async with rigged(tmp_path) as rig:
        await rig.arm("late=1@1")
        id = await rig.create()
        async with rig.house.connect() as phone:
            await phone.join(f"task:{id}")
            await phone.until(lambda f: f[4].get("status") == "processing")
            await rig.house.post(f"/api/tasks/{id}/cancel")
        last = (await rig.house.events(id))[-1]
        assert last["type"] == "canceled" and last["confirmed"] is False
        assert last["charge"]["amount_micros"] == 2_000_000
        (run,) = rig.emulator.runs()
        await asyncio.to_thread(rig.emulator.settled)
        assert await rig.spent() == rig.emulator.cost() == 2_000_000
        assert run["run"]


async def test_a_repeat_with_a_chosen_seed_is_told_by_its_name(tmp_path: Path) -> None:
    """The provider makes nothing twice. Whoever chose the seed hears that it is taken; whoever
    left it open gets another one."""
    async with rigged(tmp_path) as rig:
        ends = []
        for fields in ({"seed": 7}, {"seed": 7}, {}, {}):
            events = await rig.house.events(await rig.create(reuse="never", **fields))
            ends.append(events[-1])
        assert [end["type"] for end in ends] == ["completed", "failed", "completed", "completed"]
        assert ends[1]["error_data"]["code"] == "seed_conflict"
        assert len(rig.emulator.runs()) == 3
        assert await rig.spent() == rig.emulator.cost() == 6_000_000


async def test_a_failed_video_keeps_its_still(tmp_path: Path) -> None:
    """A video of a picture: the picture is brought there as its source; when the video fails
    the picture is still here."""
    async with rigged(tmp_path) as rig:
        still = await rig.create(FREE)
        made = (await rig.house.events(still))[-1]["result_data"]["image_url"]
        await rig.arm("fail@2")
        ends = []
        for prompt in ("it moves", "it moves on"):
            id = await rig.create(MOVED, prompt=prompt, inputs=[{"task": still}])
            ends.append((await rig.house.events(id))[-1]["type"])
        assert ends == ["completed", "failed"]
        assert (await rig.house.http.get(made)).status_code == 200
        assert await rig.spent() == rig.emulator.cost() == 2 * 5 * 400_000


async def test_what_it_does_not_take_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """The provider's own list decides, and nothing is asked for."""
    async with rigged(tmp_path) as rig:
        body = asked(FILM, params={"duration": 9})
        answer = await rig.house.post("/api/tasks", body)
        assert answer.status_code == 400
        (detail,) = answer.json()["error"]["details"]
        assert detail["field"] == "params.duration" and "5, 6, 7, 8" in detail["expected"]
        assert rig.emulator.asked("POST", "/api/v1/file") == 0


async def test_the_schema_is_the_providers_own(tmp_path: Path) -> None:
    """What the provider says of its model stands in the schema, beside what is known here."""
    async with rigged(tmp_path) as rig:
        told = (await rig.house.http.get(f"/api/models/{FILM}/schema")).json()["data"]
        seconds = told["properties"]["duration"]
        assert (seconds["enum"], seconds["default"]) == ([5, 6, 7, 8], 5)
        assert told["properties"]["width"]["maximum"] == 1920
        picture = (await rig.house.http.get(f"/api/models/{FREE}/schema")).json()["data"]
        assert "flux_noir" in picture["properties"]["style_name"]["enum"]
        assert picture["properties"]["width"]["minimum"] == 64


async def test_a_price_needs_consent(tmp_path: Path) -> None:
    """Nothing that is paid is begun by a request that does not say so."""
    async with rigged(tmp_path) as rig:
        body = asked(PAID)
        del body["max_cost"]
        answer = await rig.house.post("/api/tasks", body)
        assert answer.status_code in (402, 403)
        assert rig.emulator.asked("POST", "/api/v1/file") == 0


KILLS = [("while it runs", ()), ("after a lost answer", ("lost-answer@1",))]


@pytest.mark.parametrize("faults", [row[1] for row in KILLS], ids=[row[0] for row in KILLS])
def test_a_server_that_is_killed_finds_it_again(faults: tuple[str, ...], tmp_path: Path) -> None:
    """Killed in the middle and started again, the server follows the same run to its end, and
    pays once."""
    with emulated(tmp_path, "superduperai", pace=0.2) as emulator:
        named = {"url": emulator.url, "key": emulator.key}
        settings = {f"providers__superduperai__{name}": value for name, value in named.items()}
        if faults:
            emulator.arm(*faults)
        with server_process(tmp_path / "data", **settings) as server:
            with httpx2.Client(base_url=server.url, timeout=PATIENCE) as client:
                task = client.post("/api/tasks", json=asked()).json()["data"]["task_id"]
            emulator.wait_begun()
            server.kill()
            server.start()
            last = _last(server, task)
            with httpx2.Client(base_url=server.url, timeout=PATIENCE) as client:
                spent = client.get("/api/usage").json()["data"]["total_micros"]
        assert last["type"] == "completed"
        assert len(emulator.runs()) == 1
        assert spent == emulator.cost() == 2_000_000


def _last(server: ServerProcess, task: str) -> dict[str, Any]:
    """The last event of a task, by a stream that ends with it."""
    with (
        httpx2.Client(base_url=server.url, timeout=60.0) as client,
        client.sse(f"/api/tasks/{task}/events") as source,
    ):
        *_, last = (msgspec.json.decode(event.data) for event in source if event.data)
    found: dict[str, Any] = last
    return found
