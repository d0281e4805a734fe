"""Every SQL statement of the store, each with its purpose and the race it closes.

Writes are set-based: what a batch does to a table is one statement, its members coming in
as one JSON array, or, where they are many, few statements with all values bound: to take
apart a JSON array of rows costs as much as writing them. SQLite 3.35 is enough.
"""

from __future__ import annotations

from typing import Any

from .records import MUTABLE, NEWBORN, STRIDE, ArtifactRow

LIVE_STATES = "('queued', 'starting', 'running', 'canceling')"
DONE_STATES = "('completed', 'failed', 'canceled')"

# A member of an update by rows has its task's uid, the fence, its `changed`, and what is new.
# The state is part of the fence since a silent move (no event) keeps the seq.
FENCE = ("claim", "seq", "state")
_OWN = "".join(f" AND tasks.{name} = m.column{n}" for n, name in enumerate(FENCE, 2))


def _moving(columns: tuple[str, ...]) -> str:
    """Bring tasks forward that are still as they were read; see `Visits.update`. The fence is
    asked in the same breath in which the row is written, so nothing can come between."""
    new = enumerate(("changed", *columns), 2 + len(FENCE))
    return f"""
    UPDATE tasks SET {", ".join(f"{name} = m.column{n}" for n, name in new)}
    FROM (VALUES) AS m WHERE tasks.uid = m.column1{_OWN}
    """


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return f"'{value}'" if isinstance(value, str) else str(value + 0)


# Statements with a bare VALUES get their rows from visit.py.
INSERT_EVENTS = "INSERT INTO events (uid, seq, run, body) VALUES"

UPDATE_TASKS = _moving(MUTABLE)

# Most moves are this one.
ADVANCE_TASKS = _moving(STRIDE)

# `n` is the change by which a task is born: so it is the order of their creation, and says
# where an owner's feed has a task that has not changed since.
_NEW = ("n", "uid", "owner", "id", "fingerprint", "created_at", "changed")
INSERT_TASKS = f"INSERT INTO tasks ({', '.join((*_NEW, *MUTABLE))}) VALUES"

# Nearly all: what they have in common is in the statement.
_OF_ITS_OWN = (*_NEW, "updated_at")
INSERT_NEWBORN = f"""
INSERT INTO tasks ({", ".join((*_OF_ITS_OWN, *NEWBORN))})
SELECT {", ".join(f"m.column{n}" for n, _ in enumerate(_OF_ITS_OWN, 1))},
    {", ".join(map(_literal, NEWBORN.values()))}
FROM (VALUES) AS m
"""

INSERT_REQUESTS = "INSERT INTO requests (n, asked, resolved) VALUES"

INSERT_SNAPSHOTS = """
INSERT OR REPLACE INTO snapshots (uid, body)
SELECT json_extract(value, '$.uid'), json_extract(value, '$.body') FROM json_each(?1)
"""

# A key that another creation of this batch has just bound stays bound to it.
INSERT_KEYS = "INSERT OR IGNORE INTO keys (owner, key, uid) VALUES"

_ARTIFACT_COLUMNS = ArtifactRow.__struct_fields__

INSERT_ARTIFACTS = f"""
INSERT INTO artifacts ({", ".join(_ARTIFACT_COLUMNS)})
SELECT {", ".join(f"json_extract(value, '$.{name}')" for name in _ARTIFACT_COLUMNS)}
FROM json_each(?1)
"""

TASK = "SELECT t.*, r.asked, r.resolved FROM tasks t JOIN requests r ON r.n = t.n"

BY_UID = f"{TASK} WHERE t.uid IN (SELECT value FROM json_each(?1))"


def _named(owner: str, id: str, column: str) -> str:
    """A column of the task with this name: one that its owner gave it, or its uid."""
    return f"""coalesce(
        (SELECT {column} FROM tasks INDEXED BY tasks_by_id
          WHERE owner = {owner} AND id = {id} AND id <> uid),
        (SELECT {column} FROM tasks WHERE uid = {id} AND owner = {owner} AND id = uid))"""


