"""What `closeout serve` says before the first delivery: whoever starts it sees what it may change."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from tests.acceptance.cli_process import environment
from tests.acceptance.forked import Forked
from tests.until import until

CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }
aws: { account: '123456789012', region: eu-central-1 }
automations:
  careful:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    mode: dry-run
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}' }
  bold:
    on: { push: {}, release: {} }
    status: false
    steps: [{ uses: shell, destructive: false, with: { run: 'true' } }]
"""


def start(folder: Path, *arguments: str, config: str = CONFIG) -> list[str]:
    """Start a server and end it once it has said all that it says; return its lines without their times."""
    (folder / "closeout.yaml").write_text(config)
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = Forked(
            ["serve", "--port", "0", *arguments],
            folder=folder, environment=environment({"CLOSEOUT_WEBHOOK_SECRET": "s3cret"}), output=output, errors=output,
        )  # fmt: skip
    until("its first line", lambda: "\n" in log.read_text("utf-8"))
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    return [
        re.sub(r"^[\d-]+ \S+( UTC)? closeout: ", "", line) for line in log.read_text("utf-8").splitlines()
    ]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a server says that nobody told its public address."""
    return start(tmp_path_factory.mktemp("startup"))


def test_the_first_line_is_the_address(lines: list[str]) -> None:
    """Programs wait for it."""
    assert re.fullmatch(r"closeout listens on http://127\.0\.0\.1:\d+", lines[0])


def test_each_automation_is_named_with_its_mode(lines: list[str]) -> None:
    """A dry run is told apart from what applies its changes."""
    assert "automation careful: dry run, changes nothing; on pull_request in acme/shop" in lines
    assert "automation bold: applies its changes; on push, release" in lines


def test_the_webhook_and_the_account_are_named(lines: list[str]) -> None:
    """The URL to give to GitHub, and whose resources the steps may delete."""
    address = lines[0].removeprefix("closeout listens on ")
    assert f"webhook URL: {address}/webhook" in lines
    assert [line for line in lines if line.startswith("AWS account 123456789012: ")]


def test_links_that_only_this_machine_opens_are_warned_about(lines: list[str], tmp_path: Path) -> None:
    """With a public address there is no warning, and links and webhook begin with it."""
    assert [
        line for line in lines if line.startswith("warning: people on other machines cannot open http://127")
    ]
    public = start(tmp_path, "--public-url", "https://closeout.example.com")
    assert "Details links begin with https://closeout.example.com/runs/" in public
    assert [line for line in public if line.startswith("webhook URL: https://closeout.example.com/webhook, ")]
    assert not [line for line in public if "people on other machines" in line]


def test_a_server_without_a_status_needs_no_public_address(tmp_path: Path) -> None:
    """Nobody gets a link, so there is nothing to warn about; no AWS step, so no account."""
    quiet = start(
        tmp_path, config=CONFIG.partition("  careful:")[0] + "  bold:" + CONFIG.partition("  bold:")[2]
    )
    assert not [line for line in quiet if "other machines" in line or line.startswith("AWS account")]


def test_json_logs_hold_the_same_sentences(tmp_path: Path) -> None:
    """Each line after the first is one JSON object."""
    said = [json.loads(line)["message"] for line in start(tmp_path, "--json-logs")[1:]]
    assert "automation bold: applies its changes; on push, release" in said
