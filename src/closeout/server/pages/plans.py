"""What a confirmation says of a plan: what will be gone, why it cannot be confirmed, and whether it is still the same.

Pure: it turns the rows of `wiring.preview.Planner` into what the template shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from closeout.core.plan import spoken_error, spoken_step
from closeout.server.pages.presentation import clean

Rows = Sequence[Mapping[str, Any]]
NO_MATCH = "The current configuration does not match this event, so there is nothing to confirm."


class PlannedStep(NamedTuple):
    """One step as the page shows it."""

    id: str
    uses: str
    word: str
    """`refused`, `error`, `skipped`, or empty."""
    says: str
    """Instead of its changes; empty if it has some."""
    changes: Sequence[Mapping[str, str]]


class Planned(NamedTuple):
    """One automation as the page shows it."""

    name: str
    dry_run: bool
    problem: str
    """Why its run would fail before its first step, or empty."""
    steps: Sequence[PlannedStep]


class Plan(NamedTuple):
    """A plan before its confirmation."""

    automations: Sequence[Planned]
    problem: str | None
    """Why this cannot be confirmed. None if it can."""
    gone: int
    """How many lines of it delete something."""
    digest: str
    """Is another one for another plan. It covers what changes, and not the reasons, in which times may stand."""

    @property
    def summary(self) -> str:
        """One sentence: how much will be gone."""
        if self.problem is not None:
            return self.problem
        if self.gone:
            return f"{self.gone} resource{'' if self.gone == 1 else 's'} will be deleted."
        changes = any(step.changes for one in self.automations for step in one.steps)
        dry = any(one.dry_run for one in self.automations)
        if dry:
            return "The automation is in dry-run mode: nothing will be changed."
        return "Nothing will be deleted." if changes else "Nothing will be changed."

    def to_json(self) -> dict[str, Any]:
        """Return what a program gets: `plan` is the digest that it may send back."""
        automations = [
            {
                "name": one.name,
                "mode": "dry-run" if one.dry_run else "apply",
                "problem": one.problem or None,
                "steps": [
                    {
                        "id": step.id,
                        "uses": step.uses,
                        "says": ": ".join(filter(None, (step.word, step.says))) or None,
                        "changes": list(step.changes),
                    }
                    for step in one.steps
                ],
            }
            for one in self.automations
        ]
        return {
            "plan": self.digest,
            "problem": self.problem,
            "deletes": self.gone,
            "automations": automations,
        }


def plan_of(rows: Rows, about: str) -> Plan:
    """Return the plan; `about` is what the digest covers besides the changes: the state that the plan is for."""
    automations = tuple(_planned(row) for row in rows)
    gone = sum(
        change["verb"] == "delete"
        for one in automations
        if not one.dry_run
        for step in one.steps
        for change in step.changes
    )
    compared = [
        [
            row["name"],
            row.get("mode"),
            [
                [step["id"], step["uses"], bool(step.get("reason")), [[c["verb"], c["resource"]] for c in step["changes"]]]
                for step in row["steps"]
            ],
        ]
        for row in rows
    ]  # fmt: skip
    return Plan(automations, _problem(automations), gone, digest_of(about, compared))


def no_plan(reason: str) -> Plan:
    """Return what stands in for a plan that could not be made: it cannot be confirmed."""
    return Plan((), f"The plan could not be made, so nothing can be confirmed: {clean(reason)}", 0, "")


def digest_of(*parts: object) -> str:
    """Return a short digest of values of JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _planned(row: Mapping[str, Any]) -> Planned:
    problem = clean(spoken_error(row["error"])[1]) if row.get("error") else ""
    steps = tuple(map(_step, row["steps"]))
    return Planned(clean(row["name"]), row.get("mode") == "dry-run", problem, steps)


def _step(step: Mapping[str, Any]) -> PlannedStep:
    word, says = spoken_step(step) or ("", "")
    changes = tuple(
        {key: clean(change[key] or "") for key in ("verb", "resource", "reason")}
        for change in step["changes"]
    )
    return PlannedStep(clean(step["id"]), step["uses"], word, clean(says), changes)


def _problem(automations: Sequence[Planned]) -> str | None:
    if not automations:
        return NO_MATCH
    for one in automations:
        if one.problem:
            return f"{one.name} would fail before its first step: {one.problem}"
        for step in one.steps:
            if step.word == "refused":
                return f"A guard rejects the plan of {step.id}, so the run would fail: {step.says}"
            if step.word == "error":
                return f"{step.id} cannot be planned, so nothing can be confirmed: {step.says}"
    return None
