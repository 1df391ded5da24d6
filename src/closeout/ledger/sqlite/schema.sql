-- The ledger's schema after all migrations. A test compares the two.
-- Times are seconds since the epoch, with fractions: whole seconds would break first-in-first-out.

-- One webhook request that was verified and stored. The same event through two hooks is two deliveries with
-- one GUID, so the GUID comes first in the index: it answers "this delivery again?" and "this event again?".
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,             -- given by the writer, never reused (see `prune`)
    hook TEXT NOT NULL,
    guid TEXT NOT NULL,
    event TEXT NOT NULL,
    action TEXT,
    repository TEXT,
    number INTEGER,                     -- of the pull request or issue
    form INTEGER NOT NULL,              -- 1: the body is form encoded
    size INTEGER NOT NULL,              -- bytes of the body before compression
    received_at REAL NOT NULL,
    origin TEXT NOT NULL,               -- where closeout learned of it: github (its webhook) delivery-log closed-list ...
    closing TEXT                        -- of a closed pull request: repository id/pull request id/closed_at
) STRICT;
CREATE UNIQUE INDEX delivery_guid ON delivery (guid, hook);
CREATE INDEX delivery_closing ON delivery (closing) WHERE closing IS NOT NULL;
CREATE INDEX delivery_number ON delivery (number) WHERE number IS NOT NULL;
-- For lists. Most deliveries are pull requests, which need no index to be found and for which each index costs time on arrival.
CREATE INDEX delivery_event ON delivery (event) WHERE event <> 'pull_request';
CREATE INDEX delivery_repository ON delivery (repository, event) WHERE repository IS NOT NULL;

