-- Retention asks for what ended before an instant; both questions are answered by an
-- index that holds ended tasks only, so that a move of a live task does not touch it.

ALTER TABLE tasks ADD COLUMN log_swept INTEGER NOT NULL DEFAULT 0;

CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX tasks_unswept ON tasks (ended_at) WHERE ended_at IS NOT NULL AND log_swept = 0;
