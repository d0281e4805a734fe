"""Files beside the tasks' events: uploads, what could not be fetched, what has expired.

Owns the items that the writer takes about them, their statements, and the questions that
`Reader.files` answers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from safelight_protocol.codes import Refused

from .records import (
    ArtifactRow,
    Drawn,
    Expiring,
    FileItem,
    Tried,
    Unused,
    Upload,
    UploadRow,
    Withdrawal,
    artifact_of,
)
from .statements import UNUSED_HASHES
from .visit import Visits

NOTE_TRIED = """
INSERT INTO fetches (uid, attempt, key, tries, error, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (uid, attempt, key) DO UPDATE
SET tries = excluded.tries, error = excluded.error, updated_at = excluded.updated_at
"""

TRIED = "SELECT tries, error FROM fetches WHERE uid = ?1 AND attempt = ?2 AND key = ?3"

FETCHED = "SELECT * FROM artifacts WHERE uid = ?1 AND attempt = ?2 AND source = ?3"

_UPLOAD_COLUMNS = ", ".join(UploadRow.__struct_fields__)

UPLOAD = "SELECT *, NULL AS thumbnail FROM uploads WHERE id = ?1"

LIKE_UPLOAD = "SELECT * FROM uploads WHERE owner = ?1 AND sha256 = ?2"

UPLOADED_BYTES = "SELECT coalesce(sum(bytes), 0) FROM uploads WHERE owner = ?1"

INSERT_UPLOAD = f"INSERT INTO uploads ({_UPLOAD_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"

RENEW_UPLOAD = "UPDATE uploads SET created_at = ?2 WHERE id = ?1"

DELETE_UPLOADS = "DELETE FROM uploads WHERE id IN (SELECT value FROM json_each(?1))"

OLD_UPLOADS = """
SELECT id, sha256, NULL AS thumbnail, media_type FROM uploads INDEXED BY uploads_by_age
WHERE created_at <= ?1 ORDER BY created_at LIMIT ?2
"""

OLD_ARTIFACTS = """
SELECT id, sha256, thumbnail, media_type FROM artifacts INDEXED BY artifacts_unexpired
WHERE expired_at IS NULL AND created_at <= ?1 ORDER BY created_at LIMIT ?2
"""

MARK_EXPIRED = """
UPDATE artifacts SET expired_at = ?2 WHERE id IN (SELECT value FROM json_each(?1))
"""

DRAWN = "SELECT count(*) FROM artifacts WHERE sha256 = ?1 AND expired_at IS NULL"

NOTE_DRAWN = "UPDATE artifacts SET thumbnail = ?2 WHERE sha256 = ?1 AND expired_at IS NULL"

MADE_BY = """
SELECT * FROM artifacts INDEXED BY artifacts_by_owner
WHERE owner = ?1 AND kind = ?2 AND (created_at, id) < (?3, ?4)
ORDER BY created_at DESC, id DESC LIMIT ?5
"""

Ask = Callable[..., Awaitable[list[sqlite3.Row]]]


class Files:
    """Questions about files; each raises StoreTrouble, as those of `Reader` do."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def fetched(self, uid: str, attempt: int, key: str) -> ArtifactRow | None:
        """The artifact that a provider's file became, once its event is written."""
        rows = await self._ask(FETCHED, uid, attempt, key)
        return artifact_of(rows[0]) if rows else None

    async def tried(self, uid: str, attempt: int, key: str) -> tuple[int, str]:
        """How often it could not be fetched, and what went wrong last."""
        rows = await self._ask(TRIED, uid, attempt, key)
        return (rows[0]["tries"], rows[0]["error"]) if rows else (0, "")

    async def upload(self, id: str) -> UploadRow | None:
        """An upload by its id, whoever made it."""
        rows = await self._ask(UPLOAD, id)
        return _upload_of(rows[0]) if rows else None

    async def made_by(
        self, owner: str, kind: str, before: tuple[int, str], limit: int
    ) -> list[ArtifactRow]:
        """An owner's artifacts of one kind, newest first, from before an instant and id."""
        return [artifact_of(row) for row in await self._ask(MADE_BY, owner, kind, *before, limit)]

    async def has_old_artifacts(self, before: int) -> bool:
        """Whether one was made by then whose bytes are still kept."""
        return bool(await self._ask(OLD_ARTIFACTS, before, 1))

    async def has_old_uploads(self, before: int) -> bool:
        """Whether one was made by then."""
        return bool(await self._ask(OLD_UPLOADS, before, 1))


async def write(visits: Visits, items: Sequence[FileItem]) -> list[Any]:
    """What each came to, one after another: a later upload sees an earlier one's bytes."""
    return [await _write(visits, item) for item in items]


async def _write(visits: Visits, item: FileItem) -> Any:
    match item:
        case Tried():
            visits.later(NOTE_TRIED, *msgspec.structs.astuple(item))
            return None
        case Drawn():
            (found,) = await visits.ask((DRAWN, (item.sha256,)))
            visits.later(NOTE_DRAWN, item.sha256, item.thumbnail)
            return found[0][0] > 0
        case Upload():
            return await _upload(visits, item)
        case Withdrawal(owner=owner, id=id):
            (rows,) = await visits.ask((UPLOAD, (id,)))
            mine = [row for row in rows if row["owner"] == owner]
            return await _withdraw(visits, mine) if mine else None
        case Expiring(uploads=True):
            (rows,) = await visits.ask((OLD_UPLOADS, (item.before, item.limit)))
            return await _withdraw(visits, rows)
        case Expiring():
            (rows,) = await visits.ask((OLD_ARTIFACTS, (item.before, item.limit)))
            visits.later(MARK_EXPIRED, _array(row["id"] for row in rows), item.now)
            return await _unused(visits, rows)


async def _upload(visits: Visits, item: Upload) -> UploadRow | Refused:
    row = item.row
    alike, counted = await visits.ask(
        (LIKE_UPLOAD, (row.owner, row.sha256)), (UPLOADED_BYTES, (row.owner,))
    )
    if alike:
        visits.later(RENEW_UPLOAD, alike[0]["id"], row.created_at)
        return msgspec.structs.replace(_upload_of(alike[0]), created_at=row.created_at)
    if counted[0][0] + row.bytes > item.quota:
        found = f"{counted[0][0]} bytes, and {row.bytes} more"
        expected = f"{item.quota} bytes or less"
        wrong: dict[str, object] = {"field": "uploads", "found": found, "expected": expected}
        return Refused("too_many", "Your uploads have no room for this one.", [wrong])
    visits.later(INSERT_UPLOAD, *msgspec.structs.astuple(row))
    return row


async def _withdraw(visits: Visits, rows: Sequence[sqlite3.Row]) -> list[Unused]:
    visits.later(DELETE_UPLOADS, _array(row["id"] for row in rows))
    return await _unused(visits, rows)


async def _unused(visits: Visits, rows: Sequence[sqlite3.Row]) -> list[Unused]:
    """Those of the files behind these rows that nothing names any more."""
    types: dict[str, str] = {row["thumbnail"]: "image/webp" for row in rows if row["thumbnail"]}
    types |= {row["sha256"]: row["media_type"] for row in rows}
    (unused,) = await visits.ask((UNUSED_HASHES, (_array(types),)))
    return [Unused(row["value"], types[row["value"]]) for row in unused]


def _array(values: Any) -> str:
    return msgspec.json.encode(list(values)).decode()


def _upload_of(row: sqlite3.Row) -> UploadRow:
    return UploadRow(**{name: row[name] for name in UploadRow.__struct_fields__})
