"""Accepted findings of cdk-nag, each on one resource and with its reason.

Never on a stack or a whole construct, where a rule would also be accepted for everything that is added later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aws_cdk as cdk
from constructs import IConstruct


def accept(resource: IConstruct, reasons: Mapping[str, str]) -> None:
    """Accept rules (`S1`, `IAM5[Resource::…]`) on one CloudFormation resource, or on a construct's only one."""
    target = resource if cdk.CfnResource.is_cfn_resource(resource) else resource.node.default_child
    if target is None or not cdk.CfnResource.is_cfn_resource(target):
        raise TypeError(f"{resource.node.path} is not one resource")
    cdk.Validations.of(target).acknowledge(
        *(cdk.Acknowledgment(id=f"AwsSolutions-{rule}", reason=reason) for rule, reason in reasons.items())
    )


def flat(value: Any) -> str:
    """Return a resolved value as cdk-nag writes it in a finding's name: references in `<>`."""
    if isinstance(value, str):
        return value.replace("${", "<").replace("}", ">")
    if isinstance(value, Mapping):
        if "Fn::Join" in value:
            delimiter, items = value["Fn::Join"]
            return str(delimiter).join(flat(item) for item in items)
        if "Fn::Sub" in value:
            return flat(value["Fn::Sub"])
        if "Fn::GetAtt" in value:
            return f"<{'.'.join(value['Fn::GetAtt'])}>"
        if "Ref" in value:
            return f"<{value['Ref']}>"
    return json.dumps(value, separators=(",", ":"))
