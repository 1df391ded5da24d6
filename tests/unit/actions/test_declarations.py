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
def test_a_secret_is_a_reference_that_no_event_chooses(spec: Input) -> None:
    """A `${{ }}` in it would let a payload name the secret."""
    assert not (spec.secret and (spec.templates or spec.names))


@pytest.mark.parametrize("spec", INPUTS)
def test_a_name_has_no_default(spec: Input) -> None:
    """It would name the same thing for every event; a delimiter names nothing by itself."""
    assert not spec.names or spec.default in (None, "/")


@pytest.mark.parametrize("spec", INPUTS)
def test_a_required_input_has_no_default(spec: Input) -> None:
    """It would never be used."""
    assert not (spec.required and spec.default is not None)


@pytest.mark.parametrize("spec", INPUTS)
def test_a_default_has_the_type_of_its_input(spec: Input) -> None:
    """A step that sets nothing is as right as one that writes the default."""
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
