-- Every read of the ledger, by name. Lists are sorted by rowid, the newest first, and read no bodies.

-- name: pending
SELECT number, run_id || '-' || attempt, concurrency, state, turn, accepted_at, queue_timeout, wake, crashes, cancel,
    suspected, alone, deaths
FROM run WHERE number > ? AND state <> 'finished' ORDER BY number;

-- name: find_execution
SELECT attempt FROM run
WHERE run_id = :run_id AND (:attempt IS NULL OR attempt = :attempt) ORDER BY attempt DESC LIMIT 1;

-- name: load_execution
SELECT r.run_id, r.attempt, r.automation, f.text, d.event, d.id, d.guid, d.hook, r.accepted_at, r.turn, d.form, b.bytes
FROM run r JOIN definition f ON f.id = r.definition JOIN delivery d ON d.id = r.delivery
    LEFT JOIN body b ON b.delivery = d.id
WHERE r.number = ?;

-- name: load_operations
SELECT name, position, kind, state, result, tries, wake, started_at, ended_at
FROM operation WHERE run = ? ORDER BY position;

-- name: open_requests
SELECT id, kind, target, requested_by, reason FROM request WHERE done_at IS NULL ORDER BY id;

-- name: switch
-- The newest request to pause or resume that the engine has not taken yet. It takes precedence over the setting.
SELECT kind, requested_by, reason FROM request
WHERE done_at IS NULL AND kind IN ('pause', 'resume') ORDER BY id DESC LIMIT 1;

-- name: marks
SELECT key, value FROM patrol_mark WHERE kind = ?;

-- name: has_delivery
SELECT 1 FROM delivery WHERE guid = ? AND hook = ?;

-- name: setting
SELECT value FROM setting WHERE name = ?;

-- name: outcome
SELECT outcome FROM request WHERE id = ?;

-- name: runs
-- The runs with these numbers (a JSON array) that meet every condition, each as its latest attempt. A run that only checked a
-- pull request's earlier bases (`core.runs.NO_BASE`) is left out unless skipped runs are wanted, because there is one for most
-- closings into other branches. `lists.py` chooses which of the statements below finds the numbers.
SELECT r.number, r.run_id, r.attempt, r.automation, r.state, r.verdict, r.delivery, d.event, d.action, d.repository,
    d.number, r.guid, r.concurrency, r.requested_by, r.accepted_at, r.started_at, r.finished_at, r.summary, r.cancel,
    r.alone, r.deaths, d.origin, d.closing, r.definition
FROM json_each(:numbers) j JOIN run r ON r.number = j.value JOIN delivery d ON d.id = r.delivery
WHERE (:automation IS NULL OR r.automation = :automation)
  AND (:state IS NULL OR r.state = :state OR (:state = 'unfinished' AND r.state <> 'finished'))
  AND (:verdict IS NULL OR r.verdict = :verdict)
  AND (:repository IS NULL OR d.repository = :repository)
  AND (:number IS NULL OR d.number = :number)
  AND (:since IS NULL OR r.accepted_at >= :since)
  AND (:until IS NULL OR r.accepted_at < :until)
  AND (:verdict IS 'skipped' OR r.verdict IS NOT 'skipped' OR r.summary NOT LIKE 'no base matched%')
  AND NOT EXISTS (SELECT 1 FROM run n WHERE n.run_id = r.run_id AND n.attempt > r.attempt);

-- name: shown_runs_older
-- For lists without a verdict. The index omits the runs that `runs` leaves out: else one page might read hundreds of thousands.
SELECT number FROM run INDEXED BY run_shown WHERE number > :low AND number < :high
  AND state = 'finished' AND (verdict IS NOT 'skipped' OR summary NOT LIKE 'no base matched%') ORDER BY number DESC;

-- name: shown_runs_newer
SELECT number FROM run INDEXED BY run_shown WHERE number > :low AND number < :high
  AND state = 'finished' AND (verdict IS NOT 'skipped' OR summary NOT LIKE 'no base matched%') ORDER BY number;

-- name: open_runs_older
SELECT number FROM run WHERE state <> 'finished' AND number > :low AND number < :high ORDER BY number DESC;

-- name: open_runs_newer
SELECT number FROM run WHERE state <> 'finished' AND number > :low AND number < :high ORDER BY number;

-- name: finished_runs_older
-- By the full-text index, which also has a finished run's automation, repository and verdict.
SELECT rowid FROM run_words WHERE run_words MATCH :match AND rowid > :low AND rowid < :high ORDER BY rowid DESC;

-- name: finished_runs_newer
SELECT rowid FROM run_words WHERE run_words MATCH :match AND rowid > :low AND rowid < :high ORDER BY rowid;

