-- Every statement of the ledger's write side, by name. `views.sql` holds the reads.
-- A line `-- name: x` begins a statement; comment lines under it say what it is for.

-- name: insert_delivery
-- The writer counts the ids itself, because nothing else inserts, so no row needs to be read back.
INSERT INTO delivery (id, hook, guid, event, action, repository, number, form, size, received_at,
    origin, closing)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?);

-- name: insert_body
INSERT INTO body (delivery, bytes)
VALUES (?,?);

-- name: insert_run
INSERT INTO run (number, run_id, attempt, automation, definition, delivery, guid, concurrency, queue_timeout,
    requested_by, accepted_at)
VALUES (?,?,?,?,?,?,?,?,?,?,?);

-- name: find_delivery
SELECT id FROM delivery WHERE guid = ? AND hook = ?;

-- name: find_runs_of_guid
-- One run for each automation, the oldest first, regardless of its attempts.
SELECT automation, run_id FROM run WHERE guid = ? AND attempt = 1 ORDER BY number;

-- name: owner_of_closing
SELECT coalesce((SELECT run_id FROM run WHERE run_id = :run_id AND attempt = 1),
                (SELECT owner FROM closing_run WHERE run_id = :run_id));

-- name: claim_closing
INSERT INTO closing_run (run_id, owner, at) VALUES (?,?,?);

-- name: learn_closing
-- The delivery of a run that learned its closing while it ran.
UPDATE delivery SET closing = ? WHERE id = (SELECT delivery FROM run WHERE run_id = ? AND attempt = 1);

-- name: find_definition
SELECT id FROM definition WHERE text = ?;

-- name: insert_definition
INSERT INTO definition (text) VALUES (?) RETURNING id;

-- name: last_attempt
SELECT attempt, automation, delivery, guid, state
FROM run WHERE run_id = ? ORDER BY attempt DESC LIMIT 1;

-- name: find_delivery_by_id
SELECT guid FROM delivery WHERE id = ?;

-- name: highest_ids
-- Where the writer's counters continue; `prune` keeps the highest ids that it removed in the settings.
SELECT max(coalesce((SELECT max(id) FROM delivery), 0),
           coalesce((SELECT CAST(CAST(value AS TEXT) AS INTEGER) FROM setting WHERE name = 'highest-delivery'), 0)),
       max(coalesce((SELECT max(number) FROM run), 0),
           coalesce((SELECT CAST(CAST(value AS TEXT) AS INTEGER) FROM setting WHERE name = 'highest-run'), 0));

-- name: run_state
-- The columns of `core.runs.RunState`, in its order.
SELECT state, turn, crashes, cancel, verdict, summary, started_at, wake, finished_at, suspected, alone, deaths
FROM run WHERE number = ?;

-- name: put_run_state
-- The result of `core.runs.advance`. Only this statement changes the state of a run.
UPDATE run SET state = ?, turn = ?, crashes = ?, cancel = ?, verdict = ?, summary = ?, started_at = ?, wake = ?,
    finished_at = ?, suspected = ?, alone = ?, deaths = ?
WHERE number = ?;

-- name: running_runs
-- Recovery: the process died while these were running.
SELECT number, alone FROM run WHERE state <> 'finished' AND state = 'running';

-- name: number_of_run
SELECT number FROM run WHERE run_id = ? AND attempt = ?;

-- name: save_operation
INSERT OR REPLACE INTO operation (run, name, position, kind, state, result, tries, wake, started_at, ended_at)
VALUES (?,?,?,?,?,?,?,?,?,?);

-- name: tally_verdict
INSERT INTO verdict_tally (verdict, count) VALUES (?, 1) ON CONFLICT (verdict) DO UPDATE SET count = count + 1;

