"""The guards that can be checked at load: which repositories, which events, and what may be part of a name.

They check whole automations, after each key was read: a step may be right on its own and still delete another
repository's preview if two repositories can match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from closeout import livecheck
from closeout.actions.spec import Input
from closeout.config import cel
from closeout.config.document import Mapping as MappingNode
from closeout.config.fields import distinguishes
from closeout.config.findings import listed
from closeout.config.inputs import texts_of
from closeout.config.languages import fixes_owner
from closeout.config.steps import FIELD, ReadStep
from closeout.config.values import ConfigNode
from closeout.core import names, reactions, templates
from closeout.core.errors import ExpressionError, PatternError
from closeout.core.patterns import compile_patterns

_OWN_REF = "event.ref"
"""The branch or tag of a `delete` or `push`: it is the repository's own, so only people with write access choose it."""

_ALLOW = "use a number or a SHA, or say allow-untrusted: [{}] (forks are then ignored)"


class Destructiveness(NamedTuple):
    """What counts as destructive in an automation."""

    what: str
    declare: str
    """How to declare that it deletes nothing; "" if it always deletes."""

    def fix(self, other: str) -> str:
        """Return the fix: `other`, or to declare that nothing is deleted."""
        return f"{self.declare}; else {other}" if self.declare else other


def check_repositories(
    at: ConfigNode, key: ConfigNode | None, repositories: Sequence[str], destroys: Destructiveness
) -> None:
    """Check `repositories` of an automation that deletes something."""
    if key is None:
        message = f"`repositories` is required, since {destroys.what} is destructive"
        at.error("repositories-missing", message, destroys.fix("add repositories: [OWNER/NAME]"))
    elif too_wide(repositories):
        message = f"this matches repositories of any owner, and {destroys.what} is destructive"
        key.error("repositories-too-wide", message, "name the owner at least: repositories: [OWNER/*]")


def known(repositories: Sequence[str]) -> bool:
    """Return whether it is known which repositories match: there are patterns, and none is a finding already."""
    try:
        compile_patterns(repositories, "name")
    except PatternError:
        return False
    return not too_wide(repositories)


def too_wide(repositories: Sequence[str]) -> bool:
    """Return whether a pattern leaves the owner entirely open; False for patterns that are findings already."""
    try:
        return any(not fixes_owner(pattern) for pattern in repositories if not pattern.startswith("!"))
    except PatternError:
        return False


def check_events(
    triggers: Sequence[Mapping[str, Any]], at: ConfigNode, *, unguarded: bool, destroys: Destructiveness
) -> None:
    """Check that destructive steps run only on events with a live check; `at` is the place of `on`."""
    unseen = [str(trigger["event"]) for trigger in triggers if livecheck.always(trigger) is None]
    if not unseen or unguarded:
        return
    if "pull_request" in unseen and len(unseen) == 1:
        message = f"{destroys.what} is destructive, and only a closed pull request has a live check before it"
        fix = "use types: [closed] alone, or say unguarded: true on the automation"
    else:
        message = f"{destroys.what} is destructive, and `{listed(unseen, 'and')}` has no live check before it"
        fix = "use pull_request with types: [closed], or say unguarded: true on the automation"
    at.error("unguarded-event", message, destroys.fix(fix))


def check_names(read: ReadStep, triggers: Sequence[Mapping[str, Any]]) -> ConfigNode | None:
    """Check the parts of a step's naming inputs; return the place of its name, if two subjects must not share it."""
    before = read.at.findings.count()
    found = _texts(read, lambda spec: spec.names)
    used: set[str] = set()
    for at, text in found:
        used |= _check_untrusted(at, text, read.step.allow_untrusted)
    if read.step.destructive:
        used |= _warn_of_values(read)
    _check_unused(read, used)
    if not read.step.destructive or not found:
        return None
    at, _ = found[0]
    if not any(templates.expressions(text) for _, text in _texts(read, distinguishes)):
        message = "this name is the same for every event, so every event acts on it"
        at.warning("constant-name", message, _distinguishing_fields(triggers))
    given = read.step.inputs
    missing = [name for name, spec in read.action.inputs.items() if spec.required and name not in given]
    filled = [place for place, text in found if templates.expressions(text)]
    return None if missing or read.at.findings.count() > before else (filled or [at])[0]


def _distinguishing_fields(triggers: Sequence[Mapping[str, Any]]) -> str:
    """Return the fix that names the fields in which these events differ: a push has no pull request."""
    events = {str(trigger["event"]) for trigger in triggers}
    if any(event.startswith("pull_request") for event in events):
        return "add ${{ event.pull_request.number }}, or another field in which previews differ"
    if events <= {"push", "create", "delete"}:
        return (
            "add ${{ event.ref }} and allow-untrusted: [event.ref], or another field in which events differ"
        )
    return "add ${{ event.repository.id }}, or another field in which events differ"


def _warn_of_values(read: ReadStep) -> set[str]:
    """Warn of outsiders' text that a destructive step passes on. Return the fields that `allow-untrusted` permits."""
    used: set[str] = set()
    for at, text in _texts(read, lambda spec: spec.templates and not spec.names):
        for expression in templates.expressions(text):
            for field in names.outsider_texts(expression):
                if field == _OWN_REF:
                    continue
                if field in read.step.allow_untrusted:
                    used.add(field)
                    continue
                message = f"outsiders control `{field}`, and a destructive step receives it"
                at.warning("untrusted-value", message, _ALLOW.format(field))
    return used


def _texts(read: ReadStep, wanted: Callable[[Input], bool]) -> list[tuple[ConfigNode, str]]:
    """Return every text in the wanted inputs whose templates are valid (the others have findings)."""
    if read.inputs is None or not isinstance(read.inputs.node, MappingNode):
        return []
    found: list[tuple[ConfigNode, str]] = []
    for name, spec in read.action.inputs.items():
        node = read.inputs.node.get(name)
        if wanted(spec) and node is not None:
            found += [pair for pair in texts_of(read.inputs.to(node, name)) if _sound(pair[1])]
    return found


def _sound(text: str) -> bool:
    try:
        found = templates.expressions(text)
    except ExpressionError:
        return False
    return all(cel.compile_check(expression, in_step=True) is None for expression in found)


def _check_untrusted(at: ConfigNode, text: str, allowed: Sequence[str]) -> set[str]:
    """Check who controls the values that are filled in. Return the fields that only `allow-untrusted` permits."""
    used: set[str] = set()
    for expression in templates.expressions(text):
        if reactions.reads_run(expression):
            at.error(
                "untrusted-name",
                f"`{expression}` is known only in the run, and it would become part of a name",
                "make the name of fields of the event alone",
            )
            continue
        for field in names.outsider_fields(expression):
            if field in allowed:
                used.add(field)
            elif FIELD.match(field):
                message = f"outsiders control `{field}`, and it would become part of a name"
                at.error("untrusted-name", message, _ALLOW.format(field))
            else:
                message = (
                    f"outsiders might control the value of `{field}`, and it would become part of a name"
                )
                at.error("untrusted-name", message, "use only plain fields, texts, `+`, string() and int()")
    return used


def _check_unused(read: ReadStep, used: set[str]) -> None:
    node = read.at.node.get("allow-untrusted") if isinstance(read.at.node, MappingNode) else None
    unused = [field for field in read.step.allow_untrusted if field not in used]
    if node is not None and unused:
        place = read.at.to(node, "allow-untrusted")
        place.warning("unused-permission", f"no name of this step uses `{unused[0]}`", "leave it out")
