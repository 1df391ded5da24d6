"""Words that lists of pages share: how long ago, what a run is about, and links between pages.

Apart from `presentation`, which says what one run's page shows.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, urlencode

from closeout.core.units import DAY, HOUR, MINUTE, spoken_duration
from closeout.ports import RunView
from closeout.server.pages import presentation


class RunLine(NamedTuple):
    """A run in a list. `url` and `about_url` are paths."""

    url: str
    tone: str
    word: str
    about: str
    about_url: str | None
    automation: str
    says: str
    at: float
    ago: str
    took: str
    attempt: int


def run_line(run: RunView, now: float) -> RunLine:
    """Return what a list says of a run."""
    shown = presentation.banner(run, now)
    return RunLine(
        url=run_path(run.id),
        tone=shown.tone,
        word=shown.word,
        about=presentation.clean(run.about),
        about_url=pull_request_path(run.repository, run.number) if run.event == "pull_request" else None,
        automation=presentation.clean(run.automation),
        says=shown.says,
        at=run.accepted_at,
        ago=ago(run.accepted_at, now),
        took=shown.took,
        attempt=run.attempt,
    )


def run_path(run_id: str, attempt: int | None = None) -> str:
    """Return the path of a run's page; of its latest attempt unless told otherwise."""
    query = f"?attempt={attempt}" if attempt is not None else ""
    return f"/runs/{quote(run_id, safe='')}{query}"


def execution_path(execution: str) -> str:
    """Return the path of the page of one attempt."""
    run_id, _, attempt = execution.rpartition("-")
    return run_path(run_id, int(attempt))


def pull_request_path(repository: str | None, number: int | None) -> str | None:
    """Return the path of a pull request's page, None if it is not known which one."""
    owner, slash, name = (repository or "").partition("/")
    if not (slash and owner and name and number):
        return None
    return f"/pull-requests/{quote(owner, safe='')}/{quote(name, safe='')}/{number}"


def with_query(path: str, **values: str | None) -> str:
    """Return a path with the values that are neither None nor empty as its query."""
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{query}" if query else path


def ago(at: float, now: float) -> str:
    """Return how long ago a time is, in one unit: a list is scanned and not calculated with."""
    seconds = max(now - at, 0.0)
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def rough(seconds: float) -> str:
    """Return a duration as a limit is spoken of: in minutes and more, without seconds."""
    if seconds >= DAY:
        days, rest = divmod(int(seconds), int(DAY))
        hours = rest // int(HOUR)
        return f"{days} d {hours} h" if hours else f"{days} d"
    return spoken_duration(seconds // MINUTE * MINUTE) if seconds >= MINUTE else spoken_duration(seconds)


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return `1 run` or `3 runs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
