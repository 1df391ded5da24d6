"""Words that pages share: how long ago, from which source, how many, and the paths of links.

Separate from `presentation`, which has the contents of a run's page. Templates call most of these functions.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from closeout.core.closing import WEBHOOK, heard_by
from closeout.core.ids import short_digest
from closeout.core.problems import Problem
from closeout.core.units import DAY, HOUR, MINUTE, spoken_duration
from closeout.ports import DeliveryId, DeliveryView

HEARD = {
    WEBHOOK: "by webhook",
    "delivery-log": "found by patrol in GitHub's delivery log",
    "closed-list": "found by patrol in GitHub's list of closed pull requests",
    "inventory": "found by patrol's audit",
    "recheck": "found by a recheck",
}
"""How closeout learned of an event (`core.closing.HEARD`)."""

RERUN = "/rerun"
"""The page that reruns the failed runs of a list."""


def delivery_source(delivery: DeliveryView) -> str:
    """Return how closeout learned of a delivery."""
    heard = heard_by(delivery.origin)
    return HEARD.get(heard, heard)


def about_of(delivery: DeliveryView) -> str:
    """Return `acme/shop#17`, or the repository, or an empty text."""
    repository = delivery.repository or ""
    return f"{repository}#{delivery.number}" if delivery.number else repository


def event_of(delivery: DeliveryView) -> str:
    """Return `pull_request.closed`, or `push`."""
    return f"{delivery.event}.{delivery.action}" if delivery.action else delivery.event


def delivery_path(delivery: DeliveryId) -> str:
    """Return the path of a delivery's page."""
    return f"/deliveries/{quote(str(delivery), safe='')}"


def run_path(run_id: str, attempt: int | None = None) -> str:
    """Return the path of a run's page; of its latest attempt by default."""
    query = f"?attempt={attempt}" if attempt is not None else ""
    return f"/runs/{quote(run_id, safe='')}{query}"


def execution_path(execution: str) -> str:
    """Return the path of the page of one attempt."""
    run_id, _, attempt = execution.rpartition("-")
    return run_path(run_id, int(attempt))


def pull_request_path(repository: str | None, number: int | None) -> str | None:
    """Return the path of a pull request's page; None if it is not known."""
    owner, slash, name = (repository or "").partition("/")
    if not (slash and owner and name and number):
        return None
    return f"/pull-requests/{quote(owner, safe='')}/{quote(name, safe='')}/{number}"


def problem_name(problem: Problem) -> str:
    """Return a problem's name for a path, because its key may contain any character."""
    return short_digest(f"{problem.automation}\n{problem.key}")


def with_query(path: str, /, **values: str | None) -> str:
    """Return a path with the values that are neither None nor empty as its query."""
    query = urlencode({name: value for name, value in values.items() if value})
    return f"{path}?{query}" if query else path


def ago(at: float, now: float) -> str:
    """Return how long ago a time is, in one unit, which is easy to scan in a list."""
    seconds = max(now - at, 0.0)
    for size, unit in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def rough(seconds: float) -> str:
    """Return a duration in minutes or larger units, without seconds."""
    if seconds >= DAY:
        days, rest = divmod(int(seconds), int(DAY))
        hours = rest // int(HOUR)
        return f"{days} d {hours} h" if hours else f"{days} d"
    return spoken_duration(seconds // MINUTE * MINUTE) if seconds >= MINUTE else spoken_duration(seconds)
