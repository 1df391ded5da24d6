"""CEL expressions over `event` and, in a step, over the run so far. Only this module calls the CEL library.

The library does not raise for a missing field: it returns a value of type ERROR whose text is truthy. It cuts
strings at a NUL and crashes the process on a value nested thousands deep. `evaluate` turns each of these into
`ExpressionError`, so that no condition becomes true, and no name is made, by accident.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from closeout.core import templates
from closeout.core.errors import ExpressionError, SenderUnknown

MAX_EXPRESSION = 4_096
"""Characters. The library's own limit is on depth (32); this bounds the time to compile."""
MAX_DEPTH = 100
_MAX_INTEGER = 2**63
_SENDER = r"""\bevent\s*(?:\.\s*sender\b|\[\s*r?["']{1,3}sender["'])"""

# One environment and one lock: compiled programs are kept, and an evaluation takes some 60 microseconds,
# nearly all of it spent holding the interpreter's own lock anyway.
_LOCK = threading.Lock()
_failed_before = False
"""The value of `failure()` in the evaluation that holds the lock: the library's functions see no variables."""


class RunSoFar(NamedTuple):
    """What a step can read of its run: GitHub Actions' `steps`, `failure()`, `success()` and `always()`, and `run.url`."""

    steps: Mapping[str, Mapping[str, Any]] = {}
    """By id: `outcome` (success, failure, skipped), and `outputs` by name."""
    failed: bool = False
    """An earlier step failed."""
    url: str | None = None
    """The address of the run's page; None if it is unknown."""


NOTHING_YET = RunSoFar()
"""Before the first step, and where there is no run."""


