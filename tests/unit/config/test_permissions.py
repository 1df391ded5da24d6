"""The permissions that a file's automations need: exactly what their actions require, on exactly what they name."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.actions.spec import Action
from closeout.config.load import load
from closeout.config.permissions import (
    Statement,
    policy,
    roles,
    secret_statements,
    statements,
    too_wide,
    unknown,
)
from closeout.config.reading_rights import audit_statements, recheck_statements
from closeout.core.automation import Automation
from closeout.core.errors import ConfigError

HEAD = """\
version: 1
secrets: { webhook: env:W, github: env:G }
aws: { account: '123456789012', region: eu-central-1 }
automations:
"""
STACK = "{ uses: aws/cloudformation-delete-stack, with: { stack-name: '%s' } }"


def automation(name: str, *steps: str, on: str = "pull_request: { types: [closed] }", more: str = "") -> str:
    """The text of one automation."""
    listed = "".join(textwrap.indent(f"- {step.strip()}\n", "      ") for step in steps)
    return f"  {name}:\n    on: {{ {on} }}\n    repositories: [acme/shop]\n{more}    steps:\n{listed}"


def read(folder: Path, *texts: str, head: str = HEAD) -> tuple[Automation, ...]:
    """Load automations from a real file."""
    path = folder / "closeout.yaml"
    path.write_text(head + "".join(texts), encoding="utf-8")
    return load(path, builtin()).automations


def needed(folder: Path, *texts: str, **more: Any) -> tuple[Statement, ...]:
    """The statements of a file."""
    return statements(read(folder, *texts, **more), builtin())


def of(found: tuple[Statement, ...], action: str) -> Statement:
    """The one statement with this action."""
    (one,) = [one for one in found if action in one.actions]
    return one


def pairs(found: tuple[Statement, ...]) -> set[tuple[str, str | None, str, str]]:
    """Everything that is allowed, one by one."""
    return {
        (one.system, one.role, action, resource)
        for one in found
        for action in one.actions
        for resource in one.resources
    }


@pytest.mark.parametrize("action", builtin().values(), ids=lambda action: action.uses)
def test_every_action_gets_its_permissions_with_reason_and_step(action: Action, tmp_path: Path) -> None:
    """For the action's own example: each declared permission is there, and none is added."""
    text = HEAD + automation("shown", more="    status: false\n")
    steps = textwrap.indent(action.example.strip(), "      ")
    (tmp_path / "previews").mkdir()
    (tmp_path / "previews/__init__.py").write_text("")
    (tmp_path / "previews/cleanup.py").write_text("def drop_database(context, number): ...\n")
    path = tmp_path / "closeout.yaml"
    path.write_text(text + steps + "\n", encoding="utf-8")
    automations = load(path, builtin()).automations
    (step,) = automations[0].steps
    found = [one for one in statements(automations, builtin()) if f"shown/{step.id}" in one.steps]
    declared = action.permissions(step.inputs)
    assert {name for one in found for name in one.actions} == {
        name for permission in declared for name in permission.actions
    } - {"issues:write"}, "its event is a pull request's"
    assert {reason for one in found for reason in one.reasons} == {
        permission.reason for permission in declared
    }
    for one in found:
        assert all(reason and not reason.endswith(".") for reason in one.reasons)
        assert "${{" not in "".join(one.resources)
        for arn in one.resources if one.system == "aws" else ():
            assert arn == "*" or re.fullmatch(
                r"arn:aws:(s3:::.+|[a-z]+:(eu-central-1:123456789012|):.+|iam::\d{12}:.+)", arn
            )


def test_a_name_becomes_an_arn_of_the_steps_account_and_region(tmp_path: Path) -> None:
    """A `${{ }}` becomes `*`, the text around it narrows; region and account are the step's own."""
    found = needed(tmp_path, automation("a", STACK % "preview-${{ event.pull_request.number }}-x"))
    one = of(found, "cloudformation:DeleteStack")
    assert one.resources == ("arn:aws:cloudformation:eu-central-1:123456789012:stack/preview-*-x/*",)
    assert one.steps == ("a/delete-stack-1",)
    assert one.role is None


@pytest.mark.parametrize(
    ("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-east-1", "aws")]
)
def test_the_partition_is_the_regions(tmp_path: Path, region: str, partition: str) -> None:
    """An ARN of the wrong partition allows nothing."""
    found = needed(tmp_path, automation("a", STACK % "preview-x"), head=HEAD.replace("eu-central-1", region))
    (arn,) = of(found, "cloudformation:DeleteStack").resources
    assert arn.startswith(f"arn:{partition}:cloudformation:{region}:123456789012:stack/preview-x/")


