"""A step's inputs, filled from a payload: their types, and how no value may change a name."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.actions.spec import Input, InputType
from closeout.core.errors import GuardRefused, InputError, NameRefused
from closeout.ports import AwsTarget
from closeout.run.inputs import resolve, target
from tests.unit.run.world import pull_payload, step

ACTION = builtin()["aws/s3-delete-objects"]
REQUEST = builtin()["http/request"]


def prefix(template: str, ref: str, **inputs: Any) -> str:
    """Return the prefix that a pull request from the branch `ref` gets."""
    payload = pull_payload(head={"ref": ref})
    given = {"bucket": "acme-previews", "prefix": template, **inputs}
    return str(resolve(step(uses=ACTION.uses, inputs=given), ACTION, payload)["prefix"])


@pytest.mark.parametrize(("delimiter", "ref"), [("-", "fix-2"), (".", "v1.2"), ("_", "a_b")])
def test_a_value_cannot_end_a_prefix_with_its_delimiter(delimiter: str, ref: str) -> None:
    """`fix-` would match `fix-2-` too: closing one pull request would delete the other's objects."""
    template = "previews${{ event.pull_request.head.ref }}" + delimiter
    with pytest.raises(NameRefused, match="holds the delimiter"):
        prefix(template, ref, delimiter=delimiter)
    assert prefix(template, "fix", delimiter=delimiter) == f"previewsfix{delimiter}"


def test_a_branch_with_slashes_is_a_path_below_the_prefix() -> None:
    """Branches are grouped with `/`, and git does not allow `feature` and `feature/x` at the same time."""
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
def test_no_value_changes_the_host_of_a_url(template: str, ref: str) -> None:
    """The host decides who gets the secret headers; a value there fills exactly one label."""
    given = step(uses=REQUEST.uses, inputs={"url": template})
    with pytest.raises(NameRefused, match="another host"):
        resolve(given, REQUEST, pull_payload(head={"ref": ref}))


def test_a_label_and_a_path_may_be_filled_in() -> None:
    """A preview of its own host, and a path with slashes: what these URLs are for."""
    template = "https://pr-${{ event.pull_request.number }}.acme.example/${{ event.pull_request.head.ref }}?a"
    given = step(uses=REQUEST.uses, inputs={"url": template})
    filled = resolve(given, REQUEST, pull_payload(head={"ref": "feature/x.y"}))
    assert filled["url"] == "https://pr-17.acme.example/feature/x.y?a"


def typed(spec: Input, value: Any, **more: Any) -> Any:
    """Return what a step's only input becomes."""
    action = replace(REQUEST, inputs={"x": spec})
    return resolve(step(uses=REQUEST.uses, inputs={"x": value, **more}), action, pull_payload())["x"]


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("integer", "${{ event.pull_request.number }}", 17),
        ("integer", "-5", -5),
        ("integer", 5, 5),
        ("boolean", "${{ event.pull_request.merged ? 'true' : 'false' }}", True),
        ("boolean", "false", False),
        ("boolean", False, False),
        ("string", "${{ event.pull_request.number }}", "17"),
        ("list", ["a-${{ event.number }}", "b"], ["a-17", "b"]),
        ("any", {"a": [1, "${{ event.number }}"], "b": None}, {"a": [1, "17"], "b": None}),
    ],
)
def test_a_filled_text_has_the_type_of_its_input(type_: InputType, text: Any, value: Any) -> None:
    """A template yields text; a typed value in the file stays unchanged."""
    assert typed(Input(type=type_, description="…"), text) == value


@pytest.mark.parametrize(
    ("spec", "value", "said"),
    [
        (
            Input(type="integer", description="…"),
            "${{ event.action }}",
            "`x` must be a whole number, got 'closed'",
        ),
        (Input(type="integer", description="…"), "1" * 19, "must be a whole number"),
        (
            Input(type="boolean", description="…"),
            "${{ event.number }}",
            "`x` must be true or false, got '17'",
        ),
        (Input(type="string", description="…", choices=("a", "b")), "c", "`x` must be one of a, b, got 'c'"),
        (
            Input(type="string", description="…", pattern="[a-z]+"),
            "a1",
            "`x` is 'a1', which does not have the form",
        ),
        (Input(type="string", description="…", names=True), "", "`x` is empty after interpolation"),
    ],
)
def test_a_filled_text_that_does_not_fit_is_refused(spec: Input, value: str, said: str) -> None:
    """The error names the step, the input and the value."""
    with pytest.raises(InputError, match=re.escape(said)):
        typed(spec, value)


def test_choices_and_patterns_accept_valid_values() -> None:
    """Also an empty text if the input names nothing."""
    assert typed(Input(type="string", description="…", choices=("a", "b")), "b") == "b"
    assert typed(Input(type="string", description="…", pattern="[a-z]+"), "abc") == "abc"
    assert typed(Input(type="string", description="…"), "") == ""


def test_an_omitted_input_has_its_default_or_is_missing() -> None:
    """A default is not filled in: it is the action's own."""
    action = replace(
        REQUEST,
        inputs={
            "x": Input(type="string", description="…", default="${{ x }}"),
            "y": Input(type="string", description="…", required=True),
        },
    )
    assert resolve(step(uses=REQUEST.uses, inputs={"y": "1"}), action, {}) == {"x": "${{ x }}", "y": "1"}
    with pytest.raises(InputError, match="`y` is required"):
        resolve(step(uses=REQUEST.uses, inputs={"x": "1"}), action, {})


def test_a_step_of_aws_has_an_account_a_region_and_perhaps_a_role() -> None:
    """The region and the role are filled from the payload; without a region nothing is called."""
    payload = pull_payload()
    own = step(account="123456789012", region="eu-central-${{ event.number }}")
    assert target(own, payload) == AwsTarget("123456789012", "eu-central-17", None)
    assumed = replace(own, assume_role="arn:aws:iam::123456789012:role/r-${{ event.number }}")
    assert target(assumed, payload) == AwsTarget(
        "123456789012", "eu-central-17", "arn:aws:iam::123456789012:role/r-17"
    )
    assert target(replace(own, account=None), payload) is None
    with pytest.raises(GuardRefused, match="no AWS region is configured"):
        target(replace(own, region=None), payload)
