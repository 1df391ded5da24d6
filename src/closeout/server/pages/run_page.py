"""What the page of one run shows.

An open page requests its changes, from the same values as a new page, so both always show the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from starlette.responses import Response

from closeout.ports import DeliveryView, LogLine, LogWindow, Operation, RunView
from closeout.server import details
from closeout.server.access import Visitor
from closeout.server.pages import history, log_folds, presentation, step_rows, wording
from closeout.server.pages.rendering import Renderer, favicon

REFRESH_SECONDS = 4
"""Seconds between two loads of a page without script."""


class Attempt(NamedTuple):
    """One attempt of the run."""

    number: int
    tone: str
    word: str
    query: str
    """The query of its link."""


class StoredRun(NamedTuple):
    """A run, read from the ledger for its page."""

    run: RunView
    about: presentation.Subject
    delivery: DeliveryView | None
    lines: Sequence[LogLine]
    left_out: int
    """Further lines of the log, which `lines` leave out."""
    log: bool
    """Whether the visitor may see the log, and therefore everything."""
    operations: Sequence[Operation] = ()
    attempts: Sequence[Attempt] = ()
    survived: Sequence[LogLine] = ()
    """The log lines of crashes after which the run continued."""


class View(NamedTuple):
    """The part of a run that a visitor requested."""

    link: details.Link
    visitor: Visitor | None
    search: str = ""
    newest: bool = True
    """Whether the page shows the end of the log, and so follows it."""


def page(renderer: Renderer, shown: StoredRun, view: View, now: float) -> Response:
    """Return a run's page."""
    live = view.newest and not view.search
    values = live_values(
        renderer, shown, view.visitor, now, step_rows.progress_of(shown.lines) if live else {}
    )
    return renderer.html(
        200,
        "run.html",
        view.visitor,
        here="/runs",
        **values,
        shown=shown,
        view=view,
        links=_links(renderer, shown) if view.visitor is not None else {},
        later=_later(shown)[-1:],
        folds=log_folds.folds(shown.run, shown.lines, view.search),
        follows=live and not values["banner"].finished,
        fields=parse_qsl(view.link.query),
        refresh=REFRESH_SECONDS,
    )


def changes(
    renderer: Renderer, shown: StoredRun, lines: LogWindow, visitor: Visitor | None, now: float
) -> Response:
    """Return the changing parts of a run's page as JSON. `lines` are those that the page lacks, or the first of them.

    `again` is when to request more: at once for further lines, in a second while the run continues, then no more.
    """
    values = live_values(renderer, shown, visitor, now, step_rows.progress_of(shown.lines))
    parts = ("banner", "troubles", "steps", "history")
    folds = log_folds.folds(shown.run, lines.lines)
    goes_on = None if values["banner"].finished else 1
    return renderer.json(
        {
            **{part: renderer.fragment(f"_{part}.html", **values) for part in parts},
            "title": f"{values['banner'].word}: {shown.run.automation}",
            "icon": favicon(values["banner"].tone),
            "log": renderer.fragment("_log.html", folds=folds) if folds else "",
            "after": lines.lines[-1].id if lines.lines else None,
            "again": 0 if lines.left_out else goes_on,
        }
    )


def expired(renderer: Renderer, shown: StoredRun) -> Response:
    """Return the page of an expired link, which shows only the verdict."""
    word = presentation.banner(shown.run, 0.0).word
    return renderer.notice(
        410, "This link has expired", "Details links work for 30 days. The run's result:", verdict=word
    )


def _links(renderer: Renderer, shown: StoredRun) -> dict[str, str | None]:
    pull_request = wording.pull_request_path(shown.about.repository, shown.about.number)
    return {
        "pull_request": renderer.link(pull_request) if pull_request else None,
        "delivery": renderer.link(f"/deliveries/{shown.run.delivery}"),
    }


def live_values(
    renderer: Renderer, shown: StoredRun, visitor: Visitor | None, now: float, progress: Mapping[str, str]
) -> dict[str, Any]:
    """Return the values that change during a run; `progress` is the last line of each step."""
    return {
        "run": shown.run,
        "banner": presentation.banner(shown.run, now, errors_below=True, progress=progress),
        "troubles": step_rows.troubles(shown.run, whole=shown.log),
        "rerun": _rerun(shown, visitor),
        "rerun_page": renderer.link(f"/runs/{shown.run.id}/rerun"),
        "cancel_page": renderer.link(f"/runs/{shown.run.id}/cancel")
        if visitor is not None and visitor.may_act and shown.run.state != "finished"
        else None,
        "steps": step_rows.steps(shown.run, now, progress),
        "entries": history.entries(shown.run, shown.operations, shown.survived, now),
    }


def _rerun(shown: StoredRun, visitor: Visitor | None) -> str:
    """Return for whom the page explains a rerun: visitors who may `act` or `read`, the `holder` of a link, or `anybody`.

    It is empty if there is nothing to run again. The `holder` of a link to a private repository's run can probably sign in.
    """
    run = shown.run
    if run.state != "finished" or run.verdict in ("success", "skipped") or run.reopened or _later(shown):
        return ""
    if visitor is None:
        return "holder" if shown.log else "anybody"
    return "act" if visitor.may_act else "read"


def _later(shown: StoredRun) -> list[Attempt]:
    return [attempt for attempt in shown.attempts if attempt.number > shown.run.attempt]
