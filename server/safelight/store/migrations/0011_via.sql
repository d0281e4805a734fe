-- What runs instead of what was resolved, as JSON: the same model at another host. NULL where
-- nothing does.
ALTER TABLE tasks ADD COLUMN via TEXT;
