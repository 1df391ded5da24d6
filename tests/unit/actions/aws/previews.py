"""Previews to tear down: templates and their content, as small as a test can use."""

from __future__ import annotations

import json
from typing import Any

from moto.s3.models import s3_backends

ACCOUNT = "123456789012"


def bucket(name: str, *, versioned: bool = True, **extra: Any) -> dict[str, Any]:
    """A bucket's entry in a template."""
    properties: dict[str, Any] = {"BucketName": name}
    if versioned:
        properties["VersioningConfiguration"] = {"Status": "Enabled"}
    return {"Type": "AWS::S3::Bucket", "Properties": properties, **extra}


def queue(name: str, **extra: Any) -> dict[str, Any]:
    """A queue's entry in a template."""
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}, **extra}


def table(name: str, **extra: Any) -> dict[str, Any]:
    """A table's entry in a template."""
    properties = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    }
    return {"Type": "AWS::DynamoDB::Table", "Properties": properties, **extra}


def template(**resources: Any) -> str:
    """A template of these resources, as JSON."""
    return json.dumps({"Resources": resources})


def create(clients: Any, name: str = "preview-17", body: str | None = None, **extra: Any) -> str:
    """Create a stack and return its StackId. By default: a versioned bucket, and a table that needs it."""
    default = template(Assets=bucket(f"{name}-assets"), Table=table(f"{name}-table", DependsOn="Assets"))
    answer = clients.aws("cloudformation").create_stack(StackName=name, TemplateBody=body or default, **extra)
    return str(answer["StackId"])


def fill(clients: Any, name: str = "preview-17-assets") -> None:
    """Put two objects into a bucket: one with an old version, one deleted (two versions and a marker)."""
    s3 = clients.aws("s3")
    s3.put_object(Bucket=name, Key="index.html", Body=b"old")
    s3.put_object(Bucket=name, Key="index.html", Body=b"new!")
    s3.put_object(Bucket=name, Key="gone.txt", Body=b"x")
    s3.delete_object(Bucket=name, Key="gone.txt")


def fill_many(name: str, number: int, prefix: str = "") -> None:
    """Put many one-byte objects into a bucket, straight into moto: HTTP would take seconds."""
    for index in range(number):
        s3_backends[ACCOUNT]["aws"].put_object(name, f"{prefix}{index:05d}", b"x")


def status(clients: Any, stack: str) -> str:
    """A stack's state, by name or id."""
    return str(clients.aws("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])


def bucket_names(clients: Any) -> set[str]:
    """The buckets that exist."""
    return {row["Name"] for row in clients.aws("s3").list_buckets()["Buckets"]}
