"""Every command of the two pages about webhooks is run as it stands there, from top to bottom, against the fakes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.cli import rotation
from closeout.core.secrets import PREVIOUS_SECONDS, READ_EVERY, TTL
from closeout.testing.aws import FakeAws
from tests.acceptance.forked import closeout_undisturbed
from tests.acceptance.stack_world import FIRST, StackWorld, stack_world
from tests.docs.pages import ROOT, blocks, commands

SET_UP = ROOT / "docs/how-to/set-up-the-webhook.md"
ROTATE = ROOT / "docs/how-to/rotate-the-webhook-secret.md"


@pytest.fixture(scope="module")
def cloud() -> Iterator[FakeAws]:
    """An emulated AWS for both pages."""
    with FakeAws() as aws:
        yield aws


@pytest.fixture
def world(tmp_path: Path, cloud: FakeAws) -> Iterator[StackWorld]:
    """The stack of the pages, with a server that listens at its address."""
    with stack_world(tmp_path, cloud) as it:
        it.environment["GITHUB_TOKEN"] = it.github.token
        yield it


def calls(page: Path) -> list[list[str]]:
    """The command lines of a page's blocks, in order."""
    shown = [block for block in blocks() if block.page == page and block.language == "sh"]
    return [call for block in shown for call in commands(block.text)]


def run(world: StackWorld, page: Path) -> list[str]:
    """Run a page's commands; return what they printed. What a person would answer is typed or said."""
    told = []
    for call in calls(page):
        stdin = world.github.token if call[:2] == ["secret", "set"] else ""
        yes = ["--yes"] if call[:2] == ["webhook", "delete"] else []
        done = world.feed(stdin, *call, *yes)
        told.append(done.stdout)
    return told


@pytest.mark.slow
def test_the_webhook_is_set_up_as_the_page_says(world: StackWorld) -> None:
    """A token, hooks of repository and organization, a change, a look, and the end: each command ends well."""
    told = run(world, SET_UP)
    assert len(told) == len(calls(SET_UP)) == 7
    created = next(text for text in told if "created" in text)
    shown = next(block.text for block in blocks() if block.page == SET_UP and block.language == "text")
    assert _shape(created) == _shape(shown)
    assert world.hooks() == []
    assert len(world.github.world.organizations["acme"].hooks) == 1


def _shape(text: str) -> str:
    """A transcript without what differs from one day to the next."""
    text = re.sub(r"https?://\S+", "URL", text)
    text = re.sub(r"(?m)^( +events +).*$", r"\1EVENTS", text)
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b\d{4,}\b", "N", text)


@pytest.mark.slow
def test_the_secret_is_rotated_as_the_page_says(world: StackWorld) -> None:
    """Once, carried on, and another time: then the first value is no version that anybody accepts."""
    world.main = closeout_undisturbed
    for target in ("acme/shop", "acme"):
        world.closeout("webhook", "create", target, "--stack", "closed-pr-event-stack")
    told = run(world, ROTATE)
    assert len(told) == 3
    assert "generates no value" in " ".join(told[1].split())
    hooks = [
        *world.github.world.repository("acme/shop").hooks.values(),
        *world.github.world.organizations["acme"].hooks.values(),
    ]
    assert {hook.secret for hook in hooks} == {world.secret()}
    assert FIRST not in (world.secret(), world.secret("AWSPREVIOUS"))


def test_the_figures_of_the_page_are_the_codes() -> None:
    """Hours, seconds of waiting, seconds of the cache."""
    text = ROTATE.read_text("utf-8")
    assert f"{PREVIOUS_SECONDS / 3600:g} hours" in text
    assert rotation.SETTLE == 5.0 > READ_EVERY == 1.0
    assert "It waits five seconds" in text
    assert "at most once a second" in text
    assert f"{TTL:g} seconds" in text
