-- The first ledger. `schema.sql` beside this folder says what every table and column is for.

CREATE TABLE delivery (
    id INTEGER PRIMARY KEY,
    hook TEXT NOT NULL,
    guid TEXT NOT NULL,
    event TEXT NOT NULL,
    action TEXT,
    repository TEXT,
    number INTEGER,
    form INTEGER NOT NULL,
    size INTEGER NOT NULL,
    received_at REAL NOT NULL,
    origin TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX delivery_guid ON delivery (guid, hook);

CREATE TABLE body (
    delivery INTEGER PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE definition (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    automation TEXT NOT NULL,
    definition INTEGER NOT NULL,
    delivery INTEGER NOT NULL,
    guid TEXT NOT NULL,
    concurrency TEXT,
    queue_timeout REAL NOT NULL,
    requested_by TEXT,
    accepted_at REAL NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    turn TEXT NOT NULL DEFAULT 'own',
    started_at REAL,
    wake REAL,
    crashes INTEGER NOT NULL DEFAULT 0,
    cancel TEXT,
    verdict TEXT,
    summary TEXT,
    finished_at REAL
) STRICT;
CREATE UNIQUE INDEX run_attempt ON run (run_id, attempt);
CREATE INDEX run_guid ON run (guid);
CREATE INDEX run_open ON run (number) WHERE state <> 'finished';

CREATE TABLE operation (
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    result TEXT,
    tries INTEGER NOT NULL,
    wake REAL,
    started_at REAL NOT NULL,
    ended_at REAL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    step TEXT,
    at REAL NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX log_run ON log (run);

CREATE TABLE request (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    target TEXT,
    requested_by TEXT NOT NULL,
    reason TEXT,
    at REAL NOT NULL,
    outcome TEXT,
    done_at REAL
) STRICT;
CREATE INDEX request_open ON request (id) WHERE done_at IS NULL;

CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE verdict_tally (
    verdict TEXT PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE step_tally (
    automation TEXT NOT NULL,
    step TEXT NOT NULL,
    count INTEGER NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (automation, step)
) STRICT, WITHOUT ROWID;