def test_merging_allows_nothing_more_than_the_steps_alone(tmp_path: Path) -> None:
    """The merged statements allow exactly the union of what each automation needs."""
    texts = [
        automation("a", STACK % "preview-${{ event.pull_request.number }}", STACK % "extra-stack"),
        automation(
            "b",
            "{ uses: aws/s3-delete-objects, with: { bucket: shop-previews, prefix: 'pr-${{ event.pull_request.number }}/' } }",
            "{ uses: aws/codebuild-start-build, with: { project: teardown } }",
        ),
        automation("c", STACK % "preview-${{ event.pull_request.number }}"),
    ]
    together = needed(tmp_path, *texts)
    apart = set[tuple[str, str | None, str, str]]()
    for text in texts:
        apart |= pairs(needed(tmp_path, text))
    assert pairs(together) == apart
    delete = of(together, "cloudformation:DeleteStack")
    assert delete.steps == ("a/delete-stack-1", "a/delete-stack-2", "c/delete-stack-1")
    assert len(delete.resources) == 2
    assert list(together) == sorted(together, key=lambda one: (one.system, one.role or "", one.actions))


def test_the_order_of_the_file_does_not_matter(tmp_path: Path) -> None:
    """The same permissions yield the same policy, so that a diff shows only what changed."""
    one, two = automation("a", STACK % "preview-x"), automation("b", STACK % "other-y")
    assert needed(tmp_path, one, two) == needed(tmp_path, two, one)


@pytest.mark.parametrize(
    ("name", "wide"),
    [
        ("${{ event.pull_request.number }}", True),
        ("${{ event.pull_request.number }}-preview", True),
        ("pr${{ event.pull_request.number }}", True),
        ("pr-${{ event.pull_request.number }}", False),
        ("x", False),
    ],
)
def test_a_name_needs_three_fixed_characters_for_a_policy(tmp_path: Path, name: str, wide: bool) -> None:
    """With two, or with a leading template, it would match nearly every stack; a name without a template is exact."""
    automations = read(tmp_path, automation("a", STACK % name))
    found = too_wide(automations, builtin())
    assert bool(found) is wide
    if wide:
        assert (found[0].automation, found[0].step, found[0].input) == ("a", "delete-stack-1", "stack-name")
        with pytest.raises(ConfigError, match="begins with fewer than 3 fixed characters") as error:
            statements(automations, builtin())
        assert name in error.value.message
    else:
        assert statements(automations, builtin())


def test_a_roles_name_counts_and_not_the_arn_before_it(tmp_path: Path) -> None:
    """`arn:aws:iam::…:role/` is in every role's ARN, and narrows nothing."""
    step = (
        "{ uses: aws/cloudformation-delete-stack, with: { stack-name: preview-x,"
        " role-arn: 'arn:aws:iam::123456789012:role/%s${{ event.pull_request.number }}' } }"
    )
    assert too_wide(read(tmp_path, automation("a", step % "")), builtin())[0].input == "role-arn"
    found = needed(tmp_path, automation("a", step % "delete-"))
    assert of(found, "iam:PassRole").resources == ("arn:aws:iam::123456789012:role/delete-*",)


