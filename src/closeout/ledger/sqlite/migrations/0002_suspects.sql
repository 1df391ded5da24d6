-- Runs that were under way when the process died take turns alone; only deaths in these count against them.

ALTER TABLE run ADD COLUMN suspected INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN alone TEXT;
ALTER TABLE run ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0;
