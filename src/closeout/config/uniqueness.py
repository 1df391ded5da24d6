"""The check over the whole file that no two subjects give a destructive step one name, and its findings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from closeout.config.capabilities import ActionSpec
from closeout.config.fields import named
from closeout.config.languages import Undecided
from closeout.config.subjects import Collision, Key, Law
from closeout.config.templates import OPEN
from closeout.config.values import At
from closeout.core.automation import Automation, Step

SAFE = "${{ event.repository.id }}-${{ event.pull_request.number }}"
"""What is a name of its own for every pull request, whatever stands before it and whichever repositories match."""


class Use(NamedTuple):
    """A destructive step that names something; `at` is where its name stands."""

    automation: Automation
    step: Step
    action: ActionSpec
    at: At


class _Placed(NamedTuple):
    key: Key
    use: Use


def check(uses: Sequence[Use]) -> None:
    """Add a finding for each step whose name two subjects can have, be it by itself or with an earlier step."""
    groups: dict[str, list[_Placed]] = defaultdict(list)
    for use in uses:
        for key in _keys(use):
            groups[use.step.uses].append(_Placed(key, use))
    law = Law([placed.key for group in groups.values() for placed in group])
    reported: set[int] = set()
    for group in groups.values():
        for later, placed in enumerate(group):
            if id(placed.use) not in reported and _report(law, group[: later + 1], placed):
                reported.add(id(placed.use))


def _keys(use: Use) -> Iterator[Key]:
    for event in dict.fromkeys(str(trigger["event"]) for trigger in use.automation.triggers):
        found = named(use.step, use.action, event)
        if found is not None:
            yield Key(found, tuple(dict.fromkeys(use.automation.repositories)))


def _report(law: Law, group: Sequence[_Placed], placed: _Placed) -> bool:
    """Report the first collision of a step with itself or an earlier one; return whether there was one."""
    for other in (placed, *group[:-1]):
        if other is not placed and (
            not _one_place(other.use, placed.use) or law.apart(other.key, placed.key)
        ):
            continue
        try:
            found = law.collision(other.key, placed.key)
        except Undecided:
            placed.use.at.error(
                "undecided-name",
                "it cannot be decided whether two subjects can have this name: the patterns or templates are too intricate",
                f"make the name of fixed text and {SAFE}",
            )
            return True
        if found is not None:
            _say(found, other, placed)
            return True
    return False


def _one_place(one: Use, two: Use) -> bool:
    """Return whether a name means the same in two steps: in one account and, where that matters, in one region."""
    regions = (one.step.region, two.step.region) if one.action.regional else (None, None)
    return all(a == b or OPEN in f"{a}{b}" for a, b in ((one.step.account, two.step.account), regions))


def _say(found: Collision, other: _Placed, placed: _Placed) -> None:
    alone = other.use is placed.use
    there = "" if alone else f" (in `{other.use.at.path}`, line {other.use.at.node.line})"
    names = (
        f"both give {found.second}"
        if found.first == found.second
        else f"give {found.first} and {found.second}, and what begins like the one is deleted with it"
    )
    if found.first != found.second:
        message = f"{found.one}{there} and {found.two} {names}"
    else:
        message = f"{found.one}{there} and {found.two} {names}, so what belongs to the one is deleted with the other"
    variables = _variables(placed.key) | _variables(other.key)
    missing = (
        alone and found.about in ("owner", "name") and not variables & {"owner", "name", "repository-id"}
    )
    placed.use.at.error(
        "name-without-repository" if missing else "shared-name", message, _fix(found, placed.key, alone=alone)
    )


def _fix(found: Collision, key: Key, *, alone: bool) -> str:
    variables = _variables(key)
    if key.named.kind == "number" and not variables & {"number", "pull-request-id"}:
        return "add ${{ event.pull_request.number }} to the name, behind a `-`"
    if key.named.kind == "ref":
        return f"use the number: {SAFE}"
    if key.named.kind == "other":
        return "begin the name with ${{ event.repository.id }}-"
    if not variables & {"owner", "name", "repository-id"}:
        fix = f"use {SAFE}"
        return fix if alone else f"{fix}, or another fixed text in each of the two"
    if found.about == "owner":
        return f"several owners can match: use {SAFE}"
    return f"use {SAFE}, or put a character between the parts that no part beside it can hold"


def _variables(key: Key) -> set[str]:
    return {item.variable for item in key.named.whole.items if not isinstance(item, str)} - {""}
