"""The door for providers that call us back."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.edges.webhooks import MOST_BYTES
from safelight.providers.base import Delivery
from safelight.providers.scripted import Scripted
from safelight_protocol.codes import Refused
from tests.doubles.served import served


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
