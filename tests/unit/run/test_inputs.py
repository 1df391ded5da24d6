"""A step's inputs, filled from a payload: what no value may do to a name."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.core.errors import NameRefused
from closeout.run.inputs import resolve
from tests.unit.run.world import pull_payload, step

ACTION = builtin()["aws/s3-delete-objects"]


def prefix(template: str, ref: str, **inputs: Any) -> str:
    """Give the prefix that a pull request from the branch `ref` gets."""
    payload = pull_payload(head={"ref": ref})
    given = {"bucket": "acme-previews", "prefix": template, **inputs}
    return str(resolve(step(uses=ACTION.uses, inputs=given), ACTION, payload)["prefix"])


@pytest.mark.parametrize(("delimiter", "ref"), [("-", "fix-2"), (".", "v1.2"), ("_", "a_b")])
def test_a_value_with_the_delimiter_in_it_never_ends_a_prefix(delimiter: str, ref: str) -> None:
    """`fix-` would begin `fix-2-` as well: closing the one would delete the other's objects."""
    template = "previews${{ event.pull_request.head.ref }}" + delimiter
    with pytest.raises(NameRefused, match="holds the delimiter"):
        prefix(template, ref, delimiter=delimiter)
    assert prefix(template, "fix", delimiter=delimiter) == f"previewsfix{delimiter}"


def test_a_branch_with_slashes_is_a_path_below_the_prefix() -> None:
    """`/` is how branches are grouped, and git keeps `feature` and `feature/x` from being there at once."""
    assert prefix("previews/${{ event.pull_request.head.ref }}/", "feature/x") == "previews/feature/x/"