-- name: numbered_runs_older
SELECT DISTINCT r.number FROM delivery d CROSS JOIN run r ON r.guid = d.guid
WHERE d.number = :number AND r.number > :low AND r.number < :high ORDER BY r.number DESC;

-- name: numbered_runs_newer
SELECT DISTINCT r.number FROM delivery d CROSS JOIN run r ON r.guid = d.guid
WHERE d.number = :number AND r.number > :low AND r.number < :high ORDER BY r.number;

-- name: run_from
-- The time at which the first run from this number was accepted.
SELECT number, accepted_at FROM run WHERE number >= ? ORDER BY number LIMIT 1;

-- name: last_run
SELECT max(number) FROM run;

-- name: run
SELECT r.number, r.run_id, r.attempt, r.automation, r.state, r.verdict, r.delivery, d.event, d.action, d.repository,
    d.number, r.guid, r.concurrency, r.requested_by, r.accepted_at, r.started_at, r.finished_at, r.summary, r.cancel,
    r.alone, r.deaths, d.origin, d.closing, r.definition
FROM run r JOIN delivery d ON d.id = r.delivery
WHERE r.run_id = :run_id AND (:attempt IS NULL OR r.attempt = :attempt)
ORDER BY r.attempt DESC LIMIT 1;

-- name: finished_teardowns
-- Successful runs of closed pull requests that finished since then, each as its latest attempt: all, or those of one pull
-- request. Dry runs are left out, because what they only planned must not be deleted later. An unreadable plan counts as dry run.
SELECT r.run_id, r.attempt, r.automation, r.finished_at, f.text
FROM run r JOIN delivery d ON d.id = r.delivery JOIN definition f ON f.id = r.definition
WHERE r.number IN (SELECT number FROM run WHERE :number IS NULL AND verdict = 'success' AND finished_at > :since
                   UNION ALL
                   SELECT n.number FROM delivery e CROSS JOIN run n ON n.guid = e.guid
                   WHERE e.number = :number AND e.repository = :repository COLLATE NOCASE)
  AND r.finished_at > :since AND r.verdict = 'success' AND d.event = 'pull_request' AND d.action = 'closed'
  AND NOT EXISTS (SELECT 1 FROM run n WHERE n.run_id = r.run_id AND n.attempt > r.attempt)
  AND NOT EXISTS (SELECT 1 FROM operation o WHERE o.run = r.number AND o.name LIKE '%/plan' AND o.state = 'ok'
                  AND CASE WHEN json_valid(o.result) THEN json_extract(o.result, '$.dry_run') ELSE 1 END)
ORDER BY r.number;

-- name: later_runs
-- Whether a later closing of the same pull request started a run of the same automation that was not skipped. If both
-- closings are known, their ids decide, because a repository may have been renamed, and its name reused.
SELECT 1 FROM run r JOIN delivery d ON d.id = r.delivery
    CROSS JOIN delivery e ON e.number = d.number
    CROSS JOIN run n ON n.guid = e.guid AND n.automation = r.automation AND n.delivery = e.id
WHERE r.run_id = :run_id AND r.attempt = :attempt AND n.number > r.number AND n.run_id <> r.run_id
  AND coalesce(rtrim(e.closing, replace(e.closing, '/', '')) = rtrim(d.closing, replace(d.closing, '/', '')),
               e.repository = d.repository)
  AND e.event = 'pull_request' AND e.action = 'closed' AND n.verdict IS NOT 'skipped' LIMIT 1;

-- name: teardowns
-- Open runs that the closing of a pull request started, the oldest first. The index over open runs keeps this fast.
SELECT r.run_id || '-' || r.attempt FROM run r JOIN delivery d ON d.id = r.delivery
WHERE r.state <> 'finished' AND d.event = 'pull_request' AND d.action = 'closed'
  AND d.repository = :repository COLLATE NOCASE AND d.number = :number
ORDER BY r.number;

-- name: earlier_attempts
SELECT number FROM run WHERE run_id = :run_id AND attempt < :attempt ORDER BY attempt DESC;

-- name: earlier_runs
-- Runs of the same automation for the same pull request or issue that were accepted before this one, by ids as above.
SELECT o.number FROM run r JOIN delivery d ON d.id = r.delivery
    CROSS JOIN delivery e ON e.number = d.number
    CROSS JOIN run o ON o.guid = e.guid AND o.automation = r.automation AND o.delivery = e.id
WHERE r.run_id = :run_id AND r.attempt = :attempt AND o.number < r.number AND o.run_id <> r.run_id
  AND coalesce(rtrim(e.closing, replace(e.closing, '/', '')) = rtrim(d.closing, replace(d.closing, '/', '')),
               e.repository = d.repository)
