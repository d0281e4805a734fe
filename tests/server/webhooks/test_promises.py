"""What docs/webhooks.md promises of when a notice is tried, and of what an owner may do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from safelight.webhooks import places, sending
from safelight.webhooks.secrets import OVERLAP_MS
from tests.doubles.outgoing import Desk, desk
from tests.doubles.receiver import Answer, Call, receiving
from tests.doubles.served import served
from tests.doubles.turns import until

PAGE = Path(__file__).parents[3] / "docs" / "webhooks.md"
IMAGE = {"script": [{"do": "image"}]}


def test_the_pauses_are_those_that_are_told() -> None:
    """The page names them, how many tries they are, and how many are under way."""
    hours = [3600.0 * number for number in (2, 5, 10, 14, 20, 24)]
    assert [*sending.PAUSES_SECONDS] == [5.0, 300.0, 1800.0, *hours]
    told = " ".join(PAGE.read_text().split())
    assert "after 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h" in told
    assert "ten tries in somewhat more than three days" in told
    counted = (places.PER_HOST, places.PER_OWNER, places.AT_ONCE, places.SLOW_AT_ONCE)
    assert counted == (4, 32, 64, 32)
    assert "Four are under way for one owner at one host, and 64 in all" in told
    assert (places.SLOW_MS, places.SLOW_FOR_MS) == (5_000, 600_000)
    assert "longer than 5 s within the last ten minutes" in told


async def _next_at(place: Desk) -> int:
    (row,) = await place.store.read.deliveries.page("ann", "waiting", (2**62, ""), 9)
    return row.next_at - place.hands.now


ANSWERS: dict[str, tuple[Answer, int]] = {
    "a tenth more": ((503, {}), 5_500),
    "a wish for less": ((503, {"Retry-After": "1"}), 5_500),
    "a wish for more": ((503, {"Retry-After": "60"}), 60_000),
    "a wish of a redirect": ((302, {"Location": "http://a.example/"}), 5_500),
    "not 200, but not refused either": ((304, {}), 5_500),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_when_it_is_tried_again(tmp_path: Path, name: str) -> None:
    """Each pause has up to a tenth on top, and a receiver may only ask for more."""
    answer, pause = ANSWERS[name]
    async with receiving() as receiver, desk(tmp_path, share=1.0) as place:
        receiver.answers = [answer]
        await place.give("msg_1", receiver.url())
        await until(lambda: place.sender.failed == 1)
        assert await _next_at(place) == pause


def _signature(secret: str, call: Call) -> str:
    """By the reference implementation, at the time that the call tells."""
    at = datetime.fromtimestamp(int(call.headers["webhook-timestamp"]), UTC)
    return Webhook(secret).sign(call.headers["webhook-id"], at, call.body.decode())


async def _told_by(place: Desk, url: str, id: str, calls: list[Call]) -> Call:
    before = len(calls)
    await place.give(id, url)
    await until(lambda: len(calls) > before)
    return calls[-1]


async def test_the_secret_before_signs_for_a_day(tmp_path: Path) -> None:
    """And not a moment longer."""
    async with receiving() as receiver, desk(tmp_path) as place:
        old = (await place.secrets.of("ann")).secret
        new = (await place.secrets.change("ann")).secret
        place.hands.move(OVERLAP_MS / 1000 - 1)
        call = await _told_by(place, receiver.url(), "msg_1", receiver.calls)
        both = [_signature(secret, call) for secret in (new, old)]
        assert call.headers["webhook-signature"].split(" ") == both
        place.hands.move(1)
        call = await _told_by(place, receiver.url(), "msg_2", receiver.calls)
        assert call.headers["webhook-signature"] == _signature(new, call)


async def test_each_owner_has_a_secret_of_their_own(tmp_path: Path) -> None:
    """It is the same whenever it is asked for, another's is another, and a change is nobody
    else's."""
    tokens = {"a-token": "ann", "b-token": "bob"}
    ann, bob = ({"authorization": f"Bearer {token}"} for token in tokens)
    async with served(tmp_path, tokens=tokens) as house:
        path = "/api/webhook-secret"

        async def secret(headers: dict[str, str]) -> Any:
            return (await house.http.get(path, headers=headers)).json()["data"]["secret"]

        first, other = await secret(ann), await secret(bob)
        assert first != other
        assert await secret(ann) == first
        await house.post(path, **ann)
        assert await secret(ann) != first
        assert await secret(bob) == other
        assert (await house.http.get(path)).status_code == 401


async def test_a_dead_one_may_be_forgotten(tmp_path: Path) -> None:
    """DELETE takes it from the list; one that is still tried is not to be deleted, but listed
    with its next time."""
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        receiver.answers = [(410, {}), (500, {})]
        await house.create(params=IMAGE, webhook=receiver.url())
        await until(lambda: house.context.statistics()["webhooks_dead"] == 1)
        (dead,) = (await house.http.get("/api/deliveries")).json()["data"]["deliveries"]
        await house.create(params=IMAGE, webhook=receiver.url())
        await until(lambda: house.context.statistics()["webhooks_failed"] == 2)
        page = await house.http.get("/api/deliveries", params={"state": "waiting"})
        (waiting,) = page.json()["data"]["deliveries"]
        assert waiting["next_at"] > waiting["created_at"]
        assert (await house.http.delete(f"/api/deliveries/{waiting['id']}")).status_code == 404
        assert (await house.http.delete(f"/api/deliveries/{dead['id']}")).status_code == 200
        assert (await house.http.get("/api/deliveries")).json()["data"]["deliveries"] == []


async def test_a_deleted_task_takes_its_dead_along(tmp_path: Path) -> None:
    """Nothing of what it said is kept then; what is still tried is, and so are other tasks'."""
    async with receiving() as receiver, served(tmp_path, webhook_allow_private=True) as house:
        receiver.answers = [(410, {}), (410, {}), (500, {})]
        made = []
        for number in range(3):
            task = await house.create(params=IMAGE, webhook=receiver.url())
            made.append(task["task_id"])
            await until(
                lambda number=number: house.context.statistics()["webhooks_failed"] == number + 1
            )
        for task_id in (made[0], made[2]):
            answer = await house.http.delete(f"/api/tasks/{task_id}")
            assert answer.status_code == 200, answer.text
        left = {}
        for state in ("dead", "waiting"):
            page = await house.http.get("/api/deliveries", params={"state": state})
            left[state] = [one["task_id"] for one in page.json()["data"]["deliveries"]]
        assert left == {"dead": [made[1]], "waiting": [made[2]]}


async def test_an_address_is_whole_if_ours_is_known(tmp_path: Path) -> None:
    """With a public_url the task's address in a notice can be asked as it stands."""
    public = "https://safelight.example/here/"
    async with (
        receiving() as receiver,
        served(tmp_path, webhook_allow_private=True, public_url=public) as house,
    ):
        task = await house.create(params=IMAGE, webhook=receiver.url())
        (call,) = await receiver.wait()
        address = f"https://safelight.example/here/api/tasks/{task['task_id']}"
        assert call.json()["data"]["url"] == address
