"""An automation is stored with its run as canonical JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from closeout.core.automation import Automation, Step

STEP = Step(
    id="delete-stack-1",
    name="delete the stack",
    uses="aws/cloudformation-delete-stack",
    inputs={"stack-name": "preview-${{ event.number }}", "empty-buckets": True},
    timeout=3600.0,
    retry_attempts=3,
    retry_backoff=1.0,
    destructive=True,
    allow_untrusted=("event.pull_request.head.ref",),
)
AUTOMATION = Automation(
    name="preview-cleanup",
    triggers=({"event": "pull_request", "types": ["closed"], "branches": ["develop"]},),
    steps=(STEP,),
    repositories=("acme/shop",),
    protect_names=("prod-*",),
    protect_tags={"env": "prod"},
)


def test_an_automation_is_unchanged_by_canonical_json() -> None:
    """A run replays exactly what it was accepted with."""
    assert Automation.from_canonical(AUTOMATION.canonical()) == AUTOMATION


def test_the_same_automation_gives_the_same_bytes() -> None:
    """Whatever the order of keys in the file, and without escaping letters of any language."""
    text = AUTOMATION.canonical()
    assert Automation.from_canonical(text).canonical() == text
    turned = dict(reversed(list(STEP.inputs.items())))
    assert replace(AUTOMATION, steps=(replace(STEP, inputs=turned),)).canonical() == text
    assert '"name":"lösche"' in replace(AUTOMATION, name="lösche").canonical()


def test_a_definition_without_a_newer_key_behaves_as_before() -> None:
    """A run that an earlier version accepted does no more than that version did, and reports no more."""
    triggers = [{"event": "pull_request", "types": ["closed"]}]
    step = {
        "id": "a", "name": "", "uses": "shell", "timeout": 1.0, "retry_attempts": 1, "retry_backoff": 1.0,
        "destructive": True,
    }  # fmt: skip
    old = Automation.from_json({"name": "x", "triggers": triggers, "steps": [step]})
    assert (old.mode, old.on_failure, old.patrol, old.bases) == ("apply", "continue", "report", "at-close")
    assert (old.max_changes, old.max_objects, old.grace) == (50, 100_000, 0.0)
    assert (old.unguarded, old.public_logs, old.late, old.destructive_function) == (False, False, False, True)
    assert (old.steps[0].rechecked, old.steps[0].expect) == (False, "any")
    assert (
        json.loads(old.canonical()).keys().isdisjoint(("late", "bases", "patrol", "recheck", "environment"))
    )


def test_a_definition_of_an_earlier_version_can_still_be_read() -> None:
    """A key that did not exist then gets its default."""
    old = json.loads(AUTOMATION.canonical())
    for key in ("public_logs", "secret_variables", "grace", "unguarded"):
        old.pop(key, None)
    old["steps"][0].pop("pass_env")
    assert Automation.from_canonical(json.dumps(old)) == AUTOMATION
