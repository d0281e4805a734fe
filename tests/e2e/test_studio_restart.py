"""The Studio over a crash of the server: killed in mid-task, started again, never reloaded."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread
import httpx2
import pytest
from playwright.async_api import expect

from tests.doubles.process import ServerProcess, server_process
from tests.e2e.chromium import Studio, chromium, studio

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.slow]

# The first attempt waits for a gate that nobody opens: it ends with the process.
SCRIPT = [
    {"do": "progress", "to": 0.4, "step": 4, "steps": 10},
    {"do": "wait", "gate": "never", "attempt": 1},
    {"do": "progress", "to": 0.8, "step": 8, "steps": 10},
    {"do": "image"},
]


def create(server: ServerProcess) -> str:
    body = {"kind": "image", "prompt": "a storm", "model": "scripted/image"}
    answer = httpx2.post(server.url + "/api/tasks", json=body | {"params": {"script": SCRIPT}})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["data"]["task_id"])


async def saw_it_at_40_percent(page: Studio, id: str) -> None:
    await page.open(f"/#/t/{id}")
    await expect(page.stage(".bar")).to_have_attribute("aria-valuenow", "40")
    await page.page.evaluate("window.isTheSamePage = true")


async def test_it_goes_on_by_itself_over_a_crash(tmp_path: Path) -> None:
    """Killed by SIGKILL in mid-task and started again: the page says that it reconnects, comes
    back with its cursor, and is told every seq once, in order, to exactly one end."""
    with server_process(tmp_path / "data", scripted=True) as server:
        id = await anyio.to_thread.run_sync(create, server)
        async with chromium() as browser, studio(browser, server.url) as page:
            await saw_it_at_40_percent(page, id)
            await anyio.to_thread.run_sync(server.kill)
            await expect(page.page.locator("#line-words")).to_have_text("Reconnecting")
            await expect(page.stage(".bar")).to_have_attribute("aria-valuenow", "40")
            await anyio.to_thread.run_sync(server.start)
            await expect(page.stage(".result img.ready")).to_be_visible()
            await page.live()
            assert await page.page.evaluate("window.isTheSamePage") is True
            told_in_order_to_one_end(page, f"task:{id}")


def told_in_order_to_one_end(page: Studio, topic: str) -> None:
    first, again = page.joins(topic)
    assert "after" not in first
    seqs = [event["seq"] for event in page.events(topic)]
    before, _, seq = again["after"].rpartition("-")
    assert before
    begin = seqs[0]
    assert seqs == list(range(begin, begin + len(seqs)))
    assert int(seq) in seqs or int(seq) == begin - 1
    ends = [e for e in page.events(topic) if e["status"] in ("completed", "failed", "canceled")]
    assert [end["type"] for end in ends] == ["completed"]
    assert ends[0] == page.events(topic)[-1]
