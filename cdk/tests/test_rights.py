"""Who may do what: secrets that only named roles can read, and policies that name what they are for."""

from __future__ import annotations

import json

import pytest

from closeout_cdk.parameters import ParameterError
from iam import Account, decision
from support import DELETES, ROOT, Made, Make, allowed, flat

FUNCTIONS = ("Worker", "Receiver", "Ended")


# --- secrets ----------------------------------------------------------------------------------------------------


def test_the_webhook_secret_is_generated_and_the_token_is_really_empty(standard: Made) -> None:
    """A generated token would be a random password that looks like a working token."""
    webhook = standard.one("AWS::SecretsManager::Secret", "Webhook")
    assert webhook["GenerateSecretString"]["PasswordLength"] >= 32
    token = standard.one("AWS::SecretsManager::Secret", "Token")
    assert not {"GenerateSecretString", "SecretString"} & set(token)


def test_the_two_secrets_are_the_same_in_every_release(standard: Made) -> None:
    """CloudFormation reads a secret's value when it updates it, which the secret's own policy denies to the deployer.

    So a difference that this test finds must be undone; never change the kept copy: docs/how-to/secrets.md.
    """
    found = {
        name: {"Type": made["Type"], "Properties": made["Properties"]}
        for name, made in standard.of("AWS::SecretsManager::Secret").items()
    }
    assert found == json.loads((ROOT / "tests" / "secrets_of_every_release.json").read_text("utf-8"))


def test_an_existing_token_is_used_and_never_touched(make: Make) -> None:
    """Neither its value nor its policy is this stack's."""
    made = make(githubTokenSecret="team/github")
    assert len(made.of("AWS::SecretsManager::Secret")) == 1
    assert len(made.of("AWS::SecretsManager::ResourcePolicy")) == 1
    assert made.template["Outputs"]["GitHubTokenSecretName"]["Value"] == "team/github"
    reads = [
        text for actions, text in allowed(made, "WorkerPolicy") if "secretsmanager:GetSecretValue" in actions
    ]
    assert len(reads) == 1
    assert ":secret:team/github-??????" in reads[0]


def test_a_secrets_value_is_denied_to_everybody_but_the_roles_and_readers(make: Make) -> None:
    """And nothing else is denied: who administers the account can always change the policy."""
    reader = "arn:aws:iam::123456789012:role/Deployer"
    made = make(secretReaders=[reader])
    for name, roles in {
        "Webhook": ["ReceiverRole"],
        "Token": ["WorkerRole", "EndedRole", "PatrolRole"],
    }.items():
        policy = made.one("AWS::SecretsManager::ResourcePolicy", name)
        (statement,) = policy["ResourcePolicy"]["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Deny", "secretsmanager:GetSecretValue")
        assert statement["Principal"] == {"AWS": "*"}
        spared = statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
        assert reader in spared
        for role in roles:
            assert role in flat(spared)
        assert len(spared) == len(roles) + 1
        assert policy["BlockPublicPolicy"] is True


# --- least privilege --------------------------------------------------------------------------------------------


def test_every_role_has_one_policy(deleting: Made) -> None:
    """Each role's rights are in one place."""
    attached = [
        name["Ref"]
        for made in deleting.of("AWS::IAM::Policy").values()
        for name in made["Properties"]["Roles"]
    ]
    assert len(attached) == len(set(attached))
    assert all("Policies" not in made["Properties"] for made in deleting.of("AWS::IAM::Role").values())


def test_closeouts_own_rights_name_what_they_are_for(standard: Made) -> None:
    """No `*` alone, in any policy of a configuration that asks for nothing of AWS."""
    for name in standard.of("AWS::IAM::Policy"):
        for statement in standard.statements(name):
            resources = (
                statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            )
            assert "*" not in resources or (statement["Effect"], "Condition" in statement) == ("Deny", True)
            if statement["Effect"] == "Allow":
                assert "*" not in flat(statement["Action"]), (name, statement)


def test_the_receiver_may_do_four_things(standard: Made) -> None:
    """Read its secret, write its table, put bodies, invoke the worker's alias. And write its log."""
    worker = next(name for name in standard.of("AWS::Lambda::Function") if "FunctionsWorker" in name)
    rights = allowed(standard, "ReceiverPolicy")
    assert sorted(sorted(actions) for actions, _ in rights) == [
        ["dynamodb:GetItem"],
        ["dynamodb:PutItem"],
        ["dynamodb:UpdateItem"],
        ["lambda:InvokeFunction"],
        ["logs:CreateLogStream", "logs:PutLogEvents"],
        ["s3:PutObject"],
        ["secretsmanager:GetSecretValue"],
    ]
    by_action = {next(iter(sorted(actions))): text for actions, text in rights}
    assert json.loads(by_action["lambda:InvokeFunction"]) == {
        "Fn::Join": ["", [{"Fn::GetAtt": [worker, "Arn"]}, ":live"]]
    }
    assert "/bodies/*" in by_action["s3:PutObject"]
    assert "SecretsWebhook" in by_action["secretsmanager:GetSecretValue"]


