-- What the attempts that have ended came to, as JSON, where something is on a bill: the
-- task's end tells it together with what its last attempt cost.
ALTER TABLE tasks ADD COLUMN spent TEXT;
