"""The scenes of the tour: which module plays each, how long it may take, and whether it needs the machine to itself."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Literal, NamedTuple

from tests.hostile.report import Report
from tests.hostile.stage import Stage


class Scene(NamedTuple):
    """A scene; `seconds` is when it is ended: several times what it takes, so that a busy machine ends none.

    `when` it is played: `alone` if its figures mean something only if nothing else works, `beside` these if it waits
    nearly all the time, `after` them otherwise.
    """

    name: str
    module: str
    seconds: float
    when: Literal["alone", "beside", "after"] = "after"


SCENES = (
    Scene("flood", "flood", 90, "alone"),
    Scene("memory", "memory", 120, "alone"),
    Scene("crowds", "crowds", 120, "alone"),
    Scene("noise", "noise", 120, "alone"),
    Scene("connections", "connections", 180, "beside"),
    Scene("kills", "killed", 180),
    Scene("github", "github_faults", 180),
    Scene("aws", "aws_faults", 180),
    Scene("disk", "disk", 180),
    Scene("waiting", "many_waiting", 180),
    Scene("protection", "protection", 180),
    Scene("payloads", "payloads", 180),
    Scene("configurations", "configurations", 180),
    Scene("clock", "clock", 180),
)
"""In the order in which they begin."""


def named(names: list[str]) -> list[Scene]:
    """Return the scenes of these names, all for none. Raises KeyError."""
    known = {scene.name: scene for scene in SCENES}
    return [known[name] for name in names] if names else list(SCENES)


def play(scene: Scene, stage: Stage) -> Report:
    """Play a scene in this process. What it raises is a broken promise: no scene may end unheard."""
    report = Report(scene.name)
    module = importlib.import_module(f"tests.hostile.{scene.module}")
    run: Callable[[Stage, Report], None] = module.run
    try:
        run(stage, report)
    except Exception as error:
        report.check(False, f"the scene broke off: {type(error).__name__}: {error}")
    return report
