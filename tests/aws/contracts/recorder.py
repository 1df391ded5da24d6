"""A plugin of pytest that checks every boto3 call of closeout's own code against AWS's model of the operation.

`test_worker_requests` runs the tests of the worker with it. The calls of tests, and of what emulates AWS, are not meant.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import CodeType
from typing import Any

from botocore.client import BaseClient

from tests.aws.contracts.models import broken

SOURCE = str(Path(__file__).parents[3] / "src/closeout") + os.sep
OTHERS = ("testing", "cli/demo")

_seen: set[tuple[str, str]] = set()
_broken: dict[str, str] = {}
_convert = BaseClient._convert_to_request_dict


def _is_ours() -> bool:
    """Whether the nearest frame outside botocore, and outside our proxy of its clients, is of closeout's own code."""
    frame = sys._getframe(2)
    while _is_between(frame.f_code) and frame.f_back is not None:
        frame = frame.f_back
    file = frame.f_code.co_filename
    return file.startswith(SOURCE) and not file.removeprefix(SOURCE).startswith(OTHERS)


def _is_between(code: CodeType) -> bool:
    proxy = code.co_filename == f"{SOURCE}adapters/aws.py" and code.co_name == "call"
    return proxy or "botocore" in code.co_filename or "boto3" in code.co_filename


def _checked(self: Any, api_params: dict[str, Any], operation_model: Any, *rest: Any, **named: Any) -> Any:
    """Check parameters as botocore serialises them, after its own changes of some."""
    if _is_ours():
        service = operation_model.service_model.service_name
        _seen.add((service, operation_model.name))
        for problem in broken(operation_model, api_params):
            _broken.setdefault(f"{service}.{problem}", os.environ.get("PYTEST_CURRENT_TEST", ""))
    return _convert(self, api_params, operation_model, *rest, **named)


def pytest_configure() -> None:
    """Look at every call from here on."""
    BaseClient._convert_to_request_dict = _checked


def pytest_sessionfinish() -> None:
    """Write what this process saw into the folder that `RECORDED` names."""
    found = {"seen": sorted(_seen), "broken": _broken}
    Path(os.environ["RECORDED"], f"{os.getpid()}.json").write_text(json.dumps(found), "utf-8")