@pytest.mark.parametrize(
    ("policy", "may_wake"), [("WorkerPolicy", True), ("EndedPolicy", True), ("ReceiverPolicy", False)]
)
def test_whoever_gives_a_key_back_may_wake_the_next_run_of_this_worker_alone(
    standard: Made, policy: str, *, may_wake: bool
) -> None:
    """A run is an execution of one of the worker's versions; the receiver only adds runs to the end of a queue."""
    account = Account(standard)
    may = account.statements(policy)
    (worker,) = (name for name in standard.of("AWS::Lambda::Function") if name.startswith("FunctionsWorker"))
    function = account.arn(worker)
    action = "lambda:SendDurableExecutionCallbackSuccess"
    execution = f"{function}:7/durable-execution/run-1/abc"
    assert (decision(may, action, execution) == "Allow") is may_wake
    assert decision(may, action, execution.replace("FunctionsWorker", "Other")) != "Allow"
    for other in ("SendDurableExecutionCallbackFailure", "StopDurableExecution"):
        assert decision(may, f"lambda:{other}", execution) != "Allow"


def test_an_execution_may_start_the_next_one_more_often_than_lambda_takes_for_a_loop(standard: Made) -> None:
    """A long run is continued by one execution after another; no other function may do so."""
    loops = {
        name: made["Properties"].get("RecursiveLoop")
        for name, made in standard.of("AWS::Lambda::Function").items()
    }
    assert [name[:15] for name, loop in loops.items() if loop == "Allow"] == ["FunctionsWorker"]


KINDS = ("delivery#1", "run#1", "key#1", "record#1", "patrol#1", "settings", "anything")
WRITES = {
    "ReceiverPolicy": {
        "PutItem": {"delivery#1", "run#1", "key#1"},
        "UpdateItem": {"run#1"},
        "GetItem": {"delivery#1", "run#1"},
    },
    "WorkerPolicy": {
        **{
            name: {"run#1", "key#1", "record#1"}
            for name in ("ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem")
        },
        **{name: set(KINDS) for name in ("BatchGetItem", "GetItem", "Query")},
    },
    "ChoresPolicy": {
        **{name: {"settings"} for name in ("DeleteItem", "PutItem", "Query")},
        "GetItem": {"settings", "run#1"},
    },
}
WRITES["PatrolPolicy"] = {
    **{name: set(KINDS) for name in ("BatchGetItem", "GetItem", "Query")},
    "PutItem": {"delivery#1", "run#1", "key#1", "patrol#1"},
    "UpdateItem": {"delivery#1", "run#1", "patrol#1"},
    "ConditionCheckItem": {"patrol#1"},
}
WRITES["EndedPolicy"] = WRITES["WorkerPolicy"]
ACTIONS = """BatchGetItem BatchWriteItem ConditionCheckItem DeleteItem GetItem PartiQLDelete PartiQLInsert PartiQLUpdate
PutItem Query Scan UpdateItem UpdateTable DeleteTable"""


@pytest.mark.parametrize("policy", WRITES)
@pytest.mark.parametrize("action", ACTIONS.split())
def test_each_role_has_its_own_partitions_of_the_table(standard: Made, policy: str, action: str) -> None:
    """The receiver writes deliveries, runs and tickets: no operation, no seal, nothing of what is deployed.

    A request without a key, and one with several keys of which one is another's, are denied unless the role may read all.
    """
    account = Account(standard)
    may = account.statements(policy)
    table = account.arn(next(iter(standard.of("AWS::DynamoDB::Table"))))

    def allowed_for(*keys: str) -> bool:
        context = {"dynamodb:LeadingKeys": keys} if keys else {}
        return decision(may, f"dynamodb:{action}", table, context) == "Allow"

    expected = WRITES[policy].get(action, set())
    assert {kind for kind in KINDS if allowed_for(kind)} == expected
    everything = expected == set(KINDS)
    assert allowed_for() is everything
    assert not expected or allowed_for(next(iter(expected)), "elsewhere") is everything


def test_what_is_published_is_there_before_whoever_uses_it(standard: Made) -> None:
    """A definition that the receiver stores, and the worker does not find, makes its run wait."""
    for part in ("FunctionsReceiver", "FunctionsWorker"):
        (function,) = (
            made for name, made in standard.of("AWS::Lambda::Function").items() if name.startswith(part)
        )
        assert [name for name in function["DependsOn"] if "Published" in name]


