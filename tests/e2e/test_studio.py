"""The Studio in a real Chromium, against the real server and a scripted provider.

The tests open the provider's gates, so every state of a task is looked at while it is
held still. What happens over a crash of the server is in test_studio_restart.py.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.doubles.served import Served, served
from tests.e2e.chromium import chromium, studio

pytestmark = [
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
]

PROGRESS = {"do": "progress", "to": 0.4, "step": 4, "steps": 10, "message": "Exposing"}
HELD = [PROGRESS, {"do": "preview", "step": 4}, {"do": "wait", "gate": "end"}, {"do": "image"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def house(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as started:
        yield started


async def held(house: Served, **fields: Any) -> str:
    """A task that stands at 40 percent until the gate `end` is opened."""
    made = await house.create(params={"script": HELD}, **fields)
    return str(made["task_id"])


async def test_a_task_develops_before_ones_eyes(browser: Browser, house: Served) -> None:
    """Progress, step, words and preview show while it runs; then the picture, and the way to it."""
    id = await held(house, prompt="a lamp")
    async with studio(browser, house.url) as page:
        await page.open(f"/#/t/{id}")
        await expect(page.stage(".bar")).to_have_attribute("aria-valuenow", "40")
        await expect(page.stage(".doing")).to_have_text("Exposing")
        await expect(page.stage(".pace")).to_contain_text("step 4 of 10")
        await expect(page.stage(".layer.front")).to_be_visible()
        house.scripted.gate("end").set()
        await expect(page.stage(".print")).to_have_attribute("data-status", "completed")
        await expect(page.stage(".result img.ready")).to_be_visible()
        await expect(page.stage("a.tool")).to_have_attribute(
            "download", re.compile(r"^a-lamp-\d+\.png$")
        )
        assert page.complaints == []


async def test_a_prompt_and_ctrl_enter_are_enough(browser: Browser, house: Served) -> None:
    """Ctrl and Enter in the prompt make a task, which the address then names."""
    async with studio(browser, house.url) as page:
        await page.open()
        await page.page.fill("#prompt", "Hills <b>at</b> night")
        await page.page.press("#prompt", "Control+Enter")
        await expect(page.stage(".print")).to_have_attribute("data-status", "completed")
        assert re.search(r"#/t/[\w-]+$", page.page.url)
        await expect(page.stage(".prompt")).to_have_text("Hills <b>at</b> night")
        await expect(page.page.locator("#cards .card")).to_have_count(1)
        assert page.complaints == []


async def test_all_is_still_there_after_a_reload(browser: Browser, house: Served) -> None:
    """A reload in the middle of a task keeps the form, the task and its progress."""
    id = await held(house)
    async with studio(browser, house.url) as page:
        await page.open(f"/#/t/{id}")
        await page.page.fill("#prompt", "half a thought")
        await page.page.fill("#seed", "18446744073709551615")
        await page.page.get_by_text("Video", exact=True).click()
        await page.page.reload()
        await expect(page.stage(".bar")).to_have_attribute("aria-valuenow", "40")
        await expect(page.page.locator("#prompt")).to_have_value("half a thought")
        await expect(page.page.locator("#seed")).to_have_value("18446744073709551615")
        await expect(page.page.locator("input[value='video']")).to_be_checked()
        house.scripted.gate("end").set()
        await expect(page.stage(".result img.ready")).to_be_visible()


async def test_a_seed_past_the_safe_integers_is_sent_exactly(
    browser: Browser, house: Served
) -> None:
    """The largest seed goes from the field to the task and back without losing a digit."""
    async with studio(browser, house.url) as page:
        await page.open()
        await page.page.fill("#prompt", "exact")
        await page.page.fill("#seed", "18446744073709551615")
        await page.page.click("#develop")
        await expect(page.stage(".fact-button")).to_have_text("18446744073709551615")


async def test_what_the_server_refuses_is_said_at_the_field(
    browser: Browser, house: Served
) -> None:
    """A seed that is none is blamed on the seed's field, which gets the focus."""
    async with studio(browser, house.url) as page:
        await page.open()
        await page.live()
        await page.page.fill("#prompt", "a lamp")
        await page.page.fill("#seed", "-1")
        await page.page.click("#develop")
        await expect(page.page.locator("#wrong-seed")).to_contain_text("an integer from 0")
        await expect(page.page.locator("#seed")).to_be_focused()
        await expect(page.page.locator("#seed")).to_have_attribute("aria-invalid", "true")


async def test_an_empty_prompt_is_not_sent(browser: Browser, house: Served) -> None:
    """Without a prompt nothing is asked of the server, and the prompt says so."""
    async with studio(browser, house.url) as page:
        await page.open()
        await page.live()
        await page.page.click("#develop")
        await expect(page.page.locator("#wrong-prompt")).not_to_be_empty()
        await expect(page.page.locator("#cards .card")).to_have_count(0)


async def test_the_contact_sheet_follows_what_others_do(browser: Browser, house: Served) -> None:
    """A task made elsewhere appears, shows its progress, and goes when it is deleted elsewhere."""
    async with studio(browser, house.url) as page:
        await page.open()
        await page.live()
        id = await held(house, prompt="made by curl")
        card = page.page.locator(f"#cards a[href='#/t/{id}']")
        await expect(card).to_contain_text("40 %")
        await expect(page.stage(".prompt")).to_have_text("made by curl")
        house.scripted.gate("end").set()
        await expect(card).to_have_attribute("data-status", "completed")
        assert (await house.http.delete(f"/api/tasks/{id}")).status_code == 200
        await expect(card).to_have_count(0)
        await expect(page.stage(".blank")).to_be_visible()


