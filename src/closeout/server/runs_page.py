"""What the list of runs shows: its rows, the form of its filters with what is set, and what to do when nothing meets them.

Pure, so that a filter, a link to drop it and the sentence of an empty list are tested without a server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from closeout.core.runs import STATES, VERDICTS
from closeout.ports import RunView
from closeout.server import presentation
from closeout.server.wording import RunLine, run_line, with_query

PATH = "/runs"
PERIODS = (
    ("1h", "the last hour"),
    ("1d", "the last day"),
    ("7d", "the last 7 days"),
    ("30d", "the last 30 days"),
)
"""What the form offers as `since`; the URL takes any time."""


class Option(NamedTuple):
    """One choice of a field."""

    value: str
    label: str


class Field(NamedTuple):
    """One filter in the form. A field with options is a choice, else a line of text."""

    name: str
    label: str
    value: str
    options: tuple[Option, ...] = ()
    hint: str = ""


class Chip(NamedTuple):
    """A filter that is set, with the path of the same list without it."""

    label: str
    value: str
    without: str


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
    filters = {name: value for name, value in given.items() if value and name in LABELS}
    chips = tuple(
        Chip(LABELS[name], _spoken(name, value), path(filters, name)) for name, value in filters.items()
    )
    return Runs(
        rows=tuple(run_line(run, now) for run in runs),
        tabs=tuple(_tabs(filters)),
        fields=tuple(_fields(filters)),
        chips=chips,
        newer=path(filters, cursor=newer) if newer else None,
        older=path(filters, cursor=older) if older else None,
        error=error,
        advice=_advice(chips),
    )


LABELS: Mapping[str, str] = {
    "search": "Words",
    "repository": "Repository",
    "pull-request": "Pull request",
    "automation": "Automation",
    "verdict": "Verdict",
    "state": "State",
    "since": "Accepted in",
    "until": "Accepted before",
}
"""The filters by their names in the URL, in the order in which the form shows them."""
_HINTS = {
    "search": "words of the summary",
    "repository": "acme/shop",
    "pull-request": "17 or acme/shop#17",
    "automation": "preview-cleanup",
    "until": "2026-03-14",
}
_TABS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("All", {}),
    ("Failed", {"verdict": "failure"}),
    ("Running", {"state": "running"}),
    ("Waiting", {"state": "waiting"}),
    ("Queued", {"state": "queued"}),
    ("Succeeded", {"verdict": "success"}),
)


def _fields(filters: Mapping[str, str]) -> list[Field]:
    choices = {
        "verdict": tuple(Option(each, presentation.WORDS[each]) for each in VERDICTS),
        "state": tuple(Option(each, presentation.WORDS.get(each, each.capitalize())) for each in STATES),
        "since": tuple(Option(value, label.capitalize()) for value, label in PERIODS),
    }
    fields = []
    for name, label in LABELS.items():
        value = filters.get(name, "")
        options = choices.get(name, ())
        if options and value and value not in {option.value for option in options}:
            options = (*options, Option(value, value))  # a URL may say more than the form offers
        fields.append(Field(name, label, value, options, _HINTS.get(name, "")))
    return fields


def _tabs(filters: Mapping[str, str]) -> list[Tab]:
    """Return the lists that are asked for often, each with the filters that say where and when."""
    rest = {name: value for name, value in filters.items() if name not in ("verdict", "state")}
    now = {name: value for name, value in filters.items() if name in ("verdict", "state")}
    return [Tab(label, path({**rest, **wanted}), wanted == now) for label, wanted in _TABS]


def path(filters: Mapping[str, str], without: str | None = None, cursor: str | None = None) -> str:
    """Return the path of a list. The order of the filters is fixed, so that one list has one URL."""
    kept = {name: filters[name] for name in LABELS if filters.get(name) and name != without}
    return with_query(PATH, **kept, cursor=cursor)


def _spoken(name: str, value: str) -> str:
    if name == "since":
        return dict(PERIODS).get(value, value)
    return presentation.WORDS.get(value, value) if name in ("verdict", "state") else value


def _advice(chips: Sequence[Chip]) -> str:
    if not chips:
        return "No run has been started yet."
    if len(chips) == 1:
        return f"No run meets the filter {chips[0].label}: {chips[0].value}."
    return "No run meets all of these filters together. Drop one of them:"
