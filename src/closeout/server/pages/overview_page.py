"""What the overview shows: what needs a person, what is running, and the last 30 days.

Pure: it derives what a person has to do from the data of the ledger and the server, and puts that first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from closeout.core.advice import advice
from closeout.core.problems import Problem, cause
from closeout.core.units import DAY, HOUR, counted
from closeout.ports import DayTally, RunView
from closeout.server.pages.chart import Chart, chart
from closeout.server.pages.presentation import RunProgress, banner, clean, going
from closeout.server.pages.wording import RERUN, ago, problem_name, rough, run_path, with_query
from closeout.server.startup import only_here

QUEUE_SECONDS = HOUR
"""A run that has not begun after this long needs a person. This and the next two are the alerts of docs/how-to/monitor.md."""
PATROL_SECONDS = 2 * HOUR
DRILL_SECONDS = 2 * DAY
MOST_OPEN = 50
"""Runs under way that the overview reads and lists."""
SHOWN_DAYS = 30
MOST_NAMED = 5
"""Pull requests that an entry names for one cause."""
_RUN = "Open the run"


STALE, PATROL, DRILL = "stale", "patrol", "drill"
"""The kind of a problem of closeout itself, and its possible subjects."""


class OverviewData(NamedTuple):
    """The overview's data, read in a thread. None for values that this server cannot know."""

    now: float
    paused: str | None
    open_runs: Sequence[RunView]
    """The newest runs under way, at most `MOST_OPEN`."""
    open_count: int
    queue_age: float
    """Seconds that the oldest queued run has waited."""
    problems: Sequence[tuple[Problem, int]] = ()
    """Some of the open problems of each cause, with the number of all."""
    last_delivery: float | None = None
    patrol_ended: float | None = None
    patrol_watches: bool = False
    drill_ended: float | None = None
    drill_wrong: Sequence[str] = ()
    orphans: int = 0
    """Resources of closed pull requests that the last audit found."""
    unknown: int = 0
    """Resources whose pull request the audit could not determine."""
    days: Sequence[DayTally] = ()
    """The days on which something ended, the oldest first."""


class Item(NamedTuple):
    """A thing that an entry names, with its path."""

    label: str
    url: str | None
    since: float
    dismiss: str | None = None
    """The path of the page that dismisses its problem."""


class AttentionItem(NamedTuple):
    """One thing that needs a person: what it is, and what to do. `url` is a path."""

    tone: str
    title: str
    text: str
    fix: str
    url: str | None = None
    link: str = ""
    action: str | None = None
    """The path of the page that does it, for visitors who may act."""
    action_link: str = ""
    dismiss: str | None = None
    """The path of the page that dismisses its problem."""
    items: tuple[Item, ...] = ()
    more: int = 0
    since: float | None = None


class Figure(NamedTuple):
    """A number of the last 30 days."""

    label: str
    value: int
    tone: str
    hint: str
    url: str | None


class Start(NamedTuple):
    """The settings of the webhook for a new server."""

    webhook: str
    secret: str
    """The reference of its secret."""
    events: tuple[str, ...]

    @property
    def only_here(self) -> bool:
        """Whether GitHub cannot reach it, because its address is local to this machine."""
        return only_here(self.webhook)

    @property
    def deliver(self) -> str:
        """The command that sends a first delivery without GitHub."""
        secret = self.secret or "env:CLOSEOUT_WEBHOOK_SECRET"
        return f"closeout deliver --url {self.webhook} --secret {secret} --sample pull_request.closed"


class Overview(NamedTuple):
    """Everything that the page shows."""

    is_new: bool
    """Nothing was ever delivered."""
    needs: tuple[AttentionItem, ...]
    going: Sequence[RunProgress]
    going_count: int
    figures: tuple[Figure, ...]
    chart: Chart
    days: tuple[DayTally, ...]
    intake: tuple[tuple[str, str], ...]
    """The state of each source of work: a label and a text."""

    @property
    def title(self) -> str:
        """The title of the page and its tab, which shows even in the background how much needs a person."""
        return f"({len(self.needs)}) Overview" if self.needs else "Overview"

    @property
    def icon(self) -> str:
        """The tone of the tab's icon."""
        if any(need.tone == "bad" for need in self.needs):
            return "failure"
        return "waiting" if self.needs else "success"


def shown(facts: OverviewData) -> Overview:
    """Return the page."""
    days = _last_days(facts.days, facts.now)
    is_new = facts.last_delivery is None and not facts.open_runs and not facts.days
    return Overview(
        is_new=is_new,
        needs=(*_pause(facts), *sorted(_needs(facts), key=lambda need: need.tone != "bad")),
        going=going(facts.open_runs, facts.now),
        going_count=facts.open_count,
        figures=_figures(days),
        chart=chart(days),
        days=() if is_new else days,
        intake=tuple(_intake(facts)),
    )


