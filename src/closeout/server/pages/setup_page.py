"""What the pages of automations, orphans and health show: what is in force, what was left behind, what works.

Pure: they say what is known, since when, and what to do about it. What nobody has asked yet is no zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from closeout.config.inverses import StepInventory
from closeout.core.automation import Automation
from closeout.core.units import spoken_duration
from closeout.ports import RunView
from closeout.server.pages.presentation import clean
from closeout.server.pages.wording import RunLine, ago, counted, pull_request_path, run_line, with_query


class StepLine(NamedTuple):
    """A step of an automation: what it does, and whether its leftovers can be listed."""

    name: str
    uses: str
    deletes: bool
    inventory: str


class AutomationCard(NamedTuple):
    """One automation in force."""

    name: str
    mode: str
    tone: str
    starts: tuple[str, ...]
    where: str
    steps: tuple[StepLine, ...]
    facts: tuple[tuple[str, str], ...]
    last: RunLine | None
    runs: str
    """The path of the list of its runs."""
    failed: str


class Found(NamedTuple):
    """One resource of the last audit."""

    resource: str
    about: str
    about_url: str | None
    automation: str
    age: str
    reason: str


class Orphans(NamedTuple):
    """What the last audit found."""

    audited: float | None
    ago: str
    found: int
    unknown: int
    orphans: tuple[Found, ...]
    unknowns: tuple[Found, ...]
    none: str
    """Why there is nothing to show; empty if there is."""


class CheckLine(NamedTuple):
    """One check of the last drill."""

    name: str
    word: str
    tone: str
    looks: str
    breaks: str
    fix: str


class HealthFact(NamedTuple):
    """One thing to know of the server."""

    label: str
    value: str
    note: str = ""
    tone: str = "none"


def automation_cards(
    automations: Sequence[Automation],
    inventories: Sequence[StepInventory],
    last: Mapping[str, RunView],
    now: float,
) -> tuple[AutomationCard, ...]:
    """Return the automations in the file's order. `last` has the newest run of each that ever ran."""
    why = {(one.automation.name, one.step.id): one.reason for one in inventories}
    return tuple(_card(each, why, last.get(each.name), now) for each in automations)


def _card(
    automation: Automation, why: Mapping[tuple[str, str], str | None], last: RunView | None, now: float
) -> AutomationCard:
    dry = automation.mode == "dry-run"
    return AutomationCard(
        name=clean(automation.name),
        mode="dry run: it changes nothing" if dry else "applies its changes",
        tone="wait" if dry else "good",
        starts=tuple(_trigger(trigger) for trigger in automation.triggers),
        where=", ".join(map(clean, automation.repositories)) or "every repository of the webhook",
        steps=tuple(
            StepLine(
                clean(step.name),
                step.uses,
                step.destructive,
                _inventory(why, automation.name, step.id) if step.destructive else "",
            )
            for step in automation.steps
        ),
        facts=tuple(_facts(automation)),
        last=run_line(last, now) if last is not None else None,
        runs=with_query("/runs", automation=automation.name),
        failed=with_query("/runs", automation=automation.name, verdict="failure"),
    )


def _inventory(why: Mapping[tuple[str, str], str | None], automation: str, step: str) -> str:
    reason = why.get((automation, step), "nobody has asked")
    return "leftovers are listed" if reason is None else f"leftovers cannot be listed: {clean(reason)}"


def _trigger(trigger: Mapping[str, Any]) -> str:
    filters = [
        f"{name} {', '.join(map(str, values))}"
        for name, values in trigger.items()
        if name != "event" and isinstance(values, list | tuple)
    ]
    return clean(f"{trigger['event']}{': ' if filters else ''}{'; '.join(filters)}")


def _facts(automation: Automation) -> Iterable[tuple[str, str]]:
    if automation.function is not None:
        yield "Function", automation.function
    if automation.condition is not None:
        yield "Condition", automation.condition
    if automation.grace:
        yield "Grace", spoken_duration(automation.grace)
    if any(step.destructive for step in automation.steps):
        looks = ", ".join(spoken_duration(seconds) for seconds in automation.recheck)
        yield "Looks again after", looks or "never"
        yield (
            "Patrol",
            {"off": "leaves orphans alone", "report": "reports orphans"}.get(
                automation.patrol, "cleans a few orphans up by itself"
            ),
        )
    yield "Status", automation.status_context or "none"


