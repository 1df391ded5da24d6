"""The guard's path, function and role: it exists only on request, is open to the parameter's addresses, and can only read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from closeout_cdk import parameters
from closeout_cdk.api import RATE
from closeout_cdk.parameters import ParameterError
from iam import ACCOUNT, REGION, Account, decision, fits
from support import COMMITTED, Made, Make, allowed, flat

RUNNERS = ["198.51.100.0/24", "203.0.113.7/32"]


@pytest.fixture(scope="module")
def guarded(make: Make) -> Made:
    """A stack with a guard for some addresses, and a webhook for GitHub's."""
    return make(guard=RUNNERS, githubAddresses="github-addresses.json")


@pytest.fixture(scope="module")
def account(guarded: Made) -> Account:
    return Account(guarded)


def test_a_stack_has_no_guard_unless_its_parameters_ask_for_it(standard: Made) -> None:
    """Nothing more can be called, and nothing more runs."""
    assert "guard" not in flat(standard.template).lower().replace("safeguard", "")


def test_the_guard_is_a_path_and_a_function_of_its_own(guarded: Made) -> None:
    """GET alone; its bundle is not the receiver's."""
    (resource,) = (
        name
        for name, made in guarded.of("AWS::ApiGateway::Resource").items()
        if made["Properties"]["PathPart"] == "guard"
    )
    methods = [made["Properties"] for made in guarded.of("AWS::ApiGateway::Method").values()]
    (method,) = [one for one in methods if one["ResourceId"] == {"Ref": resource}]
    assert method["HttpMethod"] == "GET"
    assert "GuardFunction" in flat(method["Integration"]["Uri"])
    function = guarded.one("AWS::Lambda::Function", "Guard")
    assert function["Handler"] == "closeout.lambdas.guard.handler"
    assert function["Timeout"] < 29, "API Gateway waits no longer"
    receiver = guarded.one("AWS::Lambda::Function", "FunctionsReceiver")
    assert function["Code"]["S3Key"] != receiver["Code"]["S3Key"]
    (permission,) = [name for name in guarded.of("AWS::Lambda::Permission") if "guard" in name]
    source = flat(guarded.template["Resources"][permission]["Properties"]["SourceArn"])
    assert "/GET/guard" in source


def test_its_audience_is_the_address_of_this_api(guarded: Made) -> None:
    """A token for another stack's address does not count, and workflows find theirs in an output."""
    variables = guarded.one("AWS::Lambda::Function", "Guard")["Environment"]["Variables"]
    assert variables["CLOSEOUT_PUBLIC_URL"] == guarded.template["Outputs"]["PublicUrl"]["Value"]
    (api,) = guarded.of("AWS::ApiGateway::RestApi")
    assert {"Ref": api} in variables["CLOSEOUT_PUBLIC_URL"]["Fn::Join"][1]
    assert flat(variables["CLOSEOUT_PUBLIC_URL"]).endswith('/prod"]]}')


def test_questions_do_not_use_up_what_deliveries_need(guarded: Made) -> None:
    """The path has a limit of its own, below that of the stage."""
    settings = guarded.one("AWS::ApiGateway::Stage")["MethodSettings"]
    (own,) = [one for one in settings if one["ResourcePath"] == "/~1guard"]
    assert own["HttpMethod"] == "GET"
    assert own["ThrottlingRateLimit"] * 10 <= RATE


# --- who may call -------------------------------------------------------------------------------------------------


def called(made: Made, path: str, *, github: bool = False, runner: bool = False) -> str:
    """Return the resource policy's decision on a request: `Allow`, `Deny`, or `neither`, which API Gateway denies."""
    effects = set()
    for one in made.one("AWS::ApiGateway::RestApi")["Policy"]["Statement"]:
        places = one["Resource"] if isinstance(one["Resource"], list) else [one["Resource"]]
        within = one.get("Condition", {}).get("NotIpAddress", {}).get("aws:SourceIp")
        inside = runner if within == RUNNERS else github
        if any(fits(place, f"execute-api:/prod/{path}") for place in places) and not (within and inside):
            effects.add(one["Effect"])
    return next((effect for effect in ("Deny", "Allow") if effect in effects), "neither")


def test_each_path_is_open_to_its_own_addresses(guarded: Made) -> None:
    """A runner cannot deliver, GitHub's hooks cannot ask, and a path without a statement is closed."""
    for path in ("POST/", "POST/webhook", "GET/webhook"):
        assert called(guarded, path, github=True) == "Allow"
        assert called(guarded, path, runner=True) == "Deny"
    assert called(guarded, "GET/guard", runner=True) == "Allow"
    assert called(guarded, "GET/guard", github=True) == "Deny"
    for path in ("GET/guard/", "POST/guard"):
        assert called(guarded, path, github=True) == "Deny"
    assert called(guarded, "POST/guard", runner=True) == "neither"
    assert called(guarded, "GET/other", github=True, runner=True) == "neither"