# --- what needs a person ------------------------------------------------------------------------------------


def _pause(facts: OverviewData) -> Iterable[AttentionItem]:
    if facts.paused:
        yield AttentionItem(
            "wait",
            "Destructive calls are paused",
            f"Paused {clean(facts.paused)}. Runs wait before they delete anything.",
            "When it is safe again, resume. On the server: `closeout resume`.",
            action="/resume",
            action_link="Resume",
        )


def _needs(facts: OverviewData) -> Iterable[AttentionItem]:
    yield from _problems(facts)
    yield from _intake_problems(facts)
    if facts.orphans and not any(problem.kind == "orphans" for problem, _ in facts.problems):
        yield AttentionItem(
            "wait",
            f"{counted(facts.orphans, 'resource')} of closed pull requests still there",
            "Patrol's last audit found them, and no run has deleted them.",
            "Look at them, then clean up: `closeout orphans --clean` shows the plan first.",
            "/orphans",
            "Orphans",
        )
    if facts.unknown:
        yield AttentionItem(
            "wait",
            f"{counted(facts.unknown, 'resource')} of unknown origin",
            "Their names match an automation, but the last audit could not determine their pull requests. No run deletes them.",
            "`closeout orphans` gives the reason for each.",
            "/orphans",
            "Orphans",
        )
    yield from _long_waits(facts)


def _problems(facts: OverviewData) -> Iterable[AttentionItem]:
    """Yield one entry for each cause: a thousand failures of one cause need one repair."""
    by_cause: dict[tuple[str, ...], list[Problem]] = {}
    counts: dict[tuple[str, ...], int] = {}
    for problem, count in sorted(facts.problems, key=lambda pair: pair[0].since):
        by_cause.setdefault(cause(problem), []).append(problem)
        counts[cause(problem)] = count
    for key, found in sorted(by_cause.items(), key=lambda pair: pair[1][0].since):
        need = _problem(found, counts[key])
        yield need._replace(since=found[0].since) if len(found) == 1 else _several(need, found, counts[key])


def _problem(found: Sequence[Problem], count: int) -> AttentionItem:
    """Return what is wrong, and where to start: the run, or what patrol found."""
    newest, run = found[-1], _run_of(found[0])
    automation, text = clean(newest.automation), clean(newest.text)
    if newest.kind == "failure":
        about = clean(newest.about) if count == 1 else counted(count, "pull request")
        cure = advice(newest.code or None, newest.text)
        need = AttentionItem(
            "bad",
            f"{automation} failed for {about or 'an event'}",
            text,
            f"{cure} Then rerun {'it' if len(found) == 1 else 'each'}.".lstrip(),
            run,
            _RUN,
            action=f"{run}/rerun" if run else None,
            action_link="Rerun",
        )
    elif newest.kind == "orphans":
        title = f"{automation or 'Patrol'} found resources of closed pull requests"
        fix = "Look at the orphans, then clean up."
        need = AttentionItem("bad", title, text, fix, "/orphans", "Orphans")
    else:
        fix = "`closeout doctor` says what is wrong and how to fix it."
        need = AttentionItem("wait", text[:1].upper() + text[1:], "", fix)
    return need._replace(dismiss=_dismiss_path(newest))


def _several(need: AttentionItem, found: Sequence[Problem], count: int) -> AttentionItem:
    """Return the entry for several problems with one cause, which links to a list instead of one run."""
    first = found[0]
    items = tuple(
        Item(one.about, _run_of(one), one.since, _dismiss_path(one))
        for one in found[:MOST_NAMED]
        if one.about
    )
    need = need._replace(dismiss=None, items=items, more=count - len(items), since=first.since)
    if first.kind != "failure":
        return need
    failed = with_query("/runs", automation=first.automation, verdict="failure")
    rerun = with_query(RERUN, automation=first.automation)
    return need._replace(url=failed, link="Failed runs", action=rerun, action_link="Rerun…")


def _run_of(problem: Problem) -> str | None:
    return run_path(problem.execution.rpartition("-")[0]) if problem.execution else None


def _dismiss_path(problem: Problem) -> str | None:
    """Return the path of the page that dismisses a problem; None for one of closeout itself, which closes by itself."""
    return None if problem.kind == STALE else f"/problems/{problem_name(problem)}/dismiss"