async def test_cancel_and_delete(browser: Browser, house: Served) -> None:
    """Cancel ends the task as canceled; delete asks once, then takes it away."""
    id = await held(house)
    async with studio(browser, house.url) as page:
        await page.open(f"/#/t/{id}")
        await page.page.get_by_role("button", name="Cancel").click()
        await expect(page.stage(".print")).to_have_attribute("data-status", "canceled")
        await page.page.get_by_role("button", name="Delete").click()
        await page.page.get_by_role("button", name="Delete for good?").click()
        await expect(page.page.locator("#cards .card")).to_have_count(0)
        assert (await house.http.get(f"/api/tasks/{id}")).status_code == 410


async def test_a_failure_says_why_and_can_be_tried_again(browser: Browser, house: Served) -> None:
    """A failed task shows the provider's reason; trying again makes a task of its own."""
    script = [{"do": "never", "message": "the brush broke"}]
    made = await house.create(params={"script": script}, prompt="a fox")
    async with studio(browser, house.url) as page:
        await page.open(f"/#/t/{made['task_id']}")
        await expect(page.stage(".cover")).to_have_text("the brush broke")
        await expect(page.page.locator("#cards .card")).to_contain_text("the brush broke")
        await page.page.get_by_role("button", name="Try again").click()
        await expect(page.page.locator("#cards .card")).to_have_count(2)


async def test_text_streams(browser: Browser, house: Served) -> None:
    """A text shows as far as it is written, and then whole."""
    script = [
        {"do": "text", "delta": "Under the lamp "},
        {"do": "wait", "gate": "end"},
        {"do": "text", "delta": "lies paper."},
    ]
    fields = {"kind": "text", "model": "scripted/text", "params": {"script": script}}
    made = await house.create(**fields)
    async with studio(browser, house.url) as page:
        await page.open(f"/#/t/{made['task_id']}")
        await expect(page.stage(".manuscript")).to_have_text("Under the lamp ")
        house.scripted.gate("end").set()
        await expect(page.stage(".manuscript")).to_have_text("Under the lamp lies paper.")
        await expect(page.stage(".print")).to_have_attribute("data-status", "completed")


async def test_a_task_that_is_not_there_is_said_to_be_so(browser: Browser, house: Served) -> None:
    """The address of an unknown task shows that there is none, and the page goes on working."""
    async with studio(browser, house.url) as page:
        await page.open("/#/t/nobody")
        await expect(page.stage(".blank h2")).to_have_text("There is no such task here.")
        await page.page.click(".wordmark")
        await expect(page.stage(".examples .example").first).to_be_visible()
        await page.page.locator(".example").first.click()
        await expect(page.page.locator("#prompt")).not_to_have_value("")


async def test_older_tasks_come_by_pages(browser: Browser, house: Served) -> None:
    """More tasks than a page holds are all reached, in their order."""
    for number in range(60):
        await house.create(prompt=f"number {number}")
    async with studio(browser, house.url) as page:
        await page.open()
        await page.page.locator("#cards .card").nth(47).scroll_into_view_if_needed()
        await expect(page.page.locator("#cards .card")).to_have_count(60)
        titles = await page.page.locator("#cards .card").evaluate_all(
            "all => all.map(a => a.title)"
        )
        assert titles == [f"number {number}" for number in reversed(range(60))]


@pytest.mark.parametrize("width", [320, 390, 820, 1440])
async def test_it_fits_every_width(browser: Browser, house: Served, width: int) -> None:
    """From the smallest phone to a desk nothing has to be scrolled sideways."""
    await house.create(prompt="w" * 300)
    async with studio(browser, house.url, (width, 800)) as page:
        await page.open()
        await expect(page.stage(".print")).to_have_attribute("data-status", "completed")
        assert not await page.is_wider_than_its_window()


async def test_a_token_is_asked_for(browser: Browser, tmp_path: Path) -> None:
    """Where tokens are set, the page asks for one, says when it is wrong, and then works."""
    async with served(tmp_path, tokens={"s3?cret~>": "me"}) as house:
        async with studio(browser, house.url) as page:
            await page.open()
            for attempt in ("wrong", "s3?cret~>"):
                await page.page.fill("#token", attempt)
                await page.page.get_by_role("button", name="Enter").click()
                if attempt == "wrong":
                    await expect(page.page.locator("#wrong-token")).not_to_be_empty()
            await page.live()
            await page.page.fill("#prompt", "behind a door")
            await page.page.click("#develop")
            await expect(page.stage(".result img.ready")).to_be_visible()
            await page.page.reload()
            await page.live()
            await expect(page.page.locator("#door")).not_to_be_visible()


async def test_it_can_be_used_without_a_mouse(browser: Browser, house: Served) -> None:
    """The prompt has the focus at once; Tab goes on to the kinds, the model and the button."""
    async with studio(browser, house.url) as page:
        await page.open()
        await page.live()
        reached = []
        for _ in range(12):
            focused = "document.activeElement.id || document.activeElement.name"
            reached.append(await page.page.evaluate(focused))
            await page.page.keyboard.press("Tab")
        assert reached[0] == "prompt"
        assert [name for name in reached if name in ("kind", "model", "develop")] == [
            "kind",
            "model",
            "develop",
        ]
