"""Notices that are not taken: tried again in good time, given up in the end, and revived."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from safelight.webhooks import Outbox, Poster
from safelight.webhooks.places import AT_ONCE, PER_HOST, PER_OWNER
from safelight.webhooks.posting import NotTaken, Taken
from safelight.webhooks.sending import PAUSES_SECONDS
from tests.doubles.outgoing import desk
from tests.doubles.receiver import Answer, receiving
from tests.doubles.served import PATIENCE, served
from tests.doubles.turns import until


async def test_what_is_not_taken_is_tried_again_later(tmp_path: Path) -> None:
    """After a failure nothing comes before the pause is over, and the id stays the same."""
    async with receiving() as receiver, desk(tmp_path) as place:
        receiver.answers = [(500, {}), (503, {})]
        await place.give("msg_1", receiver.url())
        await receiver.wait(1)
        await until(lambda: place.sender.failed == 1)
        place.hands.move(PAUSES_SECONDS[0] - 0.01)
        assert await place.states() == {"msg_1": ("waiting", 1)}
        place.hands.move(0.02)
        await receiver.wait(2)
        await until(lambda: place.sender.failed == 2)
        place.hands.move(PAUSES_SECONDS[1])
        calls = await receiver.wait(3)
        await until(lambda: place.sender.sent == 1)
        assert {call.headers["webhook-id"] for call in calls} == {"msg_1"}
        stamps = [int(call.headers["webhook-timestamp"]) for call in calls]
        assert stamps == sorted(set(stamps))
        assert await place.states() == {}


async def test_a_receiver_may_ask_for_more_time(tmp_path: Path) -> None:
    """Retry-After is obeyed where it asks for more than our own pause."""
    async with receiving() as receiver, desk(tmp_path) as place:
        receiver.answers = [(429, {"Retry-After": "600"})]
        await place.give("msg_1", receiver.url())
        await until(lambda: place.sender.failed == 1)
        (row,) = await place.store.read.deliveries.page("ann", "waiting", (2**62, ""), 9)
        assert row.next_at == place.hands.now + 600_000
        assert row.error == "the receiver answered 429"


async def test_after_days_it_is_given_up_and_may_be_revived(tmp_path: Path) -> None:
    """Ten tries over three days; then it is dead until its owner wants it again, and is tried
    as if it were new."""
    async with receiving() as receiver, desk(tmp_path) as place:
        receiver.answers = [(500, {})] * (len(PAUSES_SECONDS) + 2)
        await place.give("msg_1", receiver.url())
        for tries, pause in enumerate(PAUSES_SECONDS, 1):
            await until(lambda tries=tries: place.sender.failed == tries)
            place.hands.move(pause)
        await until(lambda: place.sender.dead == 1)
        assert await place.states() == {"msg_1": ("dead", len(PAUSES_SECONDS) + 1)}
        assert not await place.sender.revive("bob", "msg_1")
        assert await place.sender.revive("ann", "msg_1")
        await until(lambda: place.sender.failed == len(PAUSES_SECONDS) + 2)
        assert await place.states() == {"msg_1": ("waiting", 1)}
        place.hands.move(PAUSES_SECONDS[0])
        await receiver.wait(len(PAUSES_SECONDS) + 3)
        await until(lambda: place.sender.sent == 1)
        assert await place.states() == {}


FINAL: dict[str, Answer] = {"gone": (410, {})}


@pytest.mark.parametrize("name", FINAL)
async def test_what_is_unwanted_is_given_up_at_once(tmp_path: Path, name: str) -> None:
    """A receiver that says 410 is not asked again."""
    async with receiving() as receiver, desk(tmp_path) as place:
        receiver.answers = [FINAL[name]]
        await place.give("msg_1", receiver.url())
        await until(lambda: place.sender.dead == 1)
        assert await place.states() == {"msg_1": ("dead", 1)}


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """Whoever is pointed at gets nothing; the notice counts as not taken."""
    async with receiving() as receiver, receiving() as other, desk(tmp_path) as place:
        receiver.answers = [(302, {"Location": other.url()})]
        await place.give("msg_1", receiver.url())
        await until(lambda: place.sender.failed == 1)
        assert other.calls == []
        assert await place.states() == {"msg_1": ("waiting", 1)}


async def test_a_host_that_hangs_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Of one host a few are under way at a time; another's notice goes out beside them."""
    async with receiving() as receiver, desk(tmp_path, seconds=PATIENCE * 2) as place:
        receiver.answers = [None] * 50
        for number in range(50):
            await place.give(f"msg_{number:02}", receiver.url())
        await receiver.wait(PER_HOST)
        receiver.answers.clear()
        await place.give("msg_other", receiver.url("localhost"), host="localhost")
        await until(lambda: place.sender.sent == 1)
        assert len(receiver.calls) == PER_HOST + 1
        assert receiver.calls[-1].headers["webhook-id"] == "msg_other"


