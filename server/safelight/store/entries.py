"""One line of the ledger, as a type; ledger.py and ledger_sums.py say what becomes of it.

What it says is worked out above the store. The table is told in migration 0010.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `usage` and `price` are JSON, `verdict` that of a charge; `day` counts from
    1970, and is that of the charge also for what corrects it."""

    entry: Literal["hold", "charge", "release", "correction"]
    uid: str
    owner: str
    id: str
    attempt: int
    amount: int
    counts: int
    currency: str = "USD"
    kind: str
    model: str
    provider: str
    backend: str | None = None
    handle: str | None = None
    usage: str | None = None
    price: str | None = None
    verdict: str | None = None
    reason: str = ""
    at: int
    day: int
