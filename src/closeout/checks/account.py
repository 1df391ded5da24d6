"""Checks of AWS: whose credentials these are, whether roles can be assumed, and whether all rights are granted.

Rights are checked with IAM's simulation, which covers the role's policies and its boundary, but no policy of the organization
or of a resource. A role without the right to simulate gets no finding, because a narrow role is not a fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from closeout.actions.registry import builtin
from closeout.checks.check import Check, Result, failed, fine, skipped, unknown, worst, wrong
from closeout.checks.world import World, targets
from closeout.config.permissions import Statement, statements
from closeout.core.errors import ConfigError, ServiceError
from closeout.ports import AwsTarget

UNREACHABLE = "check the network, the region and AWS_ENDPOINT_URL"
NONE = "no step acts in AWS"
DENIED = "AccessDenied"


def _credentials(world: World) -> Result:
    known = dict.fromkeys(target._replace(assume_role=None) for target in targets(world.loaded))
    if not known:
        return skipped(NONE)
    results, names = [], []
    for target in known:
        try:
            names.append(str(world.identity(target)["Arn"]))
        except ServiceError as error:
            results.append(failed(error, UNREACHABLE if error.transient else None))
    return worst(results, f"AWS knows these credentials: {', '.join(dict.fromkeys(names))}")


def _role(world: World) -> Result:
    under = [target for target in targets(world.loaded) if target.assume_role]
    if not under:
        return skipped("no step names a role to assume")
    results = []
    for target in under:
        try:
            world.identity(target)
        except ServiceError as error:
            text = f"{target.assume_role} cannot be assumed ({error.message})"
            results.append(unknown(text) if error.transient else wrong(text))
    return worst(results, f"the roles can be assumed: {', '.join(str(one.assume_role) for one in under)}")


def _account(world: World) -> Result:
    known = targets(world.loaded)
    if not known:
        return skipped(NONE)
    results = []
    for target in known:
        try:
            account = str(world.identity(target)["Account"])
        except ServiceError:
            continue  # `aws-role` reports it
        results.append(fine(account))
        if account != target.account:
            whose = target.assume_role or "closeout's credentials"
            results.append(wrong(f"the file says account {target.account}, and {whose} belong to {account}"))
    if not results:
        return unknown("AWS did not say for any credentials which account they belong to")
    return worst(results, f"the account is {', '.join(dict.fromkeys(one.account for one in known))}")


def _permissions(world: World) -> Result:
    if not targets(world.loaded):
        return skipped(NONE)
    try:
        needed = [one for one in statements(world.loaded.automations, builtin()) if one.system == "aws"]
    except ConfigError as error:
        return skipped(f"no policy can be made from the file ({error.message.splitlines()[0]})")
    results: list[Result] = []
    for target in targets(world.loaded):
        mine = [one for one in needed if one.role == target.assume_role and not one.conditions]
        results += _simulated(world, target, mine)
    return worst(results, "IAM's simulation allows what the steps need")


def _simulated(world: World, target: AwsTarget, needed: Sequence[Statement]) -> Iterator[Result]:
    """Yield a result for each statement that a target's role needs."""
    try:
        principal = _principal(str(world.identity(target)["Arn"]), target)
        if principal is None:
            yield skipped("IAM simulates roles and users only")
            return
        iam = world.iam(target)
        for one in needed:
            missing = not_allowed(iam, principal, one)
            if missing:
                yield wrong(f"{principal} lacks {', '.join(missing)} (for {one.steps[0]})")
    except ServiceError as error:
        if error.reason == DENIED:
            yield skipped("closeout may not ask IAM (`iam:SimulatePrincipalPolicy`), so this is unknown")
        else:
            yield failed(error)


