"""What the expressions of a step ask of the steps before it.

GitHub Actions' meaning, with two differences: an output that nobody gave is an error and not empty, and no name is made of
what a step gave, because then nobody could check before a run whose resource it is. Apart from the check of the file, because
a run asks too, and on AWS each import delays its first status.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from closeout.core import templates
from closeout.core.automation import Step

TEXT = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
"""A text in an expression."""
_BEGINS = re.compile(r"(?<![.\w])(?:steps|run)\b")
_STEP = re.compile(
    r"""steps\s*(?:\.\s*(\w+)|\[\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*\])\s*\.\s*(\w+)(?:\s*\.\s*(\w+))?"""
)
_URL = re.compile(r"run\s*\.\s*url\b")
_ABSOLUTE = re.compile(
    r"(^|[^\w\s)\]}]|(?<!\w)in\b)(\s*)\.(?=\s*(?:steps|run|always|failure|success)\b)", re.MULTILINE
)
"""The dot of `.steps`, which CEL reads as `steps`."""
_OUTCOME = re.compile(r"(?<![.\w])(?:failure|success)\(\s*\)")
_STATUS = re.compile(r"(?<![.\w])(?:always|failure|success)\(\s*\)")


class Asked(NamedTuple):
    """What an expression asks of an earlier step; `step` is "" where it cannot be told."""

    step: str
    field: str


def asked(expression: str) -> tuple[Asked, ...]:
    """Return what an expression asks of earlier steps. Asking for the run's page is no step's."""
    found: list[Asked] = []
    for begin in _BEGINS.finditer(_code(expression)):
        if begin[0] == "run":
            if not _URL.match(expression, begin.start()):
                found.append(Asked("", "run"))
            continue
        step = _STEP.match(expression, begin.start())
        found.append(Asked(step[1] or step[2] or step[3] or "", step[4]) if step else Asked("", "steps"))
    return tuple(found)


def asks(expression: str) -> bool:
    """Return whether the value depends on the run so far."""
    code = _code(expression)
    return bool(_BEGINS.search(code) or _STATUS.search(code))


def needs_earlier(condition: str | None) -> bool:
    """Return whether an `if` depends on how steps before it ended, so that nobody can decide it where they do not run."""
    return condition is not None and bool(asked(condition) or _OUTCOME.search(_code(condition)))


def runs_after_failure(condition: str | None) -> bool:
    """Return whether an `if` decides by itself about a failure before it, so that `on-failure: stop` does not skip it."""
    return condition is not None and bool(_STATUS.search(_code(condition)))


def outputs_read(step: Step) -> frozenset[str]:
    """Return the earlier steps whose outputs a step reads, in its `if` or an input."""
    texts = [*_expressions(step.inputs), *([step.condition] if step.condition else [])]
    return frozenset(one.step for text in texts for one in asked(text) if one.field == "outputs")


def _code(expression: str) -> str:
    """Return an expression without its texts; everything else keeps its place."""
    return _ABSOLUTE.sub(r"\1\2 ", TEXT.sub(lambda text: " " * len(text[0]), expression))


def _expressions(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from templates.expressions(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _expressions(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _expressions(item)
