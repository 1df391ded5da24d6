"""The verdict about a find: every proof must exist, and each missing one has its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.actions.spec import Existing
from closeout.core.automation import RECHECK, Automation, Step
from closeout.core.errors import ServiceError
from closeout.orphans.reading import Pull, UnknownState
from closeout.orphans.verdict import Find, PullRequestQueries, Verdict, judge
from closeout.testing import payloads

TEN_MINUTES = 600.0
OPENED, CLOSED = 1_773_129_600.0, 1_773_480_413.0
LAST_RECHECK = max(RECHECK)
NOW = CLOSED + 30 * 86_400
TIMES = {"created_at": "2026-03-10T08:00:00Z", "closed_at": "2026-03-14T09:26:53Z"}
USES = "aws/cloudformation-delete-stack"
STEP = Step(
    id="delete-stack",
    name="",
    uses=USES,
    inputs={"stack-name": "preview-${{ event.pull_request.number }}"},
    timeout=1,
    retry_attempts=1,
    retry_backoff=1,
    destructive=True,
    account="123456789012",
    region="eu-central-1",
)
AUTOMATION = Automation(
    name="preview-cleanup",
    triggers=({"event": "pull_request", "types": ["closed"], "branches": ["develop"]},),
    repositories=("acme/shop",),
    steps=(STEP,),
)


def existing(name: str = "preview-17", created: float | None = OPENED + 60, **more: Any) -> Existing:
    return Existing(resource=name, inputs={"stack-name": name}, created=created, **more)


def find(thing: Existing | None = None, step: Step = STEP, **automation: Any) -> Find:
    made = replace(AUTOMATION, **automation)
    return Find(thing or existing(), None, made, step, builtin()[USES], "acme/shop", 17)


def pull(*, whole: bool = True, times: dict[str, str] = TIMES, **options: Any) -> Pull:
    answer = payloads.pull_request(payloads.repository(), **options) | times
    if not whole:
        for key in ("merged", "comments", "commits", "additions", "deletions", "changed_files"):
            del answer[key]
    return Pull(answer, whole)


def no_more(_number: int) -> Pull | UnknownState:
    raise AssertionError("nothing more is asked")


def verdict(
    about: Find,
    answer: Pull | UnknownState,
    *,
    alone: Any = no_more,
    paths: tuple[str, ...] | ServiceError = (),
    bases: tuple[str, ...] = (),
) -> Verdict:
    def paths_of(_repository: str, _number: int) -> tuple[str, ...]:
        if isinstance(paths, ServiceError):
            raise paths
        return paths

    return judge(about, answer, PullRequestQueries(alone, paths_of, lambda _repository, _number: bases))


def unreachable() -> ServiceError:
    return ServiceError(
        "GitHub: no answer", service="github", operation="GET", reason="timeout", transient=True
    )


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("merged", [True, False])
def test_an_orphan_has_every_proof(whole: bool, merged: bool) -> None:
    """Closed, exactly this name, matched, and made while the pull request was open."""
    times = TIMES | ({"merged_at": TIMES["closed_at"]} if merged else {})
    assert verdict(find(), pull(whole=whole, merged=merged, times=times)).state == "orphan"


@pytest.mark.parametrize(
    ("created", "state", "told"),
    [
        (OPENED - TEN_MINUTES - 1, "unknown", "before the pull request was opened"),
        (OPENED - TEN_MINUTES, "orphan", ""),
        (CLOSED + LAST_RECHECK + TEN_MINUTES, "orphan", ""),
        (
            CLOSED + LAST_RECHECK + TEN_MINUTES + 1,
            "unknown",
            "later than 1d after the pull request was closed",
        ),
        (None, "unknown", "not known when"),
    ],
)
def test_an_orphan_was_created_during_its_pull_requests_life(
    created: float | None, state: str, told: str
) -> None:
    """Ten minutes before its opening at the earliest, a day and ten minutes after its close at the latest."""
    found = verdict(find(existing(created=created)), pull())
    assert found.state == state
    assert told in found.reason


@pytest.mark.parametrize(
    ("recheck", "state"), [((3_600.0,), "unknown"), ((), "unknown"), ((7_200.0,), "orphan")]
)
def test_rechecks_of_the_automation_limit_how_late_a_deploy_may_end(
    recheck: tuple[float, ...], state: str
) -> None:
    """Two hours after the close."""
    assert verdict(find(existing(created=CLOSED + 7_200), recheck=recheck), pull()).state == state


def test_something_written_long_after_the_close_is_no_orphan() -> None:
    """A prefix that is used again keeps its oldest version."""
    later = existing(changed=CLOSED + LAST_RECHECK + TEN_MINUTES + 1)
    assert verdict(find(later), pull()).state == "unknown"


@pytest.mark.parametrize("times", [{"closed_at": None}, {"created_at": None}, {"closed_at": "soon"}])
def test_a_missing_time_makes_the_verdict_unknown(times: dict[str, Any]) -> None:
    """GitHub has been seen to say `closed` without a time."""
    assert verdict(find(), pull(times=TIMES | times)).reason == (
        "GitHub does not say when the pull request was opened and closed"
    )


@pytest.mark.parametrize(
    ("state", "expected", "told"),
    [
        ("open", "open", "the pull request is open"),
        *((word, "unknown", "GitHub does not say that it is closed") for word in ("merged", "Closed", "")),
    ],
)
def test_only_closed_is_closed(state: str, expected: str, told: str) -> None:
    """Any other state in GitHub's answer leaves it alone."""
    answer = pull()
    answer.answer["state"] = state
    assert verdict(find(), answer)[:2] == (expected, told)


