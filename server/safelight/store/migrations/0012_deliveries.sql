-- Webhooks that are still to be sent, or that nobody took. A row is written with the event that
-- it tells, in one transaction, and goes when its receiver has it. The host is beside the
-- address so that one which hangs does not keep others waiting.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    task_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    type TEXT NOT NULL,
    url TEXT NOT NULL,
    host TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'dead')),
    tries INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    error TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (next_at) WHERE state = 'waiting';
CREATE INDEX deliveries_by_owner ON deliveries (owner, state, created_at, id);

-- What an owner's webhooks are signed with. The one before it goes on for a day.
CREATE TABLE webhook_secrets (
    owner TEXT PRIMARY KEY,
    secret TEXT NOT NULL,
    previous TEXT,
    made_at INTEGER NOT NULL
) WITHOUT ROWID;
