-- Tasks that were removed while much of their log was still there: the events go in steps,
-- and nobody reads them meanwhile. A row stays until its last event has gone.
CREATE TABLE leftovers (
    uid TEXT PRIMARY KEY
) WITHOUT ROWID;
