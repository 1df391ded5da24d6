-- A closing starts each automation once, whichever delivery brings it. One event may still start an automation once
-- only: its run may be named after its GUID, as in earlier releases, or after its closing.

ALTER TABLE delivery ADD COLUMN closing TEXT;
CREATE INDEX delivery_closing ON delivery (closing) WHERE closing IS NOT NULL;
DROP INDEX run_guid;
CREATE UNIQUE INDEX run_guid ON run (guid, automation, attempt);

CREATE TABLE closing_run (
    run_id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER run_of_closing BEFORE INSERT ON run
WHEN NEW.attempt = 1 AND EXISTS (SELECT 1 FROM closing_run WHERE run_id = NEW.run_id)
BEGIN
    SELECT RAISE(ABORT, 'a run has this closing');
END;