def test_any_opens_the_guard_and_not_the_webhook(make: Make) -> None:
    """For runners of GitHub, whose addresses anybody can have."""
    made = make(guard="any", githubAddresses="github-addresses.json")
    assert called(made, "GET/guard") == "Allow"
    assert called(made, "POST/webhook") == "Deny"
    assert called(made, "POST/webhook", github=True) == "Allow"


def test_the_parameter_says_who_may_ask() -> None:
    """Off is the default; the whole internet needs a word of its own, so that no range opens it by accident."""
    for value, meant in (("off", None), (False, None), ("", None), ("any", ()), (RUNNERS, tuple(RUNNERS))):
        assert parameters.read({**COMMITTED, "guard": value}).guard == meant
    assert parameters.read({**COMMITTED, "guard": json.dumps(RUNNERS)}).guard == tuple(RUNNERS)
    for wrong, why in (
        ("on", "`on` is not an address range"),
        ("true", "`true` is not an address range"),
        ([], "there is no address range"),
        (["0.0.0.0/0"], "`0.0.0.0/0` is too wide"),
        (["198.51.100.7/24"], "is not an address range"),
    ):
        with pytest.raises(ParameterError, match=f"guard: .*{why}.*; say off, any, or"):
            parameters.read({**COMMITTED, "guard": wrong})


# --- what it may do -----------------------------------------------------------------------------------------------


def leading(*partitions: str) -> dict[str, Any]:
    """A request's context for items in these partitions."""
    return {"dynamodb:LeadingKeys": partitions}


def test_its_role_reads_two_kinds_of_partitions_and_nothing_else_of_the_table(account: Account) -> None:
    """No body, no operation, no index, no scan."""
    statements = account.statements("GuardPolicy")
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/" + next(
        str(account.name(name)) for name in account._made.of("AWS::DynamoDB::Table")
    )
    assert decision(statements, "dynamodb:GetItem", table, leading("settings")) == "Allow"
    assert decision(statements, "dynamodb:Query", table, leading("run#closings#x")) == "Allow"
    assert decision(statements, "dynamodb:Query", table, leading("run#x")) == "Allow"
    for action, keys in (
        ("GetItem", ("delivery#x",)),
        ("Query", ("delivery#x",)),
        ("Query", ("record#x",)),
        ("Query", ("run#x", "key#x")),
        ("Query", ()),
    ):
        assert decision(statements, f"dynamodb:{action}", table, leading(*keys)) == "neither"
    assert decision(statements, "dynamodb:Query", f"{table}/index/listing", leading("run#x")) == "neither"


def test_its_role_can_change_nothing(guarded: Made) -> None:
    """But write its own log and start patrol's function: an attacker could make it answer wrongly, but not delete anything."""
    actions = {action for found, _ in allowed(guarded, "GuardPolicy") for action in found}
    assert actions == {
        "dynamodb:GetItem",
        "dynamodb:Query",
        "lambda:InvokeFunction",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "secretsmanager:GetSecretValue",
    }
    (secret,) = [
        text for found, text in allowed(guarded, "GuardPolicy") if "secretsmanager:GetSecretValue" in found
    ]
    assert "SecretsToken" in secret
    (function,) = [
        text for found, text in allowed(guarded, "GuardPolicy") if "lambda:InvokeFunction" in found
    ]
    assert function.endswith(':function:closed-pr-event-stack-patrol:live"]]}')
    assert "ManagedPolicyArns" not in guarded.one("AWS::IAM::Role", "GuardRole")


def test_its_role_reads_the_token_and_not_the_webhooks_secret(guarded: Made) -> None:
    """As the secrets' own policies say."""
    for name, reads in (("Token", True), ("Webhook", False)):
        policy = guarded.one("AWS::SecretsManager::ResourcePolicy", name)["ResourcePolicy"]
        assert ("GuardRole" in flat(policy)) is reads


def test_it_has_no_variable_of_the_users_but_the_certificates(make: Make) -> None:
    """It faces the internet and does not need scripts' variables."""
    made = make(guard="any", environment={"SSL_CERT_FILE": "/var/task/ca.pem", "PASSWORD": "x"})
    variables = made.one("AWS::Lambda::Function", "Guard")["Environment"]["Variables"]
    assert set(variables) == {
        "CLOSEOUT_API_URL",
        "CLOSEOUT_GITHUB_SECRET",
        "CLOSEOUT_PUBLIC_URL",
        "CLOSEOUT_RECHECKS",
        "CLOSEOUT_TABLE",
        "SSL_CERT_FILE",
    }


def test_the_worker_cannot_touch_it(guarded: Made, account: Account) -> None:
    """Not change it, not invoke it, not delete its log."""
    statements = account.statements("WorkerPolicy")
    (function,) = [name for name in guarded.of("AWS::Lambda::Function") if "Guard" in name]
    for action in ("lambda:UpdateFunctionCode", "lambda:InvokeFunction"):
        assert decision(statements, action, account.arn(function)) == "Deny"
    (group,) = [name for name in guarded.of("AWS::Logs::LogGroup") if "Guard" in name]
    assert decision(statements, "logs:DeleteLogGroup", account.arn(group)) == "Deny"
