"""A step's inputs, filled from a payload: what no value may do to a name."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.core.errors import NameRefused
from closeout.run.inputs import resolve
from tests.unit.run.world import pull_payload, step

ACTION = builtin()["aws/s3-delete-objects"]
REQUEST = builtin()["http/request"]


def prefix(template: str, ref: str, **inputs: Any) -> str:
    """Return the prefix that a pull request from the branch `ref` gets."""
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


@pytest.mark.parametrize(
    "template",
    [
        "https://previews-${{ event.pull_request.head.ref }}.acme.example/x",
        "https://${{ event.pull_request.head.ref }}/x",
        "https://h:${{ event.pull_request.head.ref }}",
        "https://h.${{ event.pull_request.head.ref }}?x=1",
    ],
)
@pytest.mark.parametrize("ref", ["x.evil.example/y", "evil.example", "a/b", "a.b", "80/x"])
def test_no_value_makes_another_host_of_a_url(template: str, ref: str) -> None:
    """What stands before the path decides who gets the secret headers; a value there is one label."""
    given = step(uses=REQUEST.uses, inputs={"url": template})
    with pytest.raises(NameRefused, match="another host"):
        resolve(given, REQUEST, pull_payload(head={"ref": ref}))


def test_a_label_and_a_path_may_be_filled_in() -> None:
    """A preview of its own host, and a path with slashes: what these URLs are for."""
    template = "https://pr-${{ event.pull_request.number }}.acme.example/${{ event.pull_request.head.ref }}?a"
    given = step(uses=REQUEST.uses, inputs={"url": template})
    filled = resolve(given, REQUEST, pull_payload(head={"ref": "feature/x.y"}))
    assert filled["url"] == "https://pr-17.acme.example/feature/x.y?a"