def orphans(mark: Mapping[str, Any], now: float, *, listed: int) -> Orphans:
    """Return what the last audit kept. `listed` counts the steps whose leftovers can be listed."""
    rows = mark.get("rows")
    audited = float(mark["ended_at"]) if rows is not None else None
    kept = rows or ()
    if not listed:
        none = (
            "No step has an inventory, so there is nothing to list. `closeout check` says for each step why."
        )
    elif audited is None:
        none = "Patrol has made no audit yet: it makes the first one a day after the first start. `closeout orphans` lists now what it would find."
    else:
        none = "" if kept else "The last audit found nothing that a closed pull request left behind."
    return Orphans(
        audited=audited,
        ago=ago(audited, now) if audited is not None else "",
        found=int(mark.get("found", 0)),
        unknown=int(mark.get("unknown", 0)),
        orphans=tuple(_found(row, now) for row in kept if row["state"] == "orphan"),
        unknowns=tuple(_found(row, now) for row in kept if row["state"] == "unknown"),
        none=none,
    )


def _found(row: Mapping[str, Any], now: float) -> Found:
    created = row.get("created")
    return Found(
        resource=clean(row["resource"]),
        about=clean(f"{row['repository']}#{row['pull_request']}"),
        about_url=pull_request_path(row["repository"], row["pull_request"]),
        automation=clean(row["automation"]),
        age=ago(created, now) if created else "unknown",
        reason=clean(row["reason"]),
    )


def health(
    stats: Mapping[str, Any],
    patrol: Mapping[str, Mapping[str, Any]],
    drilled: float | None,
    last_delivery: float | None,
    now: float,
) -> tuple[HealthFact, ...]:
    """Return how fresh everything is, from what the ledger keeps."""
    lists, logs = patrol.get("lists", {}), patrol.get("logs", {})
    repositories = lists.get("repositories")
    open_runs = sum(stats.get("runs_by_state", {}).values())
    waited = float(stats.get("queue_age") or 0.0)
    return (
        HealthFact(
            "Last delivery", _when(last_delivery, now, "none yet"), "from GitHub's webhook or by patrol"
        ),
        HealthFact("Runs under way", f"{open_runs:,}", "queued, running and waiting"),
        HealthFact(
            "Oldest queued run",
            spoken_duration(waited) if waited >= 1 else "none waits",
            tone="wait" if waited >= 3600 else "none",
        ),
        HealthFact(
            "Patrol read the lists",
            _when(lists.get("ended_at"), now, "never"),
            counted(repositories, "repository", "repositories")
            if repositories
            else "of closed pull requests",
        ),
        HealthFact("Patrol read the logs", _when(logs.get("ended_at"), now, "never"), "of deliveries"),
        HealthFact(
            "Last drill", _when(drilled, now, "never"), "the checks below; `closeout drill` makes one now"
        ),
    )


def patrol_errors(patrol: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return what the last rounds of patrol could not read."""
    errors = [error for kind in ("lists", "logs") for error in patrol.get(kind, {}).get("errors", ())]
    return tuple(dict.fromkeys(map(clean, errors)))


def _when(at: float | None, now: float, never: str) -> str:
    return never if at is None else ago(at, now)


def drill_lines(states: Mapping[str, str], known: Mapping[str, Any]) -> tuple[CheckLine, ...]:
    """Return the checks of the last drill, what is wrong first. `known` has the registry's checks by id."""
    order = {"wrong": 0, "unknown": 1, "fine": 2, "skipped": 3}
    words = {
        "wrong": ("Wrong", "bad"),
        "unknown": ("Unknown", "wait"),
        "fine": ("Fine", "good"),
        "skipped": ("Does not apply", "none"),
    }
    lines = []
    for name, state in sorted(states.items(), key=lambda item: (order.get(item[1], 4), item[0])):
        check = known.get(name)
        word, tone = words.get(state, (state, "none"))
        about = (check.looks, check.breaks, check.fix) if check is not None else ("", "", "")
        lines.append(CheckLine(name, word, tone, *about))
    return tuple(lines)
