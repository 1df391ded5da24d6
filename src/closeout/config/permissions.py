"""The permissions that a file's automations need: one list for IAM policies, for review, and for GitHub's token.

It follows only from the actions that the file uses, so a role that is built from it can do exactly what the
file does. Pure: the stack, `closeout permissions` and the tests get the same statements from the same
values.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from closeout import livecheck
from closeout.actions.registry import Registry
from closeout.actions.spec import Action, Permission
from closeout.config.patrol import PatrolSettings
from closeout.core import templates
from closeout.core.automation import Automation, Step
from closeout.core.errors import ConfigError

LITERAL_PREFIX = 3
"""Fixed characters that a name must begin with before a policy is made from it: `pr-*` says something, `*` does not."""

_ARN_PARTS = 6
_PARTITIONS = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-isob-", "aws-iso-b"),
    ("us-iso-", "aws-iso"),
)
_SUFFIXES = {"aws-cn": "amazonaws.com.cn", "aws-iso": "c2s.ic.gov", "aws-iso-b": "sc2s.sgov.gov"}
"""The end of a service's name, where it is not `amazonaws.com`."""


class Condition(NamedTuple):
    """A condition of a statement: one of `values` must match."""

    operator: str
    """IAM's name, such as `StringLike`."""
    key: str
    values: tuple[str, ...]


class Statement(NamedTuple):
    """One merged statement. Tuples are sorted and hold each entry once."""

    system: str
    """`aws` or `github`."""
    role: str | None
    """The role that needs it: ARN of a step's `assume-role`; None is the role (or token) that closeout runs with."""
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    """ARNs in which every `${{ }}` is a `*`; of GitHub, repositories or patterns of them."""
    reasons: tuple[str, ...]
    steps: tuple[str, ...]
    """`automation/step`, or `automation` for what the run itself does."""
    conditions: tuple[Condition, ...] = ()
    """All must be met. In the ARNs and services of a secret by name, `*` stands for its region and account."""

    @property
    def condition(self) -> dict[str, dict[str, list[str]]]:
        """The conditions in the form of a policy document; empty if there are none."""
        found: dict[str, dict[str, list[str]]] = defaultdict(dict)
        for operator, key, values in self.conditions:
            found[operator][key] = list(values)
        return dict(found)


class TooWide(NamedTuple):
    """A name from which no policy is made, because it does not begin with `LITERAL_PREFIX` fixed characters."""

    automation: str
    step: str
    input: str
    name: str

    @property
    def message(self) -> str:
        """Return what is wrong and how to fix it."""
        return (
            f"{self.automation}/{self.step}: `{self.input}: {self.name}` begins with fewer than {LITERAL_PREFIX} fixed"
            " characters, so its policy would cover nearly everything of that kind; begin the name with fixed text, or"
            " give the step an `assume-role` whose policy you write yourself"
        )


def statements(
    automations: Iterable[Automation], actions: Registry, patrol: PatrolSettings | None = None
) -> tuple[Statement, ...]:
    """Return what the automations need, merged and sorted; merging never widens. `patrol` adds what patrol reads of GitHub.

    A step with `assume-role` needs `sts:AssumeRole` on it, and its own permissions are listed under that `role`. Account
    and region come from the step. The calls of `shell`, `python` and `@on` functions are not known, so they are not
    included: see `unknown`. Raises `ConfigError` with a sentence for each `too_wide` name, and `UsageError` for an action
    that is not in `actions`.
    """
    known = tuple(automations)
    wide = too_wide(known, actions)
    if wide:
        raise ConfigError("\n".join(name.message for name in wide))
    single = [one for automation in known for one in _of_automation(automation, actions)]
    single += [one for automation in known if patrol for one in _of_patrol(automation, patrol)]
    return merged(_without_implied(single))


def github_statements(automations: Iterable[Automation], actions: Registry) -> tuple[Statement, ...]:
    """Return what the automations need of GitHub, even if `statements` rejects their names in AWS."""
    single = (one for automation in automations for one in _of_automation(automation, actions))
    return merged(_without_implied([one for one in single if one.system == "github"]))


def too_wide(automations: Iterable[Automation], actions: Registry) -> tuple[TooWide, ...]:
    """Return each name from which no policy is made, in the steps that run under closeout's own role."""
    return tuple(
        TooWide(automation.name, step.id, key, text)
        for automation in automations
        for step in automation.steps
        if step.assume_role is None
        and any(one.system == "aws" for one in actions[step.uses].permissions(step.inputs))
        for key, text in _names(step, actions)
        if not _begins_fixed(text)
    )


def unknown(automations: Iterable[Automation], actions: Registry) -> tuple[str, ...]:
    """Return the steps (`automation/step`) and `@on` functions (`automation`) that run the user's own code."""
    found: list[str] = []
    for automation in automations:
        if automation.function is not None:
            found.append(automation.name)
        found += [f"{automation.name}/{step.id}" for step in automation.steps if actions[step.uses].own_code]
    return tuple(found)


