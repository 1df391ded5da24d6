"""One run of the demo followed live: log lines and commit statuses as they appear, until the last one.

Scenes say what is done; this module shows what follows, in the order in which it can be seen from outside.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from closeout.cli.demo.cloud import Cloud
from closeout.cli.demo.github import GitHub
from closeout.cli.demo.narrator import Narrator
from closeout.cli.demo.server import PATIENCE, Server

POLL = 0.05


class Stage(NamedTuple):
    """Everything that a scene plays with."""

    narrator: Narrator
    github: GitHub
    cloud: Cloud
    server: Server


class FinishedRun(NamedTuple):
    """A run at its end, and every status that its commit got."""

    run: dict[str, Any]
    statuses: list[dict[str, Any]]

    @property
    def verdict(self) -> str | None:
        """The run's verdict; None if it has not ended."""
        verdict = self.run["verdict"]
        return None if verdict is None else str(verdict)

    @property
    def last(self) -> dict[str, Any]:
        """The last status."""
        return (
            self.statuses[-1] if self.statuses else {"state": "none", "description": "", "target_url": None}
        )

    def summary(self) -> str:
        """Return how it ended, for a check that does not hold."""
        return f"{self.run['state']}, {self.verdict}, status {self.last['state']}: {self.last['description']}"


class Follower:
    """Tells a run's log lines and its commit's statuses as they come."""

    def __init__(self, stage: Stage, run_id: str, sha: str) -> None:
        self._stage = stage
        self._run_id = run_id
        self._sha = sha
        self._line = 0
        self._statuses = 0
        self._told: set[tuple[str | None, str]] = set()
        self.ended = FinishedRun({"state": "unknown", "verdict": None, "steps": []}, [])

    def until(self, enough: Callable[[FinishedRun], bool], patience: float = PATIENCE) -> FinishedRun:
        """Continue until `enough` returns true, or for `patience` seconds: then the scene's checks fail."""
        deadline = time.monotonic() + patience
        while True:
            self._look()
            # A run that was never accepted will not appear: the scene's checks fail at once.
            if enough(self.ended) or self.ended.run["state"] == "absent" or time.monotonic() > deadline:
                return self.ended
            time.sleep(POLL)

    def until_the_end(self) -> FinishedRun:
        """Continue until the run has finished."""
        ended = self.until(lambda seen: seen.run["state"] == "finished")
        self._look()
        return ended

    def _look(self) -> None:
        run = self._stage.server.run(self._run_id)
        for line in self._stage.server.logs(self._run_id, after=self._line):
            self._line = line["id"]
            self._tell_line(line["step"], line["text"])
        statuses = self._stage.github.statuses(self._sha)
        for status in statuses[self._statuses :]:
            self._stage.narrator.tell("status", f"{status['state']}: {status['description']}")
        self._statuses = len(statuses)
        self.ended = FinishedRun(run, statuses)

    def _tell_line(self, step: str | None, text: str) -> None:
        """Write a log line, unless it was written already or is about a status: `_look` shows those as GitHub has them."""
        if text.startswith("asked "):
            self._told.clear()  # the next delete may log the same lines as the one before
        if text.startswith("status ") or (step, text) in self._told:
            return
        self._told.add((step, text))
        short = re.sub(r" \(arn:[^)]*\)", "", text)
        self._stage.narrator.tell("run", f"{step}: {short}" if step else short)


def close_pull_request(stage: Stage, number: int, sha: str) -> Follower:
    """Close a pull request, tell how the delivery was answered, and return a follower of its one run."""
    stage.narrator.tell("github", f"#{number} is closed; the signed delivery goes out")
    count, seconds = stage.server.acknowledged()
    delivery = stage.github.close(number)
    answer = delivery["response"]["payload"]
    stage.narrator.tell("closeout", f"{delivery['status_code']} {answer}")
    count_now, seconds_now = stage.server.acknowledged()
    if count_now == count + 1:
        milliseconds = (seconds_now - seconds) * 1000
        stage.narrator.tell("closeout", f"stored, fsynced and acknowledged in {milliseconds:.1f} ms")
    return Follower(stage, run_of(answer), sha)


def run_of(answer: str) -> str:
    """Return the run id in a 202's body; a name that no run has, if there is none."""
    try:
        return str(json.loads(answer)["runs"][0])
    except (ValueError, KeyError, IndexError, TypeError):
        return "none"
