-- What a create writes: each index is a page more for every group, and one of scattered names
-- a page more for nearly every task. So a task that has just been born is in few of them.

-- By the task's number, so that a new one goes to the end.
CREATE TABLE numbered_requests (
    n INTEGER PRIMARY KEY,
    asked TEXT NOT NULL,
    resolved TEXT NOT NULL
);
INSERT INTO numbered_requests (n, asked, resolved)
SELECT t.n, r.asked, r.resolved FROM tasks t JOIN requests r ON r.uid = t.uid ORDER BY t.n;
DROP TABLE requests;
ALTER TABLE numbered_requests RENAME TO requests;

-- Most tasks have the name that we gave them: those are found by their uid.
DROP INDEX tasks_by_id;
CREATE UNIQUE INDEX tasks_by_id ON tasks (owner, id) WHERE id <> uid;

-- The pages of an owner are made of these two: one task is in one of them.
DROP INDEX tasks_by_owner;
DROP INDEX tasks_live;
CREATE INDEX tasks_live ON tasks (owner, n)
    WHERE state IN ('queued', 'starting', 'running', 'canceling');
CREATE INDEX tasks_done ON tasks (owner, n)
    WHERE state IN ('completed', 'failed', 'canceled');

-- A task's number is that of the change by which it was born. Until it changes again it is
-- found by that among the live ones.
DROP INDEX tasks_by_change;
CREATE INDEX tasks_by_change ON tasks (owner, changed)
    WHERE changed <> n OR ended_at IS NOT NULL;
