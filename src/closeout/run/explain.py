"""Why an automation would fire on an event, or would not: the same rules as a run, told in sentences.

Nothing is decided here: triggers, fork rules and CEL are asked as a run asks them, so an explanation cannot
differ from what happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closeout.config import cel
from closeout.core import facts as core_facts
from closeout.core import triggers
from closeout.core.automation import Automation, status_contexts
from closeout.core.errors import CloseoutError
from closeout.run import matching


def explain(
    automations: Sequence[Automation],
    event: str,
    payload: Mapping[str, Any],
    paths_of: matching.PathsOf | None = None,
) -> list[dict[str, Any]]:
    """Give `{"name", "matched", "reason"}` for each automation, in the file's order.

    `payload` has been decoded by the one rule. `paths_of(repository, number)` reads a pull request's paths;
    without it a path filter is reported as undecided, and the automation as matched so far.
    """
    facts = core_facts.facts_of(event, payload, status_contexts(automations))
    rows = []
    for automation in automations:
        try:
            matched, reason = _one(automation, event, payload, facts, paths_of)
        except CloseoutError as error:
            matched, reason = False, error.message
        rows.append({"name": automation.name, "matched": matched, "reason": reason})
    return rows


def _one(
    automation: Automation,
    event: str,
    payload: Mapping[str, Any],
    facts: core_facts.Facts,
    paths_of: matching.PathsOf | None,
) -> tuple[bool, str]:
    match = triggers.match(automation.triggers, automation.repositories, automation.senders, facts)
    undecided = ""
    if match.paths_pending:
        if paths_of is None:
            undecided = "; its paths are known to GitHub only and were not asked for"
        else:
            match = matching.by_paths(automation, facts, paths_of)
    if not match.matched:
        return False, match.reason
    reason = matching.why_not_trusted(automation, event, payload)
    if reason:
        return False, reason
    if automation.condition is not None and not cel.condition(automation.condition, payload):
        return False, f"its `if` is false: {automation.condition}"
    return True, match.reason + undecided
