"""Explain why an automation would run on an event, or would not.

Triggers, fork rules and CEL are evaluated by the functions that a run uses, so an explanation cannot differ from what
happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closeout.config import cel
from closeout.core import facts as core_facts
from closeout.core import triggers
from closeout.core.automation import Automation, status_contexts
from closeout.core.errors import CloseoutError, ExpressionError, PayloadRefused, SenderUnknown
from closeout.run import matching

RUN, SKIP, FAIL, NOTHING, UNKNOWN = "run", "skip", "fail", "nothing", "unknown"
"""What an event would cause: its steps run; a run ends as skipped; a run ends as failure, with nothing done; no run starts;
unknown, because GitHub did not answer, or did not say who closed the pull request: its run ends as failure, with nothing done."""


def explain(
    automations: Sequence[Automation],
    event: str,
    payload: Mapping[str, Any],
    paths_of: matching.NamesOf | None = None,
    bases_of: matching.NamesOf | None = None,
) -> list[dict[str, Any]]:
    """Return `{"name", "matched", "outcome", "reason"}` for each automation, in the file's order, and an error's `code`.

    `payload` is decoded by `core.payload`; `matched` says whether the outcome is `run`. `paths_of(repository, number)`
    reads a pull request's paths; without it a path filter is reported as undecided, and the automation as matched so far.
    `bases_of` reads the bases that it had; without it a run that would ask for them is reported as skipped.
    """
    facts = core_facts.facts_of(event, payload, status_contexts(automations))
    rows = []
    for automation in automations:
        code: dict[str, str] = {}
        try:
            outcome, reason = _one(automation, event, payload, facts, paths_of, bases_of)
        except (ExpressionError, PayloadRefused) as error:
            outcome = UNKNOWN if isinstance(error, SenderUnknown) else FAIL
            reason, code = error.message, {"code": error.code}
        except CloseoutError as error:
            outcome, reason, code = UNKNOWN, error.message, {"code": error.code}
        row = {"name": automation.name, "matched": outcome == RUN, "outcome": outcome, "reason": reason}
        rows.append(row | code)
    return rows


def _one(
    automation: Automation,
    event: str,
    payload: Mapping[str, Any],
    facts: core_facts.Facts,
    paths_of: matching.NamesOf | None,
    bases_of: matching.NamesOf | None,
) -> tuple[str, str]:
    match = triggers.match(automation.triggers, automation.repositories, automation.senders, facts)
    had_other_bases = matching.is_candidate(automation, facts)
    if had_other_bases:
        if bases_of is None:
            return SKIP, f"{match.reason}, unless it had another base before; closeout did not ask GitHub"
        facts, match = matching.by_bases(automation, facts, bases_of)
    if not match.matched:
        return SKIP if had_other_bases else NOTHING, match.reason
    undecided = ""
    if match.paths_pending:
        if paths_of is None:
            undecided = "; only GitHub knows its paths, and closeout did not ask"
        else:
            match = matching.by_paths(automation, facts, paths_of)
            if not match.matched:
                return SKIP, match.reason
    why_not = matching.why_not_trusted(automation, event, payload)
    if why_not:
        return SKIP, why_not
    matching.check_sender(automation, facts)
    if automation.condition is not None and not cel.condition(automation.condition, payload):
        return SKIP, f"its `if` is false: {automation.condition}"
    if core_facts.marked_sender(event, payload) is not None:
        undecided += "; if the token's own user sent this comment, closeout wrote it, and the run is skipped"
    return RUN, match.reason + undecided
