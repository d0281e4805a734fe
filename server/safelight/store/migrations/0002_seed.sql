-- The seed that we drew anew because a provider refused the first one, in decimal (a
-- seed may be larger than SQLite's integers); without one the request's holds.
ALTER TABLE tasks ADD COLUMN seed TEXT;
