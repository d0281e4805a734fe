-- One row per task in `tasks`: small, because every event rewrites it. What never
-- changes stands in `requests`, what is written once at the end in `snapshots`.
-- Times are milliseconds since 1970.

-- Each start of the server opens a log of its own. A cursor "<log>-<seq>" is good
-- if its log is listed here and the event it names was written no later than in
-- that log's run; a restored copy of the database fails one of the two. `position`
-- is the last change before this start: the same test for a gallery's position.
CREATE TABLE logs (
    run INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    started_at INTEGER NOT NULL,
    position INTEGER NOT NULL
);

CREATE TABLE tasks (
    n INTEGER PRIMARY KEY,
    uid TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN (
        'queued', 'starting', 'running', 'canceling', 'completed', 'failed', 'canceled')),
    attempt INTEGER NOT NULL,
    faults INTEGER NOT NULL,
    claim INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    progress REAL NOT NULL,
    handle TEXT,
    handle_told INTEGER NOT NULL,
    canceling INTEGER NOT NULL,
    not_before INTEGER,
    deadline INTEGER,
    claimed_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    ended_at INTEGER,
    -- The number of the store's last change to this row: the gallery's position.
    changed INTEGER NOT NULL
);

-- Two creators in one instant cannot both make (owner, id).
CREATE UNIQUE INDEX tasks_by_id ON tasks (owner, id);
CREATE INDEX tasks_by_owner ON tasks (owner, n);
CREATE INDEX tasks_by_change ON tasks (owner, changed);
-- Not unique: nothing that ended, and no fresh key, is blocked by a likeness.
CREATE INDEX tasks_alike ON tasks (owner, fingerprint, n);
-- Start-up reads the live tasks through this one, however many have ended.
CREATE INDEX tasks_live ON tasks (n)
    WHERE state IN ('queued', 'starting', 'running', 'canceling');

CREATE TABLE requests (
    uid TEXT PRIMARY KEY,
    asked TEXT NOT NULL,
    resolved TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE snapshots (
    uid TEXT PRIMARY KEY,
    body TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE events (
    uid TEXT NOT NULL,
    seq INTEGER NOT NULL,
    run INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (uid, seq)
) WITHOUT ROWID;

-- Keys stay when their task is deleted: a key without a task is `gone`.
CREATE TABLE keys (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    uid TEXT NOT NULL,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;

CREATE TABLE tombstones (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    changed INTEGER NOT NULL,
    PRIMARY KEY (owner, id)
) WITHOUT ROWID;
CREATE INDEX tombstones_by_change ON tombstones (owner, changed);

CREATE TABLE artifacts (
    id TEXT PRIMARY KEY,
    uid TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    kind TEXT NOT NULL,
    media_type TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    bytes INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX artifacts_by_task ON artifacts (uid);
CREATE INDEX artifacts_by_hash ON artifacts (sha256);
