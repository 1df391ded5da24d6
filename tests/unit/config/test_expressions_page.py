"""The examples of docs/reference/expressions.md are true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from closeout.config import cel
from closeout.core.errors import ExpressionError

_PAGE = (Path(__file__).parents[3] / "docs/reference/expressions.md").read_text(encoding="utf-8")
_EVENT = json.loads(re.findall(r"```json\n(.*?)```", _PAGE, re.DOTALL)[0])
_EXAMPLES = [
    (left.strip(), right.strip())
    for block in re.findall(r"```cel\n(.*?)```", _PAGE, re.DOTALL)
    for left, _, right in (line.rpartition(" -> ") for line in block.splitlines())
]


def test_the_page_has_examples() -> None:
    """The blocks are found; an empty list would test nothing."""
    assert len(_EXAMPLES) > 15


@pytest.mark.parametrize(("expression", "value"), _EXAMPLES)
def test_an_example_is_true(expression: str, value: str) -> None:
    """Each expression has the value shown next to it."""
    if value == "error":
        with pytest.raises(ExpressionError):
            cel.evaluate(expression, _EVENT)
    else:
        assert cel.evaluate(expression, _EVENT) == json.loads(value)