-- name: tally_day
-- A closing counts with the first of its runs that ends.
INSERT INTO day_tally (day, closings, torn_down, left, recovered)
SELECT date(:at, 'unixepoch'), first, :torn_down, :verdict = 'failure', first AND heard
FROM (SELECT d.origin IN ('delivery-log', 'closed-list', 'inventory', 'recheck') AS heard,
             r.attempt = 1 AND NOT EXISTS (SELECT 1 FROM run o WHERE o.guid = r.guid AND o.number <> r.number
                                           AND o.state = 'finished' AND o.verdict <> 'skipped') AS first
      FROM run r JOIN delivery d ON d.id = r.delivery
      WHERE r.number = :number AND d.closing IS NOT NULL AND :verdict <> 'skipped')
WHERE true
ON CONFLICT (day) DO UPDATE SET closings = closings + excluded.closings, torn_down = torn_down + excluded.torn_down,
    left = left + excluded.left, recovered = recovered + excluded.recovered;

-- name: tally_steps
-- One more for each step that ended and was not skipped: from its first operation to its last.
INSERT INTO step_tally (automation, step, count, seconds)
SELECT r.automation, substr(o.name, 1, instr(o.name, '/') - 1), 1, max(o.ended_at) - min(o.started_at)
FROM operation o JOIN run r ON r.number = o.run
WHERE o.run = ? AND instr(o.name, '/') > 1
GROUP BY 2
HAVING max(CASE WHEN o.name LIKE '%/end' THEN json_extract(o.result, '$.state') <> 'skipped' END)
ON CONFLICT (automation, step) DO UPDATE SET count = count + 1, seconds = seconds + excluded.seconds;

-- name: tally_empty
-- One more run that found nothing to delete, of an automation that has never found anything.
INSERT INTO setting (name, value)
SELECT 'empty-runs/' || automation, CAST('1' AS BLOB) FROM run WHERE number = ?
ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(CAST(CAST(value AS TEXT) AS INTEGER) + 1 AS TEXT) AS BLOB)
WHERE CAST(value AS TEXT) <> 'found';

-- name: tally_found
INSERT INTO setting (name, value)
SELECT 'empty-runs/' || automation, CAST('found' AS BLOB) FROM run WHERE number = ?
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value <> excluded.value;

-- name: insert_log
INSERT INTO log (run, step, at, text)
SELECT number, ?, ?, ? FROM run WHERE run_id = ? AND attempt = ?;

-- name: log_restart
INSERT INTO log (run, step, at, text)
SELECT number, NULL, ?, ? FROM run WHERE state <> 'finished' AND state = 'waiting';

-- name: log_crash
INSERT INTO log (run, step, at, text) VALUES (?, NULL, ?, ?);

-- name: insert_request
INSERT INTO request (kind, target, requested_by, reason, at) VALUES (?,?,?,?,?) RETURNING id;

-- name: finish_request
UPDATE request SET outcome = ?, done_at = ? WHERE id = ? AND done_at IS NULL;

-- name: finish_switch_requests
-- The newest one decides, so it finishes all pause and resume requests before it.
UPDATE request SET outcome = 'done', done_at = ? WHERE kind IN ('pause', 'resume') AND done_at IS NULL AND id <= ?;

-- name: put_setting
INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: add_setting
INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING;

-- name: drop_setting
DELETE FROM setting WHERE name = ?;

-- name: put_mark
INSERT INTO patrol_mark (kind, key, value) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value;

-- name: prunable
-- Deliveries older than the limit whose runs have all finished before it.
SELECT d.id, d.guid FROM delivery d
WHERE d.id > ? AND d.received_at < ?
  AND NOT EXISTS (SELECT 1 FROM run r WHERE r.guid = d.guid
                  AND (r.state <> 'finished' OR r.finished_at >= ? OR r.accepted_at >= ?))
ORDER BY d.id LIMIT 100;

-- name: prune_logs
DELETE FROM log WHERE run IN (SELECT number FROM run WHERE guid = ?);

-- name: prune_operations
DELETE FROM operation WHERE run IN (SELECT number FROM run WHERE guid = ?);

