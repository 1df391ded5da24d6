"""The steps of an automation: which action, under which id, with which limits.

A step's defaults are filled in from its action, so that a stored run never depends on the defaults of a later
version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from closeout.actions.registry import Registry
from closeout.actions.spec import Action
from closeout.config import cel, keys, repairs, workflow_words
from closeout.config.document import Mapping
from closeout.config.findings import near
from closeout.config.inputs import read_inputs, texts_of
from closeout.config.settings import AwsSettings, read_aws
from closeout.config.uniqueness import NameUse
from closeout.config.values import ConfigNode
from closeout.core import templates
from closeout.core.automation import EXPECTATIONS, Step
from closeout.core.problems import Route
from closeout.core.reactions import references_in
from closeout.core.units import DAY, HOUR

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
FIELD = re.compile(r"event(?:\.[A-Za-z_][A-Za-z0-9_]*)+\Z")
_AWS_KEYS = ("account", "region", "assume-role")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadStep:
    """A step with its place in the file and its action, as the guards need them."""

    step: Step
    action: Action
    at: ConfigNode
    inputs: ConfigNode | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """The context in which a step is read: the known actions, and the file's `aws`.

    `aws_given` are the keys of `aws` in the file, right or wrong, so that one mistake is not reported at every step. `later`
    collects what can be looked up only when the file's folder is on the module path, `uses` the names that are compared
    when the whole file has been read, `routes` where an automation's problems are reported.
    """

    registry: Registry
    aws: AwsSettings
    aws_given: tuple[str, ...] = ()
    later: list[Callable[[], None]] = field(default_factory=list)
    uses: list[NameUse] = field(default_factory=list)
    routes: dict[str, Route] = field(default_factory=dict)


def read_steps(at: ConfigNode, context: StepContext) -> tuple[ReadStep, ...]:
    """Read `steps`. Steps that cannot be read are left out; the findings say why."""
    read: list[ReadStep] = []
    seen: dict[str, int] = {}
    for position, item in enumerate(at.items() or [], 1):
        found = _step(item, position, context, {one.step.id: one.action for one in read})
        if found is None:
            continue
        first = seen.setdefault(found.step.id, found.at.node.line)
        if len(seen) <= len(read):
            message = f"the id `{found.step.id}` is taken by the step on line {first}"
            found.at.error("duplicate-id", message, "give one of the two another `id`")
        read.append(found)
    return tuple(read)


def _step(
    at: ConfigNode, position: int, context: StepContext, earlier: MappingType[str, Action]
) -> ReadStep | None:
    if not isinstance(at.node, Mapping):
        at.wrong("a map", "write `uses: …` and `with: …`")
        return None
    uses, action = _action(at, context.registry)
    section = _section(at, action)
    if action is None:
        return None
    with_ = section.get("with")
    extra = tuple(key for key in _AWS_KEYS if key not in action.inputs) if action.needs_aws else ()
    before = at.findings.count()
    inputs = read_inputs(with_, at, uses, action, extra)
    if with_ is not None and at.findings.count() == before:
        for place, text in texts_of(with_):
            for expression in templates.expressions(text):
                _check_references(place, expression, earlier)
    target = _target(at, with_, extra, context) if action.needs_aws else AwsSettings()
    attempts, backoff = _retry(section.get("retry"), action)
    timeout = section["timeout"].duration(1, 30 * DAY) if "timeout" in section else None
    step = Step(
        id=_id(section.get("id"), uses, position),
        name=_plain(section.get("name")) or action.summary,
        uses=uses,
        inputs=inputs,
        condition=read_condition(section.get("if"), earlier),
        timeout=timeout or action.timeout,
        retry_attempts=attempts,
        retry_backoff=backoff,
        destructive=_destructive(section.get("destructive"), uses, action),
        allow_untrusted=_fields(section.get("allow-untrusted")),
        pass_env=_pass_env(section.get("pass-env"), uses, action),
        account=target.account,
        region=target.region,
        assume_role=target.assume_role,
        expect=_expect(section.get("expect"), uses, action),
        rechecked=_rechecked(section.get("recheck"), uses, action),
    )
    if action.look_up is not None:  # called if nothing is wrong
        context.later.append(partial(_look_up, with_ or at, action.look_up, inputs))
    return ReadStep(step=step, action=action, at=at, inputs=with_)


def _look_up(
    at: ConfigNode, look: Callable[[MappingType[str, Any]], Sequence[str]], inputs: MappingType[str, Any]
) -> None:
    for sentence in look(inputs):
        at.warning("module-failed", sentence, "correct it, else the step fails when it runs")


def _action(at: ConfigNode, registry: Registry) -> tuple[str, Action | None]:
    assert isinstance(at.node, Mapping)
    node = at.node.get("uses")
    if node is None:
        if at.node.get("run") is None and at.lacks("uses", keys.names("step")):
            fix = "name an action, like uses: aws/cloudformation-delete-stack"
            at.error("missing-key", "`uses` is missing", fix)
        return "", None
    place = at.to(node, "uses")
    uses = place.text()
    if uses is None:
        return "", None
    # Not `registry.get`: for other callers, the registry's lookup raises an error that suggests similar names.
    if uses in registry:
        return uses, registry[uses]
    close = _meant(uses, registry)
    fix = f"did you mean `{close}`?" if close else f"known: {', '.join(registry)}"
    message, fix = workflow_words.absent_action(uses) or (f"there is no action `{uses}`", fix)
    place.error("unknown-action", message, fix)
    return uses, None


def _meant(uses: str, registry: Registry) -> str | None:
    """Return the action that was probably meant; one of another group or service only if the rest is the same."""
    close = near(uses, registry)
    if close is not None and near(_service(uses), [_service(close)]):
        return close
    return next((name for name in registry if name.rpartition("/")[2] == uses.rpartition("/")[2]), None)


def _service(uses: str) -> str:
    """Return what an action acts on: `aws/s3` of `aws/s3-delete-objects`, the group of others."""
    group, slash, word = uses.partition("/")
    return word.partition("-")[0] if group == "aws" else group if slash else uses


def _section(at: ConfigNode, action: Action | None) -> dict[str, ConfigNode]:
    """Read the step's keys. For an input of the action next to `uses`, the fix says to put it under `with`."""
    assert isinstance(at.node, Mapping)
    known = keys.names("step")
    inputs = () if action is None else tuple(action.inputs)
    misplaced = [key for key, _ in at.node.entries if key.value in inputs and key.value not in known]
    for key in misplaced:
        fix = f"put it under with: {{ {key.value}: … }}"
        message = f"`{key.value}` is an input of the action"
        at.to(key, str(key.value)).error("misplaced-input", message, fix)
    entries = tuple(entry for entry in at.node.entries if entry[0] not in misplaced)
    rest = Mapping(line=at.node.line, column=at.node.column, entries=entries)
    rest_at = ConfigNode(node=rest, path=at.path, findings=at.findings)
    return rest_at.section(known, partial(workflow_words.hint, "step")) or {}


