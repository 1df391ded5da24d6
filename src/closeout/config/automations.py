"""The automations: their keys, defaults and guards.

An `@on` function is read by the same code as an entry of the file, so that the same guards apply to both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from closeout.config import bases, guards, keys, workflow_words
from closeout.config.document import Mapping, Scalar
from closeout.config.inputs import check_template
from closeout.config.notify import read_notify
from closeout.config.patrol import read_mode
from closeout.config.references import environment_variables, is_reference
from closeout.config.settings import Settings
from closeout.config.steps import ReadStep, StepContext, read_condition, read_steps
from closeout.config.triggers import read_on, read_patterns
from closeout.config.uniqueness import NameUse
from closeout.config.values import ConfigNode
from closeout.core import keys as core_keys
from closeout.core.automation import MODES, RECHECK, Automation
from closeout.core.units import DAY

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_CONTEXT = re.compile(r"[^\x00-\x1f\x7f]{1,255}\Z")
_OF_STEPS = {"steps", "on-failure", "max-changes", "max-objects", "environment", "bases", "patrol", "recheck"}
FUNCTION_KEYS = tuple(key for key in keys.names("automation") if key not in _OF_STEPS)


class Function(NamedTuple):
    """An `@on` function: `module:name`, and whether its decorator leaves it destructive."""

    reference: str
    destructive: bool


def read_automations(at: ConfigNode, context: StepContext, settings: Settings) -> tuple[Automation, ...]:
    """Read the map of automations."""
    if not isinstance(at.node, Mapping):
        at.wrong("a map", "write a name for each automation, and its keys below it")
        return ()
    read: list[Automation] = []
    for key, node in at.node.entries:
        name = str(key.value)
        check_name(at.to(key, name), name)
        automation = read_automation(name, at.to(node, name), context, settings)
        if automation is not None:
            read.append(automation)
    return tuple(read)


def check_name(at: ConfigNode, name: str) -> None:
    """Check an automation's name: people type it, and it is part of the status's context."""
    if not _NAME.match(name):
        message = f"`{name}` cannot be the name of an automation"
        at.error("bad-name", message, "use letters, digits, dots, dashes and underscores")


def read_automation(
    name: str, at: ConfigNode, context: StepContext, settings: Settings, function: Function | None = None
) -> Automation | None:
    """Read one automation; with `function`, one that an `@on` function declares."""
    if workflow_words.refuse_workflow(at):
        return None
    known = FUNCTION_KEYS if function else keys.names("automation")
    section = at.section(known, partial(workflow_words.hint, "automation"))
    if section is None:
        return None
    if at.lacks("on", known):
        fix = "say what starts it: on: { pull_request: { types: [closed] } }"
        at.error("missing-key", "`on` is missing", fix)
    if function is None and at.lacks("steps", known):
        at.error("missing-key", "`steps` is missing", "add steps")
    before = at.findings.count()
    triggers = read_on(section["on"]) if "on" in section else ()
    sound = at.findings.count() == before
    steps = read_steps(section["steps"], context) if "steps" in section else ()
    automation = Automation(
        name=name,
        triggers=triggers,
        steps=tuple(read.step for read in steps),
        function=function.reference if function else None,
        destructive_function=function is None or function.destructive,
        condition=read_condition(section.get("if")),
        repositories=_patterns(section.get("repositories"), slash=True),
        senders=_patterns(section.get("senders")),
        status_context=_status(section.get("status"), name),
        concurrency=_concurrency(section.get("concurrency")),
        protect_names=settings.protect_names,
        protect_tags=settings.protect_tags,
        public_logs=settings.public_logs,
        recheck=_recheck(section.get("recheck"), steps),
        environment=_environment(section.get("environment"), steps),
        patrol=read_mode(section.get("patrol")),
        **_limits(section),
    )
    automation = replace(
        automation, bases=bases.read_bases(section.get("bases"), automation, context.registry)
    )
    route = read_notify(section.get("notify"))
    if route is not None:
        context.routes[name] = route
    destroys = _destroys(automation, steps)
    repositories = section.get("repositories")
    if destroys and (repositories is not None or at.lacks("repositories", keys.names("automation"))):
        guards.check_repositories(at, repositories, automation.repositories, destroys)
    context.uses.extend(_uses(automation, steps))
    if sound and destroys is not None:
        on = section.get("on", at)
        guards.check_events(automation.triggers, on, unguarded=automation.unguarded, destroys=destroys)
    return automation


def step_secrets(automations: tuple[Automation, ...], context: StepContext) -> tuple[str, ...]:
    """Return every secret reference that a step names, each once."""
    references: list[Any] = []
    for automation in automations:
        for step in automation.steps:
            for name, spec in context.registry[step.uses].inputs.items():
                if spec.secret and name in step.inputs:
                    value = step.inputs[name]
                    references += value.values() if isinstance(value, dict) else [value]
    return tuple(dict.fromkeys(text for text in references if isinstance(text, str) and is_reference(text)))


def with_secret_variables(automation: Automation, settings: Settings, further: tuple[str, ...]) -> Automation:
    """Return the automation with the variables of the file's references, which its `shell` steps must not see.

    `further` are the references of steps and of notifiers.
    """
    references = (*settings.secrets_webhook, settings.secrets_github or "", *further)
    return replace(automation, secret_variables=environment_variables(references))


def _limits(section: dict[str, ConfigNode]) -> dict[str, Any]:
    """Read the keys that are plain numbers and words. Keys that are absent keep their defaults."""
    read: dict[str, Any] = {}
    durations = {"timeout": (1, 365 * DAY), "queue-timeout": (1, 365 * DAY), "grace": (1, 30 * DAY)}
    for key, (low, high) in durations.items():
        if key in section:
            read[key] = section[key].duration(low, high)
    for key, high in {"max-changes": 10_000, "max-objects": 100_000_000}.items():
        if key in section:
            read[key] = section[key].integer(1, high)
    for key, choices in {"on-failure": ("continue", "stop"), "mode": MODES}.items():
        if key in section:
            read[key] = section[key].choice(choices)
    if "unguarded" in section:
        read["unguarded"] = section["unguarded"].boolean()
    return {key.replace("-", "_"): value for key, value in read.items() if value is not None}


def _patterns(at: ConfigNode | None, *, slash: bool = False) -> tuple[str, ...]:
    return read_patterns(at, "name", slash=slash) if at else ()


def _status(at: ConfigNode | None, name: str) -> str | None:
    if at is None:
        return f"closeout/{name}"
    if isinstance(at.node, Scalar) and isinstance(at.node.value, bool):
        if at.node.value:
            fix = "leave `status` out for the default, or write a context"
            at.error("bad-value", "`true` is not a context", fix)
        return None
    context = at.text()
    if context is not None:
        at.refuse_template(context)
        if not _CONTEXT.match(context):
            message = "a context is one line of at most 255 characters"
            at.error("bad-value", message, "write it like closeout/preview")
    return context


def _concurrency(at: ConfigNode | None) -> str | None:
    if at is None:
        return None
    if isinstance(at.node, Mapping):
        workflow_words.concurrency_map(at)
        return None
    template = at.text()
    if template is not None and check_template(at, template):
        problem = core_keys.check_template(template)
        if problem:
            at.error("bad-template", problem, "use fields only: preview-${{ event.pull_request.number }}")
    return template


def _recheck(at: ConfigNode | None, steps: tuple[ReadStep, ...]) -> tuple[float, ...]:
    off = at is not None and isinstance(at.node, Scalar) and at.node.value in ("off", False)
    for read in steps:
        if read.step.rechecked and (off or all(other.action.absent is None for other in steps)):
            why = "`recheck` is off" if off else "no step of this automation deletes by itself"
            fix = "leave `recheck` out; it only looks for what aws/cloudformation-delete-stack or another typed delete names"
            read.at.error("not-for-action", f"no recheck finds anything here, because {why}", fix)
    if at is None:
        return RECHECK
    if off:
        return ()
    times = [item.duration(60, 30 * DAY) for item in at.items(single=True) or []]
    return tuple(sorted({after for after in times if after is not None}))


def _environment(at: ConfigNode | None, steps: tuple[ReadStep, ...]) -> str | None:
    template = at.text() if at else None
    if at is None or template is None or not check_template(at, template):
        return template
    if steps and all(read.action.absent is None for read in steps):
        fix = "leave `environment` out, or use a step that deletes by itself, like aws/cloudformation-delete-stack"
        at.error("nothing-to-delete", "no step says whether it found something to delete", fix)
    return template


def _uses(automation: Automation, steps: tuple[ReadStep, ...]) -> Iterator[NameUse]:
    """Check the names of each step on its own, and yield those that no two subjects may share."""
    known = guards.known(automation.repositories)
    for read in steps:
        at = guards.check_names(read, automation.triggers)
        if at is not None and known:
            yield NameUse(automation, read.step, read.action, at)


def _destroys(automation: Automation, steps: tuple[ReadStep, ...]) -> guards.Destructiveness | None:
    """Return the destructive part of the automation: a step that always deletes, else another one; None if there is none."""
    if automation.function is not None:
        declare = "if the function deletes nothing, say destructive=False"
        destructive = automation.destructive_function
        return guards.Destructiveness(f"`{automation.function}`", declare) if destructive else None
    deleting = [read for read in steps if read.step.destructive]
    for read in deleting:
        if read.action.destructive == "always":
            return guards.Destructiveness(f"`{read.step.uses}`", "")
    declare = "if the step deletes nothing, say destructive: false on it"
    return guards.Destructiveness(f"`{deleting[0].step.uses}`", declare) if deleting else None
