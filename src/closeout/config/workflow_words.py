"""The vocabulary of GitHub Actions: what people paste from a workflow, and what closeout has instead.

An automation looks like a workflow, so people write what they know. A list of known keys does not help them; the name of
the equivalent does. Separate from the checks, because this is a dictionary: it never decides what is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from closeout.config.document import Mapping as MappingNode
from closeout.config.document import Node, Scalar, Sequence
from closeout.config.values import ConfigNode
from closeout.core.reactions import TEXT

_ORDER = "leave it out: the steps of an automation run one after the other, in the order of the file"
_EACH = "write a step for each value: closeout has no matrix"
_RIGHTS = "leave it out: `closeout permissions` prints what closeout's token and role need"
_RUNNER = "leave it out: steps run where closeout runs, there is no runner"
_SCRIPT = "write uses: shell, with: { run: '…' }"
_VARIABLES = "give variables to a `shell` step: with: { env: { NAME: value } }"
_JOBS = "closeout has no jobs: write an automation with `on` and `steps` for each"
_INSIDE = "put it into an automation: automations: { NAME: { on: …, steps: … } }"

_SHARED: Mapping[str, str] = {
    "strategy": _EACH,
    "matrix": _EACH,
    "needs": _ORDER,
    "permissions": _RIGHTS,
    "runs-on": _RUNNER,
    "container": _RUNNER,
    "services": _RUNNER,
    "environment": "leave it out: `repositories`, `senders` and `if` say what an automation is for",
    "outputs": 'leave it out: a script writes NAME=value to "$GITHUB_OUTPUT", later steps read steps.ID.outputs.NAME',
    "defaults": "leave it out: scripts run by `/bin/sh -eu` in the folder of this file",
    "workflows": "say it on the automation: if: event.workflow_run.name == 'CI'",
}
_OF_LEVEL: Mapping[str, Mapping[str, str]] = {
    "file": {
        "jobs": _JOBS,
        "name": "leave it out: an automation's name is its key under `automations`",
        "run-name": "leave it out: an automation's name is its key under `automations`",
        "on": _INSIDE,
        "steps": _INSIDE,
        "env": _VARIABLES,
        "concurrency": _INSIDE,
    },
    "automation": {
        "jobs": "closeout has no jobs: put the `steps` right here, below the automation",
        "name": "leave it out: an automation's name is its key under `automations`",
        "env": _VARIABLES,
        "continue-on-error": "write on-failure: continue (the default): later steps run after one failed",
        "run": "put it into a step: steps: [{ uses: shell, with: { run: '…' } }]",
    },
    "step": {
        "run": _SCRIPT,
        "env": "only `shell` takes variables: with: { run: '…', env: { NAME: value } }",
        "shell": "leave it out, a script runs by `/bin/sh -eu`; for another shell: with: { argv: [bash, -euc, …] }",
        "continue-on-error": "leave it out: later steps run after one failed, unless the automation says on-failure: stop",
    },
    "trigger": {
        "cron": "closeout starts on webhooks only; let a scheduled workflow send a `repository_dispatch`",
        "inputs": "leave it out: inputs are fields of the event, event.inputs.NAME",
    },
}


def hint(level: str, key: str, value: Node) -> str | None:
    """Return what closeout has instead of a key of GitHub Actions; None for a key that Actions does not have either."""
    if key == "timeout-minutes":
        minutes = value.text if isinstance(value, Scalar) and isinstance(value.value, int) else "30"
        return f"write timeout: {minutes}m"
    if key == "working-directory":
        folder = value.text if isinstance(value, Scalar) and re.fullmatch(r"[\w./-]+", value.text) else "DIR"
        return f"begin the script with `cd {folder}`: it starts in the folder of this file"
    return _OF_LEVEL.get(level, {}).get(key) or _SHARED.get(key)


def concurrency_map(at: ConfigNode) -> None:
    """Report `concurrency` as a map, as Actions has it."""
    at.error(
        "wrong-type",
        "expected text, got a map as in GitHub Actions",
        "write the group alone: concurrency: preview-${{ event.pull_request.number }};"
        " runs of one group go one after the other, and a new one cancels none",
    )


# --- expressions --------------------------------------------------------------------------------------

_FIELDS = {
    "github.event.": "event.",
    "github.repository_owner": "event.repository.owner.login",
    "github.repository_id": "event.repository.id",
    "github.repository": "event.repository.full_name",
    "github.head_ref": "event.pull_request.head.ref",
    "github.base_ref": "event.pull_request.base.ref",
    "github.ref_name": "event.ref",
    "github.ref_type": "event.ref_type",
    "github.ref": "event.ref",
    "github.actor": "event.sender.login",
    "github.triggering_actor": "event.sender.login",
    "github.sha": "event.pull_request.head.sha",
}
_FIELD = re.compile(
    TEXT.pattern + r"|(?<![.\w])(?:" + "|".join(re.escape(name) for name in _FIELDS) + r")(?:(?<=\.)|\b)"
)
_ONLY_IN_STEPS = re.compile(r"(?<![.\w])(?:(?:failure|always|success)\(\s*\)|steps\b|run\.)")
_CANCELLED = re.compile(r"(?<![.\w])cancelled\(\s*\)")
_CONTEXT = re.compile(r"(?<![.\w])(secrets|env|vars|needs|matrix|strategy|runner|job|jobs|inputs|github)\.")


def translated(expression: str) -> str:
    """Return an expression with the fields of `github` replaced by those of `event`, except in string literals."""
    return _FIELD.sub(lambda found: _FIELDS.get(found[0], found[0]), expression)


def expression_fix(expression: str, *, in_step: bool) -> str | None:
    """Return the fix for a function or a context that only Actions has, or only a step; None if there is none."""
    code = TEXT.sub("''", expression)
    if _CANCELLED.search(code):
        return "leave the step out: nothing runs after a run was cancelled"
    if not in_step and _ONLY_IN_STEPS.search(code):
        return "only a step can ask for the steps before it: write this into the `if` of a step"
    if re.search(r"(?<![.\w])github\.event_name\b", code):
        return "use `on`: an automation gets only the events listed there"
    context = _CONTEXT.search(translated(code))
    if context is None:
        return None
    if context[1] == "secrets":
        return (
            "a template never contains a secret: name the variable in `pass-env` of a `shell` step, or use an input that takes"
            " a reference like env:NAME"
        )
    return (
        f"closeout has no `{context[1]}`: an expression sees `event` only; see docs/reference/expressions.md"
    )


# --- actions ------------------------------------------------------------------------------------------

ABSENT: Mapping[str, str] = {
    "aws/amplify-delete-branch": "aws amplify delete-branch --app-id ID --branch-name NAME",
    "aws/cloudfront-delete-distribution": "aws cloudfront delete-distribution --id ID --if-match ETAG",
    "aws/dynamodb-delete-table": "aws dynamodb delete-table --table-name NAME",
    "aws/ecr-delete-images": "aws ecr batch-delete-image --repository-name NAME --image-ids imageTag=TAG",
    "aws/ecr-delete-repository": "aws ecr delete-repository --repository-name NAME --force",
    "aws/ecs-delete-service": "aws ecs delete-service --cluster NAME --service NAME --force",
    "aws/lambda-delete-function": "aws lambda delete-function --function-name NAME",
    "aws/logs-delete-log-group": "aws logs delete-log-group --log-group-name NAME",
    "aws/rds-delete-instance": "aws rds delete-db-instance --db-instance-identifier NAME --skip-final-snapshot",
    "aws/route53-delete-record": "aws route53 change-resource-record-sets --hosted-zone-id ID --change-batch …",
    "aws/s3-delete-bucket": "aws s3 rb s3://NAME --force",
    "aws/secretsmanager-delete-secret": "aws secretsmanager delete-secret --secret-id NAME",
    "github/close-issue": "gh issue close NUMBER --repo OWNER/NAME",
    "github/delete-branch": "gh api -X DELETE repos/OWNER/NAME/git/refs/heads/BRANCH",
    "github/delete-deployment": "gh api -X DELETE repos/OWNER/NAME/deployments/ID",
    "github/delete-environment": "gh api -X DELETE repos/OWNER/NAME/environments/NAME",
    "github/delete-package": "gh api -X DELETE orgs/OWNER/packages/container/NAME/versions/ID",
    "kubernetes/delete-namespace": "kubectl delete namespace NAME --ignore-not-found",
    "helm/uninstall": "helm uninstall NAME --ignore-not-found",
    "terraform/destroy": "terraform destroy -auto-approve",
    "slack/post-message": "",
}
"""Actions that people look for and that do not exist yet, with a command that does the same; "" for an HTTP request."""

_NOT_OURS = re.compile(r"(?:\.{1,2}/|docker://).*|[^@]+@.*")


def absent_action(uses: str) -> tuple[str, str] | None:
    """Return message and fix for a name in `uses` that is a known one but not an action of closeout; None for others."""
    if uses in ABSENT:
        command = ABSENT[uses]
        way = f"uses: shell, with: {{ run: '{command}' }}" if command else "uses: http/request"
        return f"closeout has no `{uses}` yet", f"until it has: {way}"
    if _NOT_OURS.fullmatch(uses):
        message = f"`{uses}` is an action of GitHub Actions, which needs a runner: closeout cannot run it"
        return message, "do it in a script with `shell`, or see `closeout actions list`"
    return None


# --- a whole workflow ---------------------------------------------------------------------------------


def refuse_workflow(at: ConfigNode) -> bool:
    """Report a whole workflow, as one finding with the smallest translation. Returns whether it was one."""
    if not isinstance(at.node, MappingNode):
        return False
    key, jobs = at.node.key("jobs"), at.node.get("jobs")
    if key is None or not isinstance(jobs, MappingNode):
        return False
    if not any(
        isinstance(job, MappingNode) and (job.get("runs-on") or job.get("steps")) for _, job in jobs.entries
    ):
        return False
    at.to(key, "jobs").error(
        "github-workflow",
        "this is a workflow of GitHub Actions: it has jobs, which run on runners. closeout has automations: lists of steps"
        " that it carries out itself when GitHub sends an event",
        "write an automation:",
        example=_translated(*_shown(at.node.get("on"))),
    )
    return True


def _shown(on: Node | None) -> tuple[str, bool]:
    """Return the value of `on` in closeout's form, and whether it can start deletions."""
    names = {str(item.value) for item in _items(on) if isinstance(item, Scalar)}
    closed = "{ pull_request: { types: [closed] } }", True
    if names & {"pull_request_target", "pull_request"}:
        return closed
    if names == {"delete"}:
        return "delete", True
    ordinary = ("push", "release", "issues", "workflow_run", "create")
    known = next((name for name in ordinary if name in names), None)
    return (known, False) if known else closed


def _items(on: Node | None) -> tuple[Node, ...]:
    if isinstance(on, MappingNode):
        return tuple(key for key, _ in on.entries)
    if isinstance(on, Sequence):
        return on.items
    return () if on is None else (on,)


def _translated(on: str, destructive: bool) -> str:
    """Return a whole file. It contains none of the workflow's own texts, because one may hold a secret."""
    harmless = "" if destructive else "        destructive: false\n"
    return (
        "version: 1\n"
        "automations:\n"
        "  clean-up:\n"
        f"    on: {on}\n"
        "    repositories: [OWNER/NAME]\n"
        "    steps:\n"
        "      - uses: shell\n"
        f"{harmless}"
        "        with: { run: ./clean-up.sh }"
    )
