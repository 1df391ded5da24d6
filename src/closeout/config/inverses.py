"""Which steps have an inventory: those whose names can be read backwards, to a pull request of a listed repository.

This is stricter than the rule of names, which asks whether two subjects could share a name. Here the name alone must identify
its pull request: only the number and the repository are filled in. `closeout check` reports it for each step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from closeout import livecheck
from closeout.actions.spec import Action
from closeout.config.fields import distinguishes
from closeout.core import names, templates
from closeout.core.automation import Automation, Step
from closeout.core.inverse import NUMBER, NamePattern, NamePatterns, Part, pattern_of
from closeout.core.patterns import is_literal

_NUMBERS = ("event.pull_request.number", "event.number")
_TRIGGER = "pull_request"


class StepInventory(NamedTuple):
    """A destructive step, and why nothing can be listed for it: None if it has an inventory."""

    automation: Automation
    step: Step
    action: Action
    reason: str | None

    @property
    def on_aws(self) -> str | None:
        """Return why nothing on AWS looks for what the step deletes; None if something does, or nothing does anywhere."""
        if self.step.assume_role is None or (self.reason is not None and self.action.absent is None):
            return None
        return "on AWS neither patrol's audit nor rechecks assume its role, because that role may delete"

    def to_json(self) -> dict[str, str | bool | None]:
        """Return it as `closeout check --json` shows it."""
        return {
            "automation": self.automation.name,
            "step": self.step.id,
            "inventory": self.reason is None,
            "reason": self.reason,
            **({} if self.on_aws is None else {"on_aws": self.on_aws}),
        }


def inventories(
    automations: Iterable[Automation], actions: Mapping[str, Action]
) -> tuple[StepInventory, ...]:
    """Return every destructive step, in the file's order, with the reason why it has no inventory."""
    return tuple(
        StepInventory(automation, step, action, _why_not(automation, step, action))
        for automation in automations
        for step in automation.steps
        if step.destructive
        for action in (actions[step.uses],)
    )


def naming(step: Step, action: Action, repository: str) -> NamePatterns | str:
    """Return what a step names in one repository, spelled like this, or why that cannot be read backwards."""
    patterns: dict[str, NamePattern] = {}
    for key, spec in action.inputs.items():
        if not spec.names or not distinguishes(spec):
            continue
        value = step.inputs.get(key)
        found = _pattern(value, repository) if isinstance(value, str) else "it is not a single text"
        if isinstance(found, str):
            return f"`{key}` does not show the pull request: {found}"
        patterns[key] = found
    if all(pattern.fixed is not None for pattern in patterns.values()):
        return "its name does not contain the pull request's number"
    return NamePatterns(repository, patterns)


def _pattern(text: str, repository: str) -> NamePattern | str:
    parts: list[Part] = []
    for part in _parts(text, repository):
        if isinstance(part, names.Piece):
            return f"`{part.path or 'an expression'}` is neither the number nor the repository"
        parts.append(part)
    return pattern_of(parts)


def _parts(text: str, repository: str) -> Iterator[Part | names.Piece]:
    """Yield fixed text, the places of the number, and every other piece unchanged."""
    owner, _, name = repository.partition("/")
    known = {
        "event.repository.name": name,
        "event.repository.owner.login": owner,
        "event.repository.full_name": repository,
    }
    for part in templates.parts(text):
        if not part.expression:
            yield part.text
            continue
        for piece in names.pieces(part.text):
            if piece.fixed is not None:
                yield piece.fixed
            elif piece.path in _NUMBERS:
                yield NUMBER
            else:
                yield known.get(piece.path or "", piece)


def _why_not(automation: Automation, step: Step, action: Action) -> str | None:
    if action.inventory is None:
        return f"{action.uses} cannot list what exists"
    if not any(trigger["event"] == _TRIGGER and livecheck.always(trigger) for trigger in automation.triggers):
        return "the automation does not start when a pull request closes"
    if not automation.repositories or not all(map(_listed, automation.repositories)):
        return "`repositories` has patterns; list them one by one"
    if any(templates.expressions(text) for text in (step.region or "", step.assume_role or "")):
        return "its region or role comes from the event"
    for repository in automation.repositories:
        found = naming(step, action, repository)
        reason = found if isinstance(found, str) else action.not_listed(found)
        if reason is not None:
            return reason
    return None


def _listed(pattern: str) -> bool:
    return is_literal(pattern) and "/" in pattern
