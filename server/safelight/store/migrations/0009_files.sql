-- What is known of a result file beside its event. `source` is what its provider knows it by
-- within the attempt, where it was fetched: what was told is not fetched again. `thumbnail` is
-- the hash of its small picture. `expired_at` is when its bytes went by retention; the row
-- stays, so that its address answers `gone`.
ALTER TABLE artifacts ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE artifacts ADD COLUMN source TEXT;
ALTER TABLE artifacts ADD COLUMN thumbnail TEXT;
ALTER TABLE artifacts ADD COLUMN expired_at INTEGER;

UPDATE artifacts SET owner = coalesce((SELECT owner FROM tasks WHERE uid = artifacts.uid), '');

-- The views of one owner's images and videos, newest first.
CREATE INDEX artifacts_by_owner ON artifacts (owner, kind, created_at, id);
CREATE INDEX artifacts_by_thumbnail ON artifacts (thumbnail) WHERE thumbnail IS NOT NULL;
CREATE INDEX artifacts_unexpired ON artifacts (created_at) WHERE expired_at IS NULL;

-- Files that could not be fetched at once: how often it was tried, and what went wrong last.
CREATE TABLE fetches (
    uid TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    key TEXT NOT NULL,
    tries INTEGER NOT NULL,
    error TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (uid, attempt, key)
) WITHOUT ROWID;

-- The same bytes of one owner are one upload.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    width INTEGER,
    height INTEGER,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX uploads_of_owner ON uploads (owner, sha256);
CREATE INDEX uploads_by_hash ON uploads (sha256);
CREATE INDEX uploads_by_age ON uploads (created_at);
