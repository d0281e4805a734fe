"""The door for providers that call us back."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from safelight.edges.webhooks import AT_ONCE, FEW_BYTES, MOST_BYTES
from safelight.providers.base import Delivery
from safelight.providers.scripted import Scripted
from safelight_protocol.codes import Refused
from tests.doubles.served import served
from tests.doubles.turns import until


class Called(Scripted):
    """A scripted provider that is called back."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Delivery] = []
        self.refusal: Refused | None = None

    async def deliver(self, delivery: Delivery) -> None:
        """Take it, or refuse it."""
        self.calls.append(delivery)
        if self.refusal is not None:
            raise self.refusal


async def test_a_call_is_handed_on_as_it_came(tmp_path: Path) -> None:
    """Query, headers and the very bytes reach the provider, without a token of ours."""
    called = Called()
    async with served(tmp_path, scripted_provider=called, tokens={"secret": "me"}) as house:
        answer = await house.http.post(
            "/api/webhooks/scripted?task=u&attempt=2",
            content=b'{ "a":1 }',
            headers={"Webhook-Id": "msg_1"},
        )
        assert answer.status_code == 200 and answer.json()["success"] is True
        [call] = called.calls
        assert call.query == {"task": "u", "attempt": "2"}
        assert call.headers["webhook-id"] == "msg_1"
        assert call.body == b'{ "a":1 }'


@pytest.mark.parametrize(("code", "status"), [("unauthorized", 401), ("provider_unreachable", 503)])
async def test_refusals(code: str, status: int, tmp_path: Path) -> None:
    """What the provider refuses is told, so that its sender knows whether to come again."""
    called = Called()
    called.refusal = Refused(code, "No.")
    async with served(tmp_path, scripted_provider=called) as house:
        answer = await house.http.post("/api/webhooks/scripted", content=b"{}")
        assert answer.status_code == status


async def test_nobody_is_called_there(tmp_path: Path) -> None:
    """A provider that is not there, or takes no calls, is not found."""
    async with served(tmp_path) as house:
        for name in ("scripted", "nobody", "local"):
            answer = await house.http.post(f"/api/webhooks/{name}", content=b"{}")
            assert answer.status_code == 404
        assert (await house.http.get("/api/webhooks/scripted")).status_code == 405


async def test_a_body_is_bounded(tmp_path: Path) -> None:
    """Nobody is let in with more than a prediction could say."""
    called = Called()
    async with served(tmp_path, scripted_provider=called) as house:
        answer = await house.http.post("/api/webhooks/scripted", content=b"x" * (MOST_BYTES + 1))
        assert answer.status_code == 413 and called.calls == []


async def test_only_so_many_large_calls_are_read_at_once(tmp_path: Path) -> None:
    """Callers who are not known yet cannot fill the memory; small calls always come through,
    and a large one again when others have gone."""
    called = Called()
    async with served(tmp_path, scripted_provider=called) as house, AsyncExitStack() as stack:
        port = int(house.url.rpartition(":")[2])
        for _ in range(AT_ONCE):
            stream = await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", port))
            await stream.send(
                b"POST /api/webhooks/scripted HTTP/1.1\r\nHost: h\r\n"
                b"Content-Length: %d\r\n\r\nx" % (FEW_BYTES + 1)
            )
        callers = house.context.callers
        await until(lambda: callers.value == 0)
        large, small = b"x" * (FEW_BYTES + 1), b"{}"
        refused = await house.http.post("/api/webhooks/scripted", content=large)
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many")
        assert (await house.http.post("/api/webhooks/scripted", content=small)).is_success
        await stack.aclose()
        await until(lambda: callers.value == AT_ONCE)
        assert (await house.http.post("/api/webhooks/scripted", content=large)).is_success
    assert [len(call.body) for call in called.calls] == [len(small), len(large)]