def _intake_problems(facts: OverviewData) -> Iterable[AttentionItem]:
    """Yield what stops closeout from noticing closings or starting runs, unless a problem in the ledger says so already."""
    now = facts.now
    said = {f"{problem.step}{problem.code}" for problem, _ in facts.problems if problem.kind == STALE}
    if facts.queue_age > QUEUE_SECONDS:
        yield AttentionItem(
            "bad",
            f"The oldest queued run has waited {rough(facts.queue_age)}",
            "closeout accepts runs, but they do not begin.",
            "Open the queue: each run says what it waits for. If that is another run that hangs, cancel that one.",
            with_query("/runs", state="queued"),
            "Queued runs",
        )
    if PATROL not in said and facts.patrol_watches and _is_over(facts.patrol_ended, PATROL_SECONDS, now):
        yield AttentionItem(
            "bad",
            f"Patrol has not looked for {rough(now - (facts.patrol_ended or 0.0))}",
            "If a delivery was lost, closeout does not notice that its pull request closed.",
            "`closeout patrol --once` runs it now, and says what it cannot read.",
        )
    unheard = sum(day.recovered for day in _last_days(facts.days, now)[-2:])
    if unheard:
        yield AttentionItem(
            "wait",
            f"{counted(unheard, 'closing')} since yesterday came without a webhook",
            "Patrol found what GitHub did not deliver: a delivery failed, or the webhook is missing or inactive.",
            "`closeout doctor` says what is wrong with the webhook.",
            "/deliveries",
            "Deliveries",
        )
    if _is_over(facts.drill_ended, DRILL_SECONDS, now):
        yield AttentionItem(
            "wait",
            f"The last drill was {ago(facts.drill_ended or 0.0, now)}",
            "A fault in the set-up would not be noticed.",
            "`closeout drill` runs one now.",
        )
    if DRILL not in said and facts.drill_wrong:
        names = ", ".join(facts.drill_wrong[:MOST_NAMED])
        yield AttentionItem(
            "bad",
            f"The last drill found {counted(len(facts.drill_wrong), 'fault')}",
            f"Wrong: {names}.",
            "`closeout drill` says what each one breaks, and how to fix it.",
        )


def _is_over(at: float | None, seconds: float, now: float) -> bool:
    """Return whether more than `seconds` have passed since a time; False if there is none, because nothing has begun yet."""
    return at is not None and now - at > seconds


def _long_waits(facts: OverviewData) -> Iterable[AttentionItem]:
    for one in going(facts.open_runs, facts.now):
        run = one.run
        if run.started_at is not None and one.is_near:
            yield AttentionItem(
                "wait",
                f"{clean(run.about)} is near its time limit",
                banner(run, facts.now).says,
                f"It fails after {one.limit}. Open it to see what it waits for.",
                run_path(run.id),
                _RUN,
                since=run.started_at,
            )


# --- the last days and the intake --------------------------------------------------------------------------


def _last_days(tallies: Sequence[DayTally], now: float) -> tuple[DayTally, ...]:
    """Return the last days, including those on which nothing ended, the oldest first."""
    by_day = {tally.day: tally for tally in tallies}
    today = datetime.fromtimestamp(now, UTC).date()
    names = (str(today - timedelta(days=back)) for back in range(SHOWN_DAYS - 1, -1, -1))
    return tuple(by_day.get(name, DayTally(name)) for name in names)


def _figures(days: Sequence[DayTally]) -> tuple[Figure, ...]:
    closings, torn_down = sum(day.closings for day in days), sum(day.torn_down for day in days)
    left, recovered = sum(day.left for day in days), sum(day.recovered for day in days)
    month = {"since": "30d"}
    return (
        Figure("Closings", closings, "none", "closed pull requests that an automation acted on", with_query("/runs", **month)),
        Figure("Torn down", torn_down, "good", "runs after which everything is gone", with_query("/runs", verdict="success", **month)),
        Figure("Left", left, "bad" if left else "none", "runs that failed, also those that a later run repaired", with_query("/runs", verdict="failure", **month)),
        Figure("Recovered", recovered, "busy" if recovered else "none", "closings that patrol found, because no webhook arrived", None),
    )  # fmt: skip


def _intake(facts: OverviewData) -> Iterable[tuple[str, str]]:
    def when(at: float | None, never: str) -> str:
        return never if at is None else ago(at, facts.now)

    yield "Last delivery", when(facts.last_delivery, "none yet")
    yield "Queue", f"oldest {rough(facts.queue_age)}" if facts.queue_age >= 1 else "empty"
    yield "Patrol", when(facts.patrol_ended, "not yet") if facts.patrol_watches else "off"
    yield "Drill", when(facts.drill_ended, "not yet")
