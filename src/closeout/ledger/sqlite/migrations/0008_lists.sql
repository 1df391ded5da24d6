-- Lists of runs and deliveries by any combination of filters, in a ledger of a million.

CREATE INDEX delivery_event ON delivery (event);
CREATE INDEX delivery_repository ON delivery (repository, event) WHERE repository IS NOT NULL;

CREATE VIRTUAL TABLE run_words USING fts5 (
    automation, repository, verdict, summary,
    content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 0'
);
INSERT INTO run_words (rowid, automation, repository, verdict, summary)
SELECT r.number, 'x' || hex(r.automation), 'x' || hex(d.repository), 'x' || hex(r.verdict), r.summary
FROM run r JOIN delivery d ON d.id = r.delivery WHERE r.state = 'finished' ORDER BY r.number;
CREATE TRIGGER run_finished AFTER UPDATE OF state ON run WHEN NEW.state = 'finished' AND OLD.state <> 'finished'
BEGIN
    INSERT INTO run_words (rowid, automation, repository, verdict, summary)
    SELECT NEW.number, 'x' || hex(NEW.automation), 'x' || hex(d.repository), 'x' || hex(NEW.verdict), NEW.summary
    FROM delivery d WHERE d.id = NEW.delivery;
END;
CREATE TRIGGER run_removed BEFORE DELETE ON run WHEN OLD.state = 'finished'
BEGIN
    INSERT INTO run_words (run_words, rowid, automation, repository, verdict, summary)
    SELECT 'delete', OLD.number, 'x' || hex(OLD.automation), 'x' || hex(d.repository), 'x' || hex(OLD.verdict), OLD.summary
    FROM delivery d WHERE d.id = OLD.delivery;
END;