BY_ID = f"{TASK} WHERE t.n = {_named('?1', '?2', 'n')}"

# What the creations of a batch meet. Each is asked for one owner (?2) and a JSON array of
# ids, keys or fingerprints, and answers with the value and the uid.
BY_IDS = f"""
SELECT named.value, {_named("?2", "named.value", "uid")},
       EXISTS (SELECT 1 FROM tombstones WHERE owner = ?2 AND id = named.value)
FROM json_each(?1) AS named
"""

BY_KEYS = """
SELECT named.value, (SELECT uid FROM keys WHERE owner = ?2 AND key = named.value)
FROM json_each(?1) AS named
"""

# What alike.py begins with: all that runs and is not canceling, each owner's oldest first.
MEETABLE_TASKS = f"""
SELECT owner, fingerprint, uid FROM tasks INDEXED BY tasks_live
WHERE state IN {LIVE_STATES} AND state <> 'canceling' ORDER BY owner, n
"""

# The newest alike that completed.
COMPLETED = """
SELECT alike.value,
       (SELECT uid FROM tasks INDEXED BY tasks_completed
         WHERE owner = ?2 AND fingerprint = alike.value AND state = 'completed'
         ORDER BY n DESC LIMIT 1)
FROM json_each(?1) AS alike
"""

# How much log each of these tasks has, in the form of DUE_LOGS.
LOGS_OF = """
SELECT value AS uid, (SELECT max(seq) + 1 FROM events WHERE uid = value) AS seq,
       (SELECT min(seq) FROM events WHERE uid = value) AS first
FROM json_each(?1)
"""

FILES_OF = """
SELECT uid, sha256 FROM artifacts WHERE uid IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT uid, thumbnail FROM artifacts
WHERE thumbnail IS NOT NULL AND uid IN (SELECT value FROM json_each(?1))
"""

# After as many of their events as one transaction may delete. What is left of those is out
# of sight from here on, and goes later.
REMOVE = (
    """
    INSERT INTO leftovers (uid)
    SELECT value FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM events WHERE uid = value)
    """,
    """
    DELETE FROM requests
    WHERE n IN (SELECT n FROM tasks WHERE uid IN (SELECT value FROM json_each(?1)))
    """,
    "DELETE FROM snapshots WHERE uid IN (SELECT value FROM json_each(?1))",
    "DELETE FROM artifacts WHERE uid IN (SELECT value FROM json_each(?1))",
    "DELETE FROM fetches WHERE uid IN (SELECT value FROM json_each(?1))",
    # Notices that nobody took, by what their ids begin with: they say what the task said.
    """
    DELETE FROM deliveries WHERE state = 'dead' AND id IN (
        SELECT d.id FROM json_each(?1) CROSS JOIN deliveries AS d
        ON d.id > 'msg_' || value || '_' AND d.id < 'msg_' || value || '`'
    )
    """,
    "DELETE FROM tasks WHERE uid IN (SELECT value FROM json_each(?1))",
)

# INDEXED BY is a promise to the planner that it must keep or fail: no sweep may read
# its way through the whole table while creates wait.
DUE_LOGS = """
SELECT uid, seq, (SELECT min(seq) FROM events WHERE uid = tasks.uid) AS first
FROM tasks INDEXED BY tasks_unswept
WHERE log_swept = 0 AND ended_at <= ?1 ORDER BY ended_at LIMIT ?2
"""

# What to clear of removed tasks, in the form of DUE_LOGS: no event of theirs is kept.
LEFTOVERS = """
SELECT uid, (SELECT max(seq) + 1 FROM events WHERE uid = leftovers.uid) AS seq,
       (SELECT min(seq) FROM events WHERE uid = leftovers.uid) AS first
FROM leftovers ORDER BY uid LIMIT ?1
"""

