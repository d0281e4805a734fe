"""The Studio and named backends: a real browser, a real server, and KernieGens as processes.

What is chosen is the server's to keep, so every claim about it is looked at in a second
page, too. Where a task really ran is asked of the KernieGen itself.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, Route, expect

from tests.doubles.process import server_process
from tests.e2e.attic import House, opened
from tests.e2e.chromium import Studio, chromium, studio

pytestmark = [
    pytest.mark.needs("chromium"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.slow,
    pytest.mark.timeout(120),
]

ROW = "#place-list label:has(input[value='{}'])"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


Opening = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def house(browser: Browser, tmp_path: Path) -> Opening:
    return partial(opened, browser, tmp_path)


def row(page: Studio, name: str) -> Any:
    """The line of one backend; the empty name is that of no choice."""
    return page.page.locator(ROW.format(name))


def radio(page: Studio, name: str) -> Any:
    return row(page, name).locator("input")


async def develop(page: Studio, prompt: str) -> None:
    """Send a task for a small picture of few steps, whatever the rest of the form says."""
    await page.page.select_option("#side", "512")
    await page.page.fill("#param-steps", "2")
    await page.page.fill("#prompt", prompt)
    await page.page.click("#develop")


def png(side: int) -> bytes:
    """A grey picture."""
    made = io.BytesIO()
    Image.new("L", (side, side), 128).save(made, "PNG")
    return made.getvalue()


async def test_the_choice_is_kept_and_two_tabs_agree(house: Opening) -> None:
    """The last of several clicks shows in the other page without a reload, is the server's, is
    there after a reload, and is taken back by `Default`."""
    async with house() as made, made.page() as one, made.page() as other:
        await expect(radio(one, "")).to_be_checked()
        answering = anyio.Event()

        async def hold(route: Route) -> None:
            await answering.wait()
            await route.continue_()

        await one.page.route("**/api/preferences", hold)
        for name in ("attic", "", "cellar"):
            await row(one, name).click()
        await expect(radio(one, "cellar")).to_be_checked()
        answering.set()
        await expect(radio(other, "cellar")).to_be_checked()
        await expect(radio(one, "cellar")).to_be_checked()
        assert (await made.ask("GET", "/api/preferences"))["backend"] == "cellar"
        await one.page.reload()
        await expect(radio(one, "cellar")).to_be_checked()
        await row(other, "").click()
        await expect(radio(one, "")).to_be_checked()
        assert (await made.ask("GET", "/api/preferences"))["backend"] is None
        assert one.complaints == other.complaints == []


async def test_a_task_runs_where_it_was_chosen_and_says_so(house: Opening) -> None:
    """The chosen backend, and no other, gets the prompt; the task then names it, its address
    and the id that it has there."""
    async with house() as made, made.page() as page:
        await row(page, "cellar").click()
        await develop(page, "a lamp in the cellar")
        await expect(page.stage(".result img.ready")).to_be_visible()
        facts = page.stage(".facts")
        await expect(facts).to_contain_text(f"cellar {made.kernies['cellar'].url}")
        (ran,) = made.kernies["cellar"].runs()
        assert list(made.kernies["attic"].runs()) == []
        await expect(facts).to_contain_text(ran)
        assert page.complaints == []


async def test_it_needs_no_mouse_and_little_room(house: Opening) -> None:
    """Tab leads from the model to the choice, arrows choose, Tab leads on to the picture; and
    the smallest phone shows all of it without scrolling sideways."""
    async with house() as made, made.page("comfyui/img2img") as page:
        await page.page.set_viewport_size({"width": 320, "height": 640})
        await page.page.focus("#model")
        await page.page.keyboard.press("Tab")
        await expect(radio(page, "")).to_be_focused()
        await page.page.keyboard.press("ArrowDown")
        await expect(radio(page, "attic")).to_be_checked()
        await page.page.keyboard.press("Tab")
        await expect(page.page.locator("#input-file")).to_be_focused()
        await expect(page.page.get_by_role("group", name="Runs on")).to_be_visible()
        assert not await page.is_wider_than_its_window()


async def test_the_health_is_live(house: Opening) -> None:
    """A backend that is killed is told to be down, with what becomes of a task; a refusal is
    said at the choice; once it is back the page says that, all without a reload."""
    async with house() as made, made.page() as page:
        await row(page, "attic").click()
        await expect(row(page, "attic")).to_contain_text("up · 0.33.0 · idle")
        await anyio.to_thread.run_sync(made.kernies["attic"].kill)
        await expect(row(page, "attic")).to_contain_text("down")
        note = page.page.locator("#place-note")
        await expect(note).to_contain_text("The attic is down")
        await expect(note).to_contain_text("is refused until it is back")
        await develop(page, "too soon")
        await expect(page.page.locator("#wrong-backend")).to_contain_text("nothing was made")
        await expect(page.page.locator("#cards .card")).to_have_count(0)
        await anyio.to_thread.run_sync(made.kernies["attic"].start)
        await expect(row(page, "attic")).to_contain_text("up")
        await expect(note).to_be_empty()


async def test_a_task_for_one_that_is_down_can_wait(house: Opening) -> None:
    """With `unreachable = "queue"` the page says that a task waits, and it does, by name."""
    async with house(unreachable="queue") as made, made.page() as page:
        await row(page, "attic").click()
        await anyio.to_thread.run_sync(made.kernies["attic"].kill)
        await expect(page.page.locator("#place-note")).to_contain_text("waits for it")
        await develop(page, "patience")
        await expect(page.stage(".facts")).to_contain_text("The attic not begun there")
        await expect(page.stage(".doing")).to_contain_text("attic is down")


async def test_without_backends_nothing_of_it_is_shown(browser: Browser, tmp_path: Path) -> None:
    """No choice, whatever the model; and one that needs a backend cannot be chosen."""
    with server_process(tmp_path / "data") as server:
        async with studio(browser, server.url) as page:
            await page.open()
            await page.live()
            option = page.page.locator("#model option[value='comfyui/txt2img']")
            await expect(option).to_be_disabled()
            await expect(option).to_contain_text("no backend")
            await expect(page.page.locator("#places")).to_be_hidden()
            await develop(page, "as ever")
            await expect(page.stage(".result img.ready")).to_be_visible()
            await expect(page.stage(".facts")).not_to_contain_text("Backend")


async def test_it_is_shown_where_the_model_needs_one(house: Opening) -> None:
    """A model of this server needs none, so none can be chosen for it."""
    async with house() as made, made.page("local/paint") as page:
        await expect(page.page.locator("#places")).to_be_hidden()
        await page.page.select_option("#model", "comfyui/txt2img")
        await expect(page.page.locator("#places")).to_be_visible()


MINE = """\
[[models]]
name = "mine/attic-only"
label = "Only under the roof"
kind = "image"
provider = "comfyui"
schema = "comfyui_image"
workflow = "txt2img"
backends = ["attic"]
order = 40
"""


async def test_models_that_the_chosen_one_may_not_run_cannot_be_chosen(house: Opening) -> None:
    """They are listed with the reason while another is chosen, and a backend that may not run
    the model at hand is no choice for it. Chosen elsewhere, another model stands in, and the
    choice stays in reach."""
    async with house(MINE) as made, made.page("mine/attic-only") as page:
        option = page.page.locator("#model option[value='mine/attic-only']")
        await expect(radio(page, "cellar")).to_be_disabled()
        await expect(row(page, "cellar")).to_contain_text("not for this model")
        await made.ask("PATCH", "/api/preferences", json={"backend": "cellar"})
        await expect(option).to_be_disabled()
        await expect(option).to_contain_text("not on cellar")
        await expect(page.page.locator("#model")).not_to_have_value("mine/attic-only")
        await page.page.select_option("#model", "local/paint")
        await row(page, "").click()
        await expect(option).to_be_enabled()


async def test_checkpoints_are_offered_as_the_backend_has_them(house: Opening) -> None:
    """The field offers what the chosen backend has, and other ones when another is chosen; one
    that it has not is refused at the field, by name, with those that it has."""
    async with house() as made, made.page() as page:
        offers = page.page.locator("#offers-checkpoint option")
        await row(page, "cellar").click()
        await expect(offers).to_have_count(2)
        assert await page.page.get_attribute("#param-checkpoint", "placeholder") == (
            "ink.safetensors"
        )
        await page.page.fill("#param-checkpoint", "inc.safetensors")
        await develop(page, "a lamp")
        wrong = page.page.locator("#wrong-checkpoint")
        await expect(wrong).to_contain_text("ink.safetensors")
        await expect(page.page.locator("#param-checkpoint")).to_be_focused()
        await row(page, "attic").click()
        await expect(page.page.locator("#offers-checkpoint option[value^=oil]")).to_have_count(0)


async def test_an_upload_becomes_a_picture(house: Opening) -> None:
    """A picture to picture needs one: it says so, shows the one that is chosen, keeps it over a
    reload, and the task begins with it, there and when it is copied."""
    async with house() as made, made.page("comfyui/img2img") as page:
        await develop(page, "greyer still")
        await expect(page.page.locator("#wrong-inputs")).to_contain_text("begins with a picture")
        file = {"name": "grey.png", "mimeType": "image/png", "buffer": png(64)}
        await page.page.set_input_files("#input-file", [file])
        picture = page.page.locator("#inputs-list .input[data-sent='true']")
        await expect(picture).to_contain_text("grey.png")
        await page.page.reload()
        await expect(picture).to_contain_text("grey.png")
        await expect(picture.locator("img")).to_have_js_property("naturalWidth", 64)
        await page.page.click("#develop")
        await expect(page.stage(".result img.ready")).to_be_visible()
        (task,) = (await made.ask("GET", "/api/tasks"))["tasks"]
        (given,) = task["input_data"]["inputs"]
        source = await page.page.locator("#inputs-list img").get_attribute("src")
        assert source == f"api/uploads/{given['upload']}"
        assert page.complaints == []


async def test_a_file_that_is_no_picture_is_refused_at_the_field(house: Opening) -> None:
    """What the server does not take is said there by name, and is not kept."""
    async with house() as made, made.page("comfyui/img2img") as page:
        file = {"name": "page.png", "mimeType": "image/png", "buffer": b"<html>hello</html>"}
        await page.page.set_input_files("#input-file", [file])
        await expect(page.page.locator("#wrong-inputs")).to_contain_text("page.png was not taken")
        await expect(page.page.locator("#inputs-list .input")).to_have_count(0)


async def test_a_picture_begins_the_next_one(house: Opening) -> None:
    """`Start from this` puts a finished picture into the form, changes to a model that takes
    one, and the next task begins with it; the cross takes it out again."""
    async with house() as made, made.page() as page:
        await develop(page, "a first one")
        await expect(page.stage(".result img.ready")).to_be_visible()
        card = page.page.locator("#cards .thumb")
        await expect(card).to_have_attribute("src", re.compile("/thumbnail$"))
        await page.page.get_by_role("button", name="Start from this").click()
        await expect(page.page.locator("#model")).to_have_value("comfyui/img2img")
        await develop(page, "a second one")
        await expect(page.stage(".prompt")).to_have_text("a second one")
        await expect(page.stage(".result img.ready")).to_be_visible()
        second, first = (await made.ask("GET", "/api/tasks"))["tasks"]
        assert second["input_data"]["inputs"] == [{"artifact": first["artifacts"][0]["id"]}]
        await page.page.get_by_role("button", name="Remove a first one").click()
        await expect(page.page.locator("#inputs-list .input")).to_have_count(0)


GREY = {"width": 64, "height": 64, "color": 8421504, "batch_size": 1}
GRAPH = {
    "1": {"class_type": "EmptyImage", "inputs": GREY},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "grey"}},
}


async def test_a_whole_graph_is_pasted(house: Opening) -> None:
    """Text that is no graph, and a node of it that is wrong, are refused at its field; a graph
    runs, there and as it is."""
    async with house() as made, made.page("comfyui/workflow") as page:
        await page.page.fill("#prompt", "nothing but grey")
        unseeded = {"3": {"class_type": "KSampler", "inputs": {"seed": -1}}}
        wrong = page.page.locator("#wrong-workflow")
        for text, found in (("{ half", "half"), (json.dumps(GRAPH | unseeded), "-1")):
            await page.page.fill("#param-workflow", text)
            await page.page.click("#develop")
            await expect(wrong).to_contain_text(found)
        await page.page.fill("#param-workflow", json.dumps(GRAPH))
        await page.page.click("#develop")
        await expect(page.stage(".result img.ready")).to_be_visible()
        await expect(page.stage(".result img")).to_have_js_property("naturalWidth", 64)