-- name: prune_runs
DELETE FROM run WHERE guid = ?;

-- name: remember_closings
-- Keep which run had a closing, before the run is removed. Leave out a run whose last attempt found the pull request open:
-- it did not act on the closing, and patrol starts it again once the pull request is closed.
INSERT OR IGNORE INTO closing_run (run_id, owner, at)
SELECT r.run_id, r.run_id, r.accepted_at FROM run r JOIN delivery d ON d.id = r.delivery
WHERE r.guid = ? AND r.attempt = 1 AND d.closing IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM run l JOIN operation o ON o.run = l.number
                  WHERE l.run_id = r.run_id AND l.verdict = 'cancelled' AND o.state = 'error'
                    AND CASE WHEN json_valid(o.result) THEN json_extract(o.result, '$.kind') = 'reopened' END
                    AND NOT EXISTS (SELECT 1 FROM run n WHERE n.run_id = l.run_id AND n.attempt > l.attempt));

-- name: forget_pruned
-- A run that was pruned is requested again: it starts from the beginning.
DELETE FROM closing_run WHERE run_id = ? AND owner = run_id;

-- name: prune_closings
DELETE FROM closing_run WHERE at < ?;

-- name: prune_body
DELETE FROM body WHERE delivery = ?;

-- name: prune_delivery
DELETE FROM delivery WHERE id = ?;

-- name: prune_definitions
DELETE FROM definition WHERE id NOT IN (SELECT definition FROM run);

-- name: prune_requests
DELETE FROM request WHERE done_at < ?;

-- name: add_credential
-- A second use of a one-time code, or a second request for the same token, adds nothing.
INSERT INTO credential (kind, name, may, digest, code, made_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING;

-- name: end_credential
-- End an expired one, too, because this clock may be ahead of the clock that checks it.
UPDATE credential SET ended_at = :now WHERE id = :id AND ended_at IS NULL;

-- name: forget_credentials
DELETE FROM credential WHERE expires_at < :before OR ended_at < :before;

-- name: open_problem
-- An open problem keeps its start time; a closed one gets a new one.
INSERT INTO problem (automation, key, kind, text, public, since, code, step, left, public_left, repository, number, login,
    private, execution, basis, closed_at, closed_by)
VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
ON CONFLICT (automation, key) DO UPDATE SET
    since = CASE WHEN closed_at IS NULL THEN since ELSE excluded.since END,
    kind = excluded.kind, text = excluded.text, public = excluded.public, code = excluded.code, step = excluded.step,
    left = excluded.left, public_left = excluded.public_left, repository = excluded.repository, number = excluded.number,
    login = excluded.login, private = excluded.private, execution = excluded.execution, basis = excluded.basis,
    closed_at = excluded.closed_at, closed_by = excluded.closed_by;

-- name: close_problems
UPDATE problem SET closed_at = :at, closed_by = :by
WHERE closed_at IS NULL AND (:automation IS NULL OR automation = :automation)
  AND (key BETWEEN :first AND :last OR key = :also);

-- name: has_problem
-- Whether a run's automation has an open problem that its end may close.
SELECT 1 FROM run r JOIN problem p ON p.automation = r.automation WHERE r.number = ? AND p.closed_at IS NULL LIMIT 1;

-- name: closing_of_run
SELECT d.closing FROM run r JOIN delivery d ON d.id = r.delivery WHERE r.number = ?;

-- name: record_notification
INSERT INTO told (target, automation, key, at, recovered) VALUES (?,?,?,?,?)
ON CONFLICT (target, automation, key) DO UPDATE SET at = excluded.at, recovered = excluded.recovered;

-- name: prune_problems
-- Closed problems whose message could not be sent for this long: no target is notified any more.
DELETE FROM problem WHERE closed_at < ?;

-- name: prune_notifications
DELETE FROM told WHERE NOT EXISTS (SELECT 1 FROM problem p WHERE p.automation = told.automation AND p.key = told.key);
