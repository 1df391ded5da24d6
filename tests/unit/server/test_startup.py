"""What `serve` says at its start: what it may change, for whom, and what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.server import startup

SECRETS = "secrets: { webhook: env:W, github: env:G }"
LOCAL = "http://127.0.0.1:8080"
PUBLIC = "https://closeout.example.com"
STEP = "steps: [{ uses: shell, destructive: false, with: { run: 'true' } }]"
DELETE = "steps: [{ uses: aws/cloudformation-delete-stack, with: { stack-name: 'preview-${{ event.pull_request.number }}' } }]"


def said(folder: Path, *automations: str, secrets: str = SECRETS, base: str = PUBLIC) -> list[str]:
    """Return the lines for a file with these automations, on a server that listens on `LOCAL`."""
    file = folder / "closeout.yaml"
    below = "".join(f"  {each}\n" for each in automations)
    aws = "aws: { account: '123456789012', region: eu-central-1 }\n"
    file.write_text(f"version: 1\n{secrets}\n{aws}automations:{'' if below else ' {}'}\n{below}", "utf-8")
    return list(startup.summary(load(file, builtin()), LOCAL, base))


def quiet(name: str, **more: Any) -> str:
    """Return an automation on `push` without a status."""
    keys = "".join(f"{key}: {value}, " for key, value in more.items())
    return f"{name}: {{ on: {{ push: {{}} }}, status: false, {keys}{STEP} }}"


def test_an_automation_is_named_with_its_mode_events_and_repositories(tmp_path: Path) -> None:
    """A dry run is told apart from one that changes something."""
    lines = said(
        tmp_path,
        quiet("bold", repositories="[acme/shop, acme/site]"),
        quiet("careful", mode="dry-run"),
        f"twice: {{ on: {{ push: {{}}, release: {{}} }}, {STEP} }}",
    )
    assert "automation bold: applies its changes; on push in acme/shop, acme/site" in lines
    assert "automation careful: dry run, changes nothing; on push" in lines
    assert "automation twice: applies its changes; on push, release" in lines


@pytest.mark.parametrize(
    ("count", "more"), [(20, []), (21, ["and 1 more automations"]), (22, ["and 2 more automations"])]
)
def test_of_many_automations_twenty_are_named(tmp_path: Path, count: int, more: list[str]) -> None:
    """The others are counted."""
    lines = said(tmp_path, *(quiet(f"a{number}") for number in range(count)))
    assert len([line for line in lines if line.startswith("automation ")]) == 20
    assert [line for line in lines if line.startswith("and ")] == more
    assert not [line for line in lines if "no automation is configured" in line]


def test_a_server_without_automations_warns(tmp_path: Path) -> None:
    """It stores what comes and does nothing."""
    assert [line for line in said(tmp_path) if line.startswith("warning: no automation is configured")]


def test_the_webhook_is_named_as_github_reaches_it(tmp_path: Path) -> None:
    """With a public address, where the server listens is said beside it."""
    assert said(tmp_path, base=LOCAL)[0] == f"webhook URL: {LOCAL}/webhook"
    assert said(tmp_path)[0] == f"webhook URL: {PUBLIC}/webhook, received at {LOCAL}/webhook"
    assert f"Details links begin with {PUBLIC}/runs/" in said(tmp_path)


@pytest.mark.parametrize(
    ("base", "warned"),
    [
        (LOCAL, True),
        ("http://localhost:8080", True),
        ("http://[::1]:8080", True),
        ("http://0.0.0.0:8080", True),
        ("http://192.0.2.7:8080", False),
        (PUBLIC, False),
        ("not an address", False),
    ],
)
def test_links_that_only_this_machine_opens_are_warned_about(tmp_path: Path, base: str, warned: bool) -> None:
    """An address of this machine alone, or of none; only where somebody gets a link at all."""
    loud = f"loud: {{ on: {{ push: {{}} }}, {STEP} }}"
    assert (
        any(f"other machines cannot open {base}" in line for line in said(tmp_path, loud, base=base))
        is warned
    )
    assert not [line for line in said(tmp_path, quiet("none"), base=base) if "other machines" in line]


def test_each_account_is_named_once(tmp_path: Path) -> None:
    """Whose resources the steps may delete."""
    one, two = (
        f"{name}: {{ on: {{ pull_request: {{ types: [closed] }} }}, repositories: [acme/shop], {DELETE} }}"
        for name in ("a", "b")
    )
    accounts = [
        line
        for line in said(tmp_path, one, two.replace("preview-", "other-"))
        if line.startswith("AWS account ")
    ]
    assert [line.partition(":")[0] for line in accounts] == ["AWS account 123456789012"]
    assert not [line for line in said(tmp_path, quiet("none")) if line.startswith("AWS account ")]


def test_a_missing_token_for_github_is_warned_about(tmp_path: Path) -> None:
    """Without it no commit gets a status and nothing is deleted."""
    without = said(tmp_path, quiet("none"), secrets="secrets: { webhook: env:W }")
    assert startup.WITHOUT_GITHUB in without
    assert startup.WITHOUT_GITHUB not in said(tmp_path, quiet("none"))