def test_only_exactly_this_name_counts() -> None:
    """A name that parses to the pull request but differs from the step's is something else."""
    found = verdict(find(existing("preview-17x")), pull())
    assert (found.state, found.reason) == ("unknown", "the step produces another name: preview-17")
    assert verdict(find(), pull(number=18)).state == "unknown"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"repositories": ("acme/web",)}, "matches none of acme/web"),
        ({"triggers": ({"event": "pull_request", "types": ["closed"], "branches": ["main"]},)}, "'develop'"),
        ({"condition": "event.pull_request.merged"}, "its `if` is false"),
        ({"condition": "event.pull_request.nothing"}, "nothing"),
        ({"condition": "has(event.installation)"}, "`installation`, which GitHub's API does not give"),
        ({"condition": "!has(event.sender)"}, "`sender`, which GitHub's API does not give"),
        ({"senders": ("octo-dev",)}, "`sender`, which GitHub's API does not give"),
        ({"protect_names": ("preview-1*",)}, "it is protected by"),
    ],
)
def test_an_automation_that_would_not_delete_it_makes_it_unknown(changes: dict[str, Any], told: str) -> None:
    """As a run would decide; if the API lacks a delivery's field, nothing is decided."""
    found = verdict(find(**changes), pull())
    assert found.state == "unknown"
    assert told in found.reason
    assert not found.failed


@pytest.mark.parametrize(
    ("lacks", "told"),
    [
        ("number", "no event can be made of the pull request: 'number'"),
        ("merged_at", "no event can be made of the pull request: 'merged_at'"),
        ("base", "no event can be made of the pull request: 'base'"),
        ("id", "the payload of pull_request lacks 'id', so no live check is possible"),
    ],
)
def test_an_incomplete_pull_request_proves_nothing(lacks: str, told: str) -> None:
    """GitHub's answer must be enough for an event and its live check."""
    half = pull(whole=False)
    del half.answer[lacks]
    found = verdict(find(step=replace(STEP, inputs={"stack-name": "preview-17"})), half)
    assert (found.state, found.failed) == ("unknown", False)
    assert told in found.reason


def test_a_name_that_cannot_be_rendered_is_unknown() -> None:
    """The step would fail in a run, too."""
    step = replace(STEP, inputs={"stack-name": "preview-${{ event.pull_request.milestone.number }}"})
    found = verdict(find(step=step), pull())
    assert found.state == "unknown"
    assert found.reason.startswith("the step cannot be rendered: ")


