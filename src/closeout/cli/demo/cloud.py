"""The emulated AWS of the demo: create previews as a deploy workflow would, and read what is left of one.

boto3 talks to moto's server over HTTP; nothing here goes through closeout.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from closeout.cli.demo.processes import call

UPLOADS = "acme-uploads"
UPLOADED = 3
VERSIONS = 2
ROLE_REASON = "Cannot delete entity, must detach all policies first. (Service: Iam; Status Code: 409; Error Code: DeleteConflict)"


class Remaining(NamedTuple):
    """What exists of one preview, read from AWS just now."""

    stack: bool
    bucket: bool
    uploads: int

    @property
    def nothing(self) -> bool:
        """Whether all of it is gone."""
        return not (self.stack or self.bucket or self.uploads)


class Cloud:
    """The emulated account at `url`."""

    def __init__(self, url: str, environment: dict[str, str]) -> None:
        import boto3
        from botocore.config import Config

        self._control = f"{url}/_closeout"
        session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_DEFAULT_REGION"],
        )
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3})
        self._stacks = session.client("cloudformation", endpoint_url=url, config=config)
        self._s3 = session.client("s3", endpoint_url=url, config=config)
        self._s3.create_bucket(Bucket=UPLOADS)

    def deploy(self, number: int, *, role: bool = False) -> None:
        """Make the preview of a pull request: a stack with a versioned bucket in use, and uploads elsewhere."""
        name = f"preview-{number}"
        self._stacks.create_stack(
            StackName=name,
            TemplateBody=json.dumps(_template(name, role=role)),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        for index in range(3):
            for version in range(VERSIONS):
                self._s3.put_object(
                    Bucket=f"{name}-site", Key=f"page-{index}.html", Body=f"{version}".encode()
                )
        for index in range(UPLOADED):
            self._s3.put_object(Bucket=UPLOADS, Key=f"pr-{number}/upload-{index}.png", Body=b"\x89PNG")

    def left(self, number: int) -> Remaining:
        """Read what exists now."""
        name = f"preview-{number}"
        stacks = self._stacks.describe_stacks()["Stacks"]
        buckets = [bucket["Name"] for bucket in self._s3.list_buckets()["Buckets"]]
        uploads = self._s3.list_objects_v2(Bucket=UPLOADS, Prefix=f"pr-{number}/").get("KeyCount", 0)
        return Remaining(
            stack=any(
                stack["StackName"] == name and stack["StackStatus"] != "DELETE_COMPLETE" for stack in stacks
            ),
            bucket=f"{name}-site" in buckets,
            uploads=uploads,
        )

    def uploads(self) -> int:
        """Count the objects of the shared bucket, those of every pull request."""
        return int(self._s3.list_objects_v2(Bucket=UPLOADS).get("KeyCount", 0))

    def busy(self, number: int, seconds: float) -> None:
        """Put the stack into an update that takes that long."""
        order = {"stack": f"preview-{number}", "status": "UPDATE_IN_PROGRESS", "seconds": seconds}
        call("POST", f"{self._control}/stacks", {**order, "then": "UPDATE_COMPLETE"})

    def undeletable_role(self, number: int) -> None:
        """Make the stack's role undeletable, because it is in use."""
        order = {"stack": f"preview-{number}", "logical_id": "Role", "reason": ROLE_REASON}
        call("POST", f"{self._control}/undeletable", order)

    def delete_takes(self, seconds: float) -> None:
        """Set how long each delete of a stack takes from now on."""
        call("POST", f"{self._control}/settings", {"delete_seconds": seconds})

    def calls(self, operation: str, containing: str) -> list[dict[str, Any]]:
        """Return the calls of one operation whose parameters contain a text."""
        seen: list[dict[str, Any]] = call("GET", f"{self._control}/requests?after=0")
        return [
            one for one in seen if one["operation"] == operation and containing in json.dumps(one["params"])
        ]


def _template(name: str, *, role: bool) -> dict[str, Any]:
    site = {
        "Type": "AWS::S3::Bucket",
        "Properties": {"BucketName": f"{name}-site", "VersioningConfiguration": {"Status": "Enabled"}},
    }
    resources: dict[str, Any] = {"Site": site}
    if role:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        resources["Role"] = {
            "Type": "AWS::IAM::Role",
            "Properties": {"RoleName": f"{name}-role", "AssumeRolePolicyDocument": trust},
        }
    return {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
