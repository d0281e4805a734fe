"""Cancels: out of the queue, interrupted by id, seen; and what ended well has ended well."""

from __future__ import annotations

import asyncio
from typing import Any

from safelight.providers.base import Done, Ended, Found
from tests.doubles.comfy import Answer
from tests.doubles.comfy_rig import FILE, PATIENCE, Rig, end


async def cancel(rig: Rig, handle: str, **fields: Any) -> None:
    """Cancel it; that must come to its end."""
    asked = rig.prediction(**fields)
    await asyncio.wait_for(rig.provider.cancel(asked, handle), PATIENCE)


def stops(rig: Rig) -> list[Any]:
    """What was asked to stop something, in order."""
    paths = ("/queue", "/interrupt")
    return [a.json for a in rig.double.asked if a.method == "POST" and a.path in paths]


async def test_a_waiting_prompt_is_taken_out(rig: Rig) -> None:
    """Of a prompt that is deleted nothing is told: its follow ends all the same, and only
    its own id was named."""
    handle, following = await rig.start()
    other, _ = await rig.start(rig.prediction(uid="u2"))
    await cancel(rig, handle)
    assert isinstance(await end(following), Ended)
    assert [p["prompt_id"] for p in rig.double.pending] == [other]
    assert stops(rig) == [{"delete": [handle]}, {"prompt_id": handle}]


async def test_a_running_prompt_is_interrupted(rig: Rig) -> None:
    """The one that runs is interrupted by its id; repeating that changes nothing."""
    handle, following = await rig.start()
    rig.double.begin(handle)
    await cancel(rig, handle)
    assert isinstance(await end(following), Ended)
    await cancel(rig, handle)
    assert len(rig.double.history) == 1


async def test_a_lost_interrupt_is_repeated(rig: Rig) -> None:
    """An interrupt that the server swallows is asked for again, until the prompt is over."""
    handle, following = await rig.start()
    rig.double.begin(handle)
    rig.double.interrupts = False
    canceling = asyncio.create_task(cancel(rig, handle))
    await rig.double.until(lambda: rig.double.count("POST", "/interrupt") >= 3)
    rig.double.interrupts = True
    assert isinstance(await end(following), Ended)
    await canceling


async def test_what_finishes_all_the_same_is_done(rig: Rig) -> None:
    """A prompt that a cancel came too late for is Done, with what it made."""
    handle, following = await rig.start()
    rig.double.begin(handle)
    rig.double.interrupts = False
    canceling = asyncio.create_task(cancel(rig, handle))
    await rig.double.until(lambda: rig.double.count("POST", "/interrupt") >= 1)
    rig.double.finish(handle, {"9": FILE})
    assert isinstance(await end(following), Done)
    assert len(rig.heard.of(Found)) == 1
    await canceling


async def test_trouble_with_a_cancel_is_waited_out(rig: Rig) -> None:
    """A cancel that could not be delivered is delivered later."""
    handle, following = await rig.start()
    rig.double.faults["POST /queue"] += ["lose", Answer(500), "hang"]
    await cancel(rig, handle)
    assert isinstance(await end(following), Ended)


async def test_a_cancel_that_nobody_follows_leaves_no_mailbox(rig: Rig) -> None:
    """Given up before it was followed, a prompt is stopped and listened to no more."""
    handle = await rig.provider.start(rig.prediction())
    await cancel(rig, handle)
    assert rig.backend.router.jobs == []
    assert rig.double.pending == []


async def test_after_their_restart_a_canceled_prompt_has_ended(rig: Rig) -> None:
    """Canceled and forgotten is ended, not lost: it is not run again."""
    handle, following = await rig.start()
    rig.double.begin(handle)
    rig.double.interrupts = False
    canceling = asyncio.create_task(cancel(rig, handle))
    await rig.double.until(lambda: rig.double.count("POST", "/interrupt") >= 1)
    rig.double.restart()
    assert isinstance(await end(following), Ended)
    await canceling
