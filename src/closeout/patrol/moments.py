"""GitHub's times as whole seconds since the epoch, which can be compared and moved.

A time of another form is no time: whoever reads a list by it would stop at the wrong place.
"""

from __future__ import annotations

from datetime import UTC, datetime

FORM = "%Y-%m-%dT%H:%M:%SZ"


def seconds(text: object) -> int:
    """Return the seconds of `2026-03-10T08:00:00Z`, fractions dropped. Raises `ValueError` for anything else."""
    if not isinstance(text, str):
        raise ValueError("not a time of GitHub's")  # noqa: TRY004 - one error for all that is no time
    head, dot, fraction = text.removesuffix("Z").partition(".")
    if not text.endswith("Z") or (dot and not fraction.isdigit()):
        raise ValueError("not a time of GitHub's")
    return int(datetime.strptime(head + "Z", FORM).replace(tzinfo=UTC).timestamp())


def shown(moment: int) -> str:
    """Return a moment as GitHub writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime(FORM)
