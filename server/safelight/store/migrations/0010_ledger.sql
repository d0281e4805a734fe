-- What tasks cost. Rows are only ever added, in the transaction of the move that they belong
-- to, and outlive their task. Amounts are in millionths of `currency`. A sum of `amount` over
-- holds and releases is what is held, over charges and corrections what was spent. `counts` is
-- what a row does to its owner's budget: as its amount, but what is unknown counts as the most
-- that it may be. `day` is that (UTC, since 1970) of the charge, also for its correction.
CREATE TABLE ledger (
    n INTEGER PRIMARY KEY,
    entry TEXT NOT NULL CHECK (entry IN ('hold', 'charge', 'release', 'correction')),
    uid TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    counts INTEGER NOT NULL,
    currency TEXT NOT NULL,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    backend TEXT,
    handle TEXT,
    usage TEXT,
    price TEXT,
    verdict TEXT,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    day INTEGER NOT NULL
);

-- Each is in the order of the lines, too.
CREATE INDEX ledger_by_task ON ledger (uid);
CREATE INDEX ledger_lines ON ledger (owner);
CREATE INDEX ledger_by_day ON ledger (owner, day);
-- What may be learnt later is looked for among these.
CREATE INDEX ledger_unknown ON ledger (n) WHERE entry = 'charge' AND verdict = 'unknown';
CREATE INDEX ledger_unknown_of ON ledger (owner) WHERE entry = 'charge' AND verdict = 'unknown';
