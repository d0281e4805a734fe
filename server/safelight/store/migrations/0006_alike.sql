-- Fingerprints are scattered: an index of them takes a page of the log for each new task.
-- Live tasks are looked up in memory (see alike.py); this one holds completed ones only, as
-- only they are ever looked up after their end.
DROP INDEX tasks_alike;
CREATE INDEX tasks_completed ON tasks (owner, fingerprint, n) WHERE state = 'completed';
