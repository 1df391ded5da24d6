"""A ledger of the release before goes on: its open runs end as they would have, and nothing is done twice."""

from __future__ import annotations

import time
from pathlib import Path

from closeout.testing.aws import FakeAws
from closeout.testing.github import FakeGitHub
from tests.acceptance.machine import REPOSITORY, Machine
from tests.upgrade import SCRIPT, STEP, write_ledger

ROWS = Path(__file__).with_name("ledger_of_schema_1.sql")
GRACE_OVER = 1795814293.502383
"""When the grace of one of its runs is over."""
PULLS = {21: 1701002, 22: 1701003, 23: 1701004, 24: 1701005, 25: 1701016, 26: 1701017}
"""The pull requests of its runs, in order of acceptance, and GitHub's ids of them."""
CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET, github: env:CLOSEOUT_GITHUB_TOKEN }
github: { api-url: env:GITHUB_API }
automations:
""" + "".join(
    f"""\
  {name}:
    on: {{ pull_request: {{ types: [closed], branches: ['{branch}'] }} }}
    repositories: [{REPOSITORY}]
    {more}
    steps: [{STEP % (destructive, argv)}]
"""
    for name, branch, destructive, argv, more in (
        ("done", "b-done", "false", "['true']", ""),
        ("failed", "b-failed", "false", "['false']", ""),
        ("grace", "b-grace", "true", "['true']", "grace: 20s"),
        ("script", "b-script", "false", SCRIPT, "concurrency: one"),
        ("pausing", "b-pause", "true", "['true']", ""),
    )
)


def test_every_open_run_of_the_release_before_goes_on(tmp_path: Path, cloud: FakeAws) -> None:
    """Waiting, held by a pause, queued for a key, and in a script when the server died: that one is a suspect."""
    with FakeGitHub() as github:
        github.world.add_repository(REPOSITORY, private=True)
        scene = Machine(tmp_path, cloud, github, CONFIG)
        for number, identity in PULLS.items():
            scene.open_pull(number, id=identity)
            github.world.change_pull(REPOSITORY, number, "closed")
        write_ledger(scene.db, ROWS, 1, time.time() + 1.0 - GRACE_OVER)
        refused = scene.closeout("runs", "list", "--db", str(scene.db), check=False)
        assert refused.returncode == 4
        assert "has schema 1" in refused.stderr
        (tmp_path / "go").touch()
        scene.start()
        try:
            scene.closeout("resume", "--db", str(scene.db))
            runs = scene.finished(6)
            assert scene.stop() == 0
        finally:
            if scene.server is not None:
                scene.kill()
        verdicts = [(run["automation"], run["verdict"]) for run in runs]
        assert sorted(verdicts) == [
            ("done", "success"),
            ("failed", "failure"),
            ("grace", "success"),
            ("pausing", "success"),
            ("script", "success"),
            ("script", "success"),
        ], scene.log()
        assert (tmp_path / "tries").read_text().split() == ["2", "1"], "the one that was cut off knows it"
        assert "after a crash: 1 run takes a turn alone" in scene.log()
        assert "continuing 4 open runs" in scene.log()
        for number in range(23, 27):
            sha = f"{number:040x}"
            assert scene.statuses(sha)[-1] == ("success", "shell-1: exit code 0"), number
        assert scene.statuses(f"{21:040x}") == [], "what had finished is left alone"