def test_a_label_keeps_a_preview() -> None:
    """The condition of the guide, both ways."""
    keeps = "!event.pull_request.labels.exists(label, label.name == 'keep-preview')"
    assert verdict(find(condition=keeps), pull(labels=("other",))).state == "orphan"
    assert verdict(find(condition=keeps), pull(labels=("keep-preview",))).state == "unknown"


@pytest.mark.parametrize(
    "condition", ["event.pull_request.merged", "event.pull_request.nothing == 1", "success()"]
)
def test_the_steps_own_condition_counts(condition: str) -> None:
    """A step that would be skipped deletes nothing, and one whose condition fails neither."""
    assert verdict(find(step=replace(STEP, condition=condition)), pull()).state == "unknown"


def test_the_sender_is_who_merged_it() -> None:
    """As far as GitHub's API says so: for a merged pull request that was read individually."""
    merged = pull(merged=True, times=TIMES | {"merged_at": TIMES["closed_at"]})
    merged.answer["merged_by"] = payloads.user()
    assert verdict(find(senders=("octo-dev",)), merged).state == "orphan"
    assert verdict(find(senders=("others",)), merged).reason == "sender 'octo-dev' matches none of others"


def test_a_field_that_a_list_lacks_is_read_individually() -> None:
    """A condition on it would fail, or `has()` of it would wrongly be false."""
    asked: list[int] = []

    def alone(number: int) -> Pull:
        asked.append(number)
        return pull()

    about = find(condition="has(event.pull_request.commits)")
    assert verdict(about, pull(whole=False), alone=alone).state == "orphan"
    assert asked == [17]
    reopened = verdict(about, pull(whole=False), alone=lambda _number: pull(state="open"))
    assert reopened.state == "open"
    gone = verdict(about, pull(whole=False), alone=lambda _number: UnknownState("no answer", failed=True))
    assert gone == Verdict("unknown", "no answer", failed=True)


def test_paths_are_requested_and_an_error_is_no_answer() -> None:
    """They decide only if GitHub returns them."""
    about = find(triggers=({"event": "pull_request", "types": ["closed"], "paths": ["web/**"]},))
    assert verdict(about, pull(), paths=("web/x.css",)).state == "orphan"
    assert verdict(about, pull(), paths=("docs/x.md",)).state == "unknown"
    failed = verdict(about, pull(), paths=unreachable())
    assert (failed.state, failed.failed) == ("unknown", True)


@pytest.mark.parametrize(("had", "state"), [(("main", "develop"), "orphan"), (("main",), "unknown")])
def test_an_earlier_base_counts_if_the_automation_says_so(had: tuple[str, ...], state: str) -> None:
    """Opened against develop, previewed, retargeted and closed: the rule of bases leaves the preview."""
    retargeted = pull(base="main")
    assert verdict(find(bases="ever"), retargeted, bases=had).state == state
    assert verdict(find(), retargeted, bases=had).state == "unknown"


def test_a_resource_that_is_being_deleted_is_left_alone() -> None:
    """Another process is deleting it."""
    assert verdict(find(existing(busy="it is being deleted")), pull()).reason == "it is being deleted"


def test_a_pull_request_that_was_not_read_is_unknown() -> None:
    """With the reason, and whether a question got no answer."""
    assert verdict(find(), UnknownState("why", failed=True)) == Verdict("unknown", "why", failed=True)


def test_an_unmerged_pull_request_has_no_sender() -> None:
    """Nor does a merge whose author is gone."""
    closed = pull(merged=False)
    closed.answer["merged_by"] = payloads.user()
    assert verdict(find(senders=("octo-dev",)), closed).state == "unknown"
    merged = pull(merged=True, times=TIMES | {"merged_at": TIMES["closed_at"]})
    merged.answer["merged_by"] = None
    assert verdict(find(senders=("octo-dev",)), merged).state == "unknown"
