"""ARNs for IAM statements, made from the inputs in the file.

A `${{ }}` is not known before a run, so it becomes `*`; only the literal text around it narrows a policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TEMPLATE = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)


def pattern(inputs: Mapping[str, Any], key: str) -> str:
    """Return an input with `*` for every `${{ }}`, or `*` if it is not set."""
    value = inputs.get(key)
    return _TEMPLATE.sub("*", str(value)) if value else "*"
