"""The drill that patrol's function makes once a day: what it names, what it does not know, and what it never holds up."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from closeout.checks import registry
from closeout.core.units import DAY
from closeout.testing.github.webhooks import Hook
from closeout.wiring.stack_drills import CHECKS, ENOUGH, DrillFigures
from closeout.wiring.stack_patrols import RoundResult
from tests.unit.checks.scene import SECRET, Server
from tests.unit.wiring.patrol_scene import TOKEN, Scene
from tests.unit.wiring.stack_world import REPOSITORY


@pytest.fixture
def hook(scene: Scene) -> Iterator[Hook]:
    """A webhook through which all is well."""
    server = Server()
    scene.webhook = f"{server.url}/webhook"
    scene.pause = time.sleep
    yield scene.world.github.add_hook(
        REPOSITORY, url=scene.webhook, secret=SECRET, events=("pull_request", "delete")
    )
    server.stop()


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return what the function has logged of drills since the last time."""
    texts = [str(json.loads(line)["text"]) for line in capsys.readouterr().out.splitlines()]
    return [text for text in texts if text.startswith("drill")]


def figures(made: RoundResult) -> DrillFigures:
    """Return what a round without an error says of drills: failed, unknown, and the seconds since the last one."""
    assert made.report.errors == []
    assert made.drill is not None
    return made.drill


def pings(scene: Scene) -> int:
    """Return how often GitHub was asked for a ping."""
    return sum(one["path"].endswith("/pings") for one in scene.world.github.requests())


def test_a_broken_link_is_reported_once_a_day_by_log_and_metric(
    scene: Scene, hook: Hook, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its line says what breaks and how to fix it. The metrics show it until a drill finds it fixed."""
    assert figures(scene.round()) == (None, None, 3_600.0)
    scene.clock.advance(DAY)
    assert figures(scene.round()) == (0, 0, 0.0)
    assert (told(capsys), pings(scene)) == ([], 1)
    hook.active = False
    assert figures(scene.round()) == (0, 0, 3_600.0)
    scene.clock.advance(DAY)
    assert figures(scene.round()) == (1, 0, 0.0)
    (line,) = told(capsys)
    assert line.startswith(f"drill: hook-active: {REPOSITORY}: webhook {hook.id} is not active. Breaks: ")
    assert ". Fix: check Active" in line
    assert figures(scene.round()) == (1, 0, 3_600.0)
    scene.clock.advance(DAY)
    assert figures(scene.round()) == (1, 0, 0.0)
    assert told(capsys) == []
    hook.active = True
    scene.clock.advance(DAY)
    assert figures(scene.round()) == (0, 0, 0.0)
    assert told(capsys) == ["drill: hook-active is fine again"]


def test_a_wrong_webhook_secret_and_a_pause_are_found(
    scene: Scene, hook: Hook, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first by a ping that GitHub sends for the drill, the other in the stack's table."""
    hook.secret = "another"
    scene.world.switch(paused=True)
    scene.clock.advance(DAY)
    assert figures(scene.round()) == (2, 0, 0.0)
    assert [line.split(": ")[1] for line in told(capsys)] == ["paused", "hook-secret"]
    assert pings(scene) == 1


def test_a_check_without_an_answer_is_unknown_and_not_fine(scene: Scene, hook: Hook) -> None:
    """GitHub fails where only the drill asks it."""
    scene.world.github.faults.add("status", path=f"/repos/{REPOSITORY}/statuses/.*", times=0)
    scene.clock.advance(DAY)
    assert figures(scene.round()) == (0, 1, 0.0)


def test_a_failed_drill_delays_no_round(
    scene: Scene, hook: Hook, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The closing is started; the drill is unknown, and repeated an hour later."""

    def broken(*_given: object) -> None:
        raise RuntimeError(TOKEN)

    with monkeypatch.context() as patched:
        patched.setattr(registry, "ask", broken)
        scene.closes(17)
        scene.clock.advance(DAY)
        made = scene.round()
        assert (made.report.started, figures(made)[:2]) == (1, (0, 1))
        assert told(capsys) == ["drill failed: RuntimeError"]
        scene.function().patrol("two", lambda: 900.0)
        assert told(capsys) == []
    assert figures(scene.round()) == (0, 0, 0.0)


def test_a_drill_begins_only_with_enough_time(scene: Scene, hook: Hook) -> None:
    """The next round makes it."""
    scene.clock.advance(DAY)
    made = scene.round(lambda: ENOUGH - 1)
    assert (made.report.errors, pings(scene)) == ([], 0)
    assert figures(scene.round())[:2] == (0, 0)
    assert pings(scene) == 1


def test_an_invocation_that_ends_leaves_the_rest_unknown(
    scene: Scene, hook: Hook, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check that did not run is not called wrong."""
    scene.pause = lambda _seconds: None  # no ping comes

    def left() -> float:
        return 100.0 if any(one["path"] == "/rate_limit" for one in scene.world.github.requests()) else 900.0

    scene.clock.advance(DAY)
    failed, unknown, _ = figures(scene.round(left))
    assert failed == 0
    assert unknown
    assert (told(capsys), pings(scene)) == ([], 0)


def test_a_drill_that_is_switched_off_never_runs(scene: Scene, hook: Hook) -> None:
    """No metric then says that all is well."""
    scene.settings = '{"deliveries": 300.0, "drill": null, "limit": 10, "state": 3600.0}'
    scene.clock.advance(10 * DAY)
    made = scene.round()
    assert (made.report.errors, made.drill, pings(scene)) == ([], None, 0)


def test_the_function_runs_the_checks_that_it_has_permissions_for() -> None:
    """A new check is listed here too, or is left out with a reason."""
    left_out = {check.id for check in registry.ON_STACK} - {check.id for check in CHECKS}
    assert left_out == {"aws-permissions", "clock", "notifiers"}
