-- The address of the backend that an attempt was claimed for: it runs there or nowhere.
ALTER TABLE tasks ADD COLUMN place TEXT;

-- What an owner has chosen, for all of that owner's devices; one who has chosen nothing has
-- no row.
CREATE TABLE preferences (
    owner TEXT PRIMARY KEY,
    backend TEXT NOT NULL
) WITHOUT ROWID;
