"""HTTP with a server: what is shared, what is bounded, and what an answer may be."""

from __future__ import annotations

import asyncio

import pytest

from safelight.providers.comfyui.client import Client, Garbled, Told, Trouble, Unanswered
from safelight.settings import BackendSettings
from tests.doubles.comfy import PAGE, Answer, ComfyDouble
from tests.doubles.comfy_rig import QUICK, Rig


async def test_who_asks_at_once_shares_the_queue(rig: Rig) -> None:
    """Fifty who ask together make one request, which was sent after they had all asked."""
    await asyncio.gather(*(rig.backend.client.queue() for _ in range(50)))
    assert rig.double.count("GET", "/queue") == 1


async def test_an_answer_is_never_older_than_its_question(rig: Rig) -> None:
    """Who asks after a prompt was posted sees it, whoever asked before."""
    first = asyncio.create_task(rig.backend.client.queue())
    await rig.double.until(lambda: rig.double.count("GET", "/queue"))
    handle = await rig.provider.start(rig.prediction())
    assert handle in (await rig.backend.client.queue()).prompts
    await first


async def test_trouble_is_shared_too(rig: Rig) -> None:
    """A server that answers nobody costs those who ask together one wait, not fifty."""
    rig.double.faults["GET /queue"] += [Answer(500)] * 50
    asking = (rig.backend.client.queue() for _ in range(50))
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(trouble, Told) for trouble in told)
    assert rig.double.count("GET", "/queue") == 1


async def test_one_that_is_called_off_costs_nobody_an_answer(rig: Rig) -> None:
    """Whoever waits behind a question that was called off asks it again, and does not get
    the answer to the one before."""
    await rig.backend.client.queue()
    handle = await rig.provider.start(rig.prediction())
    rig.double.faults["GET /queue"].append("hang")
    first, second = (asyncio.create_task(rig.backend.client.queue()) for _ in range(2))
    await rig.double.until(lambda: rig.double.count("GET", "/queue") == 2)
    first.cancel()
    assert handle in (await asyncio.wait_for(second, 20)).prompts


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (PAGE, Garbled),
        (Answer(200, b"{"), Garbled),
        (Answer(200, b"[]"), Garbled),
        (Answer(200, b'{"queue_running": [5], "queue_pending": []}'), Garbled),
        (Answer(200, b'{"queue_running": [["x", "y"]], "queue_pending": []}'), Garbled),
        (Answer(500, b""), Told),
        (Answer(302, b""), Told),
        ("drop", Unanswered),
        ("hang", Unanswered),
    ],
)
async def test_every_odd_answer_is_trouble(
    rig: Rig, answer: Answer | str, trouble: type[Trouble]
) -> None:
    """Nothing but a queue is a queue, and what else came is told for what it is."""
    rig.double.faults["GET /queue"].append(answer)
    with pytest.raises(trouble):
        await rig.backend.client.queue()


async def test_an_answer_has_a_bound(double: ComfyDouble) -> None:
    """A backend that answers without end is stopped."""
    client = Client(BackendSettings(url=double.url), QUICK, most=1000)
    double.faults["GET /queue"].append(Answer(200, b" " * 2000))
    async with client.open():
        with pytest.raises(Garbled, match="larger"):
            await client.queue()
