"""Protected resources, which no step may touch."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from closeout.core.plan import Change
from closeout.core.protect import protected_by


def change(name: str | None = None, resource: str = "stack x", verb: str = "delete", **tags: str) -> Change:
    """A change of one resource."""
    return Change(verb=verb, resource=resource, reason="test", name=name, tags=tags)


@pytest.mark.parametrize(
    "name",
    [
        "CDKToolkit",
        "StackSet-guardrails-1",
        "AWSControlTowerBP-X",
        "aws-controltower-logs-1",
        "cdk-hnb659fds-assets-123456789012-eu-central-1",
        "closed-pr-event-stack",
        "closed-pr-event-stack-dev",
        "closeout",
        "closeout-ledger",
        "team-b-ledgerbodies4ea8068d-1a2b3c4d5e6f",
        "arn:aws:cloudformation:eu-central-1:123456789012:stack/CDKToolkit/8a2f",
    ],
)
def test_built_in_names_are_protected(name: str) -> None:
    """Bootstrap, stack sets, Control Tower and closeout's own resources, by name or in an ARN."""
    assert "built-in" in (protected_by(change(name), ()) or "")
    assert protected_by(change(None, resource=f"CloudFormation stack {name}"), ())


@pytest.mark.parametrize(
    "name", ["preview-17", "cdktoolkit", "MyCDKToolkit", "my-closeout-x", "StackSet", "stackset-x"]
)
def test_other_names_are_not_protected(name: str) -> None:
    """AWS names are case-sensitive, and a pattern matches a whole name."""
    assert protected_by(change(name), ()) is None


def test_a_closeout_stack_is_protected_by_its_tag() -> None:
    """A second stack of the account may have any name. Key and value must match exactly."""
    assert protected_by(change("team-b", closeout="team-b"), ()) == "the built-in tag closeout=team-b"
    assert protected_by(change("team-b", verb="keep", closeout="team-b"), ()) is None
    assert protected_by(change("preview-17", Closeout="x", owner="closeout"), ()) is None


@pytest.mark.parametrize(
    ("pattern", "name", "protected"),
    [
        ("prod-*", "prod-db", True),
        ("prod-*", "preprod-db", False),
        ("*prod*", "preprod-db", True),
        ("shop", "shop", True),
        ("shop", "shop-17", False),
        ("data/*", "bucket/data", False),
        ("Prod", "prod", False),
        ("v?", "v1", True),
        ("*", "anything", True),
    ],
)
def test_patterns_of_the_file_protect_names(pattern: str, name: str, protected: bool) -> None:
    """The message names the pattern, so that it can be found in the file."""
    found = protected_by(change(name), [pattern])
    assert (found is not None) is protected
    assert found is None or repr(pattern) in found


def test_a_resource_without_a_name_is_known_by_its_last_word() -> None:
    """`stack prod-db` is `prod-db`; the other words of a sentence are not names."""
    assert protected_by(change(None, "stack prod-db"), ["prod-*"])
    assert protected_by(change(None, "comment of closeout on #17"), ()) is None
    assert protected_by(change(None, ""), ["prod-*"]) is None


@pytest.mark.parametrize(
    ("pattern", "protected"),
    [
        ("terraform destroy", True),
        ("destroy", True),
        ("terraform *", True),
        ("now", False),
        ("echo now", False),
    ],
)
def test_a_script_is_matched_by_its_first_line(pattern: str, protected: bool) -> None:
    """A plan shows all of it, and a pattern for the command that it begins with still matches."""
    script = change(None, "\n  terraform destroy \necho now", verb="run")
    assert (protected_by(script, [pattern]) is not None) is protected


@pytest.mark.parametrize(
    ("tags", "protected"),
    [
        ({"env": "prod"}, True),
        ({"env": "prod*"}, True),
        ({"env": "*"}, True),
        ({"e*": "prod"}, True),
        ({"env": "dev"}, False),
        ({"Env": "prod"}, False),
        ({"env": "dev", "team": "x"}, False),
        ({}, False),
    ],
)
def test_tags_protect_as_well(tags: Mapping[str, str], protected: bool) -> None:
    """A resource with a matching tag is protected, and the message shows the tag."""
    found = protected_by(change("x", env="prod"), (), tags)
    assert found == ("tag env=prod" if protected else None)


def test_a_resource_that_is_kept_anyway_needs_no_protection() -> None:
    """A retained resource in the plan does not refuse the plan."""
    assert protected_by(change("CDKToolkit", verb="keep"), ["*"]) is None
