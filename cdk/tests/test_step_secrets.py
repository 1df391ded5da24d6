"""Secrets that steps refer to by name are the stack's region's and account's."""

from __future__ import annotations

from support import Make

CONFIG = """\
version: 1
automations:
  told:
    on: { pull_request: { types: [closed], branches: [develop] } }
    repositories: [acme/shop]
    steps:
      - uses: http/request
        timeout: 1m
        with:
          url: https://hooks.example/closed
          secret-headers: { Authorization: "aws-secretsmanager:hooks/token" }
"""


def test_a_secret_by_name_is_one_of_this_region_and_account(make: Make) -> None:
    """Any region and account is wider than what is read; `arn:aws` is another partition's in China."""
    made = make(config=CONFIG, region="cn-north-1")
    resources = [
        resource
        for one in made.statements("WorkerPolicy")
        for resource in (one["Resource"] if isinstance(one["Resource"], list) else [one["Resource"]])
        if "hooks/token" in str(resource)
    ]
    parts = [
        "arn:",
        {"Ref": "AWS::Partition"},
        ":secretsmanager:",
        {"Ref": "AWS::Region"},
        ":",
        {"Ref": "AWS::AccountId"},
    ]
    assert resources == [{"Fn::Join": ["", [*parts, ":secret:hooks/token-??????"]]}]
