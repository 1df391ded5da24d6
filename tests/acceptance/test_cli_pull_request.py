"""`closeout plan --pull-request` and `explain`: the real commands between a fake GitHub and an emulated AWS, without a payload."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.cli import exits
from closeout.testing.aws import FakeAws
from closeout.testing.github import FakeGitHub
from tests.acceptance.machine import CONFIG, REPOSITORY, Machine

PLAN = ("plan", "--pull-request", "acme/shop#17")
EXPLAIN = ("explain", *PLAN[1:])


@pytest.fixture
def machine(tmp_path: Path, cloud: FakeAws) -> Iterator[Machine]:
    """A machine without a server: pull request #17 is open, and its preview stands."""
    cloud.reset()
    with FakeGitHub() as github:
        github.world.add_repository(REPOSITORY, private=True)
        github.world.open_pull(REPOSITORY, number=17, base="develop")
        yield Machine(tmp_path, cloud, github)


def test_the_plan_is_that_of_the_delivery(machine: Machine) -> None:
    """From the pull request's name alone: the same plan as from the payload, and nothing but reads."""
    stack = machine.preview()
    pull = machine.github.world.change_pull(REPOSITORY, 17, "closed", merged=True)
    repository = machine.github.world.repository(REPOSITORY)
    (machine.folder / "closed.json").write_text(
        json.dumps(machine.github.world.pull_payload(repository, pull))
    )
    read = json.loads(machine.closeout(*PLAN, "--json").stdout)
    given = json.loads(
        machine.closeout("plan", "--event", "pull_request", "--payload", "closed.json", "--json").stdout
    )
    assert read["automations"] == given["automations"]
    (step,) = read["automations"][0]["steps"]
    assert len(step["changes"]) > 1
    assert read["pull_request"]["name"] == "acme/shop#17"
    assert read["pull_request"]["state"] == "closed"
    shown = machine.closeout(*PLAN)
    assert "acme/shop#17 as GitHub shows it now; the event was made from that.\n" in shown.stderr
    assert "open" not in shown.stderr
    assert "delete" in shown.stdout
    assert {entry["method"] for entry in machine.github.requests()} == {"GET"}
    assert not machine.is_gone(stack)


def test_an_open_one_is_planned_with_a_clear_note(machine: Machine) -> None:
    """It is what people ask before they close: the plan, and that the pull request is still open."""
    machine.preview()
    shown = machine.closeout(*PLAN)
    assert "It is still open: this is the plan as if it were closed now, without a merge.\n" in shown.stderr
    assert max(map(len, shown.stderr.splitlines())) <= 80
    assert "preview-17" in shown.stdout


def test_matching_is_that_of_explain(machine: Machine) -> None:
    """A pull request that starts nothing is told why, and that is no error."""
    machine.config.write_text(CONFIG.replace("branches: [develop]", "branches: [main]"))
    shown = machine.closeout(*PLAN)
    assert shown.stdout == (
        "No automation matches; nothing would change.\n"
        "  preview-cleanup: no base matched: base branch 'develop' matches none of\n"
        "    main; it had no other base\n"
    )


def test_explain_takes_a_name_too(machine: Machine) -> None:
    """Why nothing would run, of a pull request that nobody has a payload of; a program hears what was read."""
    shown = machine.closeout(*EXPLAIN)
    assert shown.stdout.startswith("preview-cleanup: would run\n")
    assert "It is still open" in shown.stderr
    machine.config.write_text(CONFIG.replace("branches: [develop]", "branches: [main]"))
    told = json.loads(machine.closeout(*EXPLAIN, "--json").stdout)
    assert [row["outcome"] for row in told["automations"]] == ["skip"]
    assert told["pull_request"]["name"] == "acme/shop#17"
    unknown = machine.closeout("explain", "--pull-request", "acme/shop#99", check=False)
    assert (unknown.returncode, unknown.stdout) == (exits.FAILED, "")