def _id(at: ConfigNode | None, uses: str, position: int) -> str:
    group, _, word = uses.rpartition("/")
    # An AWS action's name begins with its service, which does not distinguish the steps of one automation.
    default = f"{word.partition('-')[2] if group == 'aws' and '-' in word else word}-{position}"
    value = at.text() if at else None
    if at is None or value is None:
        return default
    if not _ID.match(value):
        fix = "use lower-case letters, digits and dashes: drop-database"
        at.error("bad-name", f"`{value}` cannot be a step's id", fix)
    return value


def _plain(at: ConfigNode | None) -> str | None:
    text = at.text() if at else None
    if at is not None and text is not None:
        at.refuse_template(text)
    return text


def read_condition(at: ConfigNode | None, earlier: MappingType[str, Action] | None = None) -> str | None:
    """Read an `if:`: a CEL expression, or true or false. `${{ … }}` around all of it is removed.

    `earlier` are the steps before a step, by id; None for an automation, whose condition is evaluated before any step.
    """
    if at is None:
        return None
    value: Any = getattr(at.node, "value", None)
    if isinstance(value, bool):
        return "true" if value else "false"
    text = at.text()
    if text is None:
        return None
    expression = text.strip()
    if expression.startswith("${{") and expression.endswith("}}"):
        expression = expression[3:-2].strip()
    in_step = earlier is not None
    problem = cel.compile_check(expression, boolean=True, in_step=in_step)
    if problem:
        fix = repairs.fix(expression, problem, in_step=in_step)
        at.error("bad-expression", f"`{expression}`: {problem}", fix)
    elif earlier is not None:
        _check_references(at, expression, earlier)
    return expression


