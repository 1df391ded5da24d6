-- A closing starts each automation once, whichever delivery brings it. One event may still start an automation once
-- only: its run may be named after its GUID, as in earlier releases, or after its closing.

ALTER TABLE delivery ADD COLUMN closing TEXT;
CREATE INDEX delivery_closing ON delivery (closing) WHERE closing IS NOT NULL;
DROP INDEX run_guid;
CREATE UNIQUE INDEX run_guid ON run (guid, automation, attempt);
