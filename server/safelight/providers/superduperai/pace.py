"""How long things may take with SuperDuperAI.

Every wait of the adapter goes through its `Pace`. Knows nothing of what is waited for.
"""

from __future__ import annotations

import msgspec

from .. import pace


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, all of them.

    A file is asked for after `poll`, then ever more seldom up to `poll_most`, whatever its
    channel says; a channel that was lost is opened again after `reopen`, doubled up to
    `reopen_most`. `settle` is how long a create may still be on its way to a list that does
    not show it. What there is to choose from is asked for again after `fresh`.
    """

    poll: float = 1.5
    poll_most: float = 10.0
    reopen: float = 0.5
    reopen_most: float = 30.0
    settle: float = 5.0
    fresh: float = 600.0


Pace = pace.Pace[Timings]
"""Waits as long as that."""
