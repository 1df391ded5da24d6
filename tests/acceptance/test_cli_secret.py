"""`closeout secret set`: a value goes from a hidden prompt or a pipe into Secrets Manager, and is seen nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.testing.aws import FakeAws
from tests.acceptance.stack_world import (
    CONFIG,
    FIRST,
    GITHUB_SECRET,
    STACK,
    StackWorld,
    bare_stack,
)

TOKEN = "ghp_" + "aB3" * 12
SET = ("secret", "set", "github", "--stack", STACK)
READS_A_SECRET = """\
version: 1
secrets: { webhook: env:W, github: env:G }
automations:
  told:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    steps:
      - uses: http/request
        with: { url: 'https://h.example/', secret-headers: { A: 'aws-secretsmanager:hooks' } }
"""


@pytest.fixture
def world(tmp_path: Path, cloud: FakeAws) -> Iterator[StackWorld]:
    """A deployed stack; nothing here needs its server."""
    with bare_stack(tmp_path, cloud) as it:
        yield it


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_piped_value_is_stored_without_the_line_end(world: StackWorld, end: str) -> None:
    """What `gh auth token |` gives; the answer names secret and version and holds no part of the value."""
    done = world.feed(TOKEN + end, *SET)
    assert world.secret(name=GITHUB_SECRET) == TOKEN
    version = world.client("secretsmanager").get_secret_value(SecretId=GITHUB_SECRET)["VersionId"]
    assert f"The GitHub token is stored: {GITHUB_SECRET} in eu-central-1, version {version}." in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    assert done.stderr == ""


def test_at_a_terminal_the_value_is_asked_for_and_not_shown(world: StackWorld) -> None:
    """Typed characters do not appear on the screen."""
    code, shown = world.type_in(TOKEN, *SET)
    assert code == 0, shown
    assert world.secret(name=GITHUB_SECRET) == TOKEN
    assert "The GitHub token (hidden):" in shown
    assert TOKEN not in shown
    assert TOKEN[:8] not in shown


def test_nothing_typed_is_nothing_stored(world: StackWorld) -> None:
    """An empty line at the prompt ends in a sentence."""
    before = world.secret(name=GITHUB_SECRET)
    code, shown = world.type_in("", *SET)
    assert code == 2
    assert "nothing was stored" in shown
    assert world.secret(name=GITHUB_SECRET) == before


@pytest.mark.parametrize(
    "value",
    ["", "\n", "   ", "\t\n", f" {TOKEN}", f"{TOKEN} ", f"{TOKEN}\n{TOKEN}", f"{TOKEN}\x00", "x" * 65_537],
)
def test_what_cannot_be_meant_is_refused_without_being_repeated(world: StackWorld, value: str) -> None:
    """Empty, white space, several lines, control characters, too long: exit code 2, and the former value stays."""
    before = world.secret(name=GITHUB_SECRET)
    done = world.feed(value, *SET, check=False)
    assert done.returncode == 2
    assert "nothing was stored" in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert world.secret(name=GITHUB_SECRET) == before


def test_a_value_that_may_be_the_wrong_one_is_stored_with_a_warning(world: StackWorld) -> None:
    """A doubt is said and not enforced; no character of the value is in it."""
    done = world.feed("hunter2-hunter2-hunter2", *SET)
    assert world.secret(name=GITHUB_SECRET) == "hunter2-hunter2-hunter2"
    assert "does not look like a GitHub token" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_the_former_webhook_secret_stays_accepted_and_the_next_step_is_named(world: StackWorld) -> None:
    """It is AWSPREVIOUS from now on, and the hooks must still be told."""
    done = world.feed("f00d" * 16, "secret", "set", "webhook", "--stack", STACK)
    assert world.secret("AWSPREVIOUS") == FIRST
    told = " ".join(done.stdout.split())
    assert f"closeout webhook rotate-secret TARGET... --stack {STACK}" in told


def test_a_program_reads_where_it_was_stored(world: StackWorld) -> None:
    """With --json one document, without the value."""
    told = json.loads(world.feed(TOKEN, *SET, "--json").stdout)
    version = world.client("secretsmanager").get_secret_value(SecretId=GITHUB_SECRET)["VersionId"]
    assert told == {"secret": GITHUB_SECRET, "version": version, "region": "eu-central-1", "stack": STACK}


def test_there_is_no_option_and_no_argument_for_a_value(world: StackWorld) -> None:
    """A value on the command line is a usage error, whatever it is called."""
    for more in ((TOKEN,), ("--value", TOKEN), ("--secret", TOKEN)):
        done = world.feed("", *SET, *more, check=False)
        assert done.returncode == 2
    assert world.secret(name=GITHUB_SECRET) == world.github.token


def test_a_secret_that_is_gone_is_named(world: StackWorld) -> None:
    """The stack names a secret that somebody deleted."""
    world.client("secretsmanager").delete_secret(SecretId=GITHUB_SECRET, ForceDeleteWithoutRecovery=True)
    done = world.feed(TOKEN, *SET, check=False)
    assert done.returncode == 4
    assert f"There is no secret {GITHUB_SECRET}" in done.stderr


def test_the_policy_of_a_file_is_printed_for_review(world: StackWorld) -> None:
    """`closeout permissions` as people and as programs read it: the same statements, nothing asked of any service."""
    world.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    (world.folder / "closeout.yaml").write_text(CONFIG, encoding="utf-8")
    told = json.loads(world.closeout("permissions", "closeout.yaml", "--json").stdout)
    (own,) = told["roles"]
    assert own["role"] is None
    assert [one["Action"] for one in own["policy"]["Statement"]] == [
        one["actions"] for one in own["statements"]
    ]
    assert all(one["reasons"] and one["steps"] for one in own["statements"])
    assert (
        "arn:aws:cloudformation:eu-central-1:123456789012:stack/preview-*/*"
        in own["statements"][0]["resources"]
    )
    assert {name for one in told["github"] for name in one["actions"]} == {
        "statuses:write",
        "pull_requests:read",
    }
    assert told["unknown"] == ["branches/shell-1", "elsewhere/shell-1"]

    shown = world.closeout("permissions")
    assert json.loads(shown.stdout) == own["policy"], "the policy alone: it can be written into a file"
    assert "for preview-cleanup/delete-stack-1" in shown.stderr
    assert "Commit statuses: write" in shown.stderr
    assert "Pull requests: read" in shown.stderr
    assert "branches/shell-1" in shown.stderr


def test_a_name_without_fixed_text_has_no_policy(world: StackWorld) -> None:
    """Exit code 1 and a sentence with automation, step and the way out."""
    wide = CONFIG.replace("preview-${{", "${{").replace("}}' }", "}}-preview' }")
    (world.folder / "closeout.yaml").write_text(wide, encoding="utf-8")
    done = world.closeout("permissions", check=False)
    assert done.returncode == 1
    assert (
        "preview-cleanup/delete-stack-1: `stack-name: ${{ event.pull_request.number }}-preview`"
        in done.stderr
    )
    assert "assume-role" in done.stderr
    assert done.stdout == ""


def test_what_a_statement_is_limited_to_is_printed_with_it(world: StackWorld) -> None:
    """A right to decrypt with every key looks wide without its conditions: people and programs see them."""
    (world.folder / "secret.yaml").write_text(READS_A_SECRET, encoding="utf-8")
    told = world.closeout("permissions", "secret.yaml").stderr
    assert (
        "    if kms:EncryptionContext:SecretARN is arn:aws:secretsmanager:*:*:secret:hooks-??????\n" in told
    )
    (own,) = json.loads(world.closeout("permissions", "secret.yaml", "--json").stdout)["roles"]
    decrypt, read = own["statements"]
    assert decrypt["condition"] == own["policy"]["Statement"][0]["Condition"]
    assert decrypt["condition"]["StringLike"]["kms:ViaService"] == ["secretsmanager.*.amazonaws.com"]
    assert read["condition"] == {}
