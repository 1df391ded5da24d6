"""cdk-nag and cfn-lint find nothing, and what is accepted is accepted on one resource with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import cdk_nag
import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from support import DELETES, Made, Make

VARIANTS: dict[str, dict[str, Any]] = {
    "as committed": {},
    "deletes, with mail": {
        "config": DELETES,
        "alarmEmail": "ops@example.com",
        "region": "us-gov-west-1",
        "guard": "any",
    },
    "keeps all": {
        "keepOnDestroy": "all",
        "apiGatewayLogRole": "off",
        "githubTokenSecret": "team/github",
        "githubAddresses": "github-addresses.json",
        "guard": ["198.51.100.0/24"],
        "secretReaders": ["arn:aws:iam::123456789012:role/Ops"],
        "architecture": "x86_64",
        "region": "cn-north-1",
    },
}


@pytest.fixture(scope="module", params=list(VARIANTS))
def variant(request: pytest.FixtureRequest, make: Make) -> Made:
    return make(**VARIANTS[request.param])


def test_cdk_nag_finds_nothing(variant: Made) -> None:
    """AWS Solutions, errors and warnings alike."""
    report = cdk_nag.AwsSolutionsChecks(variant.app).validate_scope(variant.app)
    found = [
        (item.rule_name, [place.construct_path for place in item.violating_resources])
        for item in report.violations
    ]
    assert report.success, found


def test_cfn_lint_finds_nothing(variant: Made) -> None:
    """Warnings count."""
    found = lint(json.dumps(variant.template), config=ManualArgs(regions=["eu-central-1"]))
    assert [f"{item.rule.id} {item.message}" for item in found] == []


def accepted(scope: Any) -> Iterator[tuple[Any, dict[str, str]]]:
    """Yield every construct that has acknowledged rules, with their reasons."""
    for construct in scope.node.find_all():
        for entry in construct.node.metadata:
            if entry.type == cdk.Validations.ACKNOWLEDGED_RULES_METADATA_KEY:
                rules = {rule: why for rule, why in dict(entry.data).items() if "AwsSolutions" in rule}
                if rules:
                    yield construct, rules


def test_what_is_accepted_is_on_one_resource_with_a_reason(variant: Made) -> None:
    """Not on a stack or a construct, where it would hold for what is added later."""
    found = list(accepted(variant.app))
    assert found
    for construct, rules in found:
        assert cdk.CfnResource.is_cfn_resource(construct), construct.node.path
        assert all(len(why) > 20 for why in rules.values()), rules


def test_a_wildcard_without_a_reason_does_not_synthesize(tmp_path: Path) -> None:
    """Each right without a named resource needs a reason."""
    from closeout_cdk import permissions

    stack = cdk.Stack(cdk.App(outdir=str(tmp_path)), "a")
    role = permissions.role(stack, "Role")
    with pytest.raises(ValueError, match=r"`\*` has no reason"):
        permissions.attach(stack, "Policy", role, [permissions.allow(("s3:GetObject",), "*")])
