"""A provider that tells a book at once: it is told in pieces that every socket can carry."""

from __future__ import annotations

from pathlib import Path

from safelight.reporting import MAX_DELTA
from tests.doubles.served import served


async def test_a_long_delta_is_told_in_pieces(tmp_path: Path) -> None:
    """No `text` event is too long for a frame, nothing is cut, and the whole is the result."""
    book = "é\u0001" * (3 * MAX_DELTA // 2) + "end"
    script = [{"do": "text", "delta": book}]
    async with served(tmp_path) as house, house.connect() as phone:
        await house.create(id="t", kind="text", model="scripted/text", params={"script": script})
        await phone.join("task:t", {"after": 0})
        await phone.until_event("completed")
        told = phone.told("task:t")
        shown = (await house.http.get("/api/tasks/t")).json()["data"]
    deltas = [event["delta"] for event in told if event["type"] == "text"]
    assert [len(delta) for delta in deltas] == [MAX_DELTA] * 3 + [3]
    assert "".join(deltas) == book == shown["result_data"]["content"]
    assert not any(event.get("truncated") for event in told if event["type"] == "text")
