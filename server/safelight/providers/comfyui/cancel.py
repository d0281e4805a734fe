"""Stopping one prompt for certain: out of the queue, then interrupted by its id, then seen.

A server says yes to everything and may lose an interrupt that comes between queue and
start, so the two are repeated until the prompt is neither waiting nor running. What ends
well all the same has ended well. Never stops what is not ours.
"""

from __future__ import annotations

from .answers import Entry, Waiting
from .backend import ComfyBackend
from .client import Trouble
from .sight import Absent, look


async def stop(backend: ComfyBackend, prompt_id: str) -> None:
    """Return once it is over, or surely will never begin. Waits as long as the server cannot
    be asked: whoever calls bounds that."""
    again = backend.pace.timings.again
    while True:
        try:
            await backend.client.delete(prompt_id)
            await backend.client.interrupt(prompt_id)
            if await _is_over(backend, prompt_id):
                return
        except Trouble:
            pass  # it may pass; nothing was lost by asking
        job = backend.router.find(prompt_id)
        if job is None:
            await backend.pace.sleep(again)
        elif await backend.pace.wait(job.ended, again):
            return


async def _is_over(backend: ComfyBackend, prompt_id: str) -> bool:
    sight = await look(backend.client, prompt_id)
    if isinstance(sight, Waiting):
        return False
    assert isinstance(sight, Entry | Absent)
    job = backend.router.find(prompt_id)
    if job is not None:
        job.nudge()  # of one that was deleted while it waited nothing is told
    return True
