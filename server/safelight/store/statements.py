"""Every SQL statement of the store, each with its purpose and the race it closes.

Writes are set-based: what a batch does to a table is one statement, its members coming in
as one JSON array, or, where rows are new, few statements with all values bound: to take
apart a JSON array of rows costs as much as writing them. SQLite 3.35 is enough.
"""

from __future__ import annotations

from .records import MUTABLE, STRIDE, ArtifactRow

LIVE_STATES = "('queued', 'starting', 'running', 'canceling')"

_FENCE = "t.claim = m.claim AND t.seq = m.seq AND t.state = m.state"
"""The state is part of the fence since a silent move (no event) keeps the seq."""

_MEMBERS = """
    SELECT key AS place,
           json_extract(value, '$.uid') AS uid,
           json_extract(value, '$.claim') AS claim,
           json_extract(value, '$.seq') AS seq,
           json_extract(value, '$.state') AS state
    FROM json_each(?1)
"""

# The places of the members of a batch that still own their task. Read first, inside the
# transaction, so that every later statement of the batch sees the same answer.
OWNED = f"""
WITH m AS ({_MEMBERS})
SELECT m.place FROM m JOIN tasks t ON t.uid = m.uid WHERE {_FENCE}
"""

# Statements that end in VALUES get their rows from visit.py.
INSERT_EVENTS = "INSERT INTO events (uid, seq, run, body) VALUES"

UPDATE_TASKS = f"""
UPDATE tasks SET
    {", ".join(f"{name} = json_extract(m.value, '$.{name}')" for name in MUTABLE)},
    changed = json_extract(m.value, '$.changed')
FROM (SELECT json_extract(value, '$.uid') AS uid, value FROM json_each(?1)) AS m
WHERE tasks.uid = m.uid
"""

# The same for members that are arrays: uid, `changed`, and the columns of STRIDE.
ADVANCE_TASKS = f"""
UPDATE tasks SET changed = json_extract(m.value, '$[1]'),
    {", ".join(f"{name} = json_extract(m.value, '$[{n}]')" for n, name in enumerate(STRIDE, 2))}
FROM (SELECT json_extract(value, '$[0]') AS uid, value FROM json_each(?1)) AS m
WHERE tasks.uid = m.uid
"""

# Rows go in in the order of their creation, so that `n` is that order too.
INSERT_TASKS = f"""
INSERT INTO tasks (uid, owner, id, fingerprint, created_at, changed, {", ".join(MUTABLE)}) VALUES"""

INSERT_REQUESTS = "INSERT INTO requests (uid, asked, resolved) VALUES"

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

TASK = "SELECT t.*, r.asked, r.resolved FROM tasks t JOIN requests r ON r.uid = t.uid"

BY_UID = f"{TASK} WHERE t.uid IN (SELECT value FROM json_each(?1))"

BY_ID = f"{TASK} WHERE t.owner = ?1 AND t.id = ?2"

# What the creations of a batch meet. Each is asked for one owner (?2) and a JSON array of
# ids, keys or fingerprints, and answers with the value and the uid.
BY_IDS = """
SELECT named.value,
       (SELECT uid FROM tasks WHERE owner = ?2 AND id = named.value),
       EXISTS (SELECT 1 FROM tombstones WHERE owner = ?2 AND id = named.value)
FROM json_each(?1) AS named
"""

BY_KEYS = """
SELECT named.value, (SELECT uid FROM keys WHERE owner = ?2 AND key = named.value)
FROM json_each(?1) AS named
"""

# What alike.py begins with: all that runs and is not canceling, oldest first.
MEETABLE_TASKS = f"""
SELECT owner, fingerprint, uid FROM tasks INDEXED BY tasks_live
WHERE state IN {LIVE_STATES} AND state <> 'canceling' ORDER BY n
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

FILES_OF = "SELECT uid, sha256 FROM artifacts WHERE uid IN (SELECT value FROM json_each(?1))"

# After as many of their events as one transaction may delete. What is left of those is out
# of sight from here on, and goes later.
REMOVE = (
    """
    INSERT INTO leftovers (uid)
    SELECT value FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM events WHERE uid = value)
    """,
    "DELETE FROM requests WHERE uid IN (SELECT value FROM json_each(?1))",
    "DELETE FROM snapshots WHERE uid IN (SELECT value FROM json_each(?1))",
    "DELETE FROM artifacts WHERE uid IN (SELECT value FROM json_each(?1))",
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


def _newest(table: str) -> str:
    """The last change in a table: the newest of each owner's, who are few. The index has
    them side by side, so that the owners' tasks are not gone through."""
    return f"""
    WITH RECURSIVE owners(owner) AS (
        SELECT min(owner) FROM {table}
        UNION ALL
        SELECT (SELECT min(owner) FROM {table} WHERE owner > owners.owner)
        FROM owners WHERE owners.owner IS NOT NULL)
    SELECT max((SELECT max(changed) FROM {table} WHERE owner = owners.owner)) FROM owners
    """


LAST_CHANGE = f"""
SELECT max(coalesce(({_newest("tasks")}), 0), coalesce(({_newest("tombstones")}), 0))
"""

EXPIRED = """
SELECT t.*, r.asked, r.resolved
FROM tasks t INDEXED BY tasks_ended JOIN requests r ON r.uid = t.uid
WHERE t.ended_at <= ?1 ORDER BY t.ended_at LIMIT ?2
"""

# Of each live task only what it takes to wait in line: there may be many of them at a start.
LIVE = f"""
SELECT t.uid, t.state, t.created_at, t.not_before,
       json_extract(r.resolved, '$.provider') AS provider
FROM tasks t INDEXED BY tasks_live JOIN requests r ON r.uid = t.uid
WHERE t.state IN {LIVE_STATES} ORDER BY t.n
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

PAGE = f"{TASK} WHERE t.owner = ?1 AND t.n < ?2 ORDER BY t.n DESC LIMIT ?3"

TOMBSTONE = "SELECT 1 FROM tombstones WHERE owner = ?1 AND id = ?2"

# One owner's changes after a position, tasks and deletions together, in order.
CHANGES = """
SELECT uid, id, changed FROM (
    SELECT * FROM (SELECT uid, id, changed FROM tasks
        WHERE owner = ?1 AND changed > ?2 ORDER BY changed LIMIT ?3)
    UNION ALL
    SELECT * FROM (SELECT NULL, id, changed FROM tombstones
        WHERE owner = ?1 AND changed > ?2 ORDER BY changed LIMIT ?3)
) ORDER BY changed LIMIT ?3
"""

ARTIFACT = """
SELECT a.*, t.owner FROM artifacts a JOIN tasks t ON t.uid = a.uid WHERE a.id = ?1
"""

ARTIFACTS_OF = "SELECT * FROM artifacts WHERE uid = ?1 ORDER BY created_at, id"

USED_HASHES = """
SELECT value FROM json_each(?1) WHERE EXISTS (SELECT 1 FROM artifacts WHERE sha256 = value)
"""

# Bytes that several artifacts share stay until the last of them goes.
UNUSED_HASHES = """
SELECT value FROM json_each(?1)
WHERE NOT EXISTS (SELECT 1 FROM artifacts WHERE sha256 = value)
"""
