-- What needs a person, and what each target was told of it.

CREATE TABLE problem (
    automation TEXT NOT NULL,
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    public TEXT NOT NULL,
    since REAL NOT NULL,
    code TEXT NOT NULL,
    step TEXT NOT NULL,
    left TEXT NOT NULL,
    public_left TEXT NOT NULL,
    repository TEXT,
    number INTEGER,
    login TEXT,
    private INTEGER NOT NULL,
    execution TEXT,
    basis TEXT NOT NULL,
    closed_at REAL,
    closed_by TEXT,
    PRIMARY KEY (automation, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX problem_open ON problem (automation, key) WHERE closed_at IS NULL;

CREATE TABLE told (
    target TEXT NOT NULL,
    automation TEXT NOT NULL,
    key TEXT NOT NULL,
    at REAL NOT NULL,
    recovered INTEGER NOT NULL,
    PRIMARY KEY (target, automation, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_open ON told (automation, key) WHERE recovered = 0;
