"""Where a prompt is: in the history, in the queue, or nowhere.

A server keeps both in memory only, and two questions one after the other can miss a prompt
that moves between them. So it is asked three times, in the order that misses nothing.
"""

from __future__ import annotations

import msgspec

from .answers import Entry, Waiting
from .client import Client


class Absent(msgspec.Struct, frozen=True):
    """It is neither waiting, nor running, nor among what has ended."""


Sight = Entry | Waiting | Absent


async def look(client: Client, prompt_id: str) -> Sight:
    """History, queue, and history again. Raises Trouble."""
    entry = await client.history(prompt_id)
    if entry is not None:
        return entry
    waiting = (await client.queue()).prompts.get(prompt_id)
    if waiting is not None:
        return waiting
    return await client.history(prompt_id) or Absent()
