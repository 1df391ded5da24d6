"""The frame of the hostile tour: rows that travel, the table, the samplers, and what makes a run bad."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

from tests.hostile.process import Watch, sample, slowness
from tests.hostile.report import ABSENT, BROKEN, HOLDS, Report
from tests.hostile.requests import DOCUMENTED, MAKERS, make
from tests.hostile.scenes import SCENES, Scene, named, play
from tests.hostile.stage import Stage
from tests.hostile.table import good, render


def test_a_row_survives_its_way_between_processes() -> None:
    """What a scene measured is what the table shows."""
    report = Report(
        "flood", ["1,000 requests"], 12, 11, 80.5, (40.0, 90.0, 42.0), (20, 21), ["late"], "", 3.0
    )
    assert Report.from_json(report.to_json()) == report


def test_the_table_shows_every_figure_and_every_broken_promise() -> None:
    """One row for each scene, events wrapped, and below it in full what did not hold."""
    fine = Report(
        "flood", ["1,000 requests of 14 kinds", "x" * 60], 12, 12, 80.4, (40.2, 90.0, 42.0), (20, 21)
    )
    bad = Report("disk", broken=["no delivery was taken"])
    text = render([fine, bad])
    for part in (
        "1,000 requests of 14 kinds",
        "12 of 12 / 80 ms",
        "40, 90, 42",
        "20 -> 21",
        "holds",
        "BROKEN",
    ):
        assert part in text
    assert text.endswith("disk:\n  - no delivery was taken")


def test_a_scene_that_was_not_played_makes_the_run_bad() -> None:
    """Only a table in which everything holds is good, and an empty one is not."""
    fine, absent = Report("flood"), Report("kills", absent="not there")
    assert (fine.verdict, absent.verdict) == (HOLDS, ABSENT)
    assert good([fine])
    assert not good([fine, absent])
    assert not good([])


def test_a_scene_that_breaks_off_is_a_broken_promise(tmp_path: Path) -> None:
    """Whatever it raises, its row says so."""
    report = play(Scene("none", "test_frame", 1.0), Stage(tmp_path, 1, 1.0))
    assert report.verdict == BROKEN
    assert "broke off" in report.broken[0]


def run(stage: Stage, report: Report) -> None:
    """Play the scene of the test above."""
    raise RuntimeError(stage.seed, report.scene)


def test_the_requests_of_a_seed_are_the_same_again() -> None:
    """A run can be repeated; and every kind of request allows only answers that are documented."""
    one, two = random.Random(7), random.Random(7)
    first = [make(one) for _ in range(200)]
    assert first == [make(two) for _ in range(200)]
    assert all(request.allowed - {0} <= DOCUMENTED for request in first)
    assert len({request.kind for request in first}) > len(MAKERS) // 2


def test_a_process_is_watched_until_it_ends() -> None:
    """Memory, descriptors and threads of a live process; None for one that has ended."""
    program = [sys.executable, "-c", "input(0)"]
    child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        assert child.stdout.read(1) == b"0"  # before that it is still this program's copy
        with Watch(child.pid) as watch:
            assert 1.0 < watch.start.private <= watch.start.resident <= watch.settled(1000.0, 1.0) + 1000.0
            assert watch.start.descriptors >= 3
            assert watch.start.threads == 1
    finally:
        child.communicate()
    assert sample(child.pid) is None
    assert sample(os.getpid()) is not None


def test_work_is_never_faster_than_on_a_quiet_machine() -> None:
    """The factor by which timed promises are stretched is at least one."""
    assert 1.0 <= slowness(0.02) < 1000.0


def test_every_scene_has_a_module_that_says_what_turns_it_red() -> None:
    """A check that cannot fail shows nothing: each docstring names the sabotage."""
    for scene in named([]):
        text = (Path(__file__).parent / f"{scene.module}.py").read_text("utf-8")
        assert "\nRed when sabotaged: " in text.partition('"""\n\nfrom')[0], scene.name
    assert len({scene.name for scene in SCENES}) == len(SCENES)
