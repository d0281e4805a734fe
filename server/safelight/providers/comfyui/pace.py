"""How long things may take with a ComfyUI server.

Every wait of the adapter goes through its `Pace`. Knows nothing of what is waited for.
"""

from __future__ import annotations

import msgspec

from .. import pace


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, all of them.

    A server that loads a model answers nothing for that long, so `read` is generous: a
    stall is no death. `settle` is how long a request that left us may still be on its way
    to a server that says it never saw it. A followed prompt is looked up every `poll` while
    there is no socket, after `silence` on one, and the socket is opened anew after `deaf`
    in which it told nothing of a prompt that runs: it may be registered no more.
    A list is asked for again after `fresh_options`; `recheck` is how long who is about to
    refuse something waits for a younger one.
    `lists` is how long a look at its health waits for lists that grow old.
    `race` is how long the history may lag behind the word that a prompt is over.
    """

    read: float = 30.0
    settle: float = 1.5
    poll: float = 1.0
    poll_most: float = 5.0
    silence: float = 5.0
    deaf: float = 30.0
    race: float = 2.0
    again: float = 2.0
    ready: float = 3.0
    reopen: float = 0.2
    reopen_most: float = 15.0
    close: float = 5.0
    fresh_options: float = 60.0
    recheck: float = 0.5
    lists: float = 5.0
    unreachable: float = 5.0


Pace = pace.Pace[Timings]
"""Waits as long as that."""