MARK_CLEARED = """
DELETE FROM leftovers
WHERE uid IN (SELECT json_extract(value, '$.uid') FROM json_each(?1))
  AND NOT EXISTS (SELECT 1 FROM events AS e WHERE e.uid = leftovers.uid)
RETURNING uid
"""

# The oldest events of each, up to a seq of its own: what a half-swept log still has is
# without a hole. A LIMIT over all of them would have to sort them all.
SWEEP_EVENTS = """
DELETE FROM events WHERE (uid, seq) IN (
    SELECT e.uid, e.seq FROM json_each(?1) AS due CROSS JOIN events AS e
    WHERE e.uid = json_extract(due.value, '$.uid') AND e.seq < json_extract(due.value, '$.until'))
"""

ROWS_CHANGED = "SELECT changes()"

MARK_SWEPT = """
UPDATE tasks SET log_swept = 1
WHERE uid IN (
    SELECT json_extract(due.value, '$.uid') FROM json_each(?1) AS due
    WHERE NOT EXISTS (SELECT 1 FROM events AS e
        WHERE e.uid = json_extract(due.value, '$.uid')
          AND e.seq < json_extract(due.value, '$.seq')))
RETURNING uid
"""

INSERT_TOMBSTONES = """
INSERT INTO tombstones (owner, id, changed)
SELECT json_extract(value, '$.owner'), json_extract(value, '$.id'),
       json_extract(value, '$.changed')
FROM json_each(?1)
"""


def _newest(table: str, where: str) -> str:
    """The last change in a table: the newest of each owner's, who are few. The index has
    them side by side, so that the owners' tasks are not gone through."""
    table = f"{table} INDEXED BY {table}_by_change WHERE {where}"
    return f"""
    WITH RECURSIVE owners(owner) AS (
        SELECT min(owner) FROM {table}
        UNION ALL
        SELECT (SELECT min(owner) FROM {table} AND owner > owners.owner)
        FROM owners WHERE owners.owner IS NOT NULL)
    SELECT max((SELECT max(changed) FROM {table} AND owner = owners.owner)) FROM owners
    """


MOVED = "(changed <> n OR ended_at IS NOT NULL)"
"""The condition of `tasks_by_change`, in its words: else SQLite cannot tell that it is the same."""

# The number of a task that has not changed since its birth is a change too; and a number is
# not given twice as long as its task is there.
LAST_CHANGE = f"""
SELECT max(coalesce(({_newest("tasks", MOVED)}), 0),
           coalesce(({_newest("tombstones", "true")}), 0),
           coalesce((SELECT max(n) FROM tasks), 0))
"""

EXPIRED = """
SELECT t.*, r.asked, r.resolved
FROM tasks t INDEXED BY tasks_ended JOIN requests r ON r.n = t.n
WHERE t.ended_at <= ?1 ORDER BY t.ended_at LIMIT ?2
"""

# Of each live task only what it takes to wait in line: there may be many of them at a start.
# Each owner's are in order; to sort them all is for the caller, who does it faster.
LIVE = f"""
SELECT t.n, t.uid, t.state, t.created_at, t.not_before,
       json_extract(coalesce(t.via, r.resolved), '$.provider') AS provider,
       json_extract(coalesce(t.via, r.resolved), '$.backend') AS backend, t.place,
       t.owner, json_extract(coalesce(t.via, r.resolved), '$.model') AS model
FROM tasks t INDEXED BY tasks_live JOIN requests r ON r.n = t.n
WHERE t.state IN {LIVE_STATES}
"""

# How long attempts took that completed, of the last tasks that ended, the newest first: what
# is learnt from them is known again after a start.
RUN_TIMES = """
SELECT json_extract(coalesce(t.via, r.resolved), '$.provider') AS provider,
       json_extract(coalesce(t.via, r.resolved), '$.backend') AS backend,
       json_extract(coalesce(t.via, r.resolved), '$.model') AS model,
       t.ended_at - t.claimed_at AS took
FROM (SELECT n, via, state, ended_at, claimed_at FROM tasks INDEXED BY tasks_ended
      WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT ?1) AS t
JOIN requests r ON r.n = t.n
WHERE t.state = 'completed' AND t.claimed_at IS NOT NULL
"""