def _check_references(at: ConfigNode, expression: str, earlier: MappingType[str, Action]) -> None:
    """Report what an expression reads of earlier steps that they never have: the run would fail after it deleted something."""
    for step, asks_for in references_in(expression):
        if not step:
            what = "steps['ID'].outcome or steps['ID'].outputs.NAME" if asks_for == "steps" else "run.url"
            at.error(
                "bad-expression",
                f"`{expression}`: `{asks_for}` has only {what}",
                f"write {what}",
            )
        elif step not in earlier:
            close = near(step, earlier)
            known = f"the steps before it are {', '.join(earlier)}" if earlier else "no step is before it"
            fix = f"did you mean `{close}`?" if close else f"give the earlier step the id: {known}"
            at.error("unknown-step", f"`{expression}`: no step before this one has the id `{step}`", fix)
        elif asks_for not in ("outcome", "outputs"):
            fix = f"write steps['{step}'].outcome"
            at.error("bad-expression", f"`{expression}`: a step has no `{asks_for}`", fix)
        elif asks_for == "outputs" and not earlier[step].own_code:
            fix = f"ask for steps['{step}'].outcome; only `shell` and `python` give outputs"
            at.error("bad-expression", f"`{expression}`: `{earlier[step].uses}` gives no outputs", fix)
        else:
            continue
        return


def _retry(at: ConfigNode | None, action: Action) -> tuple[int, float]:
    section = (at.section(keys.names("retry")) if at else None) or {}
    attempts = section["attempts"].integer(1, 20) if "attempts" in section else None
    backoff = section["backoff"].duration(1, HOUR) if "backoff" in section else None
    return attempts or action.retry.attempts, backoff or action.retry.backoff.first


def _destructive(at: ConfigNode | None, uses: str, action: Action) -> bool:
    default = action.destructive != "never"
    value = at.boolean() if at else None
    if at is not None and value is not None and value is not default:
        if action.destructive == "unless-declared":
            return value
        kind = "always destructive" if default else "never destructive"
        at.error("not-for-action", f"`{uses}` is {kind}", "leave `destructive` out")
    return default


def _expect(at: ConfigNode | None, uses: str, action: Action) -> str:
    value = at.choice(EXPECTATIONS) if at else None
    if at is not None and value == "present" and action.absent is None:
        fix = "leave `expect` out; let the script itself fail when nothing is there"
        at.error("not-for-action", f"`{uses}` does not say whether it found something", fix)
    return value or "any"


def _rechecked(at: ConfigNode | None, uses: str, action: Action) -> bool:
    value = at.boolean() if at else None
    if at is not None and value is not None and action.absent is not None:
        fix = "leave `recheck` out; `recheck: off` on the automation turns rechecks off"
        at.error("not-for-action", f"`{uses}` is part of each recheck", fix)
    return bool(value)


def _fields(at: ConfigNode | None) -> tuple[str, ...]:
    fix = "write it like event.pull_request.head.ref"
    return at.each_matching(FIELD, "is not a field of the event", fix) if at else ()


def _pass_env(at: ConfigNode | None, uses: str, action: Action) -> tuple[str, ...]:
    if at is None:
        return ()
    if not action.passes_env:
        at.error("not-for-action", f"`{uses}` passes no environment on", "leave `pass-env` out")
        return ()
    problem, fix = "cannot be the name of a variable", "write it like AWS_PROFILE"
    return at.each_matching(_VARIABLE, problem, fix, code="bad-name")


def _target(
    at: ConfigNode, with_: ConfigNode | None, extra: tuple[str, ...], context: StepContext
) -> AwsSettings:
    own: dict[str, ConfigNode] = {}
    if with_ is not None and isinstance(with_.node, Mapping):
        own = {key: with_.to(node, key) for key in extra if (node := with_.node.get(key)) is not None}
    aws = context.aws
    read = read_aws(own)
    target = AwsSettings(
        account=read.account or aws.account,
        region=read.region or aws.region,
        assume_role=read.assume_role or aws.assume_role,
    )
    given = {*own, *context.aws_given}
    missing = [key for key in ("account", "region") if getattr(target, key) is None and key not in given]
    if missing:
        fix = "add aws: { account: '123456789012', region: eu-central-1 } to the file"
        at.error("aws-missing", f"an `aws/*` step needs {' and '.join(missing)}", fix)
    theirs = target.assume_role.split(":")[4] if target.assume_role else target.account
    if target.account and theirs != target.account:
        message = f"the role to assume is in account {theirs}, and this step acts in {target.account}"
        fix = "name the role of that account, or set `account` to the role's"
        at.error("aws-role-account", message, fix)
    return target
