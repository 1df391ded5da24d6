"""The pages of automations, orphans and health: what is configured, what was left behind, what works.

They read the ledger, the configuration and the disk. Nothing here asks GitHub or AWS, because the ledger has the
answers that patrol and the drill got. A value that is not known yet is never shown as zero.
"""

from __future__ import annotations

import asyncio
import platform
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from starlette.responses import Response

import closeout
from closeout.actions.registry import builtin
from closeout.config.inverses import StepInventory, inventories
from closeout.core.automation import Automation
from closeout.core.units import HOUR, counted, spoken_duration
from closeout.patrol.marks import DRILL, LAST, REPORT
from closeout.ports import RunFilter
from closeout.ports.access import READ
from closeout.server.pages.overview_facts import read_facts
from closeout.server.pages.overview_page import OverviewData
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import Handler, PageRequest, Route
from closeout.server.pages.wording import ago
from closeout.server.parts import ServerParts

MOST_AUTOMATIONS = 200
"""Automations whose last run is read; a file may have hundreds."""
LOW_DISK = 1 << 30
STATES = {
    "wrong": ("Wrong", "bad"),
    "unknown": ("Unknown", "wait"),
    "fine": ("Fine", "good"),
    "skipped": ("Does not apply", "none"),
}
"""The words and the tone for each state of a check, in the order of the page."""
_PATROL = {"off": "leaves orphans alone", "report": "reports orphans", "repair": "cleans a few orphans up by itself"}  # fmt: skip


class HealthFact(NamedTuple):
    """One fact about the server."""

    label: str
    value: str
    note: str = ""
    tone: str = "none"


class SetupPages:
    """See the module."""

    def __init__(self, parts: ServerParts, renderer: Renderer) -> None:
        self._parts = parts
        self._renderer = renderer
        self._inventories = inventories(parts.automations, builtin())
        pages = {"automations": self._automations, "orphans": self._orphans, "health": self._health}
        self.routes: Sequence[Route] = tuple(
            Route("GET", f"/{name}", READ, self._page(name, read)) for name, read in pages.items()
        )

    def _page(self, name: str, read: Callable[[float], Mapping[str, Any]]) -> Handler:
        async def answer(request: PageRequest) -> Response:
            now = self._parts.clock()
            values = await asyncio.to_thread(read, now)
            return self._renderer.html(
                200, f"{name}.html", request.visitor, here=f"/{name}", now=now, **values
            )

        return answer

    def _automations(self, _now: float) -> Mapping[str, Any]:
        automations = self._parts.automations
        last = {
            each.name: page.rows[0]
            for each in automations[:MOST_AUTOMATIONS]
            if (page := self._parts.views.run_page(RunFilter(automation=each.name), None, 1)).rows
        }
        return {
            "automations": automations,
            "last": last,
            "leftovers": leftovers(self._inventories),
            "trigger_of": trigger_of,
            "facts_of": facts_of,
        }

    def _orphans(self, _now: float) -> Mapping[str, Any]:
        mark = self._parts.marks(REPORT).get("orphans", {})
        return orphans(mark, listed=sum(one.reason is None for one in self._inventories))

    def _health(self, now: float) -> Mapping[str, Any]:
        from closeout.checks import registry  # noqa: PLC0415 - only this page needs the checks

        parts = self._parts
        facts = read_facts(parts.views, parts.marks, now, patrols=parts.patrols)
        patrol = parts.marks(REPORT)
        return {
            "facts": (*health(facts, patrol), *self._machine()),
            "errors": patrol_errors(patrol),
            "states": wrong_first(parts.marks(DRILL).get(LAST, {}).get("states", {})),
            "words": STATES,
            "checks": {check.id: check for check in registry.CHECKS},
        }

    def _machine(self) -> Iterable[HealthFact]:
        runs_on = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
        yield HealthFact("Version", closeout.__version__, runs_on)
        path = self._parts.ledger_path
        if path is None:
            return
        try:
            free, size = shutil.disk_usage(path.parent).free, path.stat().st_size
        except OSError as error:
            yield HealthFact("Disk", "cannot be read", str(error.strerror), "bad")
            return
        yield disk(free, size)


