"""ARNs for IAM statements, made from inputs as the file has them.

A `${{ }}` is not known before a run, so it becomes `*`; the literal text around it is what narrows a policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_TEMPLATE = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)


def pattern(inputs: Mapping[str, Any], key: str) -> str:
    """Return an input with `*` for every `${{ }}`, and `*` alone when it is not set."""
    value = inputs.get(key)
    return _TEMPLATE.sub("*", str(value)) if value else "*"
