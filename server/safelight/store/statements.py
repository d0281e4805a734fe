"""Every SQL statement of the store, each with its purpose and the race it closes.

Writes are set-based: a batch is one statement per table whatever its size, its
members coming in as one JSON array. SQLite 3.35 is enough.
"""

from __future__ import annotations

from .records import MUTABLE, ArtifactRow

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

INSERT_EVENTS = """
INSERT INTO events (uid, seq, run, body)
SELECT json_extract(value, '$.uid'), json_extract(value, '$.seq'), ?2,
       json_extract(value, '$.body')
FROM json_each(?1)
"""

UPDATE_TASKS = f"""
UPDATE tasks SET
    {", ".join(f"{name} = json_extract(m.value, '$.{name}')" for name in MUTABLE)},
    changed = json_extract(m.value, '$.changed')
FROM (SELECT json_extract(value, '$.uid') AS uid, value FROM json_each(?1)) AS m
WHERE tasks.uid = m.uid
"""

_TASK_COLUMNS = ("uid", "owner", "id", "fingerprint", "created_at", "changed", *MUTABLE)

# In the order of the array, so that `n` is the order of creation.
INSERT_TASKS = f"""
INSERT INTO tasks ({", ".join(_TASK_COLUMNS)})
SELECT {", ".join(f"json_extract(value, '$.{name}')" for name in _TASK_COLUMNS)}
FROM json_each(?1) ORDER BY key
"""

INSERT_REQUESTS = """
INSERT INTO requests (uid, asked, resolved)
SELECT json_extract(value, '$.uid'), json_extract(value, '$.asked'),
       json_extract(value, '$.resolved')
FROM json_each(?1)
"""

INSERT_SNAPSHOTS = """
INSERT OR REPLACE INTO snapshots (uid, body)
SELECT json_extract(value, '$.uid'), json_extract(value, '$.body') FROM json_each(?1)
"""

# A key that another creation of this batch has just bound stays bound to it.
INSERT_KEYS = """
INSERT OR IGNORE INTO keys (owner, key, uid)
SELECT json_extract(value, '$.owner'), json_extract(value, '$.key'), json_extract(value, '$.uid')
FROM json_each(?1)
"""

_ARTIFACT_COLUMNS = ArtifactRow.__struct_fields__

INSERT_ARTIFACTS = f"""
INSERT INTO artifacts ({", ".join(_ARTIFACT_COLUMNS)})
SELECT {", ".join(f"json_extract(value, '$.{name}')" for name in _ARTIFACT_COLUMNS)}
FROM json_each(?1)
"""

TASK = "SELECT t.*, r.asked, r.resolved FROM tasks t JOIN requests r ON r.uid = t.uid"

BY_UID = f"{TASK} WHERE t.uid IN (SELECT value FROM json_each(?1))"

BY_ID = f"{TASK} WHERE t.owner = ?1 AND t.id = ?2"

# What each creation of a batch meets, by its place in the array. One row each.
# `inflight` is the oldest alike that runs and is not canceling.
MEETS = f"""
SELECT c.key AS place,
    (SELECT uid FROM tasks
      WHERE owner = json_extract(c.value, '$.owner')
        AND id = json_extract(c.value, '$.id')) AS by_id,
    EXISTS (SELECT 1 FROM tombstones
      WHERE owner = json_extract(c.value, '$.owner')
        AND id = json_extract(c.value, '$.id')) AS id_gone,
    (SELECT uid FROM keys
      WHERE owner = json_extract(c.value, '$.owner')
        AND key = json_extract(c.value, '$.key')) AS by_key,
    CASE WHEN json_extract(c.value, '$.reuse') = 'never' THEN NULL ELSE
      (SELECT uid FROM tasks
        WHERE owner = json_extract(c.value, '$.owner')
          AND fingerprint = json_extract(c.value, '$.fingerprint')
          AND state IN {LIVE_STATES} AND state <> 'canceling'
        ORDER BY n LIMIT 1) END AS inflight,
    CASE WHEN json_extract(c.value, '$.reuse') = 'completed' THEN
      (SELECT uid FROM tasks
        WHERE owner = json_extract(c.value, '$.owner')
          AND fingerprint = json_extract(c.value, '$.fingerprint')
          AND state = 'completed'
        ORDER BY n DESC LIMIT 1) END AS completed
FROM json_each(?1) AS c
"""

REMOVE = (
    "DELETE FROM events WHERE uid IN (SELECT value FROM json_each(?1))",
    "DELETE FROM requests WHERE uid IN (SELECT value FROM json_each(?1))",
    "DELETE FROM snapshots WHERE uid IN (SELECT value FROM json_each(?1))",
    "DELETE FROM artifacts WHERE uid IN (SELECT value FROM json_each(?1))",
    "DELETE FROM tasks WHERE uid IN (SELECT value FROM json_each(?1))",
)

# INDEXED BY is a promise to the planner that it must keep or fail: no sweep may read
# its way through the whole table while creates wait.
DUE_LOGS = """
SELECT uid, seq FROM tasks INDEXED BY tasks_unswept
WHERE log_swept = 0 AND ended_at <= ?1 ORDER BY ended_at LIMIT ?2
"""

# The oldest events first, so that what a half-swept log still has is without a hole.
SWEEP_EVENTS = """
DELETE FROM events WHERE (uid, seq) IN (
    SELECT e.uid, e.seq FROM json_each(?1) AS due CROSS JOIN events AS e
    WHERE e.uid = json_extract(due.value, '$.uid') AND e.seq < json_extract(due.value, '$.seq')
    ORDER BY due.key, e.seq LIMIT ?2)
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

LAST_CHANGE = """
SELECT max(coalesce((SELECT max(changed) FROM tasks), 0),
           coalesce((SELECT max(changed) FROM tombstones), 0))
"""

EXPIRED = """
SELECT t.*, r.asked, r.resolved
FROM tasks t INDEXED BY tasks_ended JOIN requests r ON r.uid = t.uid
WHERE t.ended_at <= ?1 ORDER BY t.ended_at LIMIT ?2
"""

LIVE = f"{TASK} WHERE t.state IN {LIVE_STATES} ORDER BY t.n"

EVENTS = "SELECT seq, run, body FROM events WHERE uid = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"

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