def test_nobody_can_make_a_service_act_here_for_another_account(deleting: Made) -> None:
    """Each trust, and each policy of a resource, that names a service says for whom: this account, or one resource of it."""
    resources = deleting.template["Resources"]
    documents = ("AssumeRolePolicyDocument", "PolicyDocument", "ResourcePolicy", "Policy")
    trusted = [
        (name, statement)
        for name, made in resources.items()
        for document in documents
        for statement in (made["Properties"].get(document) or {}).get("Statement", ())
        if "Service" in flat(statement.get("Principal", ""))
    ]
    permissions = deleting.of("AWS::Lambda::Permission")
    assert {resources[name]["Type"].rpartition("::")[2] for name, _ in trusted} == {
        "Role",
        "QueuePolicy",
        "TopicPolicy",
    }
    assert (len(trusted), len(permissions)) == (8, 4)
    for name, statement in trusted:
        keys = {key: value for one in statement["Condition"].values() for key, value in one.items()}
        account = keys.get("aws:SourceAccount") == {"Ref": "AWS::AccountId"}
        assert account or "Fn::GetAtt" in keys["aws:SourceArn"], (name, statement)
    for made in permissions.values():
        assert set(flat(made["Properties"]["SourceArn"]).split('"')) & {"Ref", "Fn::GetAtt"}


def test_the_worker_may_not_read_the_webhooks_secret(deleting: Made) -> None:
    """It has no use for it."""
    for policy in ("WorkerPolicy", "EndedPolicy"):
        reads = [
            text for actions, text in allowed(deleting, policy) if "secretsmanager:GetSecretValue" in actions
        ]
        assert len(reads) == 1
        assert "SecretsToken" in reads[0]


def test_executions_are_named_with_a_qualifier(standard: Made) -> None:
    """An ARN without one never matches a durable execution: the worker would be denied its own checkpoints."""
    (text,) = (
        text
        for actions, text in allowed(standard, "WorkerPolicy")
        if "lambda:CheckpointDurableExecution" in actions
    )
    worker = next(name for name in standard.of("AWS::Lambda::Function") if "Worker" in name)
    assert f":function:closed-pr-event-stack-{worker}-*:*" in text


def test_the_worker_gets_what_its_actions_need_and_no_more(standard: Made, deleting: Made) -> None:
    """The configuration's actions, narrowed to names, account and region; an assumed role by its exact ARN."""
    own = {action for actions, _ in allowed(standard, "WorkerPolicy") for action in actions}
    more = {action for actions, _ in allowed(deleting, "WorkerPolicy") for action in actions} - own
    assert {"cloudformation:DeleteStack", "codebuild:StartBuild", "sts:AssumeRole"} <= more
    assert not any(action.startswith(("cloudformation:", "codebuild:", "sts:")) for action in own)
    by_action = {action: text for actions, text in allowed(deleting, "WorkerPolicy") for action in actions}
    assert (
        by_action["cloudformation:DeleteStack"]
        == '"arn:aws:cloudformation:eu-central-1:123456789012:stack/preview-*/*"'
    )
    assert (
        by_action["codebuild:StartBuild"]
        == '"arn:aws:codebuild:eu-central-1:123456789012:project/preview-teardown"'
    )
    assert by_action["sts:AssumeRole"] == '"arn:aws:iam::210987654321:role/closeout-previews"'
    assert "previews-of-acme" not in flat(deleting.statements("WorkerPolicy")), (
        "that is the assumed role's business"
    )


def test_the_users_own_policies_are_the_workers_and_nobody_elses(make: Make) -> None:
    """The needs of their scripts and functions cannot be derived; the Deny still applies to them."""
    arn = "arn:aws:iam::123456789012:policy/drop-databases"
    made = make(workerPolicies=[arn])
    attached = {
        name: role["Properties"].get("ManagedPolicyArns") for name, role in made.of("AWS::IAM::Role").items()
    }
    assert [name for name, arns in attached.items() if arns == [arn]] == [
        name for name in attached if "WorkerRole" in name
    ]
    assert any(statement["Effect"] == "Deny" for statement in made.statements("WorkerPolicy"))


def test_more_rights_than_a_role_can_hold_are_refused(make: Make) -> None:
    """IAM would refuse them in the middle of a deployment."""
    step = "      - uses: aws/codebuild-start-build\n        with: {{ project: 'a-project-with-quite-a-long-name-{0}-${{{{ event.number }}}}' }}\n"
    steps = "".join(step.format(number) for number in range(120))
    config = DELETES.partition("      - uses")[0] + steps
    with pytest.raises(ParameterError, match="give some steps of the configuration an `assume-role`"):
        make(config=config)


def test_no_role_may_make_a_log_group(deleting: Made) -> None:
    """A function's last log lines would create a deleted group again, without retention."""
    for name, made in deleting.of("AWS::IAM::Policy").items():
        assert "logs:CreateLogGroup" not in flat(made), name
    managed = [
        arn
        for made in deleting.of("AWS::IAM::Role").values()
        for arn in made["Properties"].get("ManagedPolicyArns", ())
    ]
    assert len(managed) == 1, "only API Gateway's log role, for which AWS takes no other"
