"""Split execution names: `<run id>-<attempt>`, or a run id alone.

People type either; ledgers need the two parts.
"""

from __future__ import annotations

MAX_DIGITS = 9
"""Of an attempt: as many as `core.ids` takes, and no more than SQLite can hold."""


def split_execution(target: str) -> tuple[str, int | None]:
    """Return (run id, attempt); attempt is None when `target` is a run id alone."""
    run_id, dash, attempt = target.rpartition("-")
    if dash and attempt.isascii() and attempt.isdigit() and len(attempt) <= MAX_DIGITS:
        return run_id, int(attempt)
    return target, None
