"""What a step's expressions read from earlier steps.

The meaning is GitHub Actions', with two differences. A missing output is an error instead of empty, and no name may contain
an output, because then no check before the run could tell whose resource it is. This is separate from the check of the file,
because a run needs it, too, and on AWS each import delays the run's first status.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from closeout.core import templates
from closeout.core.automation import Step

TEXT = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
"""A string literal in an expression."""
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


class StepReference(NamedTuple):
    """What an expression reads from an earlier step; `step` is "" if that cannot be determined."""

    step: str
    field: str


def references_in(expression: str) -> tuple[StepReference, ...]:
    """Return what an expression reads from earlier steps. The run's page belongs to none."""
    found: list[StepReference] = []
    for begin in _BEGINS.finditer(_code(expression)):
        if begin[0] == "run":
            if not _URL.match(expression, begin.start()):
                found.append(StepReference("", "run"))
            continue
        step = _STEP.match(expression, begin.start())
        found.append(
            StepReference(step[1] or step[2] or step[3] or "", step[4])
            if step
            else StepReference("", "steps")
        )
    return tuple(found)


def reads_run(expression: str) -> bool:
    """Return whether an expression's value depends on the run so far."""
    code = _code(expression)
    return bool(_BEGINS.search(code) or _STATUS.search(code))


def depends_on_outcomes(condition: str | None) -> bool:
    """Return whether an `if` depends on how earlier steps ended, so that it cannot be decided where they do not run."""
    return condition is not None and bool(references_in(condition) or _OUTCOME.search(_code(condition)))


def runs_after_failure(condition: str | None) -> bool:
    """Return whether an `if` itself handles an earlier failure, so that `on-failure: stop` does not skip the step."""
    return condition is not None and bool(_STATUS.search(_code(condition)))


def outputs_read(step: Step) -> frozenset[str]:
    """Return the earlier steps whose outputs a step reads, in its `if` or an input."""
    texts = [*_expressions(step.inputs), *([step.condition] if step.condition else [])]
    return frozenset(one.step for text in texts for one in references_in(text) if one.field == "outputs")


def _code(expression: str) -> str:
    """Return an expression without its string literals; everything else keeps its position."""
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
