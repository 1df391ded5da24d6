"""A script that fails on a public repository: what everybody can read of it, and what its operator can."""

from __future__ import annotations

import urllib.request
from pathlib import Path

import pytest

from closeout.testing.aws import FakeAws
from tests.acceptance.machine import CONFIG, REPOSITORY, machine

SCRIPT = """\
automations:
  database:
    on:
      pull_request: { types: [closed], branches: [develop] }
    repositories: [acme/shop]
    steps:
      - uses: shell
        name: Drop the database
        with: { run: 'echo "no route to host=db-7.corp password=$SECRET"; ./drop db-7.corp || exit 3', env: { SECRET: hunter3 } }
"""


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
def test_a_scripts_text_and_output(tmp_path: Path, cloud: FakeAws, private: bool) -> None:
    """Public: neither is in a status or on the page that it links. Private: both are. The ledger always has them."""
    config = CONFIG.partition("automations:")[0] + SCRIPT
    with machine(tmp_path, cloud, config, private=private) as scene:
        sha = scene.open_pull()
        scene.github.world.change_pull(REPOSITORY, 17, "closed")
        (run,) = scene.finished()
        statuses = scene.github.statuses(REPOSITORY, sha)
        with urllib.request.urlopen(statuses[-1]["target_url"], timeout=10) as page:
            everybody = page.read().decode() + "".join(status["description"] for status in statuses)
        shown = scene.closeout("runs", "show", run["id"], "--db", str(scene.db)).stdout
    error = "/bin/sh: 1: ./drop: not found (exit code 3)" if private else "exit code 3"
    assert statuses[-1]["description"] == f"Drop the database: {error}"
    for secret in ("db-7.corp", "hunter3", "./drop"):
        assert (secret in everybody) == private
        assert secret in shown
