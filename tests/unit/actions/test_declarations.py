"""What holds for the inputs of every action, however it is declared."""

from __future__ import annotations

import pytest

from closeout.actions.registry import builtin
from closeout.actions.spec import Input

INPUTS = [
    pytest.param(spec, id=f"{uses}:{name}")
    for uses, action in builtin().items()
    for name, spec in action.inputs.items()
]


@pytest.mark.parametrize("spec", INPUTS)
def test_an_event_cannot_choose_a_secret(spec: Input) -> None:
    """With a `${{ }}` in the reference, a payload could name the secret."""
    assert not (spec.secret and (spec.templates or spec.names))


@pytest.mark.parametrize("spec", INPUTS)
def test_a_name_has_no_default(spec: Input) -> None:
    """It would name the same thing for every event; a delimiter alone names nothing."""
    assert not spec.names or spec.default in (None, "/")


@pytest.mark.parametrize("spec", INPUTS)
def test_a_required_input_has_no_default(spec: Input) -> None:
    """It would never be used."""
    assert not (spec.required and spec.default is not None)


@pytest.mark.parametrize("spec", INPUTS)
def test_a_default_has_the_type_of_its_input(spec: Input) -> None:
    """A step that omits the input is as valid as one that writes the default."""
    types = {
        "string": str,
        "integer": int,
        "boolean": bool,
        "list": list | tuple,
        "map": dict,
        "duration": float | int,
    }
    if spec.default is not None and spec.type != "any":
        assert isinstance(spec.default, types[spec.type])
    assert spec.default is None or not spec.choices or spec.default in spec.choices


NAMES = {
    "aws/cloudformation-delete-stack": ["stack-name", "role-arn"],
    "aws/s3-delete-objects": ["bucket", "prefix"],
    "aws/codebuild-start-build": ["project", "source-version"],
    "github/dispatch-workflow": ["repository", "workflow", "ref", "inputs"],
    "github/comment": ["repository", "number"],
    "http/request": ["url"],
    "shell": [],
    "python": [],
}
LITERAL = {
    "aws/s3-delete-objects": ["delimiter"],
    "github/dispatch-workflow": ["workflow", "trace-input"],
    "http/request": ["method", "secret-headers", "expect"],
    "shell": ["argv", "run"],
    "python": ["function"],
}
DESTRUCTIVE = {
    "aws/cloudformation-delete-stack": "always",
    "aws/s3-delete-objects": "always",
    "aws/codebuild-start-build": "always",
    "github/comment": "never",
}
OWN_CODE = ["shell", "python"]
GLOBAL = ["aws/s3-delete-objects"]


def test_the_guards_see_every_input_that_names_a_target() -> None:
    """An input that is not marked could contain any value of the payload, so each new one is classified here."""
    for uses, action in builtin().items():
        assert [name for name, spec in action.inputs.items() if spec.names] == NAMES[uses], uses


def test_only_some_inputs_refuse_expressions() -> None:
    """A delimiter, a method or code from a payload would be an injection."""
    for uses, action in builtin().items():
        literal = [name for name, spec in action.inputs.items() if not spec.templates]
        assert literal == LITERAL.get(uses, []), uses
        assert [name for name, spec in action.inputs.items() if spec.secret or spec.url] == (
            ["url", "secret-headers"] if uses == "http/request" else []
        )


def test_an_actions_kind_decides_its_guards() -> None:
    """Whether it deletes, runs the user's code, or names something in a region."""
    for uses, action in builtin().items():
        assert action.destructive == DESTRUCTIVE.get(uses, "unless-declared")
        assert action.needs_aws is uses.startswith("aws/")
        assert action.own_code is (uses in OWN_CODE)
        assert action.passes_env is (uses == "shell")
        assert action.regional is (uses not in GLOBAL)


REQUIRED = {
    "aws/cloudformation-delete-stack": ["stack-name"],
    "aws/s3-delete-objects": ["bucket", "prefix"],
    "aws/codebuild-start-build": ["project"],
    "github/dispatch-workflow": ["repository", "workflow", "ref"],
    "github/comment": ["body"],
    "http/request": ["url"],
    "shell": [],
    "python": ["function"],
}
DEFAULTS = {
    "aws/cloudformation-delete-stack": {"empty-buckets": False},
    "aws/s3-delete-objects": {"delimiter": "/"},
    "aws/codebuild-start-build": {"wait": True},
    "github/dispatch-workflow": {"wait": True},
    "http/request": {"method": "POST"},
}
HOUR = 3600.0
TIMES = {
    "aws/cloudformation-delete-stack": (3 * HOUR, 3),
    "aws/s3-delete-objects": (HOUR, 3),
    "aws/codebuild-start-build": (3 * HOUR, 3),
    "github/dispatch-workflow": (HOUR, 3),
    "github/comment": (HOUR / 4, 3),
    "http/request": (HOUR / 4, 8),
    "shell": (HOUR, 1),
    "python": (HOUR / 4, 1),
}


def test_a_steps_defaults_stay_the_same_in_every_release() -> None:
    """Users' files depend on required inputs, defaults, time limits and retries."""
    for uses, action in builtin().items():
        assert [name for name, spec in action.inputs.items() if spec.required] == REQUIRED[uses], uses
        defaults = {name: spec.default for name, spec in action.inputs.items() if spec.default is not None}
        assert defaults == DEFAULTS.get(uses, {}), uses
        assert (action.timeout, action.retry.attempts) == TIMES[uses], uses