def evaluate(expression: str, event: Mapping[str, Any], so_far: RunSoFar | None = None) -> Any:
    """Evaluate `expression` with the payload as `event` and return the value as Python's own types.

    bool, int, float, str, bytes, None, list, dict, datetime or timedelta. Safe to call from many threads. Only with `so_far`
    does it see `steps`, `run` and the functions. Raises `ExpressionError`, with the expression's text, for a syntax error, a
    missing field, or any other error.
    """
    global _failed_before  # noqa: PLW0603 - under the lock
    problem = payload_problem(event)
    if problem:
        raise _failed(expression, f"the payload cannot be read: {problem}")
    program = _program(expression, in_step=so_far is not None)
    if isinstance(program, str):
        raise _failed(expression, program)
    data: dict[str, Any] = {"event": event}
    if so_far is not None:
        problem = payload_problem(so_far.steps)
        if problem:
            raise _failed(expression, f"what an earlier step gave cannot be read: {problem}")
        data |= {"steps": so_far.steps, "run": {} if so_far.url is None else {"url": so_far.url}}
    try:
        with _LOCK:
            _failed_before = so_far is not None and so_far.failed
            result = program.eval(data=data)
            kind = result.type().name()
            value = result.plain_value()
    except (RuntimeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _failed(expression, _first_line(error)) from error
    if kind in {"ERROR", "UNKNOWN"}:
        reason = _first_line(value)
        if so_far is not None and so_far.url is None and re.search(r"(?<![.\w])run\s*\.\s*url\b", expression):
            reason = "the address of the run's page is unknown; set `public-url` in the file"
        raise _failed(expression, reason)
    return value


def condition(expression: str, event: Mapping[str, Any], so_far: RunSoFar | None = None) -> bool:
    """Return the truth of an `if:`. Raises `ExpressionError` unless the value is true or false itself.

    Raises `SenderUnknown` if it reads the sender of an event that has none: `has()`, `&&` and `||` would hide that.
    """
    if not event.get("sender") and re.search(_SENDER, expression):
        raise SenderUnknown(
            f"`{expression[:300]}` asks for the sender, and who caused the event is unknown."
            " Replay a webhook that came later, or rerun without this condition"
        )
    value = evaluate(expression, event, so_far)
    if not isinstance(value, bool):
        raise _failed(expression, f"a condition must be true or false, got {_described(value)}")
    return value


def interpolate(
    template: str,
    event: Mapping[str, Any],
    check: Callable[[str, str], str] | None = None,
    so_far: RunSoFar | None = None,
) -> str:
    """Fill in every `${{ }}`. `check(value, expression)` gets each value on its own and returns it, or raises.

    Raises `ExpressionError` if an expression fails or its value is neither a string nor a whole number.
    """
    filled: list[str] = []
    for part in templates.parts(template):
        if not part.expression:
            filled.append(part.text)
            continue
        value = _text_of(part.text, event, so_far)
        filled.append(check(value, part.text) if check else value)
    return "".join(filled)


def _text_of(expression: str, event: Mapping[str, Any], so_far: RunSoFar | None) -> str:
    value = evaluate(expression, event, so_far)
    if isinstance(value, str) and "\0" not in value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < _MAX_INTEGER:
        return str(int(value))
    raise _failed(expression, f"a ${{{{ }}}} must be a string or a whole number, got {_described(value)}")


def compile_check(expression: str, *, boolean: bool = False, in_step: bool = False) -> str | None:
    """Return what is wrong with an expression, as far as can be told without a payload; None if nothing is.

    With `boolean`, the expression must be able to yield true or false, else text. Only `in_step` may it read the run so far.
    """
    program = _program(expression, in_step=in_step)
    if isinstance(program, str):
        return program
    kind = program.return_type().name()
    if boolean and kind not in {"BOOL", "DYN"}:
        return f"a condition must be true or false, this gives {_NAMES.get(kind, kind)}"
    if not boolean and kind not in {"STRING", "INT", "UINT", "DOUBLE", "DYN"}:
        return f"a ${{{{ }}}} must be a string or a whole number, this gives {_NAMES.get(kind, kind)}"
    return None


_NAMES = {
    "BOOL": "true or false",
    "INT": "an integer",
    "UINT": "an integer",
    "DOUBLE": "a number",
    "STRING": "a string",
    "NULL": "null",
}


def payload_problem(event: Mapping[str, Any]) -> str | None:
    """Return why the library must not see this payload, or None. Checks the rule of `core.payload` again."""
    level: list[Any] = [event]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                below.extend(value)
                below.extend(value.values())
            elif isinstance(value, list):
                below.extend(value)
            elif problem := _scalar_problem(value):
                return problem
        if not below:
            return None
        level = below
    return f"it is nested more than {MAX_DEPTH} deep"


def _scalar_problem(value: object) -> str | None:
    if isinstance(value, str):
        if "\0" in value:
            return "it contains a NUL"
        return "it contains half a surrogate pair" if not value.isascii() and _has_surrogate(value) else None
    if isinstance(value, int):
        return None if -_MAX_INTEGER <= value < _MAX_INTEGER else "it contains an integer beyond 64 bits"
    return None if value is None or isinstance(value, float) else f"it contains a {type(value).__name__}"


def _has_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


_FUNCTIONS: Mapping[str, Callable[[], bool]] = {
    "always": lambda: True,
    "failure": lambda: _failed_before,
    "success": lambda: not _failed_before,
}


@lru_cache(maxsize=2)
def _environment(*, in_step: bool) -> Any:
    from cel_expr_python import cel  # noqa: PLC0415  10 ms and 16 MB that commands without expressions need not pay

    if not in_step:
        return cel.NewEnv(variables={"event": cel.Type.DYN})
    return cel.NewEnv(
        variables=dict.fromkeys(("event", "steps", "run"), cel.Type.DYN),
        functions=[
            cel.FunctionDecl(name, [cel.Overload(name, return_type=cel.Type.BOOL, parameters=[])])
            for name in _FUNCTIONS
        ],
        function_impls=_FUNCTIONS,
    )


@lru_cache(maxsize=1_024)
def _program(expression: str, *, in_step: bool) -> Any:
    """Return the compiled program, or the sentence that says why there is none."""
    if "\0" in expression or _has_surrogate(expression):
        return "it contains a NUL or half a surrogate pair"
    if not expression.strip():
        return "it is empty"
    if len(expression) > MAX_EXPRESSION:
        return f"it is longer than {MAX_EXPRESSION:,} characters"
    try:
        with _LOCK:
            return _environment(in_step=in_step).compile(expression)
    except (RuntimeError, TypeError, ValueError) as error:
        return _first_line(error)


def _first_line(error: object) -> str:
    """Return the library's own words without its positions, its further lines and its status codes."""
    line = str(error).strip().split("\n")[0]
    line = re.sub(r"^(?:[A-Z_]+: )+(?:<input>:-?\d+:-?\d+: )?", "", line)
    line = re.sub(r" expecting \{.*| \(in container ''\)| \[[A-Z_]+\]$", "", line)
    line = re.sub(r'^Key not found in map : (".*")$', r"\1 is missing; test it first with `has()`", line)
    return line[:300] or "not understood"


def _described(value: object) -> str:
    if value is None:
        return "null"
    names = {
        bool: "true or false",
        int: "an integer",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "a map",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def _failed(expression: str, reason: str) -> ExpressionError:
    return ExpressionError(f"expression `{expression[:300]}`: {reason}")
