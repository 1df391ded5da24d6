"""The verdict on one find: an orphan only if every check confirms it, else open, or unknown with a reason.

In an old repository nearly every number is closed, so a closed number alone proves nothing: the step must produce exactly
this name, the automation must match, and the resource must have been created during the pull request's life.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

from closeout import livecheck
from closeout.actions.spec import Action, Existing
from closeout.config import cel
from closeout.core import payload as rule
from closeout.core import protect
from closeout.core.automation import Automation, Step
from closeout.core.closed_payload import UNLISTED, closed_payload
from closeout.core.closing import EVENT
from closeout.core.errors import CloseoutError
from closeout.core.plan import Change
from closeout.core.reactions import depends_on_outcomes
from closeout.core.units import MINUTE, duration_text
from closeout.orphans.reading import Pull, UnknownState
from closeout.ports import AwsTarget, Json
from closeout.run import explain, inputs
from closeout.run.matching import NamesOf

SLACK = 10 * MINUTE
"""Seconds of tolerance: clocks differ, and a workflow may have begun to deploy before GitHub stored the pull request."""

State: TypeAlias = Literal["orphan", "open", "unknown"]
_WORD = re.compile(r"\w+")
_ONLY_ALONE = UNLISTED | {"merged_by", "sender"}
"""Fields that GitHub has for a single pull request and not in its list; `sender` comes from `merged_by`.

https://docs.github.com/en/rest/pulls/pulls
"""
_ONLY_DELIVERED = frozenset(("custom_properties", "enterprise", "installation"))
"""Fields that a delivery may have and the API's answer does not: `has()` of one would be false and prove nothing."""


class Verdict(NamedTuple):
    """The state of a find, and the reason; `failed`: a question got no answer."""

    state: State
    reason: str
    failed: bool = False


class Find(NamedTuple):
    """An existing resource, and the step whose name it has, for one pull request."""

    existing: Existing
    target: AwsTarget | None
    automation: Automation
    step: Step
    action: Action
    repository: str
    number: int


class PullRequestQueries(NamedTuple):
    """Further questions to GitHub about the pull request of a find."""

    alone: Callable[[int], Pull | UnknownState]
    """Reads a pull request individually."""
    paths_of: NamesOf
    bases_of: NamesOf


def judge(find: Find, pull: Pull | UnknownState, ask: PullRequestQueries) -> Verdict:
    """Return the verdict. No answer of GitHub's and no content of the pull request makes it raise."""
    if isinstance(pull, UnknownState):
        return Verdict("unknown", pull.reason, pull.failed)
    if pull.answer["state"] == "open":
        return Verdict("open", "the pull request is open")
    if pull.answer["state"] != "closed":
        return Verdict("unknown", "GitHub does not say that it is closed")
    reason = _time_conflict(find, pull.answer) or _why_left_alone(find)
    if reason:
        return Verdict("unknown", reason)
    if not pull.whole and _words(find) & _ONLY_ALONE:
        again = ask.alone(find.number)
        if isinstance(again, UnknownState) or again.answer["state"] != "closed":
            return judge(find, again, ask)
        pull = again
    try:
        payload = _payload(pull.answer)
    except (CloseoutError, KeyError, TypeError) as error:
        return Verdict("unknown", f"no event can be made of the pull request: {error}")
    return _by_event(find, payload, ask)


def _time_conflict(find: Find, pull: Json) -> str | None:
    """Return why the pull request cannot have created this, judged by times; None if it may have.

    A deploy that ends late still belongs to the pull request, up to the automation's last recheck.
    """
    existing, last = find.existing, max(find.automation.recheck, default=0.0)
    opened, closed = seconds(pull.get("created_at")), seconds(pull.get("closed_at"))
    if opened is None or closed is None:
        return "GitHub does not say when the pull request was opened and closed"
    if existing.created is None:
        return "it is not known when it was created"
    if existing.created < opened - SLACK:
        return "it was created before the pull request was opened"
    if max(existing.created, existing.changed or 0) > closed + last + SLACK:
        return f"it was created later than {duration_text(last)} after the pull request was closed"
    return None


def _why_left_alone(find: Find) -> str | None:
    if find.existing.busy:
        return find.existing.busy
    for name in (find.existing.resource, *find.existing.inputs.values()):
        change = Change(verb="delete", resource=name, reason="", name=name)
        rule = protect.protected_by(change, find.automation.protect_names)
        if rule:
            return f"it is protected by {rule}"
    return None


def _by_event(find: Find, payload: Mapping[str, Any], ask: PullRequestQueries) -> Verdict:
    """Return the verdict of the pull request's event: of the name, the triggers and each `if`."""
    try:
        livecheck.subject_of(EVENT, payload)
        given = inputs.resolve(find.step, find.action, payload)
    except CloseoutError as error:
        return Verdict("unknown", f"the step cannot be rendered: {error.message}")
    other = [str(given[key]) for key, text in find.existing.inputs.items() if given[key] != text]
    if other:
        return Verdict("unknown", f"the step produces another name: {', '.join(other)}")
    untold = _words(find) & _ONLY_DELIVERED
    if "sender" not in payload and (find.automation.senders or "sender" in _words(find)):
        untold |= {"sender"}
    if untold:
        return Verdict("unknown", f"a condition asks for `{min(untold)}`, which GitHub's API does not give")
    (row,) = explain.explain([find.automation], EVENT, payload, ask.paths_of, ask.bases_of)
    if row["outcome"] != explain.RUN:
        return Verdict("unknown", row["reason"], failed=row["outcome"] == explain.UNKNOWN)
    condition = find.step.condition
    if depends_on_outcomes(condition):
        return Verdict("unknown", f"the step's `if` asks for the steps before it: {condition}")
    try:
        if condition is not None and not cel.condition(condition, payload, cel.NOTHING_YET):
            return Verdict("unknown", f"the step's `if` is false: {condition}")
    except CloseoutError as error:
        return Verdict("unknown", error.message)
    return Verdict("orphan", "its pull request is closed")


def _words(find: Find) -> set[str]:
    """Return all words in the conditions."""
    texts = [find.automation.condition or "", find.step.condition or ""]
    return {*_WORD.findall(" ".join(texts)), *(("sender",) if find.automation.senders else ())}


def _payload(pull: Json) -> Mapping[str, Any]:
    """Return the `closed` event of a pull request; raise `KeyError`, `TypeError` or `PayloadRefused` for an incomplete one."""
    merged_by = pull.get("merged_by")
    sender = merged_by if pull.get("merged") and isinstance(merged_by, dict) else None
    return rule.decode(json.dumps(closed_payload(pull, sender)).encode())


def seconds(text: Any) -> float | None:
    """Return a time of GitHub's in seconds since the epoch; None for anything else."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None
