"""botocore's descriptions of AWS's services, read once for a process.

Every session reads them anew, a tenth of a second for each client: many tests make sessions of their own, as the
program does in each of its lives.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from botocore.loaders import JSONFileLoader, Loader

SERVICES = ("cloudformation", "dynamodb", "lambda", "logs", "s3", "secretsmanager", "sqs", "sts")

_read = cache(JSONFileLoader().load_file)
_is_there = cache(JSONFileLoader().exists)


class _OnceRead(JSONFileLoader):  # type: ignore[misc]  # botocore has no types
    def load_file(self, path: str) -> Any:
        return _read(path)

    def exists(self, path: str) -> bool:
        return bool(_is_there(path))


def keep_models() -> None:
    """Have every session of this process share what was read."""
    Loader.FILE_LOADER_CLASS = _OnceRead


def read_models() -> None:
    """Read what the program's clients need, for processes that fork from this one."""
    loader = Loader()
    for service in SERVICES:
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model(service, kind)
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        loader.load_data(name)
