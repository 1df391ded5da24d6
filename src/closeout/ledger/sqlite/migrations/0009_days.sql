-- What became of closings, day by day. Of runs that have finished, the summary says whether something was deleted.

CREATE TABLE day_tally (
    day TEXT PRIMARY KEY,
    closings INTEGER NOT NULL,
    torn_down INTEGER NOT NULL,
    left INTEGER NOT NULL,
    recovered INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO day_tally (day, closings, torn_down, left, recovered)
SELECT date(at, 'unixepoch'), sum(first), sum(torn_down), sum(left), sum(first AND heard)
FROM (SELECT r.finished_at AS at, r.verdict = 'failure' AS left,
             r.verdict = 'success' AND r.summary NOT LIKE 'nothing was there%' AND r.summary NOT LIKE 'dry run: %' AS torn_down,
             r.number = min(r.number) OVER (PARTITION BY r.guid) AS first,
             d.origin IN ('delivery-log', 'closed-list', 'inventory', 'recheck') AS heard
      FROM run r JOIN delivery d ON d.id = r.delivery
      WHERE d.closing IS NOT NULL AND r.state = 'finished' AND r.verdict <> 'skipped' AND r.finished_at IS NOT NULL)
GROUP BY 1;
