"""The guards that can be settled at load: which repositories, which events, and what may be part of a name.

They look at whole automations, after each key was read: a step may be fine by itself and still delete another
repository's preview when two repositories can match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from closeout.config import templates
from closeout.config.capabilities import InputSpec
from closeout.config.document import Mapping as MappingNode
from closeout.config.findings import listed
from closeout.config.inputs import texts_of
from closeout.config.steps import FIELD, ReadStep
from closeout.config.triggers import without_live_check
from closeout.config.values import At
from closeout.core import names
from closeout.core.errors import ExpressionError, PatternError
from closeout.core.patterns import covers_everything, is_literal


def check_repositories(at: At, key: At | None, repositories: Sequence[str], destroys: str) -> None:
    """Check `repositories` of an automation that deletes something; `destroys` says what does."""
    if key is None:
        at.error(
            "repositories-missing",
            f"`repositories` is required, since {destroys} is destructive",
            "add repositories: [OWNER/NAME]",
        )
        return
    if _any(repositories):
        fix = "name the owner at least: repositories: [OWNER/*]"
        key.error(
            "repositories-too-wide", f"this matches every repository, and {destroys} is destructive", fix
        )


def many(repositories: Sequence[str]) -> bool:
    """Tell whether the patterns can match more than one repository.

    False for none at all and for any: those are findings already.
    """
    positive = {pattern.casefold() for pattern in repositories if not pattern.startswith("!")}
    if not positive or _any(repositories):
        return False
    return len(positive) > 1 or not all(is_literal(pattern) for pattern in positive)


def _any(repositories: Sequence[str]) -> bool:
    try:
        return bool(repositories) and covers_everything(repositories)
    except PatternError:
        return False


def check_events(triggers: Sequence[Mapping[str, Any]], at: At, *, unguarded: bool, destroys: str) -> None:
    """Check that destructive steps run only on events that can be looked at again; `at` is the place of `on`."""
    unseen = [str(trigger["event"]) for trigger in triggers if without_live_check(dict(trigger))]
    if not unseen or unguarded:
        return
    if "pull_request" in unseen and len(unseen) == 1:
        message = f"{destroys} is destructive, and only a pull request that was closed can be checked again before it"
        at.error(
            "unguarded-event", message, "use types: [closed] alone, or say unguarded: true on the automation"
        )
    else:
        message = f"{destroys} is destructive, and `{listed(unseen, 'and')}` has no live check before it"
        at.error("unguarded-event", message, "use pull_request with types: [closed], or say unguarded: true")


def check_names(read: ReadStep, repositories: Sequence[str]) -> None:
    """Check what a step's naming inputs are made of."""
    found = _naming(read)
    used: set[str] = set()
    for at, text in found:
        used |= _check_untrusted(at, text, read.step.allow_untrusted)
    _check_unused(read, used)
    if not read.step.destructive or not found:
        return
    telling = _texts(read, _tells_apart)
    at, _ = found[0]
    if many(repositories) and not any(names.per_repository(text) for _, text in telling):
        at.error(
            "name-without-repository",
            "several repositories can match, and nothing in this name tells them apart",
            "add ${{ event.repository.name }} to the name, or name one repository",
        )
    elif not any(templates.expressions(text) for _, text in telling):
        at.warning(
            "constant-name",
            "this name is the same for every event, so any one of them acts on it",
            "add ${{ event.pull_request.number }}, or whatever tells one preview from another",
        )


def _naming(read: ReadStep) -> list[tuple[At, str]]:
    """Give every text in the step's naming inputs."""
    return _texts(read, lambda spec: spec.names)


def _tells_apart(spec: InputSpec) -> bool:
    """Whether an input can tell what one event means from what another does.

    What is optional and names by itself (a role) does not: the thing deleted would still be the same. What is
    handed on (a build's variables, a workflow's inputs) does.
    """
    return spec.required or not spec.names or spec.type != "string"


def _texts(read: ReadStep, wanted: Callable[[InputSpec], bool]) -> list[tuple[At, str]]:
    """Give every text in the wanted inputs whose templates are sound (the others have findings)."""
    if read.inputs is None or not isinstance(read.inputs.node, MappingNode):
        return []
    found: list[tuple[At, str]] = []
    for name, spec in read.action.inputs.items():
        node = read.inputs.node.get(name)
        if wanted(spec) and node is not None:
            found += [pair for pair in texts_of(read.inputs.to(node, name)) if _sound(pair[1])]
    return found


def _sound(text: str) -> bool:
    try:
        templates.parts(text)
    except ExpressionError:
        return False
    return True


def _check_untrusted(at: At, text: str, allowed: Sequence[str]) -> set[str]:
    """Check who chose what is filled in. Gives the fields that `allow-untrusted` had to let through."""
    used: set[str] = set()
    for expression in templates.expressions(text):
        for field in names.outsider_fields(expression):
            if field in allowed:
                used.add(field)
            elif FIELD.match(field):
                at.error(
                    "untrusted-name",
                    f"`{field}` is chosen by whoever causes the event, and would become part of a name",
                    f"use a number or a SHA, or say allow-untrusted: [{field}] (forks are then ignored)",
                )
            else:
                at.error(
                    "untrusted-name",
                    f"`{field}` would become part of a name, and it cannot be told who chooses its value",
                    "use plain fields, texts, `+`, string() and int() only",
                )
    return used


def _check_unused(read: ReadStep, used: set[str]) -> None:
    node = read.at.node.get("allow-untrusted") if isinstance(read.at.node, MappingNode) else None
    unused = [field for field in read.step.allow_untrusted if field not in used]
    if node is not None and unused:
        place = read.at.to(node, "allow-untrusted")
        place.warning("unused-permission", f"no name of this step uses `{unused[0]}`", "leave it out")
