-- How far patrol has read GitHub's lists and delivery logs.

CREATE TABLE patrol_mark (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
