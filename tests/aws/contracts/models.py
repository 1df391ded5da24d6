"""What AWS's service models say of a request: the constraints that botocore knows and does not check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.model import OperationModel, ServiceModel, Shape

REGION = "eu-central-1"


@cache
def client(service: str, region: str = REGION) -> Any:
    """Return a client for AWS itself with keys of no account. Tests end its requests before they are sent."""
    session = boto3.Session("AKIDEXAMPLE", "secret", "token", region_name=region)
    s3 = {"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
    config = Config(request_checksum_calculation="when_required", s3=s3)
    return session.client(service, config=config)


def model(service: str) -> ServiceModel:
    """Return a service's model."""
    return client(service).meta.service_model


def error_codes(service: str, operation: str | None = None) -> frozenset[str]:
    """Return the codes of the errors that a service's model has, or those of one operation."""
    of = model(service).operation_model(operation) if operation else model(service)
    shapes = tuple(of.error_shapes)
    codes = (str(shape.metadata.get("error", {}).get("code") or shape.name) for shape in shapes)
    return frozenset((*codes, *(shape.name for shape in shapes)))


def broken(operation: OperationModel, parameters: Mapping[str, Any]) -> list[str]:
    """Return what a request breaks of its operation's model; nothing if it breaks nothing."""
    if operation.input_shape is None:
        return [f"{name}: the operation has no input" for name in parameters]
    return list(_walk(operation.input_shape, parameters, operation.name))


def _walk(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        if getattr(shape, "is_document_type", False):
            return
        yield from (f"{path}.{name}: missing" for name in shape.required_members if name not in value)
        for name, one in value.items():
            if name not in shape.members:
                yield f"{path}.{name}: unknown"
            else:
                yield from _walk(shape.members[name], one, f"{path}.{name}")
    elif shape.type_name == "list":
        yield from _size(shape, len(value), path)
        for number, one in enumerate(value):
            yield from _walk(shape.member, one, f"{path}[{number}]")
    elif shape.type_name == "map":
        yield from _size(shape, len(value), path)
        for key, one in value.items():
            yield from _walk(shape.key, key, f"{path}.{key}")
            yield from _walk(shape.value, one, f"{path}.{key}")
    elif shape.type_name == "string":
        yield from _size(shape, len(value), path)
        yield from _text(shape, value, path)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _size(shape, value, path)
    elif shape.type_name == "blob" and isinstance(value, bytes | str):
        yield from _size(shape, len(value), path)


def _size(shape: Shape, size: float, path: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"{path}: {size} is under the minimum {low}"
    if high is not None and size > high:
        yield f"{path}: {size} is over the maximum {high}"


def _text(shape: Shape, value: str, path: str) -> Iterator[str]:
    allowed = getattr(shape, "enum", None)
    if allowed and value not in allowed:
        yield f"{path}: {value!r} is none of {allowed}"
    pattern = shape.metadata.get("pattern")
    if pattern and _compiled(pattern).fullmatch(value) is None:
        yield f"{path}: {value!r} does not match {pattern}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of a model, which is spelled as Java has them."""
    for java, python in _JAVA.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern)


_JAVA = {
    r"\p{Alpha}": "a-zA-Z",
    r"\p{Print}": "\\x20-\\x7e",
    r"[\p{L}\p{Z}\p{N}_.:/=+\-@]": r"[\w\s.:/=+\-@]",
}
