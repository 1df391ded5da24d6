"""A step's inputs: templates filled from the payload, names guarded, types checked.

Called inside the recorded plan, so that a run acts on the values with which it planned.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from closeout.actions.spec import Action, Input
from closeout.config import cel
from closeout.core import names, templates
from closeout.core.automation import Step
from closeout.core.errors import GuardRefused, InputError, NameRefused
from closeout.ports import AwsTarget


def resolve(
    step: Step, action: Action, event: Mapping[str, Any], so_far: cel.RunSoFar = cel.NOTHING_YET
) -> dict[str, Any]:
    """Return the inputs with every `${{ }}` filled in and every default set.

    Raises `ExpressionError`, `NameRefused` or `InputError`, each naming the input.
    """
    values: dict[str, Any] = {}
    for key, spec in action.inputs.items():
        if key not in step.inputs:
            if spec.required:
                raise InputError(f"{step.id}: `{key}` is required")
            values[key] = spec.default
            continue
        ending = _ending(step, action, spec)
        fill = partial(_fill_text, spec=spec, event=event, so_far=so_far, ending=ending)
        value = _typed(step, key, spec, _fill(step.inputs[key], fill))
        _check_pattern(step, key, spec, value)
        values[key] = value
    return values


def _ending(step: Step, action: Action, spec: Input) -> str | None:
    """Return the delimiter that no inserted value may contain. Not `/`, because names with it are paths on purpose."""
    if spec.ended_by is None:
        return None
    ending = step.inputs.get(spec.ended_by, action.inputs[spec.ended_by].default)
    return None if ending == "/" else ending


def _fill(value: Any, fill: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return fill(value)
    if isinstance(value, Mapping):
        return {key: _fill(item, fill) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_fill(item, fill) for item in value]
    return value


def _fill_text(
    text: str, spec: Input, event: Mapping[str, Any], so_far: cel.RunSoFar, ending: str | None
) -> str:
    def check(value: str, expression: str) -> str:
        name = names.check_interpolated(value, expression)
        if ending is not None and ending in name:
            raise NameRefused(
                f"${{{{ {expression} }}}} gave {name!r}, which holds the delimiter {ending!r}: another name could begin"
                " like this one; use a delimiter that no value holds. Nothing was done"
            )
        return name

    if not spec.url:
        if spec.names:  # never from earlier steps: no check before a run could tell whose resource it is
            return cel.interpolate(text, event, check)
        return cel.interpolate(text, event, so_far=so_far)
    end = templates.before_path(text)
    host, rest = text[:end], text[end:]
    return cel.interpolate(host, event, _label) + cel.interpolate(rest, event, check)


def _label(value: str, expression: str) -> str:
    """Return a value for the part of a URL before its path; with a `.`, `/` or `:` it could name another host."""
    # No leading `-`: `config.fields` relies on that to tell names apart, here as in every name.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", value):
        raise NameRefused(
            f"${{{{ {expression} }}}} gave {value[:60]!r}, which comes before the URL's path and is not one label of a"
            " host (letters, digits, `-`): the request could go to another host. Nothing was done"
        )
    return value


def _typed(step: Step, key: str, spec: Input, value: Any) -> Any:
    """Return an interpolated text as the input's type, because a template only produces text."""
    if not isinstance(value, str):
        return value
    if spec.type == "integer":
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise InputError(f"{step.id}: `{key}` must be a whole number, got {value!r}")
        return int(value)
    if spec.type == "boolean":
        if value not in ("true", "false"):
            raise InputError(f"{step.id}: `{key}` must be true or false, got {value!r}")
        return value == "true"
    if spec.choices and value not in spec.choices:
        raise InputError(f"{step.id}: `{key}` must be one of {', '.join(spec.choices)}, got {value!r}")
    return value


def _check_pattern(step: Step, key: str, spec: Input, value: Any) -> None:
    if spec.pattern and isinstance(value, str) and not re.fullmatch(spec.pattern, value):
        raise InputError(f"{step.id}: `{key}` is {value!r}, which does not have the form {spec.pattern}")
    if spec.names and value in ("", None):
        raise InputError(f"{step.id}: `{key}` is empty after interpolation")


def target(step: Step, event: Mapping[str, Any]) -> AwsTarget | None:
    """Return the AWS account that a step acts in, None for steps outside AWS."""
    if step.account is None:
        return None
    if step.region is None:
        raise GuardRefused(f"{step.id}: no AWS region is configured")
    role = cel.interpolate(step.assume_role, event) if step.assume_role else None
    return AwsTarget(step.account, cel.interpolate(step.region, event), role)
