"""`closeout runs`: what ran, what it did, and how to stop it or try it again.

It reads a ledger, also while its server runs, or a stack's. `cancel` and `rerun` are requests that the server takes; on a
stack they are carried out at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import click

from closeout.cli import exits, options, output, plan, requests, suggestions
from closeout.cli.commands import group
from closeout.cli.confirm import confirm
from closeout.cli.ledger_option import SelectedLedger, ledger
from closeout.core.errors import NotFound, UsageError
from closeout.core.ids import LENGTH, split_execution
from closeout.core.json_times import with_iso_times
from closeout.core.runs import FIRST_RUNS, STATES, VERDICTS
from closeout.core.units import spoken_duration
from closeout.ledger import filters
from closeout.ports import LedgerReader, LogLine, RunView, StepView

SHORTEST = 6
"""Characters of an id that name a run: with a billion beginnings, a run that a list does not show yet has another one."""
SHORT = 8
"""Characters of an id that a list shows, more where they are not enough."""
CANDIDATES = 5
"""Runs that are named when the beginning of an id is not enough."""
DATE = len("2026-03-14 ")


_run = click.argument("run_id", metavar="RUN", shell_complete=suggestions.runs)
_attempt = click.option(
    "--attempt", type=click.IntRange(min=1), metavar="N", help="This attempt.  [default: the latest]"
)


@group("runs", "closeout runs list --limit 20", "closeout runs logs RUN --follow")
def runs() -> None:
    """List and show runs, follow their logs, cancel and rerun them. A run is one automation on one event.

    All attempts at a run have the same id; commands use the latest attempt unless you give --attempt. The first
    characters of an id are enough (at least six) if no other run begins with them.
    """


@runs.command("list", examples=("closeout runs list", "closeout runs list --state running --json"))
@ledger
@click.option(
    "--automation",
    metavar="NAME",
    help="Only runs of this automation.",
    shell_complete=suggestions.automations,
)
@options.filters
@click.option("--state", type=click.Choice(STATES), help="Only runs in this state.")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Only runs with this verdict.")
@click.option(
    "--search", metavar="WORDS", help="Only runs whose summary has all of these words; not on a stack."
)
@options.limit
@options.as_json
def list_(*, selected: SelectedLedger, limit: int | None, as_json: bool, **given: str | None) -> None:
    """List runs, the newest first, each by its latest attempt. --limit shortens the list.

    Options narrow the list together. A time is 2026-03-14, 2026-03-14T09:26Z (UTC unless it says otherwise), or a
    duration such as 2d: two days ago. --since and --until compare when a run was accepted.

    With --json: [{"id", "automation", "state": "queued|running|waiting|finished", "verdict": null or
    "success|failure|cancelled|skipped", "delivery", "attempt", "heard":
    "webhook|delivery-log|closed-list|inventory|recheck", "closing": "REPOSITORY-ID/PULL-REQUEST-ID/CLOSED-AT" or null,
    "steps": [{"id", "state", "attempts"}], …}].
    """
    found = selected.views.runs(limit, filters.run_filter(options.given(given), time.time()))
    if as_json:
        output.print_json([with_iso_times(run.to_json()) for run in found])
        return
    now = time.time()
    length = short_length([run.id for run in found])
    rows = [
        (
            run.verdict or run.state,
            run.id[:length],
            run.automation,
            run.about,
            output.ago(run.accepted_at, now),
        )
        for run in found
    ]
    output.table(("STATE", "RUN", "AUTOMATION", "ABOUT", "AGE"), rows, shrink=(2, 3))
    for name, count in selected.empty_runs.items():
        if count >= FIRST_RUNS:
            text = f"{name} has found nothing to delete in any of its {count} runs: check the names that its steps make."
            output.note(output.wrapped(output.clean(text)))


@runs.command("show", examples=("closeout runs show RUN", "closeout runs show RUN --attempt 1 --json"))
@_run
@ledger
@_attempt
@options.as_json
def show(*, run_id: str, selected: SelectedLedger, attempt: int | None, as_json: bool) -> None:
    """Show one run: its event, each step with its plan and result, what is left after a failure, and its page."""
    run = find(selected.views, run_id, attempt)
    if as_json:
        output.print_json(with_iso_times(run.to_json()))
        return
    _show(run)
    link = selected.page(run)
    if link:
        output.say(f"  page      {link}")


@runs.command("logs", examples=("closeout runs logs RUN --follow",))
@_run
@ledger
@_attempt
@click.option("--follow", "-f", is_flag=True, help="Continue until the run has finished.")
@options.as_json
def logs(*, run_id: str, selected: SelectedLedger, attempt: int | None, follow: bool, as_json: bool) -> int:
    """Print a run's log. --follow continues until the run has finished; exit code 1 if it failed.

    On a stack, log lines arrive some seconds late, so --follow waits a little longer. With --json: one object a line,
    {"id", "step", "at", "text"}.
    """
    views = selected.views
    run = find(views, run_id, attempt)
    cursor = LogCursor(selected.log.back)
    ended: float | None = None
    while True:
        # Read the state first: a line written between the two reads is then still printed.
        run = find(views, run.id, run.attempt)
        for line in cursor.unread(partial(_lines, selected, run)):
            _print_line(line, as_json=as_json)
        if run.state == "finished" and ended is None:
            ended = time.monotonic()
        if not follow or (ended is not None and time.monotonic() - ended >= selected.log.delay):
            break
        time.sleep(selected.log.every)
    if follow:
        output.note(f"{run.verdict}: {output.clean(run.summary or '')}")
    return exits.FAILED if follow and run.verdict == "failure" else exits.OK


@runs.command("cancel", examples=('closeout runs cancel RUN --reason "wrong stack"',))
@_run
@ledger
@options.reason
@options.as_json
def cancel(*, run_id: str, selected: SelectedLedger, reason: str | None, as_json: bool) -> None:
    """Stop a run at its next operation or in its wait. It does not undo what the run has done.

    Its status becomes `error`. The ledger records who cancelled it.
    """
    run = find(selected.views, run_id)
    if run.state == "finished":
        raise NotFound(f"Run {run.id} has finished ({run.verdict}); there is nothing to cancel.")
    requests.send(
        selected,
        "cancel",
        run.execution,
        reason,
        done="The run will stop at its next operation.",
        as_json=as_json,
    )


@runs.command("rerun", examples=("closeout runs rerun RUN", "closeout runs rerun RUN --yes"))
@_run
@ledger
@options.reason
@options.yes
@options.as_json
def rerun(*, run_id: str, selected: SelectedLedger, reason: str | None, yes: bool, as_json: bool) -> None:
    """Run again: the next attempt, on the same event, with the current configuration and every guard.

    Shows the plan and asks first, unless you give --yes. The ledger records who asked. With --stack, the current
    configuration is the deployed one; a file that you name with --config must be equal to it.
    """
    views = selected.views
    run = find(views, run_id)
    if run.state != "finished":
        raise NotFound(f"Run {run.id} is {run.state}; it can be run again when it has finished.")
    current = selected.current_config
    if not yes:
        text = f"Attempt {run.attempt + 1} of {run.automation} on {run.about} would do{current.description}:"
        output.note(output.clean(text))
        plan.preview(current, run.event, views.body(run.delivery), only=run.automation)
    confirm("Run it?", yes=yes)
    requests.send(
        selected, "rerun", run.id, reason, done=f"Attempt {run.attempt + 1} queued.", as_json=as_json
    )


@runs.command("dismiss", examples=('closeout runs dismiss RUN --reason "deleted by hand"',))
@_run
@ledger
@options.reason
@options.as_json
def dismiss(*, run_id: str, selected: SelectedLedger, reason: str | None, as_json: bool) -> None:
    """Close the problem of a failed run that no longer needs attention, so that no more messages follow.

    It deletes nothing, and the run stays failed. If a further attempt fails, the problem opens again.
    """
    try:
        target = find(selected.views, run_id).id
    except NotFound:
        if len(run_id) != LENGTH:
            raise
        target = run_id  # a run may be pruned while its problem is still open
    done = f"Run {target} no longer needs attention."
    requests.send(selected, "dismiss", target, reason, done=done, as_json=as_json)


def short_length(ids: Sequence[str]) -> int:
    """Return how many characters of these ids tell each from the others."""
    different = len(set(ids))
    return next((n for n in range(SHORT, LENGTH) if len({one[:n] for one in ids}) == different), LENGTH)


def find(views: LedgerReader, run_id: str, attempt: int | None = None) -> RunView:
    """Return a run by its id or by the beginning of it, or say that there is none, or several."""
    run = views.run(run_id, attempt) or _beginning(views, run_id, attempt)
    if run is None:
        which = f"attempt {attempt} of run" if attempt else "run"
        short = f" (an id needs at least its first {SHORTEST} characters)" if len(run_id) < LENGTH else ""
        raise NotFound(f"The ledger has no {which} {run_id}{short}; `closeout runs list` shows what it has.")
    return run


def _beginning(views: LedgerReader, text: str, attempt: int | None) -> RunView | None:
    beginning, named = split_execution(text)
    if not SHORTEST <= len(beginning) < LENGTH:
        return None
    found = views.run_ids(beginning, CANDIDATES + 1)
    if len(found) > 1:
        more = " and others" if len(found) > CANDIDATES else ""
        raise UsageError(
            f"Several runs begin with {beginning}: {', '.join(found[:CANDIDATES])}{more}. Write more of the id."
        )
    return views.run(found[0], attempt or named) if found else None


def _show(run: RunView) -> None:
    output.say(output.style(run.automation, bold=True))
    facts = {
        "run": f"{run.id}, attempt {run.attempt}",
        "state": (state := run.verdict or run.state) + _took(run),
        "event": f"{output.event(run.event, run.action)}, {run.about}",
        "delivery": f"{run.delivery}, guid {run.guid}",
        "heard by": run.heard,
        "closing": run.closing,
        "accepted": output.moment(run.accepted_at),
        "asked by": run.requested_by,
        "status": None if run.status == "none" else run.status,
        "waits": _waits(run),
        "summary": run.summary,
    }
    for name, text in facts.items():
        if text:
            _tell(f"{name:<9} {text}", "  ", "            ", colour=state if name == "state" else "")
    for step in run.steps:
        tries = f" ({step.attempts} tries)" if step.attempts > 1 else ""
        output.say(output.clean(f"  {step.id}: {output.word(step.state)}{tries}  {step.uses}"))
        for change in step.changes or ():
            for line in plan.change_lines(change, "      "):
                output.say(line)
        for line in _step_lines(step):
            _tell(line, "      ", "        ")


def _waits(run: RunView) -> str | None:
    """Return why a run waits, and until when if that is known."""
    if run.sleeps_in is None or run.until is None:
        return run.reason
    when = output.moment(run.until)
    today = output.moment(time.time())[:DATE]
    return f"until {when[DATE:] if when[:DATE] == today else when} ({run.sleeps_in})"


def _took(run: RunView) -> str:
    return f" after {spoken_duration(run.finished_at - run.accepted_at)}" if run.finished_at else ""


def _tell(sentence: str, first: str, following: str, *, colour: str = "") -> None:
    text = output.wrapped(
        output.clean(sentence), first, following
    )  # coloured afterwards: a colour takes no column
    output.say(text.replace(colour, output.word(colour), 1) if colour else text)


def _step_lines(step: StepView) -> list[str]:
    lines = [text for text in (step.summary, step.reason) if text]
    lines.extend(f"left: {left['resource']}: {left['reason']}" for left in step.left)
    return lines


class LogCursor:
    """Yields each line of a growing log once, also one that arrives later than a line with a higher id."""

    def __init__(self, back: int) -> None:
        self._back = back
        self._last = 0
        self._seen: set[int] = set()

    def unread(self, read: Callable[[int], Iterable[LogLine]]) -> Iterator[LogLine]:
        """Yield the lines that it has not yielded. `read` reads those with an id over the given one."""
        for line in read(max(0, self._last - self._back)):
            if line.id in self._seen:
                continue
            if self._back:
                self._seen.add(line.id)
            self._last = max(self._last, line.id)
            yield line
        self._seen = {one for one in self._seen if one > self._last - self._back}


def _lines(selected: SelectedLedger, run: RunView, after: int) -> Iterator[LogLine]:
    """Read the lines after one, a part at a time: a log may not fit into memory."""
    most = selected.log.lines
    while True:
        lines = selected.views.logs(run.id, run.attempt, after=after, limit=most)
        yield from lines
        if most is None or len(lines) < most:
            return
        after = lines[-1].id


def _print_line(line: LogLine, *, as_json: bool) -> None:
    if as_json:
        output.print_json_line(with_iso_times(line.to_json()))
        return
    at = output.clock_time(line.at)
    step = f" {line.step}:" if line.step else ""
    first, *more = line.text.split("\n")
    output.say(output.clean(f"{at}{step} {first}"))
    for text in more:  # a script in a plan
        output.say(output.clean(f"         | {text}"))