def policy(found: Iterable[Statement], role: str | None = None) -> dict[str, Any]:
    """Return the IAM policy document of one role: a JSON object, with an empty `Statement` if the role needs nothing."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(one.actions), "Resource": list(one.resources)}
            | ({"Condition": one.condition} if one.conditions else {})
            for one in found
            if one.system == "aws" and one.role == role
        ],
    }


def roles(found: Iterable[Statement]) -> tuple[str | None, ...]:
    """Return the roles that need something of AWS: None (closeout's own) first, then ARNs in order."""
    named = {one.role for one in found if one.system == "aws"}
    return tuple(sorted(named, key=lambda role: role or ""))


# --- one automation -----------------------------------------------------------------------------------


def _of_automation(automation: Automation, actions: Registry) -> Iterator[Statement]:
    yield from _of_run(automation)
    for step in automation.steps:
        path = (f"{automation.name}/{step.id}",)
        yield from assuming(step, path)
        for arns in _secrets(step, actions):
            yield from _reading(arns, "read the secret that the step's input refers to", path)
        action = actions[step.uses]
        for permission in (*action.permissions(step.inputs), *of_tags(automation, step, action)):
            if permission.system == "aws":
                yield of_aws(permission, step, path)
            else:
                everywhere = permission.resources in ((), ("*",))
                resources = (everywhere and automation.repositories) or permission.resources or ("*",)
                rights = _about(automation, step, permission.actions)
                why = (permission.reason,)
                yield Statement("github", None, rights, tuple(sorted(set(resources))), why, path)


def of_aws(permission: Permission, step: Step, path: tuple[str, ...]) -> Statement:
    """Return the AWS statement for a permission of a step."""
    resources = {narrowed(arn, step) for arn in permission.resources or ("*",)}
    rights = tuple(sorted(set(permission.actions)))
    return Statement("aws", step.assume_role, rights, tuple(sorted(resources)), (permission.reason,), path)


def assuming(step: Step, path: tuple[str, ...]) -> Iterator[Statement]:
    """Yield the right to act under the role that a step names, if it names one."""
    if step.assume_role is not None:
        why = ("act under the role that the step names",)
        yield Statement("aws", None, ("sts:AssumeRole",), (step.assume_role,), why, path)


def of_tags(automation: Automation, step: Step, action: Action) -> tuple[Permission, ...]:
    """Return the rights to read tags, which only `protect.tags` needs."""
    return tuple(action.tag_permissions(step.inputs)) if automation.protect_tags else ()


def _about(automation: Automation, step: Step, actions: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out the rights to issues if every event is a pull request's and the step names no other number."""
    events = [str(trigger["event"]) for trigger in automation.triggers]
    if "number" not in step.inputs and all(event.startswith("pull_request") for event in events):
        actions = tuple(name for name in actions if name != "issues:write")
    return tuple(sorted(set(actions)))


def _of_run(automation: Automation) -> Iterator[Statement]:
    """Yield what a run itself needs of GitHub: to post its status, and to read for guards and filters."""
    events = {str(trigger["event"]) for trigger in automation.triggers}
    filtered = any({"paths", "paths-ignore"} & set(trigger) for trigger in automation.triggers)
    github = partial(_of_github, automation)
    destructive = any(step.destructive for step in automation.steps) or (
        automation.function is not None and automation.destructive_function
    )
    if automation.status_context is not None:
        yield github("statuses:write", "post the run's commit status")
    for check in livecheck.possible(automation.triggers) if destructive else ():
        yield github(check.permission, check.reason)
    if automation.bases == "ever":
        yield github("pull_requests:read", "read the base branches that the pull request had")
    if automation.environment is not None:
        yield github("deployments:read", "see whether the environment has an active deployment")
    if filtered and "pull_request" in events:
        yield github("pull_requests:read", "read the changed files that `paths` is about")


def _of_github(automation: Automation, permission: str, why: str) -> Statement:
    repositories = tuple(sorted(set(automation.repositories))) or ("*",)
    return Statement("github", None, (permission,), repositories, (why,), (automation.name,))


def _of_patrol(automation: Automation, patrol: PatrolSettings) -> Iterator[Statement]:
    """Yield what patrol and the guard for deploys read, whether or not the automation deletes anything."""
    checks = livecheck.possible(automation.triggers)
    github = partial(_of_github, automation)
    if any(check.kind == "pull request" for check in checks):
        yield github("pull_requests:read", "answer `closeout guard`")
        if patrol.state is not None:
            yield github("metadata:read", "find the repositories whose closed pull requests patrol lists")
            yield github(
                "pull_requests:read", "let patrol find closed pull requests whose webhook was missed"
            )
    if checks and patrol.deliveries is not None:
        yield github("repository_hooks:read", "let patrol read the delivery log for lost webhooks")


def _names(step: Step, actions: Registry) -> Iterator[tuple[str, str]]:
    """Yield every text of the step's naming inputs, with its key."""
    for key, spec in actions[step.uses].inputs.items():
        value = step.inputs.get(key)
        if spec.names and spec.type == "string" and value:
            yield key, str(value)


def secret_statements(references: Iterable[str], who: str) -> tuple[Statement, ...]:
    """Return the rights that `who` needs to read these secrets of Secrets Manager."""
    found = [_secret_arns(reference.partition(":")[2].partition("#")[0]) for reference in references]
    why = "read the secret that the configuration refers to"
    return merged(one for arns in found for one in _reading(arns, why, (who,)))


def _secrets(step: Step, actions: Registry) -> Iterator[tuple[str, ...]]:
    """Yield the ARNs of every secret of Secrets Manager that an input refers to; closeout's own role reads it."""
    for key, spec in actions[step.uses].inputs.items():
        if not spec.secret:
            continue
        value = step.inputs.get(key)
        for text in value.values() if isinstance(value, Mapping) else (value,):
            kind, _, rest = str(text).partition(":")
            if kind == "aws-secretsmanager":
                yield _secret_arns(rest.partition("#")[0])


def _secret_arns(name: str) -> tuple[str, ...]:
    """Return a secret's ARN; the six characters at its end are chosen by AWS (Secrets Manager: IAM policy examples).

    `…:secret:webhook-secret` may be a whole ARN or one that lacks them, and AWS takes both, so both are allowed.
    """
    if not name.startswith("arn:"):
        return (f"arn:aws:secretsmanager:*:*:secret:{name}-??????",)
    lacking = f"{name}-??????"
    return (name, lacking) if re.search(r"-[A-Za-z0-9]{6}\Z", name) else (lacking,)


def _reading(arns: tuple[str, ...], why: str, path: tuple[str, ...]) -> Iterator[Statement]:
    """Yield the right to read a secret, and to decrypt with its key only that secret.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
    """
    _, partition, _, region, account, _ = arns[0].split(":", _ARN_PARTS - 1)
    service = f"secretsmanager.{region}.{_SUFFIXES.get(partition, 'amazonaws.com')}"
    yield Statement("aws", None, ("secretsmanager:GetSecretValue",), arns, (why,), path)
    yield Statement(
        "aws",
        None,
        ("kms:Decrypt",),
        (f"arn:{partition}:kms:{region}:{account}:key/*",),
        ("decrypt only that secret, if it has a customer managed key",),
        path,
        (
            Condition("StringLike", "kms:EncryptionContext:SecretARN", arns),
            Condition("StringLike", "kms:ViaService", (service,)),
        ),
    )


def _begins_fixed(name: str) -> bool:
    """Whether a name is fixed, or begins with enough fixed characters; in an ARN, the last segment counts."""
    first = templates.parts(name)[0]
    if first.expression:
        return False
    if first.text == name:
        return True
    fixed = re.split(r"[:/]", first.text)[-1] if first.text.startswith("arn:") else first.text
    return len(fixed) >= LITERAL_PREFIX


def narrowed(arn: str, step: Step) -> str:
    """Fill in the step's partition, region and account where an action's ARN leaves them open."""
    parts = re.sub(r"\*{2,}", "*", arn).split(":", _ARN_PARTS - 1)
    if len(parts) < _ARN_PARTS:
        return arn
    _, partition, service, region, account, resource = parts
    partition = next(
        (name for start, name in _PARTITIONS if (step.region or "").startswith(start)), partition
    )
    region = step.region if region == "*" and step.region else region
    account = step.account if account == "*" and step.account else account
    return f"arn:{partition}:{service}:{region}:{account}:{resource}"


# --- merging ------------------------------------------------------------------------------------------


def _without_implied(single: Sequence[Statement]) -> Iterator[Statement]:
    """Merge a GitHub `read` into a `write` of the same repositories, which includes it."""
    written = {
        (name, resource)
        for one in single
        if one.system == "github"
        for name in one.actions
        for resource in one.resources
    }

    def level(name: str, one: Statement) -> str:
        write = name.replace(":read", ":write")
        return write if all((write, resource) in written for resource in one.resources) else name

    for one in single:
        if one.system == "github":
            yield one._replace(actions=tuple(sorted({level(name, one) for name in one.actions})))
        else:
            yield one


def merged(single: Iterable[Statement]) -> tuple[Statement, ...]:
    """Join statements of the same actions, then those of the same resources; neither step allows more than before.

    Statements with different conditions are never joined.
    """
    by_actions = _joined(single, lambda one: (one.system, one.role, one.actions, one.conditions))
    by_resources = _joined(by_actions, lambda one: (one.system, one.role, one.resources, one.conditions))

    def order(one: Statement) -> tuple[Any, ...]:
        return one.system, one.role or "", one.actions, one.resources, one.conditions

    return tuple(sorted(by_resources, key=order))


def _joined(found: Iterable[Statement], key: Callable[[Statement], Any]) -> list[Statement]:
    """Join the statements with the same key. Conditions are part of each key."""
    groups: dict[Any, list[Statement]] = defaultdict(list)
    for one in found:
        groups[key(one)].append(one)

    def joined(group: list[Statement], field: str) -> tuple[str, ...]:
        return tuple(sorted({entry for one in group for entry in getattr(one, field)}))

    return [
        group[0]._replace(
            actions=joined(group, "actions"),
            resources=joined(group, "resources"),
            reasons=joined(group, "reasons"),
            steps=joined(group, "steps"),
        )
        for group in groups.values()
    ]