# None of a task that was removed, even if they are still there.
EVENTS = """
SELECT seq, run, body FROM events
WHERE uid = ?1 AND seq > ?2 AND NOT EXISTS (SELECT 1 FROM leftovers WHERE uid = ?1)
ORDER BY seq LIMIT ?3
"""

EVENT_RUN = "SELECT run FROM events WHERE uid = ?1 AND seq = ?2"

# The first seq that is still kept; NULL when the log was swept.
HORIZON = "SELECT min(seq) FROM events WHERE uid = ?1"

SNAPSHOT = "SELECT body FROM snapshots WHERE uid = ?1"

SNAPSHOTS = "SELECT uid, body FROM snapshots WHERE uid IN (SELECT value FROM json_each(?1))"

LOG_RUN = "SELECT run FROM logs WHERE id = ?1"

# The last change of a log's run: NULL for the run that is under way.
LOG_END = """
SELECT (SELECT position FROM logs WHERE run = l.run + 1) AS position FROM logs l WHERE l.id = ?1
"""


def _numbers(index: str, states: str) -> str:
    return f"""SELECT * FROM (SELECT n FROM tasks INDEXED BY {index}
        WHERE owner = ?1 AND state IN {states} AND n < ?2 ORDER BY n DESC LIMIT ?3)"""


# An owner's tasks, newest first: of either index as many as a page has, by their numbers.
PAGE = f"""
WITH page AS MATERIALIZED (
    {_numbers("tasks_live", LIVE_STATES)} UNION ALL {_numbers("tasks_done", DONE_STATES)}
    ORDER BY n DESC LIMIT ?3)
SELECT t.*, r.asked, r.resolved
FROM page CROSS JOIN tasks t ON t.n = page.n JOIN requests r ON r.n = t.n ORDER BY page.n DESC
"""

TOMBSTONE = "SELECT 1 FROM tombstones WHERE owner = ?1 AND id = ?2"

# One owner's changes after a position, in order: of tasks that changed since their birth, of
# others (each of them is live), and deletions.
CHANGES = f"""
SELECT uid, id, changed FROM (
    SELECT * FROM (SELECT uid, id, changed FROM tasks INDEXED BY tasks_by_change
        WHERE owner = ?1 AND {MOVED} AND changed > ?2 ORDER BY changed LIMIT ?3)
    UNION ALL
    SELECT * FROM (SELECT uid, id, n AS changed FROM tasks INDEXED BY tasks_live
        WHERE owner = ?1 AND state IN {LIVE_STATES} AND n > ?2 AND changed = n
        ORDER BY n LIMIT ?3)
    UNION ALL
    SELECT * FROM (SELECT NULL, id, changed FROM tombstones
        WHERE owner = ?1 AND changed > ?2 ORDER BY changed LIMIT ?3)
) ORDER BY changed LIMIT ?3
"""

ARTIFACT = """
SELECT a.*, t.owner AS task_owner FROM artifacts a JOIN tasks t ON t.uid = a.uid WHERE a.id = ?1
"""

ARTIFACTS_OF = "SELECT * FROM artifacts WHERE uid = ?1 ORDER BY created_at, id"

# Bytes that several name stay until the last of them goes.
IN_USE = """(
    EXISTS (SELECT 1 FROM artifacts WHERE sha256 = value AND expired_at IS NULL)
    OR EXISTS (SELECT 1 FROM artifacts WHERE thumbnail = value AND expired_at IS NULL)
    OR EXISTS (SELECT 1 FROM uploads WHERE sha256 = value))"""

USED_HASHES = f"SELECT value FROM json_each(?1) WHERE {IN_USE}"

UNUSED_HASHES = f"SELECT value FROM json_each(?1) WHERE NOT {IN_USE}"
