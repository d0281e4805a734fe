"""What owners have chosen: the item that the writer takes, and its statements.

Few rows, written by hand of a person: they are read once, at the start, and kept in
memory above (see preferences.py of the server).
"""

from __future__ import annotations

import msgspec

from .visit import Visits


class Preference(msgspec.Struct, frozen=True):
    """An owner's choice of backend; None takes it back."""

    owner: str
    backend: str | None


ALL = "SELECT owner, backend FROM preferences"

CHOOSE = """
INSERT INTO preferences (owner, backend)
SELECT json_extract(value, '$.owner'), json_extract(value, '$.backend') FROM json_each(?1)
WHERE true
ON CONFLICT (owner) DO UPDATE SET backend = excluded.backend
"""

TAKE_BACK = "DELETE FROM preferences WHERE owner IN (SELECT value FROM json_each(?1))"


def write(visits: Visits, chosen: list[Preference]) -> None:
    """Write these, which are one batch's, with whatever is asked next."""
    last = {one.owner: one for one in chosen}
    kept = [one for one in last.values() if one.backend is not None]
    gone = [one.owner for one in last.values() if one.backend is None]
    if kept:
        visits.later(CHOOSE, msgspec.json.encode(kept).decode())
    if gone:
        visits.later(TAKE_BACK, msgspec.json.encode(gone).decode())