ORDER BY o.number DESC;

-- name: run_ids
-- Run ids with this prefix: a range of the index over run ids.
SELECT DISTINCT run_id FROM run
WHERE run_id >= :beginning AND run_id < :beginning || char(1114111) ORDER BY run_id LIMIT :limit;

-- name: definition
SELECT text FROM definition WHERE id = ?;

-- name: operations_of_runs
-- For lists: only the results that are small and needed. Numbers are a JSON array.
SELECT run, name, position, kind, state,
    CASE WHEN state IN ('waiting', 'error') OR name LIKE '%/end' OR name IN ('final', 'final-again') THEN result END,
    tries, wake, started_at, ended_at
FROM operation WHERE run IN (SELECT value FROM json_each(?)) ORDER BY run, position;

-- name: holder
-- Who holds the key that a queued run waits for.
SELECT run_id || '-' || attempt FROM run
WHERE concurrency = ? AND state <> 'finished' AND turn = 'own' AND number < ? ORDER BY number LIMIT 1;

-- name: logs
SELECT l.id, l.step, l.at, l.text
FROM log l WHERE l.run = (SELECT number FROM run WHERE run_id = :run_id AND (:attempt IS NULL OR attempt = :attempt)
                          ORDER BY attempt DESC LIMIT 1)
  AND l.id > :after
  AND (:search = '' OR instr(lower(l.text), lower(:search)) > 0)
ORDER BY l.id LIMIT :limit;

-- name: logs_before
-- The last ones first: the index over runs is ordered by id, so no other line is read.
SELECT l.id, l.step, l.at, l.text
FROM log l WHERE l.run = (SELECT number FROM run WHERE run_id = :run_id AND attempt = :attempt)
  AND l.id < :before
  AND (:search = '' OR instr(lower(l.text), lower(:search)) > 0)
ORDER BY l.id DESC LIMIT :limit;

-- name: count_logs
SELECT count(*)
FROM log l WHERE l.run = (SELECT number FROM run WHERE run_id = :run_id AND attempt = :attempt)
  AND l.id > :after AND l.id < :before
  AND (:search = '' OR instr(lower(l.text), lower(:search)) > 0);

-- name: deliveries
-- The deliveries with these ids (a JSON array) that meet every condition.
SELECT d.id, d.guid, d.hook, d.event, d.action, d.repository, d.number, d.size, d.origin, d.received_at, d.closing
FROM json_each(:numbers) j JOIN delivery d ON d.id = j.value
WHERE (:event IS NULL OR event = :event)
  AND (:repository IS NULL OR repository = :repository)
  AND (:number IS NULL OR number = :number)
  AND (:guid IS NULL OR guid = :guid)
  AND (:since IS NULL OR received_at >= :since)
  AND (:until IS NULL OR received_at < :until);

-- name: every_delivery_older
SELECT id FROM delivery WHERE id > :low AND id < :high ORDER BY id DESC;

-- name: every_delivery_newer
SELECT id FROM delivery WHERE id > :low AND id < :high ORDER BY id;

-- name: deliveries_of_guid_older
SELECT id FROM delivery WHERE guid = :guid AND id > :low AND id < :high ORDER BY id DESC;

-- name: deliveries_of_guid_newer
SELECT id FROM delivery WHERE guid = :guid AND id > :low AND id < :high ORDER BY id;

-- name: numbered_deliveries_older
SELECT id FROM delivery WHERE number = :number AND id > :low AND id < :high ORDER BY id DESC;

-- name: numbered_deliveries_newer
SELECT id FROM delivery WHERE number = :number AND id > :low AND id < :high ORDER BY id;

-- name: deliveries_of_event_older
SELECT id FROM delivery WHERE event = :event AND event <> 'pull_request' AND id > :low AND id < :high ORDER BY id DESC;

-- name: deliveries_of_event_newer
SELECT id FROM delivery WHERE event = :event AND event <> 'pull_request' AND id > :low AND id < :high ORDER BY id;

-- name: deliveries_of_repository_older
SELECT id FROM delivery WHERE repository = :repository AND event = :event AND id > :low AND id < :high ORDER BY id DESC;

-- name: deliveries_of_repository_newer
SELECT id FROM delivery WHERE repository = :repository AND event = :event AND id > :low AND id < :high ORDER BY id;

-- name: events_of_repository
-- Each kind of event once, with one seek in the index for each.
WITH RECURSIVE kind (event) AS (
    SELECT min(event) FROM delivery WHERE repository = :repository
    UNION ALL SELECT (SELECT min(event) FROM delivery WHERE repository = :repository AND event > kind.event)
        FROM kind WHERE kind.event IS NOT NULL
) SELECT event FROM kind WHERE event IS NOT NULL;