def leftovers(steps: Iterable[StepInventory]) -> Mapping[tuple[str, str], str]:
    """Return for each destructive step, by its automation and its id, whether its leftovers can be listed."""
    return {
        (one.automation.name, one.step.id): "leftovers are listed"
        if one.reason is None
        else f"leftovers cannot be listed: {one.reason}"
        for one in steps
    }


def trigger_of(trigger: Mapping[str, Any]) -> str:
    """Return a trigger as `pull_request: types closed; branches develop`."""
    filters = [f"{name} {', '.join(map(str, values))}" for name, values in trigger.items() if name != "event"]
    return f"{trigger['event']}{': ' if filters else ''}{'; '.join(filters)}"


def facts_of(automation: Automation) -> Iterable[tuple[str, str]]:
    """Yield the other settings of an automation: a label and a text."""
    if automation.function is not None:
        yield "Function", automation.function
    if automation.condition is not None:
        yield "Condition", automation.condition
    if automation.grace:
        yield "Grace", spoken_duration(automation.grace)
    if any(step.destructive for step in automation.steps):
        yield "Looks again after", ", ".join(map(spoken_duration, automation.recheck)) or "never"
        yield "Patrol", _PATROL[automation.patrol]
    yield "Status", automation.status_context or "none"


def orphans(mark: Mapping[str, Any], *, listed: int) -> Mapping[str, Any]:
    """Return the result of the last audit. `listed` counts the steps whose leftovers can be listed."""
    rows = mark.get("rows")  # a mark of an earlier release has none
    none = ""
    if not listed:
        none = (
            "No step has an inventory, so there is nothing to list. `closeout check` says for each step why."
        )
    elif rows is None:
        none = "Patrol has made no audit yet: it makes the first one a day after the first start. `closeout orphans` lists orphans now."
    elif not rows:
        none = "The last audit found nothing: closed pull requests left no resources behind."
    return {
        "audited": float(mark["ended_at"]) if rows is not None else None,
        "found": int(mark.get("found", 0)),
        "unknown": int(mark.get("unknown", 0)),
        "orphans": [row for row in rows or () if row["state"] == "orphan"],
        "unknowns": [row for row in rows or () if row["state"] == "unknown"],
        "none": none,
    }


def health(facts: OverviewData, patrol: Mapping[str, Mapping[str, Any]]) -> tuple[HealthFact, ...]:
    """Return when each part last worked, from the ledger."""

    def when(at: float | None, never: str = "never") -> str:
        return never if at is None else ago(at, facts.now)

    repositories = patrol.get("lists", {}).get("repositories")
    read = counted(repositories, "repository", "repositories") if repositories else "of closed pull requests"
    oldest = spoken_duration(facts.queue_age) if facts.queue_age >= 1 else "none waits"
    return (
        HealthFact(
            "Last delivery", when(facts.last_delivery, "none yet"), "from GitHub's webhook or by patrol"
        ),
        HealthFact("Runs under way", f"{facts.open_count:,}", "queued, running and waiting"),
        HealthFact("Oldest queued run", oldest, tone="wait" if facts.queue_age >= HOUR else "none"),
        HealthFact("Patrol read the lists", when(facts.patrol_ended), read),
        HealthFact("Patrol read the logs", when(patrol.get("logs", {}).get("ended_at")), "of deliveries"),
        HealthFact("Last drill", when(facts.drill_ended), "the checks below; `closeout drill` runs one now"),
    )


def patrol_errors(patrol: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
    """Return what the last rounds of patrol could not read."""
    errors = [error for kind in ("lists", "logs") for error in patrol.get(kind, {}).get("errors", ())]
    return list(dict.fromkeys(errors))


def wrong_first(states: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """Return the checks of a drill with their states, failed ones first, and states of another version last."""
    order = {state: number for number, state in enumerate(STATES)}
    return sorted(states.items(), key=lambda item: (order.get(item[1], len(order)), item[0]))


def disk(free: int, size: int) -> HealthFact:
    """Return the free disk space, with the size of the ledger in bytes."""
    tone = "bad" if free < LOW_DISK else "none"
    return HealthFact("Disk", f"{_gigabytes(free)} free", f"the ledger has {_gigabytes(size)}", tone)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