def _principal(arn: str, target: AwsTarget) -> str | None:
    """Return the ARN that IAM simulates: for a session its role, with the configured ARN if there is one."""
    if target.assume_role:
        return target.assume_role
    head, _, rest = arn.partition("::")
    account, _, name = rest.partition(":")
    if name.startswith("assumed-role/"):
        return f"{head.replace(':sts', ':iam')}::{account}:role/{name.split('/')[1]}"
    return arn if name.startswith(("user/", "role/")) else None


def not_allowed(iam: Any, principal: str, needed: Statement) -> list[str]:
    """Return the actions that are not allowed on each resource. Raises `ServiceError`."""
    answer: Mapping[str, Any] = iam.simulate_principal_policy(
        PolicySourceArn=principal,
        ActionNames=list(needed.actions),
        ResourceArns=list(needed.resources),
        MaxItems=1_000,
    )
    results = answer["EvaluationResults"]
    refused = {str(one["EvalActionName"]) for one in results if one["EvalDecision"] != "allowed"}
    asked = {str(one["EvalActionName"]) for one in results}
    return sorted(refused | (set(needed.actions) - asked))


def _cloudformation_role(world: World) -> Result:
    roles = {
        (str(step.inputs["role-arn"]), AwsTarget(step.account, step.region, step.assume_role)): None
        for automation in world.loaded.automations
        for step in automation.steps
        if step.inputs.get("role-arn") and step.account and step.region
    }
    written = [(role, target) for role, target in roles if "${{" not in role]
    if not written:
        return skipped("no step names a role for CloudFormation")
    named = ", ".join(dict.fromkeys(role for role, _ in written))
    results = [_trusts(world, role, target) for role, target in written]
    return worst(results, f"the roles exist and trust CloudFormation: {named}")


def _trusts(world: World, role: str, target: AwsTarget) -> Result:
    try:
        found = world.iam(target).get_role(RoleName=role.rpartition("/")[2])["Role"]
    except ServiceError as error:
        if error.reason == DENIED:
            return skipped("closeout may not ask IAM (`iam:GetRole`), so this is unknown")
        if error.reason == "NoSuchEntity":
            return wrong(f"{role} does not exist")
        return failed(error)
    if found["Arn"] != role:
        return wrong(f"{role} does not exist: {found['Arn']} does")
    if "cloudformation.amazonaws.com" not in str(found["AssumeRolePolicyDocument"]):
        return wrong(f"{role} does not trust cloudformation.amazonaws.com")
    return fine(role)


_check = partial(Check, group="AWS")

CHECKS = (
    _check(
        id="aws-credentials",
        looks="AWS knows closeout's credentials",
        breaks="every step in AWS fails",
        fix="give closeout a role, a profile, or keys in its environment; `aws sts get-caller-identity` shows whose they are",
        ask=_credentials,
        after=("configuration",),
    ),
    _check(
        id="aws-role",
        looks="each role of `assume-role` can be assumed",
        breaks="the steps under this role fail",
        fix="allow closeout's credentials `sts:AssumeRole` on it, and name them in the role's trust policy",
        ask=_role,
        after=("configuration", "aws-credentials"),
    ),
    _check(
        id="aws-account",
        looks="the credentials belong to the account that the file names",
        breaks="a guard refuses every plan",
        fix="correct `aws.account`, or give closeout credentials of that account",
        ask=_account,
        after=("configuration", "aws-credentials", "aws-role"),
    ),
    _check(
        id="aws-permissions",
        looks="IAM's simulation, if closeout may use it, allows what `closeout permissions` prints",
        breaks="the steps that need it fail",
        fix="attach the policy that `closeout permissions` prints",
        ask=_permissions,
        after=("configuration", "aws-credentials", "aws-role", "aws-account"),
    ),
    _check(
        id="aws-cloudformation-role",
        looks="each role of `role-arn` exists and trusts CloudFormation",
        breaks="stacks with this step are not deleted",
        fix="correct `role-arn`, or let the role's trust policy name cloudformation.amazonaws.com",
        ask=_cloudformation_role,
        after=("configuration", "aws-credentials", "aws-role"),
    ),
)
