-- The finished runs that lists show when nothing narrows them, so that hundreds of thousands of others in a row are not read.

CREATE INDEX run_shown ON run (number)
WHERE state = 'finished' AND (verdict IS NOT 'skipped' OR summary NOT LIKE 'no base matched%');
