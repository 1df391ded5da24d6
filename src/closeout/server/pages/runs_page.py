"""What the list of runs shows: its rows, its filters with what is set, and what to do when nothing meets them.

Pure, so that a link of a page and the sentence of an empty list are tested without a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from closeout.core.runs import STATES, VERDICTS
from closeout.ports import RunView
from closeout.server.pages import presentation
from closeout.server.pages.filter_form import PERIODS, Chip, Field, FilterForm, Option, advice
from closeout.server.pages.wording import RunLine, run_line

FORM = FilterForm(
    "/runs",
    {
        "search": "Words",
        "repository": "Repository",
        "pull-request": "Pull request",
        "automation": "Automation",
        "verdict": "Verdict",
        "state": "State",
        "since": "Accepted in",
        "until": "Accepted before",
    },
    {
        "search": "words of the summary",
        "repository": "acme/shop",
        "pull-request": "17 or acme/shop#17",
        "automation": "preview-cleanup",
        "until": "2026-03-14",
    },
    {
        "verdict": tuple(Option(each, presentation.WORDS[each]) for each in VERDICTS),
        "state": tuple(Option(each, presentation.WORDS.get(each, each.capitalize())) for each in STATES),
        "since": PERIODS,
    },
)
_TABS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("All", {}),
    ("Failed", {"verdict": "failure"}),
    ("Running", {"state": "running"}),
    ("Waiting", {"state": "waiting"}),
    ("Queued", {"state": "queued"}),
    ("Succeeded", {"verdict": "success"}),
)


class Tab(NamedTuple):
    """A list that is asked for often."""

    label: str
    url: str
    is_current: bool


class Runs(NamedTuple):
    """Everything that the page of runs shows."""

    rows: tuple[RunLine, ...]
    tabs: tuple[Tab, ...]
    fields: tuple[Field, ...]
    chips: tuple[Chip, ...]
    newer: str | None
    older: str | None
    error: str | None
    advice: str


def shown(
    runs: Sequence[RunView],
    given: Mapping[str, str],
    now: float,
    *,
    newer: str | None = None,
    older: str | None = None,
    error: str | None = None,
) -> Runs:
    """Return the page for filters as the query gives them. `newer` and `older` are cursors, `error` what is wrong with one."""
    filters = FORM.set(given)
    chips = FORM.chips(filters)
    return Runs(
        rows=tuple(run_line(run, now) for run in runs),
        tabs=tuple(_tabs(filters)),
        fields=FORM.fields(filters),
        chips=chips,
        newer=FORM.url(filters, cursor=newer) if newer else None,
        older=FORM.url(filters, cursor=older) if older else None,
        error=error,
        advice=advice("run", chips),
    )


def _tabs(filters: Mapping[str, str]) -> list[Tab]:
    """Return the lists that are asked for often, each with the filters that say where and when."""
    rest = {name: value for name, value in filters.items() if name not in ("verdict", "state")}
    now = {name: value for name, value in filters.items() if name in ("verdict", "state")}
    return [Tab(label, FORM.url({**rest, **wanted}), wanted == now) for label, wanted in _TABS]
