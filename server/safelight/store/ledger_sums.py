"""What follows from the ledger's lines, kept beside them in the same transaction.

Sums of each owner's days, so that nobody adds up a day's lines to read them; and the charges
that nobody knows yet, with the time at which each is asked for next. Both could be made anew
of the lines (migration 0013 does), and say nothing that those do not but when somebody was
asked. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from .entries import Entry
from .visit import Visits


class Total(msgspec.Struct, frozen=True):
    """What one model cost on one day. `charges` counts attempts, `estimated` and `unknown`
    those of them."""

    day: int
    model: str
    provider: str
    amount: int
    charges: int
    estimated: int
    unknown: int


class Deferral(msgspec.Struct, frozen=True):
    """A charge was asked for in vain, for so many times now, and is due again at `due_at`."""

    uid: str
    attempt: int
    tries: int
    due_at: int


_KEY = ("owner", "day", "model", "provider")
_SUMS = ("lines", "amount", "charges", "estimated", "unknown", "counts")
_NAMES = (*_KEY, *_SUMS)

ADD = f"""
INSERT INTO day_sums ({", ".join(_NAMES)})
SELECT {", ".join(f"m.column{n}" for n, _ in enumerate(_NAMES, 1))} FROM (VALUES) AS m WHERE true
ON CONFLICT ({", ".join(_KEY)}) DO UPDATE
SET {", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)}
"""

TOTALS = """
SELECT day, model, provider, amount, charges, estimated, unknown FROM day_sums
WHERE owner = ?1 AND day BETWEEN ?2 AND ?3 AND lines > 0
"""

# The owners are few, and the key has each one's days side by side.
SPENT = """
WITH RECURSIVE owners(owner) AS (
    SELECT min(owner) FROM day_sums
    UNION ALL
    SELECT (SELECT min(owner) FROM day_sums WHERE owner > owners.owner)
    FROM owners WHERE owners.owner IS NOT NULL)
SELECT owner, (SELECT sum(counts) FROM day_sums WHERE owner = owners.owner AND day = ?1)
FROM owners WHERE owner IS NOT NULL
"""

OPEN = """
INSERT OR IGNORE INTO open_charges (n, uid, attempt, owner, day, provider, tries)
SELECT n, uid, attempt, owner, day, provider, 0 FROM ledger INDEXED BY ledger_by_task
WHERE uid = ?1 AND attempt = ?2 AND entry = 'charge' AND verdict = 'unknown'
"""

# Until its task has ended the charge is not told, so nothing is to be corrected.
ENDED = """
UPDATE open_charges SET due_at = (SELECT at FROM ledger WHERE ledger.n = open_charges.n)
WHERE uid IN (SELECT value FROM json_each(?1)) AND due_at IS NULL
"""

CLOSE = "DELETE FROM open_charges WHERE uid = ?1 AND attempt = ?2"

DEFER = """
UPDATE open_charges SET tries = ?3, due_at = ?4
WHERE uid = ?1 AND attempt = ?2 AND due_at IS NOT NULL
"""

ANY_OPEN = "SELECT n FROM open_charges ORDER BY n LIMIT 1"

_DUE = "open_charges INDEXED BY open_charges_due WHERE due_at IS NOT NULL"

# The providers are few; the index has what each is to be asked side by side.
OPEN_AT = f"""
WITH RECURSIVE providers(provider) AS (
    SELECT min(provider) FROM {_DUE}
    UNION ALL
    SELECT (SELECT min(provider) FROM {_DUE} AND provider > providers.provider)
    FROM providers WHERE providers.provider IS NOT NULL)
SELECT provider, (SELECT min(due_at) FROM {_DUE} AND provider = providers.provider)
FROM providers WHERE provider IS NOT NULL
"""

UNSETTLED = """
SELECT o.tries, l.* FROM open_charges o INDEXED BY open_charges_due CROSS JOIN ledger l
ON l.n = o.n WHERE o.provider = ?1 AND o.due_at <= ?2 ORDER BY o.due_at LIMIT ?3
"""

UNKNOWN = """
SELECT l.* FROM open_charges o INDEXED BY open_charges_of_owner CROSS JOIN ledger l
ON l.n = o.n WHERE o.owner = ?1 AND o.day BETWEEN ?2 AND ?3
ORDER BY o.day DESC, o.n DESC LIMIT ?4
"""


def follow(visits: Visits, entries: Sequence[Entry]) -> None:
    """What follows from lines that were just added is written with them."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for entry in entries:
        if entry.entry not in ("charge", "correction"):
            continue
        so_far = sums.setdefault(tuple(getattr(entry, name) for name in _KEY), [0] * len(_SUMS))
        for place, more in enumerate(_adds(entry)):
            so_far[place] += more
        if entry.entry == "correction":
            visits.later(CLOSE, entry.uid, entry.attempt)
        elif entry.verdict == "unknown":
            visits.later(OPEN, entry.uid, entry.attempt)
    visits.insert(ADD, [(*key, *counted) for key, counted in sums.items()])


def ended(visits: Visits, uids: Sequence[str]) -> None:
    """What is unknown of tasks that end now may be asked for from now on."""
    visits.later(ENDED, msgspec.json.encode(uids).decode())


def defer(visits: Visits, item: Deferral) -> None:
    """Ask again later; what was corrected meanwhile is not there any more."""
    visits.later(DEFER, item.uid, item.attempt, item.tries, item.due_at)


def _adds(entry: Entry) -> tuple[int, ...]:
    """What a line does to each of the sums. A charge of other money is in none but what counts
    against the budget."""
    ours, is_charge = entry.currency == "USD", entry.entry == "charge"
    if is_charge and not ours:
        return (0, 0, 0, 0, 0, entry.counts)
    estimated = entry.verdict == "estimated"
    if is_charge:
        unknown = int(entry.verdict == "unknown")
    else:
        unknown = -int(entry.verdict not in (None, "unknown"))
    amount = entry.amount if ours else 0
    return (1, amount, int(is_charge), int(estimated), unknown, entry.counts)
