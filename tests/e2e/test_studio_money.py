"""Money in the Studio: what it costs stands above the button, and what it cost under the print."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.doubles.priced import shop, usage
from tests.e2e.chromium import Studio, chromium, studio

pytestmark = [
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


async def _ask(page: Studio, model: str, prompt: str) -> None:
    await page.open("/")
    await page.page.select_option("#model", model)
    await page.page.fill("#prompt", prompt)


async def test_developing_agrees_to_the_price_that_is_shown(
    browser: Browser, tmp_path: Path
) -> None:
    """The price is there before the button is pressed; the ledger has no more than that."""
    async with shop(tmp_path) as house, studio(browser, house.url) as page:
        await _ask(page, "scripted/image", "a lamp")
        await expect(page.page.locator("#bill-words")).to_have_text(
            "Costs $0.003. Developing it agrees to that."
        )
        await page.page.click("#develop")
        await expect(page.stage(".print")).to_have_attribute("data-status", "completed")
        await expect(page.stage(".facts")).to_contain_text("Cost")
        entries = (await usage(house))["entries"]
        assert [one["entry"] for one in entries if one["entry"] == "hold"] == ["hold"]
        assert page.complaints == []


async def test_a_budget_needs_no_agreement_and_tells_what_is_left(
    browser: Browser, tmp_path: Path
) -> None:
    """Where the day's budget covers it, only the price and what is left are shown."""
    async with (
        shop(tmp_path, budget_per_day=1.0) as house,
        studio(browser, house.url) as page,
    ):
        await _ask(page, "scripted/image", "a lamp")
        await expect(page.page.locator("#bill-words")).to_have_text("Costs $0.003.")
        await expect(page.page.locator("#bill-note")).to_have_text("$1.00 left today")
        await page.page.click("#develop")
        await expect(page.stage(".print")).to_have_attribute("data-status", "completed")


async def test_what_nothing_limits_asks_for_a_limit(browser: Browser, tmp_path: Path) -> None:
    """Without a limit the server refuses and the field says why; with one it is made."""
    async with shop(tmp_path) as house, studio(browser, house.url) as page:
        await page.open("/")
        await page.page.check("input[name=kind][value=text]", force=True)
        await page.page.select_option("#model", "scripted/text")
        await page.page.fill("#prompt", "a verse")
        await expect(page.page.locator("#limit")).to_be_visible()
        await page.page.click("#develop")
        await expect(page.page.locator("#wrong-max_cost")).not_to_be_empty()
        await page.page.fill("#max_cost", "0.5")
        await page.page.click("#develop")
        await expect(page.stage(".print")).to_have_attribute("data-status", "completed")


async def test_what_is_free_shows_no_price(browser: Browser, tmp_path: Path) -> None:
    """A free model has no bill above the button."""
    async with shop(tmp_path) as house, studio(browser, house.url) as page:
        await _ask(page, "scripted/free", "a lamp")
        await expect(page.page.locator("#bill")).to_be_hidden()
