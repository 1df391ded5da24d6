"""`closeout.testing.play`: runs a user's automation in memory, so that a test can assert what happened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from closeout import on
from closeout.core.errors import ConfigError
from closeout.testing import Played, deliveries, play

FILE = """\
version: 1
secrets: { webhook: env:HOOK, github: env:TOKEN }
aws: { account: '123456789012', region: eu-central-1 }
automations:
  preview-cleanup:
    on: { pull_request: { types: [closed], branches: [develop] } }
    repositories: [acme/shop]
    if: '!event.pull_request.labels.exists(l, l.name == "keep")'
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}' }
"""


def closed(**pull: Any) -> Played:
    """Play `FILE` on a closed pull request."""
    return play(FILE, deliveries.pull_request(**pull))


def test_a_file_says_what_it_would_delete() -> None:
    """The plan, the end of each step, the statuses and the log are there; nothing was asked of AWS."""
    played = closed(number=42)
    assert (played.verdict, played.calls) == ("success", ("delete stack preview-42",))
    (step,) = played.steps
    assert (step.id, step.uses, step.state) == (
        "delete-stack-1",
        "aws/cloudformation-delete-stack",
        "success",
    )
    assert [(change.verb, change.resource) for change in step.plan] == [("delete", "stack preview-42")]
    states = [(status.state, status.context) for status in played.statuses]
    assert states[0] == ("pending", "closeout/preview-cleanup")
    assert states[-1] == ("success", "closeout/preview-cleanup")
    assert played.statuses[-1].description == played.summary
    assert any(line.startswith("plan: delete stack preview-42") for line in played.log)


def test_a_false_condition_skips() -> None:
    """`if` is decided as in a run: nothing is planned and no status is posted."""
    played = closed(labels=("keep",))
    assert (played.verdict, played.summary) == ("skipped", "its `if` is false")
    assert (played.calls, played.statuses) == ((), ())


@pytest.mark.parametrize("changes", [{"base": "main"}, {"repository": "acme/other"}, {"action": "reopened"}])
def test_an_event_that_does_not_match_is_skipped_with_the_reason(changes: dict[str, Any]) -> None:
    """Its message distinguishes it from other skips."""
    played = closed(**changes)
    assert (played.verdict, played.calls) == ("skipped", ())
    assert "its `if` is false" not in played.summary


def test_a_reopened_pull_request_stops_the_run() -> None:
    """The live check precedes each call, as in a real run."""
    played = play(FILE, deliveries.pull_request(), reopened=True)
    assert (played.verdict, played.calls) == ("cancelled", ())
    assert "nothing was deleted" in played.summary


def test_a_guard_refuses_protected_resources() -> None:
    """The file's guards apply."""
    played = play("protect: [preview-17]\n" + FILE, deliveries.pull_request())
    assert (played.verdict, played.calls) == ("failure", ())
    assert "is protected" in played.summary


def test_a_protected_script_is_named_by_its_first_line() -> None:
    """All of it would hide the rule, which the status must name."""
    script = '      - { uses: shell, with: { run: "terraform destroy\\necho done" } }\n'
    file = FILE[: FILE.index("      - ")] + script
    played = play("protect: [terraform destroy]\n" + file, deliveries.pull_request())
    assert (played.verdict, played.calls) == ("failure", ())
    assert "terraform destroy is protected (`protect` pattern 'terraform destroy')" in played.summary


def test_a_file_without_a_token_fails_as_it_would() -> None:
    """Without `secrets.github` the pull request cannot be read again, so nothing is deleted."""
    played = play(FILE.replace(", github: env:TOKEN", ""), deliveries.pull_request())
    assert (played.verdict, played.calls, played.statuses) == ("failure", (), ())


def test_a_dry_run_plans_and_does_nothing() -> None:
    """`mode: dry-run` shows the plan."""
    played = play(
        FILE.replace("    repositories", "    mode: dry-run\n    repositories"), deliveries.pull_request()
    )
    assert (played.verdict, played.calls) == ("success", ())
    assert played.summary.endswith("dry run: would delete 1")
    assert played.steps[0].plan


STEPS = """\
version: 1
automations:
  first:
    on: { push: {} }
    repositories: [acme/shop]
    steps: [{ uses: shell, id: script, destructive: false, with: { run: 'touch MARK' } }]
  second:
    on: { push: {}, create: {} }
    repositories: [acme/shop]
    status: false
    steps:
      - { uses: http/request, destructive: false, with: { url: 'https://example.com/hook' } }
      - uses: github/dispatch-workflow
        destructive: false
        with: { repository: acme/shop, workflow: clean.yml, ref: main }
"""


def test_scripts_and_requests_are_reported_and_not_made(tmp_path: Path) -> None:
    """A unit test runs no script and opens no connection, whatever the file says."""
    mark = tmp_path / "mark"
    played = play(STEPS.replace("MARK", str(mark)), "push", automation="first")
    assert (played.verdict, played.calls) == ("success", (f"run touch {mark}",))
    assert not mark.exists()
    requests = play(STEPS, ("create", deliveries.create()), automation="second")
    assert requests.calls == ("post https://example.com/hook", "dispatch acme/shop clean.yml@main")


BRANCH = """\
version: 1
secrets: { github: env:TOKEN }
aws: { account: '123456789012', region: eu-central-1 }
automations:
  branch-cleanup:
    on: { delete: {} }
    repositories: [acme/shop]
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.ref }}' }
        allow-untrusted: [event.ref]
      - uses: aws/codebuild-start-build
        with: { project: cleaner }
      - uses: github/comment
        with: { repository: acme/shop, number: 1, body: Deleted. }
"""