async def test_a_host_that_hangs_is_passed_by(tmp_path: Path) -> None:
    """Also by a notice that stands behind more of its own than are looked at together."""
    async with receiving() as receiver, receiving() as good:
        receiver.answers = [None] * 200
        async with desk(tmp_path, seconds=PATIENCE * 2, begun=False) as place:
            for number in range(AT_ONCE + 10):
                await place.give(f"msg_{number:03}", receiver.url())
            await place.give("msg_other", good.url("localhost"), host="localhost")
            place.begin.set()
            await good.wait(1)
        assert len(receiver.calls) <= PER_HOST


async def test_an_owner_whose_hosts_all_hang_keeps_nobody_waiting(tmp_path: Path) -> None:
    """However many names they have: half of the places are for others."""
    async with receiving() as receiver, receiving() as good:
        receiver.answers = [None] * 200
        async with desk(tmp_path, seconds=PATIENCE * 2) as place:
            for number in range(AT_ONCE + 10):
                url, host = receiver.url(), f"h{number}.example"
                await place.give(f"msg_{number:03}", url, host=host, owner="eve")
            await receiver.wait(PER_OWNER)
            await place.give("msg_other", good.url("localhost"), host="localhost")
            await good.wait(1)
        assert len(receiver.calls) == PER_OWNER


@pytest.mark.parametrize("url", ["http://ä.example/", "http://a:b/", "no address"])
async def test_an_address_that_cannot_be_asked_is_given_up(tmp_path: Path, url: str) -> None:
    """Alone: whatever stands in a row, the next notice is sent."""
    async with receiving() as receiver, desk(tmp_path) as place:
        await place.give("msg_1", url)
        await until(lambda: place.sender.failed == 1)
        assert (await place.states())["msg_1"][0] == "dead"
        await place.give("msg_2", receiver.url())
        await receiver.wait(1)


class Stumbling(Poster):
    """A poster with a bug, which it meets once."""

    stumbled = False

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Taken | NotTaken:
        """Nothing is sent the first time."""
        if not self.stumbled:
            self.stumbled = True
            raise RuntimeError("a bug")
        return await super().post(url, headers, body)


async def test_a_bug_of_one_notice_is_none_of_the_others(tmp_path: Path) -> None:
    """It is logged and tried again later; the sender goes on."""
    async with receiving() as receiver, desk(tmp_path, poster=Stumbling) as place:
        await place.give("msg_1", receiver.url())
        await until(lambda: place.sender.failed == 1)
        await place.give("msg_2", receiver.url())
        (call,) = await receiver.wait(1)
        assert call.headers["webhook-id"] == "msg_2"
        place.hands.move(PAUSES_SECONDS[0] * 2)
        assert len(await receiver.wait(2)) == 2


async def test_nobody_there_is_a_failure_like_others(tmp_path: Path) -> None:
    """A refused connection is tried again."""
    async with receiving() as gone:
        url = gone.url()
    async with desk(tmp_path) as place:
        await place.give("msg_1", url)
        await until(lambda: place.sender.failed == 1)
        assert await place.states() == {"msg_1": ("waiting", 1)}


async def test_an_owner_sees_and_revives_their_own(tmp_path: Path) -> None:
    """The dead are listed with why; another owner finds none of them."""
    tokens = {"a-token": "ann", "b-token": "bob"}
    ann, bob = ({"authorization": f"Bearer {token}"} for token in tokens)
    async with (
        receiving() as receiver,
        served(tmp_path, webhook_allow_private=True, tokens=tokens) as house,
    ):
        receiver.answers = [(410, {})]
        body: dict[str, Any] = {"kind": "image", "prompt": "x", "model": "scripted/image"}
        body |= {"params": {"script": [{"do": "image"}]}, "webhook": receiver.url()}
        await house.post("/api/tasks", body, **ann)
        await until(lambda: house.context.statistics()["webhooks_dead"] == 1)
        page = (await house.http.get("/api/deliveries", headers=ann)).json()["data"]
        (dead,) = page["deliveries"]
        assert (dead["state"], dead["tries"], dead["next_at"]) == ("dead", 1, None)
        assert dead["error"] == "the receiver wants no more of them (410)"
        others = (await house.http.get("/api/deliveries", headers=bob)).json()["data"]
        assert others["deliveries"] == []
        path = f"/api/deliveries/{dead['id']}"
        assert (await house.post(path + "/retry", **bob)).status_code == 404
        assert (await house.http.delete(path, headers=bob)).status_code == 404
        assert (await house.post(path + "/retry", **ann)).status_code == 202
        await receiver.wait(2)
        await until(lambda: house.context.statistics()["webhooks_sent"] == 1)
        assert (await house.http.delete(path, headers=ann)).status_code == 404


async def test_pages_of_the_dead_follow_each_other(tmp_path: Path) -> None:
    """No notice is missed or told twice between pages."""
    async with receiving() as receiver, desk(tmp_path) as place:
        receiver.answers = [(410, {})] * 7
        for number in range(7):
            await place.give(f"msg_{number}", receiver.url())
        await until(lambda: place.sender.dead == 7)
        outbox = Outbox(place.store, place.sender, place.secrets)
        seen: list[str] = []
        before: str | None = None
        while True:
            page = await outbox.page("ann", "dead", before, 3)
            seen += [one.id for one in page.deliveries]
            before = page.next
            if before is None:
                break
        assert seen == [f"msg_{number}" for number in reversed(range(7))]