def test_who_closes_it_is_unknown_and_not_nobody(machine: Machine) -> None:
    """No plan is shown, and no "would not run" either."""
    machine.config.write_text(CONFIG.replace("repositories:", "senders: [octo-dev]\n    repositories:"))
    told = machine.closeout(*EXPLAIN, check=False)
    assert told.returncode == exits.UNAVAILABLE
    assert told.stdout.startswith("preview-cleanup: unknown\n")
    assert "who closed acme/shop#17 is unknown" in " ".join(told.stdout.split())
    planned = json.loads(machine.closeout(*PLAN, "--json", check=False).stdout)
    assert [row["error"]["code"] for row in planned["automations"]] == ["sender-unknown"]


THREE_STEPS = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET, github: env:CLOSEOUT_GITHUB_TOKEN }
github: { api-url: env:GITHUB_API }
aws: { account: '123456789012', region: eu-central-1 }
protect: { names: ['preview-17'] }
automations:
  preview-cleanup:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    steps:
      - uses: shell
        with: { run: 'true' }
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}' }
      - uses: aws/cloudformation-delete-stack
        if: event.labls == 'x'
        with: { stack-name: 'other-${{ event.pull_request.number }}' }
"""


def test_what_cannot_be_planned_is_marked_and_counted(machine: Machine) -> None:
    """An error does not stand where changes stand without a word, and nobody is told that a plan has done nothing."""
    machine.preview()
    machine.config.write_text(THREE_STEPS)
    shown = machine.closeout(*PLAN, check=False)
    assert shown.returncode == exits.REFUSED
    assert re.search(r"^    refused: .*preview-17.* is protected", shown.stdout, re.MULTILINE)
    assert "    error: expression `event.labls == 'x'`: " in shown.stdout
    assert shown.stdout.endswith("\n2 of 3 steps cannot be planned.\n")
    assert "nothing was done" not in shown.stdout
    machine.config.write_text(
        THREE_STEPS.replace("'preview-17'", "'other'").replace("event.labls == 'x'", "event.number == 17")
    )
    assert "cannot be planned" not in machine.closeout(*PLAN).stdout


def test_errors_show_no_plan(machine: Machine) -> None:
    """A token that GitHub refuses, a pull request that is not there, half an answer: no plan, and the code says so."""
    machine.preview()
    unknown = machine.closeout("plan", "--pull-request", "acme/shop#99", check=False)
    assert (unknown.returncode, unknown.stdout) == (exits.FAILED, "")
    assert "no pull request acme/shop#99" in unknown.stderr
    machine.github.faults.add("half", path="/repos/acme/shop/pulls/17")
    half = machine.closeout(*PLAN, "--json", check=False)
    assert (half.returncode, half.stdout) == (exits.UNAVAILABLE, "")
    machine.environment["CLOSEOUT_GITHUB_TOKEN"] = "another"
    refused = machine.closeout(*PLAN, check=False)
    assert (refused.returncode, refused.stdout) == (exits.UNAVAILABLE, "")
    assert "401" in refused.stderr
    machine.config.write_text(CONFIG.replace(", github: env:CLOSEOUT_GITHUB_TOKEN", ""))
    without = machine.closeout(*PLAN, check=False)
    assert (without.returncode, without.stdout) == (exits.UNAVAILABLE, "")
    assert "see `secrets.github`" in without.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--pull-request", "acme/shop"), "does not name a pull request; write acme/shop#17 or https"),
        (("--pull-request", "acme/shop#0"), "does not name a pull request"),
        (("--pull-request", "acme/shop/x#1"), "does not name a pull request"),
        (("--pull-request", "acme/shop#1", "--event", "push"), "Give either --pull-request, or --event"),
        (("--pull-request", "acme/..#1"), "does not name a pull request"),
        ((), "--pull-request OWNER/REPO#N, or --event and --payload"),
        (("--payload", "x.json"), "Name the event with --event"),
    ],
)
def test_a_name_that_is_none_is_said(machine: Machine, arguments: tuple[str, ...], told: str) -> None:
    """A wrong call asks GitHub for nothing."""
    for command in ("plan", "explain"):
        done = machine.closeout(command, *arguments, check=False)
        assert told in done.stderr
        assert (done.returncode, done.stdout) == (exits.USAGE, "")
    assert machine.github.requests() == []
