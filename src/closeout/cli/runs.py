"""`closeout runs`: what ran, what it did, and how to stop it or try it again.

It reads the ledger beside a running server; `cancel` and `rerun` are requests that the server takes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from closeout.cli import exits, options, output, preview, requests
from closeout.cli.commands import Command, Group
from closeout.cli.confirm import confirm
from closeout.core.errors import NotFound

if TYPE_CHECKING:
    from closeout.adapters.ledger.views import RunView, Views

FOLLOW_EVERY = 0.2
STATES = ("queued", "running", "waiting", "finished")


@click.group(
    "runs",
    cls=Group,
    short_help="List, show, follow, cancel and rerun runs.",
    examples=("closeout runs list --limit 20", "closeout runs logs RUN --follow"),
)
def runs() -> None:
    """List, show, follow, cancel and rerun runs: one automation on one event each.

    A run's id stays the same over its attempts; the latest attempt is shown unless --attempt says otherwise.
    """


@runs.command(
    "list", cls=Command, examples=("closeout runs list", "closeout runs list --state running --json")
)
@options.config
@options.db
@click.option("--automation", metavar="NAME", help="Only this automation's.")
@click.option("--state", type=click.Choice(STATES), help="Only runs in this state.")
@options.limit
@options.as_json
def list_(
    *,
    config: Path,
    db: Path | None,
    automation: str | None,
    state: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """List runs, the newest first: all of them, unless --limit cuts the list.

    With --json: [{"id", "automation", "state": "queued|running|waiting|finished", "verdict": null or
    "success|failure|cancelled|skipped", "delivery", "attempt", "steps": [{"id", "state", "attempts"}], …}].
    """
    found = _views(db, config).runs(limit=limit, automation=automation, state=state)
    if as_json:
        output.print_json([run.to_json() for run in found])
        return
    now = time.time()
    rows = [
        (
            run["id"],
            run["automation"],
            run["verdict"] or run["state"],
            about(run),
            output.ago(run["accepted_at"], now),
        )
        for run in map(_json, found)
    ]
    output.table(("RUN", "AUTOMATION", "STATE", "ABOUT", "AGE"), rows, fold=1)


@runs.command(
    "show", cls=Command, examples=("closeout runs show RUN", "closeout runs show RUN --attempt 1 --json")
)
@click.argument("run_id", metavar="RUN")
@options.config
@options.db
@click.option(
    "--attempt", type=click.IntRange(min=1), metavar="N", help="This attempt.  [default: the latest]"
)
@options.as_json
def show(*, run_id: str, config: Path, db: Path | None, attempt: int | None, as_json: bool) -> None:
    """Show one run: its event, each step with its plan and its verdict, and what is left if it failed."""
    run = _json(find(_views(db, config), run_id, attempt))
    if as_json:
        output.print_json(run)
        return
    _show(run)


@runs.command("logs", cls=Command, examples=("closeout runs logs RUN --follow",))
@click.argument("run_id", metavar="RUN")
@options.config
@options.db
@click.option(
    "--attempt", type=click.IntRange(min=1), metavar="N", help="This attempt.  [default: the latest]"
)
@click.option("--follow", "-f", is_flag=True, help="Go on until the run has finished.")
@options.as_json
def logs(
    *, run_id: str, config: Path, db: Path | None, attempt: int | None, follow: bool, as_json: bool
) -> int:
    """Print a run's log; with --follow until it has finished, then exit with 1 if it failed.

    With --json: one object a line, {"id", "step", "at", "text"}.
    """
    views = _views(db, config)
    run = find(views, run_id, attempt)
    last = 0
    while True:
        # Read the state first: a line written between the two reads is then still printed.
        state = _json(find(views, run_id, run.attempt))
        for line in views.logs(run_id, run.attempt, after=last):
            last = line.id
            _print_line(line.to_json(), as_json=as_json)
        if not follow or state["state"] == "finished":
            break
        time.sleep(FOLLOW_EVERY)
    return exits.FAILED if follow and state["verdict"] == "failure" else exits.OK


@runs.command("cancel", cls=Command, examples=('closeout runs cancel RUN --reason "wrong stack"',))
@click.argument("run_id", metavar="RUN")
@options.config
@options.db
@options.reason
@options.as_json
def cancel(*, run_id: str, config: Path, db: Path | None, reason: str | None, as_json: bool) -> None:
    """Ask a run to stop at its next operation, or in its wait; what it has done stays done.

    Its status becomes `error`. Who cancelled it is recorded.
    """
    path = options.existing_ledger(db, config)
    run = _json(find(_views(db, config), run_id))
    if run["state"] == "finished":
        raise NotFound(f"Run {run_id} has finished ({run['verdict']}); there is nothing to cancel.")
    requests.send(
        path, "cancel", run["execution"], reason, done="The run stops at its next operation.", as_json=as_json
    )


@runs.command("rerun", cls=Command, examples=("closeout runs rerun RUN", "closeout runs rerun RUN --yes"))
@click.argument("run_id", metavar="RUN")
@options.config
@options.db
@options.reason
@options.yes
@options.as_json
def rerun(
    *, run_id: str, config: Path, db: Path | None, reason: str | None, yes: bool, as_json: bool
) -> None:
    """Make the next attempt at a run: the same event, today's configuration, every guard.

    Shows the plan first and asks; --yes does neither. Who asked is recorded.
    """
    path = options.existing_ledger(db, config)
    views = _views(db, config)
    run = _json(find(views, run_id))
    if run["state"] != "finished":
        raise NotFound(f"Run {run_id} is {run['state']}; it can be run again when it has finished.")
    if not yes:
        output.note(f"Attempt {run['attempt'] + 1} of {run['automation']} on {about(run)} would do:")
        preview.show(config, run["event"], views.body(run["delivery"]), only=run["automation"])
    confirm("Run it?", yes=yes)
    requests.send(path, "rerun", run["id"], reason, done="The next attempt is asked for.", as_json=as_json)


def find(views: Views, run_id: str, attempt: int | None = None) -> RunView:
    """Give a run, or say that there is none of this id."""
    run = views.run(run_id, attempt)
    if run is None:
        which = f"attempt {attempt} of run" if attempt else "run"
        raise NotFound(f"The ledger has no {which} {run_id}; `closeout runs list` shows what it has.")
    return run


def about(run: Mapping[str, Any]) -> str:
    """Say what a run is about: `acme/shop#17`, or the repository, or the event."""
    repository = run.get("repository")
    if repository is None:
        return str(run["event"])
    return f"{repository}#{run['number']}" if run.get("number") else str(repository)


def _views(db: Path | None, config: Path) -> Views:
    from closeout import wiring

    return wiring.views(options.existing_ledger(db, config))


def _json(run: RunView) -> dict[str, Any]:
    return run.to_json()


def _show(run: Mapping[str, Any]) -> None:
    output.say(
        click.style(f"{run['automation']}", bold=True) + f"  run {run['id']}, attempt {run['attempt']}"
    )
    ended = run["finished_at"]
    took = f" after {output.duration(ended - run['accepted_at'])}" if ended else ""
    output.say(
        f"  state     {output.word(run['state'])}"
        + (f": {output.word(run['verdict'])}{took}" if ended else "")
    )
    output.say(
        f"  event     {run['event']}, {output.clean(about(run))}, delivery {run['delivery']} ({run['guid']})"
    )
    output.say(f"  accepted  {output.moment(run['accepted_at'])}")
    if run["summary"]:
        output.say(click.wrap_text(f"summary   {output.clean(run['summary'])}", 78, "  ", "            "))
    for step in run["steps"]:
        output.say(f"  {step['id']}: {output.word(step['state'])}" + _tries(step))
        for line in _step_details(step):
            output.say(click.wrap_text(output.clean(line), 78, "      ", "        "))


def _tries(step: Mapping[str, Any]) -> str:
    return f" ({step['attempts']} tries)" if step["attempts"] > 1 else ""


def _step_details(step: Mapping[str, Any]) -> list[str]:
    lines = [
        f"{change['verb']} {change['resource']}: {change['reason']}" for change in step.get("changes") or ()
    ]
    lines.extend(text for text in (step.get("summary"), step.get("reason")) if text)
    lines.extend(f"left: {left['resource']}: {left['reason']}" for left in step.get("left") or ())
    return lines


def _print_line(line: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.print_json_line(line)
        return
    at = time.strftime("%H:%M:%S", time.localtime(line["at"]))
    step = f" {line['step']}:" if line["step"] else ""
    output.say(f"{at}{step} {output.clean(line['text'])}")
