-- Rechecks look for recent teardowns, and for all runs of one pull request, in a ledger of any size.

CREATE INDEX run_succeeded ON run (finished_at) WHERE verdict = 'success';
CREATE INDEX delivery_number ON delivery (number) WHERE number IS NOT NULL;
