"""What a run records: JSON of a size that every engine can store, and errors with their code."""

from __future__ import annotations

import pytest

from closeout.core.errors import StepFailed
from closeout.engine.results import LARGEST, encode


def test_the_size_of_a_result_is_limited() -> None:
    """One byte more is refused, with both sizes."""
    assert len(encode("x", "a" * (LARGEST - 2))) == LARGEST
    with pytest.raises(StepFailed, match=f"{LARGEST + 1} bytes of JSON and {LARGEST} can be stored") as error:
        encode("x", "a" * (LARGEST - 1))
    assert error.value.kind == "result-too-large"


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), float("inf"), object()])
def test_a_result_that_is_not_json_is_refused(value: object) -> None:
    """A later version must be able to read it."""
    with pytest.raises(StepFailed, match="cannot be stored as JSON") as error:
        encode("x", value)
    assert error.value.kind == "not-json"
