-- What is asked again and again costs what it gives, not what has gathered. Each table here
-- follows another in the same transaction, and could be made of it anew.

-- Notices that wait, by owner and host: where each such line has its first one. A line that
-- hangs is passed by in one step, however much waits in it.
CREATE TABLE delivery_lines (
    owner TEXT NOT NULL,
    host TEXT NOT NULL,
    next_at INTEGER NOT NULL,
    PRIMARY KEY (owner, host)
) WITHOUT ROWID;
CREATE INDEX delivery_lines_due ON delivery_lines (owner, next_at);
DROP INDEX deliveries_due;
CREATE INDEX deliveries_in_line ON deliveries (owner, host, next_at) WHERE state = 'waiting';
INSERT INTO delivery_lines (owner, host, next_at)
SELECT owner, host, min(next_at) FROM deliveries WHERE state = 'waiting' GROUP BY owner, host;

-- Those that nobody took go some time after they were given up.
CREATE INDEX deliveries_dead ON deliveries (updated_at) WHERE state = 'dead';

-- What the charges and corrections of a day come to. `lines` counts those that are in
-- `amount`, `charges`, `estimated` and `unknown`; `counts` is over all.
CREATE TABLE day_sums (
    owner TEXT NOT NULL,
    day INTEGER NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    lines INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    charges INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    unknown INTEGER NOT NULL,
    counts INTEGER NOT NULL,
    PRIMARY KEY (owner, day, model, provider)
) WITHOUT ROWID;
INSERT INTO day_sums
SELECT owner, day, model, provider,
    sum(currency = 'USD' OR entry = 'correction'),
    sum(amount * (currency = 'USD')),
    sum(entry = 'charge' AND currency = 'USD'),
    sum(coalesce(verdict = 'estimated', 0) AND (currency = 'USD' OR entry = 'correction')),
    sum((entry = 'charge' AND coalesce(verdict = 'unknown', 0) AND currency = 'USD')
        - (entry = 'correction' AND coalesce(verdict <> 'unknown', 0))),
    sum(counts)
FROM ledger WHERE entry IN ('charge', 'correction') GROUP BY owner, day, model, provider;

-- Charges that nobody knows yet; `n` is that of the ledger. `due_at` is when their provider
-- is asked next, NULL as long as their task goes on.
CREATE TABLE open_charges (
    n INTEGER PRIMARY KEY,
    uid TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    owner TEXT NOT NULL,
    day INTEGER NOT NULL,
    provider TEXT NOT NULL,
    tries INTEGER NOT NULL,
    due_at INTEGER
);
CREATE UNIQUE INDEX open_charges_of_task ON open_charges (uid, attempt);
CREATE INDEX open_charges_of_owner ON open_charges (owner, day);
CREATE INDEX open_charges_due ON open_charges (provider, due_at) WHERE due_at IS NOT NULL;
INSERT OR IGNORE INTO open_charges (n, uid, attempt, owner, day, provider, tries, due_at)
SELECT l.n, l.uid, l.attempt, l.owner, l.day, l.provider, 0,
    CASE WHEN EXISTS (SELECT 1 FROM tasks t WHERE t.uid = l.uid AND t.ended_at IS NULL)
         THEN NULL ELSE l.at END
FROM ledger l INDEXED BY ledger_unknown
WHERE l.entry = 'charge' AND l.verdict = 'unknown' AND NOT EXISTS (
    SELECT 1 FROM ledger c INDEXED BY ledger_by_task
    WHERE c.uid = l.uid AND c.attempt = l.attempt AND c.entry = 'correction');
DROP INDEX ledger_unknown;
DROP INDEX ledger_unknown_of;

-- An owner's lines are read day by day, which `ledger_by_day` has in order.
DROP INDEX ledger_lines;
