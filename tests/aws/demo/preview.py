"""The previews of the demonstration: what a deploy workflow would have made, and what is really left of one.

boto3 talks to the emulated account; nothing here goes through closeout.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from tests.emulator.launcher import Ministack

PROJECT = "preview-teardown"
ROLE = "preview-teardown"
OBJECTS = 3


class Remaining(NamedTuple):
    """What exists of one preview, looked up freshly."""

    stack: bool
    bucket: bool


class Previews:
    """Stacks `preview-N` with a bucket in use, the role that CloudFormation deletes them with, and a CodeBuild project.

    The emulator deletes with nobody's rights, so the role allows nothing: on AWS it may delete what a preview holds.
    """

    def __init__(self, cloud: Ministack) -> None:
        self._stacks = cloud.client("cloudformation")
        self._s3 = cloud.client("s3")
        self._builds = cloud.client("codebuild")
        self._builds.create_project(
            name=PROJECT,
            source={"type": "NO_SOURCE", "buildspec": "version: 0.2"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={"type": "LINUX_CONTAINER", "image": "none", "computeType": "BUILD_GENERAL1_SMALL"},
            serviceRole=f"arn:aws:iam::{cloud.account}:role/build",
        )
        trusted = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "cloudformation.amazonaws.com"},
        }
        cloud.client("iam").create_role(
            RoleName=ROLE,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trusted]}),
        )

    def deploy(self, number: int) -> None:
        """Make a preview."""
        name = f"preview-{number}"
        versioned = {"BucketName": f"{name}-site", "VersioningConfiguration": {"Status": "Enabled"}}
        template = {"Resources": {"Site": {"Type": "AWS::S3::Bucket", "Properties": versioned}}}
        self._stacks.create_stack(StackName=name, TemplateBody=json.dumps(template))
        for index in range(OBJECTS):
            self._s3.put_object(Bucket=f"{name}-site", Key=f"page-{index}.html", Body=b"<p>")

    def left(self, number: int) -> Remaining:
        """Look what is there now."""
        name = f"preview-{number}"
        stacks = {
            one["StackName"]
            for one in self._stacks.describe_stacks()["Stacks"]
            if one["StackStatus"] != "DELETE_COMPLETE"
        }
        buckets = {one["Name"] for one in self._s3.list_buckets()["Buckets"]}
        return Remaining(stack=name in stacks, bucket=f"{name}-site" in buckets)

    def builds(self) -> list[dict[str, Any]]:
        """Return the builds of the project."""
        ids = self._builds.list_builds_for_project(projectName=PROJECT)["ids"]
        return list(self._builds.batch_get_builds(ids=ids)["builds"]) if ids else []
