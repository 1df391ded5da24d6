-- Every read of the ledger, by name. Lists go by rowid, newest first, and read no bodies.

-- name: pending
SELECT number, run_id || '-' || attempt, concurrency, state, turn, accepted_at, queue_timeout, wake, crashes, cancel
FROM run WHERE number > ? AND state <> 'finished' ORDER BY number;

-- name: find_execution
SELECT attempt FROM run
WHERE run_id = :run_id AND (:attempt IS NULL OR attempt = :attempt) ORDER BY attempt DESC LIMIT 1;

-- name: load_execution
SELECT r.run_id, r.attempt, r.automation, f.text, d.event, d.id, d.guid, d.hook, r.accepted_at, r.turn, d.form, b.bytes
FROM run r JOIN definition f ON f.id = r.definition JOIN delivery d ON d.id = r.delivery
    JOIN body b ON b.delivery = d.id
WHERE r.number = ?;

-- name: load_operations
SELECT name, position, kind, state, result, tries, wake, started_at, ended_at
FROM operation WHERE run = ? ORDER BY position;

-- name: open_requests
SELECT id, kind, target, requested_by, reason FROM request WHERE done_at IS NULL ORDER BY id;

-- name: switch
-- The newest word on pausing: a request that the engine has not taken yet comes before what is set.
SELECT kind, requested_by, reason FROM request
WHERE done_at IS NULL AND kind IN ('pause', 'resume') ORDER BY id DESC LIMIT 1;

-- name: setting
SELECT value FROM setting WHERE name = ?;

-- name: outcome
SELECT outcome FROM request WHERE id = ?;
