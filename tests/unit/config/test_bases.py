"""Which of a pull request's bases count by default, and the message that says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from closeout.config import bases
from closeout.config.load import load
from closeout.core.automation import Automation
from tests.unit.config.known_actions import REGISTRY

STACK = "{ uses: aws/cloudformation-delete-stack, with: { stack-name: 'preview-${{ event.pull_request.number }}' } }"
FILE = """\
version: 1
aws: {{ account: '123456789012', region: eu-central-1 }}
automations:
  preview:
    on: {{ pull_request: {{ types: [closed]{filters} }} }}
    repositories: [acme/shop]
{key}    steps: [{steps}]
"""


def read(
    tmp_path: Path, steps: str = STACK, filters: str = ", branches: [develop]", key: str = ""
) -> Automation:
    """Return the automation of a file with these steps."""
    path = tmp_path / "closeout.yaml"
    path.write_text(FILE.format(steps=steps, filters=filters, key=key), encoding="utf-8")
    return load(path, REGISTRY).automations[0]


@pytest.mark.parametrize(
    ("steps", "filters", "counts"),
    [
        (STACK, ", branches: [develop]", "ever"),
        (STACK, ", branches-ignore: [main]", "ever"),
        (STACK, "", "at-close"),
        (
            STACK.replace("preview-", "pr-${{ event.pull_request.base.repo.id }}-"),
            ", branches: [develop]",
            "ever",
        ),
        (f"{STACK}, {{ uses: github/comment, with: {{ body: gone }} }}", ", branches: [develop]", "ever"),
        (
            STACK.replace("preview-", "${{ event.pull_request.base.ref }}-"),
            ", branches: [d], paths: [a]",
            "at-close",
        ),
        (f"{STACK}, {{ uses: shell, with: {{ run: 'true' }} }}", ", branches: [develop]", "at-close"),
        ("{ uses: github/comment, with: { body: gone } }", ", branches: [develop]", "at-close"),
    ],
)
def test_every_base_counts_if_a_wrong_match_is_harmless(
    tmp_path: Path, steps: str, filters: str, counts: str
) -> None:
    """Each destructive step deletes exactly what it names, and the base is not part of its inputs."""
    if "base.ref" in steps:
        steps = steps.replace("with:", "allow-untrusted: event.pull_request.base.ref, with:")
    assert read(tmp_path, steps, filters).bases == counts


def test_the_file_overrides_the_default(tmp_path: Path) -> None:
    """Both ways; `check` says that it is the file's own choice."""
    automation = read(tmp_path, key="    bases: at-close\n")
    assert automation.bases == "at-close"
    assert bases.shown(automation, REGISTRY) == (
        "`branches` are compared with the base at the close: the file says so"
    )
    script = "{ uses: shell, with: { run: 'true' } }"
    automation = read(tmp_path, script, key="    bases: ever\n")
    assert automation.bases == "ever"
    assert str(bases.shown(automation, REGISTRY)).endswith("ever had: the file says so")


def test_a_default_says_why(tmp_path: Path) -> None:
    """It names the step that decides; without a filter there is nothing to say."""
    script = f"{STACK}, {{ uses: shell, with: {{ run: 'true' }} }}"
    assert str(bases.shown(read(tmp_path, script), REGISTRY)).endswith("`shell` does not say what it deletes")
    assert str(bases.shown(read(tmp_path), REGISTRY)).endswith("and no name contains the base")
    assert bases.shown(read(tmp_path, filters=""), REGISTRY) is None