def test_a_step_under_a_role_needs_only_to_assume_it(tmp_path: Path) -> None:
    """That role must allow what the step does, in its own account, whatever its name."""
    role = "arn:aws:iam::210987654321:role/previews"
    step = (
        "{ uses: aws/cloudformation-delete-stack, with: { stack-name: '${{ event.pull_request.number }}-x',"
        f" account: '210987654321', region: us-east-1, assume-role: '{role}' }} }}"
    )
    found = needed(tmp_path, automation("a", step))
    assert roles(found) == (None, role)
    assert policy(found)["Statement"] == [
        {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": [role]}
    ]
    (arn,) = of(found, "cloudformation:DeleteStack").resources
    assert arn == "arn:aws:cloudformation:us-east-1:210987654321:stack/*-x/*"
    assert of(found, "cloudformation:DeleteStack").role == role
    assert len(policy(found, role)["Statement"]) == 3


def test_a_secret_that_a_step_refers_to_may_be_read(tmp_path: Path) -> None:
    """By name with AWS's six characters, or by an ARN, which may have them or not."""
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:api/key-AbCdEf"
    step = (
        "{ uses: http/request, with: { url: 'https://h.example/', secret-headers: { A: 'aws-secretsmanager:previews#k',"
        f" B: 'aws-secretsmanager:{arn}', C: 'env:KEY' }} }} }}"
    )
    one = of(needed(tmp_path, automation("a", step)), "secretsmanager:GetSecretValue")
    assert set(one.resources) == {
        "arn:aws:secretsmanager:*:*:secret:previews-??????",
        arn,
        f"{arn}-??????",
    }
    assert one.role is None


def test_a_text_that_only_begins_like_a_reference_needs_no_right(tmp_path: Path) -> None:
    """A comment may be about Secrets Manager."""
    step = "{ uses: github/comment, with: { body: 'aws-secretsmanager: the secret stays' } }"
    assert {one.system for one in needed(tmp_path, automation("a", step))} == {"github"}


def test_secrets_outside_the_steps_may_be_read_by_their_function() -> None:
    """The notify function reads its own, and one permission covers two values in one secret."""
    found = secret_statements(["aws-secretsmanager:slack#url", "aws-secretsmanager:slack#other"], "notify")
    one = of(found, "secretsmanager:GetSecretValue")
    assert one.resources == ("arn:aws:secretsmanager:*:*:secret:slack-??????",)
    assert (one.role, one.steps) == (None, ("notify",))
    assert [one.actions for one in found] == [("kms:Decrypt",), ("secretsmanager:GetSecretValue",)]


WEBHOOK = "{ uses: http/request, with: { url: 'https://h.example/', secret-headers: { A: 'aws-secretsmanager:%s' } } }"


def test_a_secrets_own_key_may_only_decrypt_that_secret(
    tmp_path: Path,
) -> None:
    """Through Secrets Manager of the secret's region, for that secret alone; the key's name is unknown."""
    arn = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:api/key"
    found = needed(tmp_path, automation("a", WEBHOOK % arn))
    assert of(found, "kms:Decrypt").conditions
    assert [one for one in policy(found)["Statement"] if "kms:Decrypt" in one["Action"]] == [
        {
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": ["arn:aws-cn:kms:cn-north-1:123456789012:key/*"],
            "Condition": {
                "StringLike": {
                    "kms:EncryptionContext:SecretARN": [f"{arn}-??????"],
                    "kms:ViaService": ["secretsmanager.cn-north-1.amazonaws.com.cn"],
                }
            },
        }
    ]


def test_statements_under_other_conditions_are_not_merged(tmp_path: Path) -> None:
    """One condition for two secrets is two statements; two steps with one secret are one."""
    steps = (WEBHOOK % "one", WEBHOOK % "two", WEBHOOK % "one#key")
    kms = [one for one in needed(tmp_path, automation("a", *steps)) if "kms:Decrypt" in one.actions]
    assert [
        (one.condition["StringLike"]["kms:EncryptionContext:SecretARN"], len(one.steps)) for one in kms
    ] == [
        (["arn:aws:secretsmanager:*:*:secret:one-??????"], 2),
        (["arn:aws:secretsmanager:*:*:secret:two-??????"], 1),
    ]
    assert {one.condition["StringLike"]["kms:ViaService"][0] for one in kms} == {
        "secretsmanager.*.amazonaws.com"
    }


def test_the_run_itself_needs_its_status_and_its_live_check(tmp_path: Path) -> None:
    """On GitHub: a status unless it is off, and read access to the pull request or ref only for deletes."""

    def github(text: str) -> dict[str, tuple[str, ...]]:
        found = needed(tmp_path, text)
        return {name: one.reasons for one in found if one.system == "github" for name in one.actions}

    assert set(github(automation("a", STACK % "preview-x"))) == {"statuses:write", "pull_requests:read"}
    harmless = "{ uses: github/comment, with: { body: Done. } }"
    assert "pull_requests:read" not in github(automation("a", harmless))
    assert "statuses:write" not in github(automation("a", harmless, more="    status: false\n"))
    assert "contents:read" in github(automation("a", STACK % "preview-x", on="delete: null"))
    paths = "pull_request: { types: [closed], paths: ['src/**'] }"
    script = "{ uses: shell, destructive: false, with: { run: 'true' } }"
    assert "pull_requests:read" in github(automation("a", script, on=paths))


def test_the_token_needs_no_more_than_its_events_require(tmp_path: Path) -> None:
    """A comment on a pull request needs no issues permission, and `write` includes the live check's `read`."""

    def github(text: str) -> set[str]:
        return {name for one in needed(tmp_path, text) if one.system == "github" for name in one.actions}

    comment = "{ uses: github/comment, with: { body: Done. } }"
    assert github(automation("a", comment)) == {"statuses:write", "pull_requests:write"}
    assert github(automation("a", STACK % "preview-x", comment)) == {"statuses:write", "pull_requests:write"}
    issues = github(automation("a", comment, on="issues: { types: [closed] }"))
    assert issues == {"statuses:write", "pull_requests:write", "issues:write"}
    another = "{ uses: github/comment, with: { body: Done., repository: acme/shop, number: 7 } }"
    assert "issues:write" in github(automation("a", another))


def test_a_write_elsewhere_does_not_replace_a_read(tmp_path: Path) -> None:
    """The live check reads the automation's repository, the comment goes to another: both are needed."""
    elsewhere = "{ uses: github/comment, with: { body: Done., repository: acme/other, number: 7 } }"
    found = needed(tmp_path, automation("a", STACK % "preview-x", elsewhere))
    on = {one.resources: set(one.actions) for one in found if one.system == "github"}
    assert on[("acme/other",)] == {"pull_requests:write", "issues:write"}
    assert "pull_requests:read" in on[("acme/shop",)]


def test_the_policy_has_only_aws_permissions(tmp_path: Path) -> None:
    """GitHub's permissions belong to the token: none is in an IAM document."""
    found = needed(tmp_path, automation("a", "{ uses: github/comment, with: { body: Done. } }"))
    assert found
    assert policy(found) == {"Version": "2012-10-17", "Statement": []}
    assert roles(found) == ()


def test_code_of_the_users_own_is_named(tmp_path: Path) -> None:
    """What a script, a function or an `@on` function calls is unknown, and the page says so."""
    (tmp_path / "hooks_of_ours.py").write_text(
        "from closeout import on\n\n@on('pull_request.closed', repositories=['acme/shop'])\n"
        "def clean(run):\n    run.record('x', lambda: None)\n"
    )
    automations = read(
        tmp_path,
        automation("a", "{ uses: shell, with: { run: 'true' } }", STACK % "preview-x"),
        head=HEAD.replace("automations:", "modules: [hooks_of_ours]\nautomations:"),
    )
    assert unknown(automations, builtin()) == ("a/shell-1", "clean")
    assert {"statuses:write", "pull_requests:read"} <= {
        name for one in statements(automations, builtin()) if "clean" in one.steps for name in one.actions
    }


S3 = "{ uses: aws/s3-delete-objects, with: { bucket: shop-previews, prefix: 'pr-${{ event.pull_request.number }}/' } }"


def test_tags_are_readable_only_where_the_file_protects_by_tag(tmp_path: Path) -> None:
    """These permissions follow from `protect.tags`, and are as narrow as each action declares."""
    text = automation("a", STACK % "preview-${{ event.pull_request.number }}", S3)
    without = pairs(needed(tmp_path, text))
    names = pairs(needed(tmp_path, text, head="protect: { names: [x] }\n" + HEAD))
    tagged = needed(tmp_path, text, head="protect: { tags: { keep: '*' } }\n" + HEAD)
    assert names == without < pairs(tagged)
    more = {(action, resource) for _, _, action, resource in pairs(tagged) - without}
    assert ("s3:GetBucketTagging", "arn:aws:s3:::shop-previews") in more
    assert ("dynamodb:ListTagsOfResource", "arn:aws:dynamodb:eu-central-1:123456789012:table/*") in more
    assert ("cloudformation:GetResource", "*") in more
    assert all(
        re.search(r":(List.*Tags?.*|GetBucketTagging|DescribeType|GetResource)$", name) for name, _ in more
    )


@pytest.mark.parametrize(
    "action", [one for one in builtin().values() if one.needs_aws], ids=lambda one: one.uses
)
def test_every_aws_action_says_where_the_tags_of_its_targets_are(action: Action) -> None:
    """By a read of its own; a build's project includes its tags."""
    assert action.read_tags is not None or action.uses == "aws/codebuild-start-build"


def test_an_audit_needs_no_permission_to_change_anything(tmp_path: Path) -> None:
    """Only steps that have an inventory count, each under its own role."""
    role = "arn:aws:iam::123456789012:role/audit"
    number = "${{ event.pull_request.number }}"
    prefix = f"bucket: previews, prefix: 'pr-{number}/', assume-role: '{role}'"
    steps = (
        STACK % f"preview-{number}",
        f"{{ uses: aws/s3-delete-objects, with: {{ {prefix} }} }}",
        STACK % "by-id-${{ event.pull_request.id }}",
        "{ uses: shell, with: { run: 'true' } }",
    )
    found = audit_statements(read(tmp_path, automation("a", *steps)), builtin())
    assert pairs(found) == {
        ("aws", None, "cloudformation:ListStacks", "*"),
        ("aws", None, "sts:AssumeRole", role),
        ("aws", role, "s3:ListBucketVersions", "arn:aws:s3:::previews"),
        ("github", None, "pull_requests:read", "acme/shop"),
    }
    assert {place for one in found for place in one.steps} == {"a/delete-stack-1", "a/delete-objects-2"}


@pytest.mark.parametrize(
    ("on", "patrol", "names"),
    [
        (
            "pull_request: { types: [closed] }",
            "{}",
            {"metadata:read", "pull_requests:read", "repository_hooks:read"},
        ),
        ("pull_request: { types: [closed] }", "{ state: off, deliveries: off }", {"pull_requests:read"}),
        ("pull_request: { types: [opened] }", "{}", set()),
        ("delete: {}", "{}", {"repository_hooks:read"}),
    ],
)
def test_permissions_of_patrol_and_the_guard_are_listed_without_deletes_too(
    tmp_path: Path, on: str, patrol: str, names: set[str]
) -> None:
    """Lost closings are found for them as well; a switched-off feature needs no permission."""
    step = "{ uses: shell, destructive: false, with: { run: 'true' } }"
    text = automation("a", step, on=on, more="    status: false\n")
    (tmp_path / "closeout.yaml").write_text(f"patrol: {patrol}\n{HEAD}{text}")
    loaded = load(tmp_path / "closeout.yaml", builtin())
    found = statements(loaded.automations, builtin(), loaded.settings.patrol)
    assert {name for one in found for name in one.actions} == names
    assert {place for one in found for place in one.resources} <= {"acme/shop"}


def test_a_recheck_needs_no_permission_to_change_anything(tmp_path: Path) -> None:
    """Only for typed deletes, without steps that have a role of their own; none if rechecks are off."""
    number = "${{ event.pull_request.number }}"
    role = "assume-role: 'arn:aws:iam::123456789012:role/other'"
    steps = (
        f"{{ uses: aws/cloudformation-delete-stack, with: {{ stack-name: 'preview-{number}', empty-buckets: true }} }}",
        f"{{ uses: aws/s3-delete-objects, with: {{ bucket: previews, prefix: 'pr-{number}/' }} }}",
        f"{{ uses: aws/s3-delete-objects, with: {{ bucket: others, prefix: 'pr-{number}/', {role} }} }}",
        "{ uses: shell, with: { run: 'true' } }",
    )
    stack = "arn:aws:cloudformation:eu-central-1:123456789012:stack/preview-*/*"
    found = recheck_statements(read(tmp_path, automation("a", *steps)), builtin())
    assert pairs(found) == {
        ("aws", None, "cloudformation:DescribeStacks", stack),
        ("aws", None, "cloudformation:GetTemplate", stack),
        ("aws", None, "cloudformation:ListStackResources", stack),
        ("aws", None, "s3:ListBucketVersions", "arn:aws:s3:::preview-*"),
        ("aws", None, "s3:ListBucketVersions", "arn:aws:s3:::previews"),
    }
    tagged = recheck_statements(
        read(
            tmp_path,
            automation("a", steps[1]),
            head=HEAD.replace("automations:", "protect: { tags: { env: prod } }\nautomations:"),
        ),
        builtin(),
    )
    assert ("aws", None, "s3:GetBucketTagging", "arn:aws:s3:::previews") in pairs(tagged)
    for more in ("    recheck: off\n", "    mode: dry-run\n"):
        assert recheck_statements(read(tmp_path, automation("a", *steps, more=more)), builtin()) == ()


@pytest.mark.parametrize(
    "action", [one for one in builtin().values() if one.absent], ids=lambda one: one.uses
)
def test_the_permissions_of_a_plan_are_part_of_its_actions(action: Action) -> None:
    """Each typed delete declares them, and they only read."""
    given: dict[str, Any] = {
        "stack-name": "preview-1",
        "empty-buckets": True,
        "bucket": "previews",
        "prefix": "pr-1/",
    }
    reads = {name for one in action.plan_permissions(given) for name in one.actions}
    assert reads
    assert reads <= {name for one in action.permissions(given) for name in one.actions}
    assert all(re.match(r"\w+:(Describe|Get|List)", name) for name in reads)
