"""Whole scripts: whoever reads a plan, a dry run or a question sees every line that would run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.cli import exits
from tests.acceptance.cli_process import closeout
from tests.acceptance.test_cli_serve import Serving, push

CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }
automations:
  infra:
    on: { push: { branches: [main] } }
    repositories: [acme/shop]
    status: false
    mode: dry-run
    steps:
      - uses: shell
        destructive: false
        with:
          run: |
            cd infra
            terraform init
            for place in eu us; do
              echo "$place"
            done; terraform destroy -auto-approve
"""
LINES = [
    "cd infra",
    "terraform init",
    "for place in eu us; do",
    '  echo "$place"',
    "done; terraform destroy -auto-approve",
]


class DryRun(Serving):
    """A server whose only automation is a dry run of a script of five lines."""

    def start(self) -> None:
        """Write the configuration and start."""
        (self.folder / "closeout.yaml").write_text(CONFIG)
        super().start()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DryRun]:
    """One server, with one finished dry run."""
    server = DryRun(tmp_path_factory.mktemp("scripts"))
    yield server
    server.end()


@pytest.fixture(scope="module")
def run(serving: DryRun) -> str:
    """The dry run."""
    (found,) = serving.deliver("main", guid="g-main")["runs"]
    serving.until(found, "finished")
    return str(found)


def shown(text: str) -> list[str]:
    """The lines of a script in what a command prints."""
    return [line.partition("| ")[2] for line in text.splitlines() if line.lstrip().startswith("| ")]


def test_plan_shows_every_line(tmp_path: Path) -> None:
    """A `terraform destroy` on line 5 is seen; programs get the same text."""
    (tmp_path / "closeout.yaml").write_text(CONFIG)
    arguments = ("plan", "--event", "push", "--payload", "-")
    payload = json.dumps(push("main"))
    assert shown(closeout(*arguments, cwd=tmp_path, stdin=payload).out) == LINES
    found = closeout(*arguments, "--json", cwd=tmp_path, stdin=payload).json
    assert found["automations"][0]["steps"][0]["changes"][0]["resource"] == "\n".join(LINES)


def test_a_dry_run_shows_every_line(serving: DryRun, run: str) -> None:
    """In the run's plan and in its log."""
    assert shown(serving.cli("runs", "show", run).out) == LINES
    log = serving.cli("runs", "logs", run).out
    assert f"plan: run {LINES[0]}\n" in log
    assert [line.partition(" (")[0] for line in shown(log)] == LINES[1:]


def test_a_confirmation_shows_every_line(serving: DryRun, run: str) -> None:
    """Before a rerun is asked about."""
    asked = serving.cli("runs", "rerun", run)
    assert asked.code == exits.REFUSED
    assert shown(asked.err) == LINES


def test_a_failed_script_says_the_error_first(serving: DryRun) -> None:
    """The last line of stderr, then the exit code, and not how the output began."""
    script = "echo starting; echo 'permission denied' >&2; exit 4"
    config = CONFIG.partition("    mode:")[0] + (
        f"    steps: [{{ uses: shell, destructive: false, with: {{ run: {json.dumps(script)} }} }}]\n"
    )
    serving.end()
    (serving.folder / "closeout.yaml").write_text(config)
    Serving.start(serving)
    (found,) = serving.deliver("main", guid="g-failed")["runs"]
    assert serving.until(found, "finished")["summary"] == "shell-1: permission denied (exit code 4)"
