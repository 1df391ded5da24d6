"""The API in front of the receiver: who may call, what is answered before it, and what is logged."""

from __future__ import annotations

import json
import re

from support import Made, Make


def test_the_api_is_regional_and_has_a_resource_policy(standard: Made) -> None:
    """As the write-up has it."""
    api = standard.one("AWS::ApiGateway::RestApi")
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    (statement,) = api["Policy"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "execute-api:Invoke")
    assert "BinaryMediaTypes" not in api, "text bodies must come as text: the signature is over their bytes"


def test_only_githubs_addresses_may_call_when_the_file_is_named(make: Make) -> None:
    """The Deny is what keeps others out even if they have credentials of this account."""
    api = make(githubAddresses="github-addresses.json").one("AWS::ApiGateway::RestApi")
    deny = next(item for item in api["Policy"]["Statement"] if item["Effect"] == "Deny")
    assert "192.30.252.0/22" in deny["Condition"]["NotIpAddress"]["aws:SourceIp"]
    assert deny["Resource"] == "execute-api:/prod/*"


def test_both_paths_lead_to_the_receiver_whatever_the_method(standard: Made) -> None:
    """The receiver answers a wrong method, as it does locally."""
    methods = [made["Properties"] for made in standard.of("AWS::ApiGateway::Method").values()]
    assert [method["HttpMethod"] for method in methods] == ["ANY", "ANY"]
    assert {method["Integration"]["Type"] for method in methods} == {"AWS_PROXY"}
    assert [item["Properties"]["PathPart"] for item in standard.of("AWS::ApiGateway::Resource").values()] == [
        "webhook"
    ]


def test_what_never_reaches_the_receiver_is_answered_in_the_same_shape(standard: Made) -> None:
    """Every error has the same JSON shape, from the gateway as from the receiver."""
    answers = {
        made["Properties"]["ResponseType"]: made["Properties"]
        for made in standard.of("AWS::ApiGateway::GatewayResponse").values()
    }
    assert {
        "MISSING_AUTHENTICATION_TOKEN",
        "ACCESS_DENIED",
        "THROTTLED",
        "DEFAULT_4XX",
        "DEFAULT_5XX",
    } <= set(answers)
    for answer in answers.values():
        body = json.loads(answer["ResponseTemplates"]["application/json"])
        assert set(body) == {"error", "message"}, body
    assert answers["MISSING_AUTHENTICATION_TOKEN"]["StatusCode"] == "404"
    unknown = json.loads(answers["MISSING_AUTHENTICATION_TOKEN"]["ResponseTemplates"]["application/json"])
    assert unknown == {"error": "not-found", "message": "There is nothing at this path."}


def test_the_stage_is_throttled_and_writes_an_access_log(standard: Made) -> None:
    """The limit is generous, because GitHub does not retry a refused delivery."""
    stage = standard.one("AWS::ApiGateway::Stage")
    assert stage["StageName"] == "prod"
    (settings,) = stage["MethodSettings"]
    assert settings["ThrottlingRateLimit"] >= 100
    assert "$context.status" in stage["AccessLogSetting"]["Format"]


OF_API_GATEWAY = {
    "requestTime": "25/Nov/2026:18:00:00 +0000",
    "extendedRequestId": "a1b2cdEFGhijKLM=",
    "identity.sourceIp": "192.0.2.1",
    "resourcePath": "/webhook",
    "status": "401",
    "responseLatency": "12",
    "responseLength": "57",
    "error.responseType": "-",
}
"""Variables that API Gateway itself gives their value; all others may be what a caller sent."""


def test_a_caller_cannot_forge_a_field_of_the_access_log(standard: Made) -> None:
    """Variables are not escaped: a quote in the path would end its field and begin a `status` of 429."""
    forged = '/","status":"429","x":"'
    form = standard.one("AWS::ApiGateway::Stage")["AccessLogSetting"]["Format"]
    line = re.sub(r"\$context\.([A-Za-z.]+)", lambda found: OF_API_GATEWAY.get(found[1], forged), form)
    assert json.loads(line)["status"] == "401"
    assert forged not in line


def test_a_changed_resource_policy_is_a_new_deployment(standard: Made, make: Make) -> None:
    """The policy is part of the API, and a stage has what was deployed."""
    restricted = make(githubAddresses="github-addresses.json")
    assert set(standard.of("AWS::ApiGateway::Deployment")) != set(
        restricted.of("AWS::ApiGateway::Deployment")
    )


def test_without_a_role_for_logs_there_is_no_access_log(make: Make) -> None:
    """`off` touches nothing that is account-wide."""
    made = make(apiGatewayLogRole="off")
    assert "ApiThrottles" not in "".join(made.of("AWS::CloudWatch::Alarm")), (
        "429s are counted from the access log"
    )
    assert "AccessLogSetting" not in made.one("AWS::ApiGateway::Stage")
    assert not made.of("AWS::ApiGateway::Account")


def test_the_accounts_log_role_is_never_overwritten(standard: Made, make: Make) -> None:
    """`create` sets it if there is none, with a chore that looks first; CloudFormation's own resource would not look."""
    existing = make(apiGatewayLogRole="existing")
    for made, chores in (
        (standard, ["empty", "log-role", "publish", "stop", "stop"]),
        (existing, ["empty", "publish", "stop", "stop"]),
    ):
        assert not made.of("AWS::ApiGateway::Account")
        assert (
            sorted(item["Properties"]["Chore"] for item in made.of("Custom::CloseoutChore").values())
            == chores
        )
    (stage,) = standard.of("AWS::ApiGateway::Stage").values()
    assert "LogRole" in "".join(stage["DependsOn"]), "a stage with an access log cannot be made before"
