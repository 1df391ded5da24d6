"""The check over the whole file that no two subjects produce the same name in a destructive step, and its findings.

It runs when every automation has been read, because two steps that are each right can still name the same preview. This module
selects the names to compare; `subjects.NameComparer` decides whether they collide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from closeout.actions.spec import Action
from closeout.config.collisions import Collision
from closeout.config.fields import named
from closeout.config.languages import Undecided
from closeout.config.subjects import Affixes, Key, NameComparer
from closeout.config.values import ConfigNode
from closeout.core.automation import Automation, Step
from closeout.core.templates import OPEN

SAFE = "${{ event.repository.id }}-${{ event.pull_request.number }}"
"""A name that is unique for every pull request, with any text before it and for any repositories."""

OF_REF = "${{ event.repository.id }}-${{ event.ref }}"
"""A name that is unique for every deleted ref. With a delimiter after it that no ref contains, no other name begins with it."""

_REPOSITORY = ("owner", "name")
_OF_REPOSITORY = {*_REPOSITORY, "repository-id"}


class NameUse(NamedTuple):
    """A destructive step that names something; `at` is the place of its name."""

    automation: Automation
    step: Step
    action: Action
    at: ConfigNode


class _ComparedName(NamedTuple):
    key: Key
    use: NameUse
    affixes: tuple[Affixes, ...]


def check(uses: Sequence[NameUse]) -> None:
    """Add a finding for each step whose name two subjects can share, within the step or with an earlier one."""
    named_by = [(use, key) for use in uses for key in _keys(use)]
    comparer = NameComparer([key for _, key in named_by])
    earlier: dict[str, list[_ComparedName]] = defaultdict(list)
    reported: set[int] = set()
    for use, key in named_by:
        if id(use) in reported:
            continue
        try:
            one = _ComparedName(key, use, comparer.affixes(key))
            earlier[use.step.uses].append(one)
            found = _first(comparer, one, earlier[use.step.uses])
        except Undecided:
            message = (
                "the patterns or templates are too complex to decide whether two subjects can have this name"
            )
            use.at.error("undecided-name", message, f"make the name of fixed text and {SAFE}")
        else:
            if found is None:
                continue
            _report(*found, one)
        reported.add(id(use))


def _keys(use: NameUse) -> Iterator[Key]:
    for event in dict.fromkeys(str(trigger["event"]) for trigger in use.automation.triggers):
        found = named(use.step, use.action, event)
        if found is not None:
            yield Key(found, tuple(dict.fromkeys(use.automation.repositories)))


def _first(
    comparer: NameComparer, compared: _ComparedName, earlier: Sequence[_ComparedName]
) -> tuple[Collision, _ComparedName] | None:
    """Return the first collision of a name with itself or an earlier one; a mere warning only if there is no error."""
    warned: tuple[Collision, _ComparedName] | None = None
    for other in (compared, *earlier[:-1]):
        if other is compared or (not _apart(other, compared) and _same_target(other.use, compared.use)):
            found = comparer.collision(other.key, compared.key)
            if found is not None and not _of_constants(found, other, compared):
                return found, other
            warned = warned or (found and (found, other))
    return warned


def _apart(one: _ComparedName, two: _ComparedName) -> bool:
    """Return whether two names obviously differ, in how an input begins or ends: most do."""
    return one.key.named.handed == two.key.named.handed and any(
        ours.apart(theirs) for ours, theirs in zip(one.affixes, two.affixes, strict=False)
    )


def _of_constants(found: Collision, other: _ComparedName, compared: _ComparedName) -> bool:
    """Return whether events differ only in values that are passed on, which may not be meant as a name."""
    constant = compared.key.named.names.constant and other.key.named.names.constant
    return constant and found.about not in _REPOSITORY


def _same_target(one: NameUse, two: NameUse) -> bool:
    """Return whether a name means the same in two steps: in the same account and, where that matters, the same region."""
    regions = (one.step.region, two.step.region) if one.action.regional else (None, None)
    return all(a == b or OPEN in f"{a}{b}" for a, b in ((one.step.account, two.step.account), regions))


def _report(found: Collision, other: _ComparedName, compared: _ComparedName) -> None:
    alone = other.use is compared.use
    there = "" if alone else f" (in `{other.use.at.path}`, line {other.use.at.node.line})"
    if found.first == found.second:
        names = f"both produce {found.second}, so closing one deletes what belongs to the other"
    else:
        names = f"produce {found.first} and {found.second}, and the shorter one also deletes what is below the longer one"
    message, fix = f"{found.one}{there} and {found.two} {names}", _fix(found, compared, alone=alone)
    if _of_constants(found, other, compared):
        compared.use.at.warning("constant-name", message, fix)
        return
    variables = _variables(compared.key) | _variables(other.key)
    missing = alone and found.about in _REPOSITORY and not variables & _OF_REPOSITORY
    compared.use.at.error("name-without-repository" if missing else "shared-name", message, fix)


def _fix(found: Collision, compared: _ComparedName, *, alone: bool) -> str:
    gone = all(trigger["event"] == "delete" for trigger in compared.use.automation.triggers)
    fix = _for_refs(compared.key, alone=alone) if gone else _better(found, compared.key, alone=alone)
    if compared.use.action.destructive != "unless-declared":
        return fix
    return f"{fix}; or say destructive: false if the step deletes nothing"


def _for_refs(key: Key, *, alone: bool) -> str:
    """Return the advice for a `delete` event, which has no pull request."""
    if "ref" not in _variables(key):
        return f"use {OF_REF}, with allow-untrusted: [event.ref]"
    fix = f"use {OF_REF}" + (
        ", and `:` as delimiter, which no ref contains" if key.named.whole.prefix else ""
    )
    return fix if alone else f"{fix}, after a fixed text that differs in the two"


def _better(found: Collision, key: Key, *, alone: bool) -> str:
    variables = _variables(key)
    numbered = variables & {"number", "pull-request-id"} or found.about in _REPOSITORY
    if key.named.kind == "number" and not numbered:
        return "add ${{ event.pull_request.number }} to the name, after a `-`"
    if key.named.kind == "ref":
        return f"use the number: {SAFE}"
    if key.named.kind == "other":
        return "begin the name with ${{ event.repository.id }}-"
    if not variables & _OF_REPOSITORY:
        fix = f"use {SAFE}"
        return fix if alone else f"{fix}, or a fixed text that differs in the two"
    if found.about == "owner":
        return f"several owners can match: use {SAFE}"
    return f"use {SAFE}, or separate the parts by a character that neither of them can contain"


def _variables(key: Key) -> set[str]:
    return {item.variable for item in key.named.whole.items if not isinstance(item, str)} - {""}
