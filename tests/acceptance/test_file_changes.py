"""A run that waits while its file is edited and the server restarted, and a run again that finds its stack going."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from closeout.testing.aws import FakeAws
from tests.acceptance.machine import CONFIG, REPOSITORY, Machine, machine
from tests.until import until

RENAMED = CONFIG.replace("  preview-cleanup:", "  cleanup:\n    mode: dry-run") + "protect: ['other-*']\n"


def close(scene: Machine) -> str:
    """Open a pull request and close it; return its head's SHA."""
    sha = scene.open_pull()
    scene.github.world.change_pull(REPOSITORY, 17, "closed")
    return sha


def deletes(scene: Machine) -> list[dict[str, Any]]:
    """Every DeleteStack so far."""
    return [entry for entry in scene.aws.requests() if entry["operation"] == "DeleteStack"]


def restarted(scene: Machine, config: str) -> None:
    """Start the server, again if it is up, with another file."""
    if scene.server is not None:
        scene.kill()
    scene.config.write_text(config, encoding="utf-8")
    scene.start()


def test_a_run_whose_automation_was_renamed_waits_until_it_is_back(tmp_path: Path, cloud: FakeAws) -> None:
    """The new name's dry run is not the run's own, and still nothing is deleted; under its old name it goes on."""
    cloud.reset()
    with machine(tmp_path, cloud) as scene:
        stack = scene.preview()
        scene.closeout("pause", "--reason", "an edit", "--db", str(scene.db))
        sha = close(scene)
        until("the pause in the status", lambda: any("paused" in text for _, text in scene.statuses(sha)))
        scene.kill()
        scene.closeout("resume", "--db", str(scene.db))
        restarted(scene, RENAMED)
        gone = "automation preview-cleanup is gone from the configuration; nothing more is changed unless it comes back"
        until("the word of it", lambda: scene.statuses(sha)[-1] == ("pending", gone))
        assert deletes(scene) == []
        restarted(scene, CONFIG)
        (run,) = scene.finished()
        assert run["verdict"] == "success", (run, scene.log())
        assert scene.is_gone(stack)


def test_a_rerun_of_a_run_that_timed_out_in_the_middle_of_a_delete(tmp_path: Path, cloud: FakeAws) -> None:
    """The second attempt joins the delete that goes on, hears which bucket failed in it, and ends as success."""
    cloud.reset()
    impatient = CONFIG + "        timeout: 1s\n"
    with machine(tmp_path, cloud, impatient) as scene:
        stack = scene.preview()
        cloud.stop_deletes_at_the_end()
        sha = close(scene)
        (run,) = scene.finished()
        assert "a rerun joins it" in run["summary"], (run, scene.log())
        restarted(scene, CONFIG)
        scene.closeout("runs", "rerun", run["id"], "--yes", "--db", str(scene.db))
        until("the second request", lambda: len(deletes(scene)) == 2)
        cloud.let_deletes_end()
        until("the second status", lambda: "success" in [state for state, _ in scene.statuses(sha)])
        assert scene.is_gone(stack)
