-- Lists of runs and deliveries by any combination of filters, in a ledger of a million.

CREATE INDEX delivery_event ON delivery (event) WHERE event <> 'pull_request';
CREATE INDEX delivery_repository ON delivery (repository, event) WHERE repository IS NOT NULL;

CREATE VIEW run_facts AS
SELECT number, summary, n || ' ' || r || ' ' || v || ' ' || n || r || ' ' || n || v || ' ' || r || v || ' ' || n || r || v AS facts
FROM (SELECT run.number, run.summary, 'n' || hex(run.automation) AS n, 'r' || hex(delivery.repository) AS r,
             'v' || hex(run.verdict) AS v
      FROM run JOIN delivery ON delivery.id = run.delivery WHERE run.state = 'finished');
CREATE VIRTUAL TABLE run_words USING fts5 (
    facts, summary, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 0'
);
INSERT INTO run_words (rowid, facts, summary) SELECT number, facts, summary FROM run_facts ORDER BY number;
CREATE TRIGGER run_finished AFTER UPDATE OF state ON run WHEN NEW.state = 'finished' AND OLD.state <> 'finished'
BEGIN
    INSERT INTO run_words (rowid, facts, summary) SELECT number, facts, summary FROM run_facts WHERE number = NEW.number;
END;
CREATE TRIGGER run_removed BEFORE DELETE ON run WHEN OLD.state = 'finished'
BEGIN
    INSERT INTO run_words (run_words, rowid, facts, summary)
    SELECT 'delete', number, facts, summary FROM run_facts WHERE number = OLD.number;
END;
