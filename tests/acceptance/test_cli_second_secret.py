"""`closeout secret set webhook` once more within a day: a third value would shut out hooks that nobody has changed yet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.cli.secret import lockout_warning
from closeout.core.errors import ServiceError
from closeout.testing.aws import FakeAws
from closeout.wiring.stack import Stack
from tests.acceptance.stack_world import FIRST, STACK, WEBHOOK_SECRET, StackWorld, bare_stack

MISTYPED, MEANT = "f00d" * 16, "feed" * 16
SET = ("secret", "set", "webhook", "--stack", STACK)


@pytest.fixture
def world(tmp_path: Path, cloud: FakeAws) -> Iterator[StackWorld]:
    """A deployed stack whose secret was changed once, with a slip."""
    with bare_stack(tmp_path, cloud) as it:
        it.feed(MISTYPED, *SET)
        yield it


def test_the_second_change_within_a_day_is_not_made_unasked(world: StackWorld) -> None:
    """The hooks sign with the value before, which is accepted as long as nothing else is stored."""
    done = world.feed(MEANT, *SET, check=False)
    assert done.returncode == 3
    told = " ".join(done.stderr.split())
    assert f"{WEBHOOK_SECRET} was changed" in told
    assert "Another change ends that at once: the stack rejects hooks that still sign with it" in told
    assert f"closeout webhook rotate-secret TARGET... --stack {STACK}" in told
    assert (world.secret(), world.secret("AWSPREVIOUS")) == (MISTYPED, FIRST)
    assert MEANT not in done.stdout + done.stderr


def test_with_yes_it_is_made_and_nothing_else_is_promised(world: StackWorld) -> None:
    """No word of 24 hours for a value that is refused from now on; a program gets its document as always."""
    done = world.feed(MEANT, *SET, "--yes")
    assert (world.secret(), world.secret("AWSPREVIOUS")) == (MEANT, MISTYPED)
    assert "24 hours" not in done.stdout
    assert "From now on the stack rejects hooks" in " ".join(done.stdout.split())
    told = json.loads(world.feed(FIRST, *SET, "--yes", "--json").stdout)
    assert told["secret"] == WEBHOOK_SECRET


def test_the_token_is_changed_as_often_as_one_likes(world: StackWorld) -> None:
    """GitHub knows it already: nobody has to be told."""
    for token in ("ghp_" + "aB3" * 12, "ghp_" + "cD4" * 12):
        world.feed(token, "secret", "set", "github", "--stack", STACK)


def stack(listed: Any) -> Stack:
    """A stack whose secret has these versions; an exception is what AWS says instead."""

    def answer(**_asked: Any) -> Any:
        if isinstance(listed, Exception):
            raise listed
        return {"Versions": listed}

    client = SimpleNamespace(list_secret_version_ids=answer)
    return Stack(STACK, "eu-central-1", {}, cast("Any", SimpleNamespace(aws=lambda _service: client)))


@pytest.mark.parametrize(
    ("hours", "stages", "asked"),
    [
        (23.9, ("AWSCURRENT", "AWSPREVIOUS"), True),
        (24.1, ("AWSCURRENT", "AWSPREVIOUS"), False),
        (0.1, ("AWSCURRENT",), False),
        (0.1, ("AWSCURRENT", "AWSPENDING"), False),
    ],
)
def test_only_a_value_that_is_accepted_beside_the_present_one_counts(
    hours: float, stages: tuple[str, ...], asked: bool
) -> None:
    """For 24 hours from the present one's creation, as the receiver reckons; of a secret's first value there is none."""
    at = datetime.fromtimestamp(datetime.now(UTC).timestamp() - hours * 3600, UTC)
    listed = [{"VersionStages": [stage], "CreatedDate": at} for stage in stages]
    assert (lockout_warning(stack([*listed, {"CreatedDate": at}]), WEBHOOK_SECRET) is not None) == asked


def test_who_may_not_look_is_asked_too() -> None:
    """Rather once too often; a secret that is not there is told of when the value is stored."""
    denied = ServiceError("denied", service="secretsmanager", operation="X", reason="AccessDeniedException")
    assert "cannot find out" in (lockout_warning(stack(denied), WEBHOOK_SECRET) or "")
    gone = ServiceError("gone", service="secretsmanager", operation="X", reason="ResourceNotFoundException")
    assert lockout_warning(stack(gone), WEBHOOK_SECRET) is None