def test_a_branch_that_exists_again_stops_the_run() -> None:
    """The live check of a `delete` event asks whether the ref is still gone; each action is logged with its own text."""
    event = deliveries.delete("basket")
    played = play(BRANCH, event)
    assert played.verdict == "success", played.summary
    assert [call.partition(" ")[0] for call in played.calls] == ["delete", "start", "comment"]
    assert "cleaner" in played.calls[1]
    again = play(BRANCH, event, reopened=True)
    assert (again.verdict, again.calls) == ("cancelled", ())


def called(context: Any, number: str) -> str:
    """A function of a `python` step."""
    context.log(f"called with {number}")
    return number


def test_the_function_of_a_python_step_is_called() -> None:
    """The test is about that code; its log is the run's, and a wait after it repeats nothing."""
    config = f"""
version: 1
automations:
  drop:
    on: {{ push: {{}} }}
    repositories: [acme/shop]
    grace: 5m
    unguarded: true
    steps:
      - uses: python
        destructive: false
        with: {{ function: {__name__}:called, args: {{ number: '${{{{ event.after }}}}' }} }}
      - {{ uses: shell, with: {{ run: 'true' }} }}
"""
    played = play(config, deliveries.push())
    assert played.verdict == "success", played.summary
    assert played.calls == (f"call {__name__}:called", "run true")
    assert f"called with {deliveries.push()['after']}" in played.log


def test_the_automation_has_to_be_named_when_a_file_has_several() -> None:
    """Which one is meant is not guessed, and an unknown name lists the known ones."""
    for name in (None, "third"):
        with pytest.raises(ValueError, match="first, second"):
            play(STEPS, "push", automation=name)


def test_an_event_needs_its_name_where_the_payload_does_not_say_it() -> None:
    """A bare payload is the automation's one event; with two events the name is asked for."""
    with pytest.raises(ValueError, match="create, push"):
        play(STEPS, deliveries.push(), automation="second")


def test_an_unknown_sample_lists_the_known_ones() -> None:
    """A misspelt name is no event."""
    with pytest.raises(ValueError, match=r"pull_request\.closed"):
        play(FILE, "pull_request.closde")


def test_a_sample_happens_in_the_automations_repository() -> None:
    """`push` of a sample repository would match no file."""
    assert play(FILE, "pull_request.merged").calls == ("delete stack preview-17",)
    elsewhere = FILE.replace("[acme/shop]", "[octo/app]")
    assert play(elsewhere, "pull_request.closed").verdict == "success"


def test_mistakes_in_a_file_are_raised_as_load_raises_them(tmp_path: Path) -> None:
    """A path and a text give the same findings."""
    path = tmp_path / "closeout.yaml"
    path.write_text(FILE.replace("stack-name", "stackname"), "utf-8")
    for subject in (path, str(path), path.read_text("utf-8")):
        with pytest.raises(ConfigError, match="stackname"):
            play(subject, "pull_request.closed")


def test_changed_paths_are_given_where_github_would_be_asked() -> None:
    """A pull request's paths are not in its payload."""
    filtered = FILE.replace("branches: [develop]", "paths: ['infra/**']")
    assert play(filtered, "pull_request.closed", paths=["infra/main.tf"]).verdict == "success"
    assert play(filtered, "pull_request.closed", paths=["README.md"]).verdict == "skipped"


dropped: list[int] = []
polled: list[int] = []


@on("pull_request.closed", repositories=["acme/shop"], timeout="2h")
def clean_up(run: Any) -> str:
    """Drop a database and wait for its end."""
    number = run.event["number"]
    run.record("drop", lambda: dropped.append(number))
    run.sleep("settle", 30)
    run.wait_until("gone", lambda: poll(number), every=15)
    return f"preview {number} is gone"


def poll(number: int) -> dict[str, int] | None:
    """Not yet, when it is asked for the first time."""
    polled.append(number)
    return {"gone": number} if len(polled) > 1 else None


def test_a_function_is_played_with_its_own_calls_and_no_waiting() -> None:
    """What a function records is called once, its waits pass at once, its operations are told by their names."""
    dropped.clear()
    polled.clear()
    played = play(clean_up, "pull_request.closed")
    assert (played.verdict, played.summary) == ("success", "preview 17 is gone")
    assert played.calls == ("drop", "settle", "gone")
    assert (dropped, polled) == ([17], [17, 17])
    assert [(step.id, step.state, step.plan) for step in played.steps] == [("function", "success", ())]
    assert played.statuses[-1].context == "closeout/clean_up"


def test_a_function_that_raises_ends_as_failure() -> None:
    """Its own exception is the summary, not the test's."""

    @on("push", destructive=False)
    def broken(run: Any) -> None:
        run.record("divide", lambda: 1 / 0)

    played = play(broken, deliveries.push())
    assert (played.verdict, played.calls) == ("failure", ())
    assert "ZeroDivisionError" in played.summary


def test_an_open_pull_request_keeps_a_function_from_its_calls() -> None:
    """Each `record` comes after the live check."""
    dropped.clear()
    assert play(clean_up, "pull_request.closed", reopened=True).verdict == "cancelled"
    assert dropped == []


def test_a_function_without_a_declaration_or_with_a_wrong_one_is_refused() -> None:
    """The checks are those of `load`, with the function's file and line."""

    def plain(run: Any) -> None: ...

    @on("pull_request.closed")
    def unguarded(run: Any) -> None: ...

    with pytest.raises(ConfigError, match="plain has no @on"):
        play(plain, "push")
    with pytest.raises(ConfigError, match="repositories") as caught:
        play(unguarded, "pull_request.closed")
    assert caught.value.findings[0].file == __file__
