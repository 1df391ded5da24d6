"""Which runs an event of Lambda or of the dead-letter queue is about, and what happens to them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.core.errors import Unavailable
from closeout.lambdas.failed_executions import Change, about, handle, handler, runtime

NAME = "a" * 26 + "-1"
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:worker:live/durable-execution/x"


def changed(status: str = "FAILED", **more: Any) -> dict[str, Any]:
    """Return EventBridge's event of a change of status."""
    return {"detail": {"status": status, "durableExecutionName": NAME, "durableExecutionArn": ARN, **more}}


def queued(*messages: Any) -> dict[str, Any]:
    """Return a batch of the dead-letter queue."""
    return {"Records": [{"body": one if isinstance(one, str) else json.dumps(one)} for one in messages]}


@pytest.mark.parametrize("status", ["FAILED", "TIMED_OUT", "STOPPED"])
def test_an_end_names_its_execution_and_outcome(status: str) -> None:
    """As Lambda reports it."""
    assert list(about(changed(status))) == [(NAME, Change(NAME, ARN, status))]


@pytest.mark.parametrize(
    "event",
    [
        {},
        changed("RUNNING"),
        changed("SUCCEEDED"),
        changed(durableExecutionName=""),
        {"detail": None},
        {"execution": 5},
        queued("no JSON", [], 5),
    ],
)
def test_other_events_name_no_execution(event: dict[str, Any]) -> None:
    """Nor does a message that cannot be read."""
    assert list(about(event)) == []


def test_a_batch_may_mix_ends_and_failed_starts() -> None:
    """Each is handled separately; one that cannot be read does not hide the others."""
    found = list(about(queued("no JSON", changed(), {"execution": "b-2"})))
    assert found == [(NAME, Change(NAME, ARN, "FAILED")), ("b-2", None)]


class Objects:
    """What `handle` calls; `ended` and `lost` say whether it worked, `current` whether Lambda's execution is the last."""

    def __init__(self, *, ended: bool = True, lost: bool = True, current: bool = True) -> None:
        self.done: list[str] = []
        self.reports: list[str] = []
        attempts = SimpleNamespace(is_current=lambda *_names: current)
        self.ledger = SimpleNamespace(attempts=attempts)
        self.journal = SimpleNamespace(report=self.reports.append)
        self._ended, self._lost = ended, lost

    def end(self, execution: str, status: str, remaining: Any) -> bool:
        """End a run."""
        self.done.append(f"end {execution} {status} {remaining():g}")
        return self._ended

    def lost(self, execution: str, remaining: Any) -> bool:
        """Start it again."""
        self.done.append(f"lost {execution} {remaining():g}")
        return self._lost


CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 42_000)


@pytest.mark.parametrize(
    ("event", "current", "done"),
    [
        (changed(), True, f"end {NAME} FAILED 42"),
        (changed(), False, f"lost {NAME} 42"),
        (queued({"execution": "b-2"}), True, "lost b-2 42"),
    ],
)
def test_an_end_finalizes_a_run_and_a_lost_start_is_repeated(
    event: dict[str, Any], current: bool, done: str
) -> None:
    """So is one that another durable execution continues."""
    objects = Objects(current=current)
    assert handle(event, CONTEXT, cast("Any", objects)) == {"executions": [done.split()[1]]}
    assert (objects.done, objects.reports) == ([done], [])


def test_a_run_that_could_not_be_ended_is_delivered_again() -> None:
    """The others of its batch are done."""
    objects = Objects(lost=False)
    with pytest.raises(Unavailable, match="to be retried: b-2"):
        handle(queued(changed(), {"execution": "b-2"}), CONTEXT, cast("Any", objects))
    assert (len(objects.done), objects.reports) == (2, [])


def test_an_event_about_no_run_is_logged_in_part() -> None:
    """Someone has to find out what sends it."""
    objects = Objects()
    assert handle({"x": "y" * 2_000}, CONTEXT, cast("Any", objects)) == {"executions": []}
    (line,) = objects.reports
    assert line.startswith('an event is about no execution that failed: {"x": "yyy')
    assert len(line) == len("an event is about no execution that failed: ") + 1_000


def test_the_function_runs_no_user_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A module that fails to import may be why a run must be ended. An event about no run is logged."""
    (tmp_path / "broken.py").write_text("raise SystemExit", "utf-8")
    (tmp_path / "closeout.yaml").write_text("version: 1\nmodules: [broken]\n", "utf-8")
    for name in ("TABLE", "BUCKET", "GITHUB_SECRET", "LOG_GROUP"):
        monkeypatch.setenv(f"CLOSEOUT_{name}", "x")
    monkeypatch.setenv("CLOSEOUT_CONFIG", "closeout.yaml")
    monkeypatch.setenv("CLOSEOUT_API_URL", "https://api.github.com")
    monkeypatch.setenv("CLOSEOUT_RETENTION_DAYS", "90")
    monkeypatch.setenv("LAMBDA_TASK_ROOT", str(tmp_path))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "ended")
    runtime.cache_clear()
    try:
        assert handler({"detail": None}, CONTEXT) == {"executions": []}
        assert runtime().load().functions == {}
    finally:
        runtime.cache_clear()
    assert "about no execution that failed" in json.loads(capsys.readouterr().out)["text"]