-- The raw body: its size, then lz4. Separate from `delivery`, so that a list of deliveries reads no bodies.
CREATE TABLE body (
    delivery INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

-- An automation as canonical JSON, once for all runs with the same one.
CREATE TABLE definition (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

-- One attempt at (closing, automation), for other events (GUID, automation): an execution. `number` is the order of acceptance.
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    automation TEXT NOT NULL,
    definition INTEGER NOT NULL,
    delivery INTEGER NOT NULL,
    guid TEXT NOT NULL,
    concurrency TEXT,                   -- the key that one run at a time holds; NULL: none
    queue_timeout REAL NOT NULL,
    requested_by TEXT,                  -- who asked for a rerun or replay
    accepted_at REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',   -- queued running waiting finished
    turn TEXT NOT NULL DEFAULT 'own',   -- own; expired, cancelled: it runs out of turn, only to end
    started_at REAL,
    wake REAL,                          -- when a waiting run continues
    crashes INTEGER NOT NULL DEFAULT 0, -- times the process died since the last recorded operation
    cancel TEXT,                        -- who asked to cancel; NULL again once the run has got it
    verdict TEXT,
    summary TEXT,
    finished_at REAL,
    suspected INTEGER NOT NULL DEFAULT 0, -- times it was under way when the process died: doubles its turn alone
    alone TEXT,                         -- its turn alone after that: due now beside; NULL: none
    deaths INTEGER NOT NULL DEFAULT 0   -- times the process died in its turn alone, since it last got on
) STRICT;
CREATE UNIQUE INDEX run_attempt ON run (run_id, attempt);
CREATE UNIQUE INDEX run_guid ON run (guid, automation, attempt);
CREATE INDEX run_open ON run (number) WHERE state <> 'finished';
CREATE INDEX run_succeeded ON run (finished_at) WHERE verdict = 'success';   -- for rechecks
CREATE INDEX run_shown ON run (number)
WHERE state = 'finished' AND (verdict IS NOT 'skipped' OR summary NOT LIKE 'no base matched%');

-- The index for finished runs in lists: the words of their summaries; and automation (n), repository (r) and verdict (v)
-- in hex, as a word for each of them and for each combination, so that any combination is one list of this index. It keeps no
-- text, and is filled when a run ends, so that it costs nothing at acceptance. Its rowid is `run.number`.
CREATE VIEW run_facts AS
SELECT number, summary, n || ' ' || r || ' ' || v || ' ' || n || r || ' ' || n || v || ' ' || r || v || ' ' || n || r || v AS facts
FROM (SELECT run.number, run.summary, 'n' || hex(run.automation) AS n, 'r' || hex(delivery.repository) AS r,
             'v' || hex(run.verdict) AS v
      FROM run JOIN delivery ON delivery.id = run.delivery WHERE run.state = 'finished');
CREATE VIRTUAL TABLE run_words USING fts5 (
    facts, summary, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 0'
);
CREATE TRIGGER run_finished AFTER UPDATE OF state ON run WHEN NEW.state = 'finished' AND OLD.state <> 'finished'
BEGIN
    INSERT INTO run_words (rowid, facts, summary) SELECT number, facts, summary FROM run_facts WHERE number = NEW.number;
END;
CREATE TRIGGER run_removed BEFORE DELETE ON run WHEN OLD.state = 'finished'
BEGIN
    INSERT INTO run_words (run_words, rowid, facts, summary)
    SELECT 'delete', number, facts, summary FROM run_facts WHERE number = OLD.number;
END;

-- Runs that may not begin, because another run has their closing and learned it only while it ran, or because they were
-- pruned; then the owner is the run itself. The trigger makes a group of deliveries fail like a duplicate, without a read.
CREATE TABLE closing_run (
    run_id TEXT PRIMARY KEY,            -- the one that the closing and the automation give
    owner TEXT NOT NULL,                -- the run that has the closing
    at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER run_of_closing BEFORE INSERT ON run
WHEN NEW.attempt = 1 AND EXISTS (SELECT 1 FROM closing_run WHERE run_id = NEW.run_id)
BEGIN
    SELECT RAISE(ABORT, 'a run has this closing');
END;

-- Operations that `Durable` recorded. `result` is JSON: the value (ok), {kind, message} (error, cancelled), or the
-- last message of a waiting one.
CREATE TABLE operation (
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,          -- the order in which the run reached it
    kind TEXT NOT NULL,                 -- record sleep wait
    state TEXT NOT NULL,                -- ok error cancelled waiting
    result TEXT,
    tries INTEGER NOT NULL,
    wake REAL,
    started_at REAL NOT NULL,
    ended_at REAL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

-- Log lines of runs, redacted before they are stored.
CREATE TABLE log (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    step TEXT,
    at REAL NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX log_run ON log (run);

-- Requests of other processes to the engine. They write only this table.
CREATE TABLE request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,                 -- cancel rerun replay recover clean dismiss pause resume prune patrol
    target TEXT,
    requested_by TEXT NOT NULL,
    reason TEXT,
    at REAL NOT NULL,
    outcome TEXT,
    done_at REAL
) STRICT;
CREATE INDEX request_open ON request (id) WHERE done_at IS NULL;

-- Single values: the key of Details links and their base, who paused, the highest ids that `prune` removed.
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- How far patrol has read: the watermark of each repository's list, the last known delivery of each hook, the deliveries of
-- each hook that it ignored, and the results of the last patrol. `value` is JSON; its times are GitHub's.
CREATE TABLE patrol_mark (
    kind TEXT NOT NULL,                 -- repository hook ignored report
    key TEXT NOT NULL,                  -- GitHub's id of it
    value TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

-- Sums over everything that ever finished, for metrics: they outlive `prune`.
CREATE TABLE verdict_tally (
    verdict TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The same by day, in UTC, for closings only: those that were acted on, and how their runs ended.
CREATE TABLE day_tally (
    day TEXT PRIMARY KEY,               -- 2026-03-14
    closings INTEGER NOT NULL,          -- closings whose first run ended, and was not skipped
    torn_down INTEGER NOT NULL,         -- runs that deleted something and succeeded
    left INTEGER NOT NULL,              -- runs that failed
    recovered INTEGER NOT NULL          -- closings for which no webhook arrived
) STRICT, WITHOUT ROWID;

CREATE TABLE step_tally (
    automation TEXT NOT NULL,
    step TEXT NOT NULL,
    count INTEGER NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (automation, step)
) STRICT, WITHOUT ROWID;

-- Sessions of browsers and tokens of programs. Their secrets, and the codes of one-time links, are stored as digests only.
CREATE TABLE credential (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,                 -- session token
    name TEXT NOT NULL,                 -- who has it
    may TEXT NOT NULL,                  -- read act
    digest TEXT NOT NULL UNIQUE,
    code TEXT UNIQUE,                   -- of the link that made this session
    made_at REAL NOT NULL,
    expires_at REAL,
    ended_at REAL
) STRICT;

-- What needs a person: one row for each automation and closing. A run's end writes it in the transaction of the ending.
CREATE TABLE problem (
    automation TEXT NOT NULL,           -- empty: it is about closeout itself
    key TEXT NOT NULL,                  -- the closing, the run's id for another event, or what is stale
    kind TEXT NOT NULL,                 -- failure orphans stale
    text TEXT NOT NULL,                 -- why, in full
    public TEXT NOT NULL,               -- why, the part that anyone may read
    since REAL NOT NULL,
    code TEXT NOT NULL,                 -- stable code of the cause
    step TEXT NOT NULL,
    left TEXT NOT NULL,                 -- JSON: names of leftovers
    public_left TEXT NOT NULL,
    repository TEXT,
    number INTEGER,
    login TEXT,                         -- whose pull request it is
    private INTEGER NOT NULL,           -- 1: only members can read its repository
    execution TEXT,                     -- the last attempt that failed
    basis TEXT NOT NULL,                -- digest of the steps that it is about
    closed_at REAL,
    closed_by TEXT,                     -- an execution, patrol, or reopened
    PRIMARY KEY (automation, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX problem_open ON problem (automation, key) WHERE closed_at IS NULL;

-- The last message to each target about a problem. It is written after the message was sent.
CREATE TABLE told (
    target TEXT NOT NULL,               -- its reference, such as env:NAME
    automation TEXT NOT NULL,
    key TEXT NOT NULL,
    at REAL NOT NULL,
    recovered INTEGER NOT NULL,         -- 1: it was notified that the problem is over
    PRIMARY KEY (target, automation, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_open ON told (automation, key) WHERE recovered = 0;
