"""A plan on a confirmation page: what it deletes, why it cannot be confirmed, and whether it is still the same.

Pure: it turns the rows of `wiring.preview.Planner` into what the template shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from closeout.core.plan import spoken_error, spoken_step
from closeout.server.pages.presentation import clean

DRY_RUN = "dry-run"
Rows = Sequence[Mapping[str, Any]]
NO_MATCH = "The current configuration does not match this event, so there is nothing to confirm."


class Plan(NamedTuple):
    """A plan before its confirmation."""

    automations: Sequence[Mapping[str, Any]]
    """The automations that would run, as JSON, with their steps and what each would change."""
    problem: str | None
    """Why this cannot be confirmed. None if it can."""
    gone: int
    """The number of changes that delete something."""
    digest: str
    """Differs between different plans. It covers the changes, but not the reasons, which may contain times."""

    @property
    def summary(self) -> str:
        """One sentence: how much will be deleted."""
        if self.problem is not None:
            return self.problem
        if self.gone:
            return f"{self.gone} resource{'' if self.gone == 1 else 's'} will be deleted."
        if any(one["mode"] == DRY_RUN for one in self.automations):
            return "The automation is in dry-run mode: nothing will be changed."
        changes = any(step["changes"] for one in self.automations for step in one["steps"])
        return "Nothing will be deleted." if changes else "Nothing will be changed."

    def to_json(self) -> dict[str, Any]:
        """Return the object for programs; `plan` is the digest that they may send back."""
        return {
            "plan": self.digest,
            "problem": self.problem,
            "deletes": self.gone,
            "automations": self.automations,
        }


def plan_of(rows: Rows, about: str) -> Plan:
    """Return the plan; the digest covers `about`, the state that the plan is for, in addition to the changes."""
    gone = sum(
        change["verb"] == "delete"
        for row in rows
        if row.get("mode") != DRY_RUN
        for step in row["steps"]
        for change in step["changes"]
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
    return Plan([_shown(row) for row in rows], _problem(rows), gone, digest_of(about, compared))


def no_plan(reason: str) -> Plan:
    """Return a plan that only says why no plan could be made. It cannot be confirmed."""
    return Plan((), f"The plan could not be made, so nothing can be confirmed: {clean(reason)}", 0, "")


def digest_of(*parts: object) -> str:
    """Return a short digest of values of JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": clean(row["name"]),
        "mode": DRY_RUN if row.get("mode") == DRY_RUN else "apply",
        "problem": clean(spoken_error(row["error"])[1]) if row.get("error") else None,
        "steps": [_shown_step(step) for step in row["steps"]],
    }


def _shown_step(step: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": clean(step["id"]),
        "uses": step["uses"],
        "says": clean(": ".join(filter(None, spoken_step(step) or ()))) or None,
        "changes": [
            {key: clean(change[key] or "") for key in ("verb", "resource", "reason")}
            for change in step["changes"]
        ],
    }


def _problem(rows: Rows) -> str | None:
    if not rows:
        return NO_MATCH
    for row in rows:
        if row.get("error"):
            error = clean(spoken_error(row["error"])[1])
            return f"{clean(row['name'])} would fail before its first step: {error}"
        for step in row["steps"]:
            word, says = spoken_step(step) or ("", "")
            if word == "refused":
                return (
                    f"A guard rejects the plan of {clean(step['id'])}, so the run would fail: {clean(says)}"
                )
            if word == "error":
                return f"{clean(step['id'])} cannot be planned, so nothing can be confirmed: {clean(says)}"
    return None