-- name: delivery_from
-- The time at which the first delivery from this id was received.
SELECT id, received_at FROM delivery WHERE id >= ? ORDER BY id LIMIT 1;

-- name: last_delivery
SELECT max(id) FROM delivery;

-- name: delivery
SELECT id, guid, hook, event, action, repository, number, size, origin, received_at, closing FROM delivery WHERE id = ?;

-- name: runs_of_deliveries
-- The runs of their events, and of their closings, which another delivery may have started. Ids are a JSON array.
WITH shown AS (SELECT id, guid, closing FROM delivery WHERE id IN (SELECT value FROM json_each(?)))
SELECT s.id, r.run_id, r.number FROM shown s JOIN run r ON r.guid = s.guid AND r.attempt = 1
UNION
SELECT s.id, r.run_id, r.number FROM shown s JOIN delivery d ON d.closing = s.closing
    JOIN run r ON r.guid = d.guid AND r.attempt = 1
ORDER BY 3;

-- name: body
SELECT b.bytes, d.form FROM body b JOIN delivery d ON d.id = b.delivery WHERE b.delivery = ?;

-- name: open_states
SELECT state, count(*), min(CASE WHEN state = 'queued' THEN accepted_at END), count(alone)
FROM run WHERE state <> 'finished' GROUP BY state;

-- name: newest_time
-- The newest time in the ledger, if a run is open; else NULL.
SELECT max(at) FROM (
    SELECT max(accepted_at) AS at FROM run WHERE state <> 'finished'
    UNION ALL SELECT max(ended_at) FROM operation
        WHERE run IN (SELECT number FROM run WHERE state <> 'finished')
    UNION ALL SELECT at FROM (SELECT at FROM log ORDER BY id DESC LIMIT 1)
    UNION ALL SELECT received_at FROM (SELECT received_at FROM delivery ORDER BY id DESC LIMIT 1)
    UNION ALL SELECT CAST(CAST(value AS TEXT) AS REAL) FROM setting WHERE name = 'probe'
) WHERE EXISTS (SELECT 1 FROM run WHERE state <> 'finished');

-- name: verdicts
SELECT verdict, count FROM verdict_tally;

-- name: days
SELECT day, closings, torn_down, left, recovered FROM day_tally WHERE day >= date(?, 'unixepoch') ORDER BY day;

-- name: empty_runs
SELECT substr(name, 12), CAST(CAST(value AS TEXT) AS INTEGER) FROM setting
WHERE name > 'empty-runs/' AND name < 'empty-runs0' AND CAST(value AS TEXT) <> 'found';

-- name: step_seconds
SELECT automation, step, count, seconds FROM step_tally;

-- name: credential
SELECT id, kind, name, may, made_at, expires_at, ended_at FROM credential WHERE digest = ?;

-- name: credentials
SELECT id, kind, name, may, made_at, expires_at, ended_at FROM credential ORDER BY id DESC;

-- name: problems
-- Open problems, and closed ones of whose end a target has not been notified.
SELECT automation, key, kind, text, public, since, code, step, left, public_left, repository, number, login, private,
    execution, basis, closed_at, closed_by
FROM problem p WHERE closed_at IS NULL
UNION ALL
SELECT automation, key, kind, text, public, since, code, step, left, public_left, repository, number, login, private,
    execution, basis, closed_at, closed_by
FROM problem p WHERE closed_at IS NOT NULL
    AND EXISTS (SELECT 1 FROM told t WHERE t.automation = p.automation AND t.key = p.key AND t.recovered = 0)
ORDER BY since, automation, key;

-- name: problem_count
SELECT count(*) FROM (SELECT 1 FROM problem WHERE closed_at IS NULL LIMIT ?);

-- name: problem_causes
-- The oldest and the newest of the open problems of each cause, with the number of all: there may be 100,000.
WITH ranked AS (
    SELECT automation, key,
        row_number() OVER (PARTITION BY kind, automation, step, code ORDER BY since) AS place,
        count(*) OVER (PARTITION BY kind, automation, step, code) AS several
    FROM problem WHERE closed_at IS NULL
)
SELECT p.automation, p.key, p.kind, p.text, p.public, p.since, p.code, p.step, p.left, p.public_left, p.repository, p.number,
    p.login, p.private, p.execution, p.basis, p.closed_at, p.closed_by, r.several
FROM ranked r JOIN problem p USING (automation, key) WHERE r.place <= :most OR r.place = r.several
ORDER BY p.since, p.automation, p.key;

-- name: notifications
SELECT t.target, t.automation, t.key, t.at, t.recovered FROM told t JOIN problem p USING (automation, key)
WHERE p.closed_at IS NULL OR t.recovered = 0;
