-- Sessions of browsers and tokens of programs.

CREATE TABLE credential (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    may TEXT NOT NULL,
    digest TEXT NOT NULL UNIQUE,
    code TEXT UNIQUE,
    made_at REAL NOT NULL,
    expires_at REAL,
    ended_at REAL
) STRICT;
