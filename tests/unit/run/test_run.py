"""The run function, over a small world and an engine in memory."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from closeout.core.automation import Step
from closeout.core.errors import ActionFailed, ServiceError, StoreUnavailable
from closeout.core.plan import Change
from closeout.ports import PullRequest
from closeout.run.workflow import make_run_function
from closeout.testing.durable import play
from tests.mortal import Killed
from tests.unit.run.world import AUTOMATION, DELETE, Scene, World, pull_payload, step, unreachable


def deletes(world: World) -> list[str]:
    return [entry for entry in world.log if entry.startswith("delete")]


def test_a_closed_pull_request_is_torn_down_and_the_status_says_so() -> None:
    """pending, then one delete, then the verification, then success with what was done."""
    scene = Scene()
    ending = scene.play()
    assert ending.verdict == "success", ending
    assert [state for state, _ in scene.world.statuses] == ["pending", "pending", "success"]
    assert scene.world.statuses[1][1] == "1/1 deleting preview-17"
    assert scene.world.statuses[-1][1] == "deleted preview-17"
    assert scene.world.resources == set()
    assert scene.world.log.index("verify") > scene.world.log.index("delete preview-17")


def test_operations_keep_their_names() -> None:
    """A run that waits during an upgrade finds its record by these names, in this order."""
    scene = Scene()
    scene.play()
    assert list(scene.durable.operations) == [
        *("begin", "match", "pending"),
        *("delete-1/plan", "delete-1/status", "delete-1/delete", "delete-1/gone", "delete-1/verify"),
        *("delete-1/end", "final"),
    ]


def test_operations_of_several_changes_of_a_step_have_numbers() -> None:
    """From 1, in the plan's order."""
    scene = Scene()

    def plan(*_: Any) -> list[Change]:
        names = ("preview-17", "preview-17/bucket")
        return [
            Change(verb="delete", resource=name, reason="test", identity={"name": name}) for name in names
        ]

    scene.actions = {"test/delete": dataclasses.replace(DELETE, plan=plan)}
    assert scene.play().verdict == "success"
    calls = [name for name in scene.durable.operations if name.endswith("delete")]
    assert calls == ["delete-1/1.delete", "delete-1/2.delete"]


def test_nothing_is_planned_after_the_runs_time_limit() -> None:
    """The first step waited until then; later ones fail with the same message."""
    steps = (step(), step("other-${{ event.number }}", id="delete-2"))
    scene = Scene(paused=lambda: "ops").with_automation(steps=steps)
    assert scene.play().verdict == "failure"
    assert scene.world.log.count("plan") == 1
    up = "the run's time is up; nothing more was done (paused: ops)"
    assert [scene.durable.result(f"{each.id}/end")["reason"] for each in steps] == [up, up]


def test_the_live_check_comes_immediately_before_the_delete() -> None:
    """Between reading the pull request and deleting there is no other call."""
    scene = Scene()
    scene.play()
    at = scene.world.log.index("delete preview-17")
    assert scene.world.log[at - 1] == "read pull request"
    assert scene.world.log[at - 2] == "account"


ABSENT = "there is no thing preview-17 in 123456789012/eu-central-1"
NOTHING = f"nothing was there: {ABSENT}"


@pytest.mark.parametrize(("mode", "head"), [("apply", ""), ("dry-run", "dry run: ")])
def test_a_missing_resource_is_a_success_that_names_it(mode: str, head: str) -> None:
    """An empty plan succeeds; log and status have the name, which may have been wrong all along."""
    scene = Scene(world=World(resources=set())).with_automation(mode=mode)
    ending = scene.play()
    assert (ending.verdict, ending.summary, deletes(scene.world)) == ("success", head + NOTHING, [])
    assert scene.world.statuses[-1] == ("success", head + NOTHING)
    assert f"plan: {ABSENT}: nothing to delete" in scene.world.lines


def test_a_public_status_does_not_reveal_the_account() -> None:
    """The name of the missing resource is enough for a reader to check."""
    scene = Scene(world=World(resources=set()), payload=pull_payload())
    scene.payload["repository"]["private"] = False
    scene.play()
    assert scene.world.statuses[-1] == ("success", "nothing was there: there is no thing preview-17")


def test_a_reopened_pull_request_cancels_the_run_and_nothing_is_deleted() -> None:
    """The status ends as success: nothing had been deleted."""
    scene = Scene(world=World(pull=PullRequest(1700, 17, "open", 1)))
    ending = scene.play()
    assert ending.verdict == "cancelled"
    assert deletes(scene.world) == []
    state, text = scene.world.statuses[-1]
    assert state == "success"
    assert text == "acme/shop#17 is open again; nothing was deleted"


def test_a_reopening_between_two_steps_says_what_is_deleted() -> None:
    """The first step's resources are gone, the second never deletes, and the status is a failure."""
    scene = Scene(world=World(resources={"preview-17", "other-17"}))
    scene.with_automation(steps=(step(), step("other-${{ event.number }}", id="delete-2")))

    def reopen(call: str) -> None:
        if call == "verify":
            scene.world.pull = PullRequest(1700, 17, "open", 1)

    scene.world.before = reopen
    ending = scene.play()
    assert ending.verdict == "cancelled"
    assert scene.world.resources == {"other-17"}
    assert scene.world.statuses[-1] == (
        "failure",
        "acme/shop#17 is open again; already gone or going: preview-17",
    )


@pytest.mark.parametrize(
    "error",
    [
        unreachable(),
        ServiceError("404 Not Found", service="github", operation="pull_request", reason="404"),
        ServiceError("401 Bad credentials", service="github", operation="pull_request", reason="401"),
    ],
    ids=["no answer", "404", "401"],
)
def test_an_unreadable_pull_request_is_never_read_as_closed(error: Exception) -> None:
    """Until it can be read nothing is deleted; the run waits and fails at its time limit."""
    scene = Scene()
    scene.world.faults["read pull request"] = [error] * 10_000
    ending = scene.play()
    assert ending.verdict == "failure"
    assert deletes(scene.world) == []
    assert scene.clock.now() - 1_700_000_000 >= AUTOMATION.timeout
    assert scene.world.statuses[-1][0] == "failure"
    assert "cannot read the pull request" in ending.summary


def test_a_pull_request_that_becomes_readable_is_torn_down() -> None:
    """A few unreadable answers delay the delete, they do not fail it."""
    scene = Scene()
    scene.world.faults["read pull request"] = [unreachable() for _ in range(5)]
    assert scene.play().verdict == "success"


@pytest.mark.parametrize(
    "pull",
    [PullRequest(1701, 17, "closed", 1), PullRequest(1700, 17, "closed", 2)],
    ids=["other PR", "other repository"],
)
def test_a_reused_number_or_repository_name_is_refused(pull: PullRequest) -> None:
    """Ids decide, not names."""
    scene = Scene(world=World(pull=pull))
    ending = scene.play()
    assert ending.verdict == "failure"
    assert deletes(scene.world) == []
    assert "another pull request or repository" in ending.summary
    has = f"GitHub has pull request {pull.id} in repository {pull.base_repository_id}, the event 1700 in 1"
    assert has in ending.summary
    assert ending.summary.endswith("take a real one from the hook's Recent Deliveries at GitHub")


def test_the_wrong_account_is_refused_before_the_plan() -> None:
    """Nothing is even read in an account that is not the configured one."""
    scene = Scene(world=World(account_id="999999999999"))
    ending = scene.play()
    assert ending.verdict == "failure"
    assert "999999999999" in ending.summary
    assert scene.durable.result("delete-1/end")["left"] == []
    assert "plan" not in scene.world.log
    assert deletes(scene.world) == []


def test_the_account_is_checked_again_before_the_delete() -> None:
    """Credentials that change between plan and apply are noticed."""
    scene = Scene()

    def swap(call: str) -> None:
        if call == "status pending" and "plan" in scene.world.log:
            scene.world.account_id = "999999999999"

    scene.world.before = swap
    assert scene.play().verdict == "failure"
    assert deletes(scene.world) == []


def test_a_resource_that_verify_still_finds_is_a_failure() -> None:
    """A delete that AWS accepted without effect is not a success; the status names the resource."""
    scene = Scene(world=World(undeletable={"preview-17"}))
    ending = scene.play()
    assert ending.verdict == "failure"
    assert "preview-17/bucket" in ending.summary
    assert scene.world.statuses[-1][0] == "failure"


@pytest.mark.parametrize(("cancelled", "verdict"), [(False, "failure"), (True, "cancelled")])
def test_what_is_left_is_unknown_if_it_cannot_be_verified(cancelled: bool, verdict: str) -> None:
    """The failure says so. A cancel that arrives meanwhile still cancels the run."""
    scene = Scene()
    denied = [
        ServiceError("no rights to look", service="aws", operation="x", reason="denied") for _ in range(3)
    ]
    scene.world.faults["verify"] = list(denied)
    scene.world.before = lambda call: scene.durable.cancel() if cancelled and call == "verify" else None
    assert scene.play().verdict == verdict
    if not cancelled:
        unknown = {"resource": "what is left", "reason": "could not be looked up: no rights to look"}
        assert scene.durable.result("delete-1/end")["left"] == [unknown]


def test_a_plan_over_max_changes_is_refused_entirely() -> None:
    """61 changes with 50 allowed: nothing is done."""
    resources = {"preview-17"} | {f"preview-17/{n}" for n in range(60)}
    scene = Scene(world=World(resources=set(resources)))
    ending = scene.play()
    assert ending.verdict == "failure"
    assert "61 resources planned, max-changes allows 50" in ending.summary
    assert scene.world.resources == resources


def test_the_stricter_of_the_stored_and_todays_limits_applies() -> None:
    """A limit lowered after the run was accepted counts; one raised does not."""
    lowered = Scene(current=dataclasses.replace(AUTOMATION, max_changes=1))
    assert "2 resources planned, max-changes allows 1" in lowered.play().summary
    raised = Scene(automation=dataclasses.replace(AUTOMATION, max_changes=1), current=AUTOMATION)
    assert "2 resources planned, max-changes allows 1" in raised.play().summary


def test_a_protected_resource_refuses_the_plan() -> None:
    """`protect` of today's file applies to earlier runs too."""
    scene = Scene(current=dataclasses.replace(AUTOMATION, protect_names=("preview-*",)))
    ending = scene.play()
    assert ending.verdict == "failure"
    assert "protected" in ending.summary
    assert deletes(scene.world) == []


def test_a_dry_run_plans_and_deletes_nothing() -> None:
    """The status is success and says what would be done."""
    scene = Scene().with_automation(mode="dry-run")
    assert scene.play().summary == "dry run: would delete 2"
    assert deletes(scene.world) == []
    assert scene.world.statuses[-1] == ("success", "dry run: would delete 2")


def test_a_pause_holds_the_delete_until_closeout_is_resumed() -> None:
    """The status says so once, however long the pause lasts; then the run continues."""
    scene = Scene()
    asked = 0

    def paused() -> str | None:
        nonlocal asked
        asked += 1
        return "ops@example" if asked <= 300 else None

    scene.paused = paused
    assert scene.play().verdict == "success"
    assert scene.clock.now() - 1_700_000_000 > 3600
    assert scene.world.statuses.count(("pending", "paused: ops@example")) == 1
    assert scene.world.lines.count("waiting: paused: ops@example") == 1


@pytest.mark.parametrize(
    "stricter", [{"protect_names": ("preview-*",)}, {"max_changes": 1}], ids=["protect", "max-changes"]
)
def test_a_file_made_stricter_during_a_pause_applies_before_the_next_call(
    stricter: dict[str, Any],
) -> None:
    """What is protected now, or over the limit now, is not touched."""
    scene = Scene()
    asked: list[str | None] = ["paused by me", "paused by me", None]

    def paused() -> str | None:
        if len(asked) == 2:
            scene.current = dataclasses.replace(scene.automation, **stricter)
        return asked.pop(0) if len(asked) > 1 else asked[0]

    scene.paused = paused
    ending = scene.play()
    assert ending.verdict == "failure", ending
    assert deletes(scene.world) == []


class Unreadable:
    """Today's form cannot be read from the `first` time that it is asked for on, so many `times`."""

    def __init__(self, first: int, times: float) -> None:
        self._first, self._times, self.asked = first, times, 0

    def __call__(self) -> None:
        self.asked += 1
        if self._first <= self.asked < self._first + self._times:
            raise StoreUnavailable("the ledger did not answer")


STRICTER: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, "success"),
    ({"mode": "dry-run"}, "dry"),
    ({"protect_names": ("preview-*",)}, "is protected"),
    ({"max_changes": 1}, "max-changes allows 1"),
)


@pytest.mark.parametrize("first", [1, 2], ids=["at the plan", "before the call"])
@pytest.mark.parametrize(("stricter", "said"), STRICTER, ids=["same", "dry-run", "protect", "max-changes"])
def test_an_unreadable_current_configuration_is_waited_for(
    first: int, stricter: dict[str, Any], said: str
) -> None:
    """Nothing is planned, done or recorded without it, and then it applies."""
    scene = Scene()
    unreadable = Unreadable(first, 5)

    def reads() -> None:
        if unreadable.asked == first:
            scene.current = dataclasses.replace(AUTOMATION, **stricter)
        unreadable()

    scene.reads_current = reads
    ending = scene.play()
    assert scene.clock.now() - 1_700_000_000 > 5
    assert said in f"{ending.verdict} {ending.summary}"
    assert bool(deletes(scene.world)) is (not stricter)


@pytest.mark.parametrize("first", [1, 2], ids=["at the plan", "before the call"])
def test_a_configuration_that_stays_unreadable_fails_the_step(first: int) -> None:
    """Like an unreadable pause, it never means "no stricter rule", and nothing is deleted."""
    scene = Scene(reads_current=Unreadable(first, float("inf")))
    ending = scene.play()
    assert ending.verdict == "failure"
    assert "the ledger did not answer" in ending.summary
    assert deletes(scene.world) == []


@pytest.mark.parametrize(("mode", "called"), [("apply", ["it"]), ("dry-run", [])], ids=["apply", "dry-run"])
def test_a_function_waits_for_the_current_configuration(mode: str, called: list[str]) -> None:
    """Its mode is recorded once, so not before it is known."""
    calls: list[str] = []
    scene = function_scene(lambda run: run.record("it", lambda: calls.append("it")))
    scene.reads_current = Unreadable(1, 5)
    scene.current = dataclasses.replace(scene.automation, mode=mode)
    assert scene.play().verdict == "success"
    assert calls == called


def test_a_cancel_by_hand_ends_in_an_error_status() -> None:
    """No status stays pending."""
    scene = Scene()
    scene.world.before = lambda call: scene.durable.cancel() if call == "plan" else None
    ending = scene.play()
    assert ending.verdict == "cancelled"
    assert scene.world.statuses[-1][0] == "error"
    assert deletes(scene.world) == []


def test_a_cancel_while_a_step_fails_cancels_the_run() -> None:
    """The record of the step's end has the cancel; the step does not end a second time."""
    scene = Scene()

    def fail(call: str) -> None:
        if call == "plan":
            scene.durable.cancel()
            raise ActionFailed("the plan failed")

    scene.world.before = fail
    ending = scene.play()
    assert ending.verdict == "cancelled"
    assert ending.summary.startswith("cancelled by")
    assert scene.world.statuses[-1][0] == "error"


def test_a_step_that_fails_does_not_stop_the_others() -> None:
    """All steps are attempted; one verdict names the failure."""
    scene = Scene(world=World(resources={"preview-17", "other-17"}, undeletable={"preview-17"}))
    scene.with_automation(steps=(step(), step("other-${{ event.number }}", id="delete-2")))
    ending = scene.play()
    assert ending.verdict == "failure"
    assert ending.summary.startswith("1 of 2 steps failed; delete-1:")
    assert scene.world.resources == {"preview-17"}


def test_on_failure_stop_skips_the_rest() -> None:
    """The skipped steps say why."""
    scene = Scene(world=World(resources={"preview-17", "other-17"}, undeletable={"preview-17"}))
    scene.with_automation(steps=(step(), step("other-${{ event.number }}", id="delete-2")), on_failure="stop")
    assert scene.play().verdict == "failure"
    assert "other-17" in scene.world.resources
    assert scene.durable.result("delete-2/end")["state"] == "skipped"


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [
        ("event.pull_request.merged", "success"),
        ("!event.pull_request.merged", "skipped"),
        ("event.pull_request.nope", "failure"),
        ("null", "failure"),
        ('"true"', "failure"),
        ("1", "failure"),
        ("[true]", "failure"),
    ],
)
def test_only_a_true_condition_lets_anything_run(condition: str, verdict: str) -> None:
    """Null, text, numbers, lists, a missing field: a named error, and nothing destructive happens."""
    scene = Scene().with_automation(condition=condition)
    assert scene.play().verdict == verdict
    assert bool(deletes(scene.world)) == (verdict == "success")


@pytest.mark.parametrize("value", [None, True, ["x"], {"a": 1}, "a/../b", "-x", "x y", "", 1.5, "x\n"])
def test_an_invalid_value_never_becomes_a_name(value: Any) -> None:
    """It is refused where a name is made of it."""
    scene = Scene(payload=pull_payload(title=value))
    scene.with_automation(steps=(step("preview-${{ event.pull_request.title }}"),))
    assert scene.play().verdict == "failure"
    assert deletes(scene.world) == []


def test_a_fork_is_ignored_if_a_name_contains_its_branch() -> None:
    """An outsider who names a branch like a colleague's deletes nothing."""
    payload = pull_payload()
    payload["pull_request"]["head"] = {
        "ref": "feature",
        "sha": "b" * 40,
        "repo": {"id": 2, "full_name": "evil/shop"},
    }
    scene = Scene(payload=payload)
    ref = "event.pull_request.head.ref"
    scene.with_automation(steps=(step("preview-${{ " + ref + " }}", allow_untrusted=(ref,)),))
    assert scene.play().verdict == "skipped"
    payload["pull_request"]["head"]["repo"] = None
    assert Scene(payload=payload, automation=scene.automation).play().verdict == "skipped"


REF = "event.pull_request.head.ref"
BY_BRANCH = step("preview-${{ " + REF + " }}", allow_untrusted=(REF,))


def by_branch(*more: Step, **world: Any) -> Scene:
    """Pull request #17 of the branch `feature`, whose preview is named after the branch."""
    scene = Scene(world=World(resources={"preview-feature", "preview-17"}, **world))
    return scene.with_automation(steps=(BY_BRANCH, *more))


def test_a_branchs_preview_stays_while_another_pull_request_of_it_is_open() -> None:
    """Both share the preview: its step is skipped and names the other one, later steps run."""
    scene = by_branch(step(id="delete-2"), of_branch=(17, 18))
    ending = scene.play()
    assert deletes(scene.world) == ["delete preview-17"]
    assert ending.verdict == "success"
    spared = "acme/shop#18 is open and has the branch feature too, so what is named after it stays"
    assert any(f"skipped: {spared}" in line for line in scene.world.lines)
    alone = by_branch(of_branch=(18,))
    ending = alone.play()
    assert (ending.verdict, ending.summary, deletes(alone.world)) == ("success", spared, [])
    assert alone.world.statuses[-1] == ("success", spared)


def test_the_branchs_pull_requests_are_listed_immediately_before_the_delete() -> None:
    """By the repository's current name, in the same operation as the call; the closed one does not count."""
    scene = by_branch(
        of_branch=(17,), pull=PullRequest(1700, 17, "closed", 1, "acme/renamed", head_ref="feature")
    )
    assert scene.play().verdict == "success"
    at = scene.world.log.index("delete preview-feature")
    assert scene.world.log[at - 2 : at] == [
        "read pull request",
        "list pull requests of feature in acme/renamed",
    ]


def test_an_unreadable_list_of_pull_requests_is_never_empty() -> None:
    """The call waits and asks again, as for the pull request itself."""
    scene = by_branch()
    scene.world.faults["list pull requests of feature in acme/shop"] = [unreachable()] * 10_000
    ending = scene.play()
    assert (ending.verdict, deletes(scene.world)) == ("failure", [])
    assert "cannot read the pull request" in ending.summary


@pytest.mark.parametrize(
    "name", ["preview-${{ event.number }}", "p-${{ " + REF + " }}-${{ event.pull_request.number }}"]
)
def test_a_name_with_the_number_needs_no_list_of_pull_requests(name: str) -> None:
    """No other pull request has this name, whatever its branch."""
    scene = Scene(world=World(resources={"preview-17", "p-feature-17"}, of_branch=(18,)))
    scene.with_automation(steps=(step(name, allow_untrusted=(REF,)),))
    assert scene.play().verdict == "success"
    assert len(deletes(scene.world)) == 1
    assert not [call for call in scene.world.log if call.startswith("list")]


def test_a_deleted_branch_may_be_part_of_a_name() -> None:
    """A `delete` event has no head that could be a fork's: with `allow-untrusted` its ref names the preview."""
    repository = {"id": 1, "full_name": "acme/shop", "name": "shop"}
    payload = {"ref": "feature-x", "ref_type": "branch", "repository": repository, "sender": {"login": "dev"}}
    scene = Scene(event="delete", payload=payload, world=World(resources={"preview-feature-x"}))
    named = step("preview-${{ event.ref }}", allow_untrusted=("event.ref",))
    scene.with_automation(triggers=({"event": "delete"},), steps=(named,))
    assert scene.play().verdict == "success"
    assert deletes(scene.world) == ["delete preview-feature-x"]


@pytest.mark.parametrize(
    ("named", "payload"),
    [
        ("preview-${{ event.number }}", {"number": 99}),
        ("${{ event.repository.name }}-17", {"repository": {"id": 2, "full_name": "acme/shop"}}),
        ("${{ event.repository.name }}-17", {"repository": {"full_name": "acme/shop", "name": "other"}}),
    ],
    ids=["number", "repository id", "repository name"],
)
def test_a_payload_about_two_pull_requests_deletes_nothing(named: str, payload: dict[str, Any]) -> None:
    """GitHub would be asked about one, and the name made from the other."""
    scene = Scene(world=World(resources={"preview-99", "shop-17", "other-17"}))
    scene.payload |= {**payload}
    scene.with_automation(steps=(step(named),))
    assert scene.play().verdict == "failure"
    assert deletes(scene.world) == []


@pytest.mark.parametrize(
    ("filters", "spared"),
    [({}, True), ({"branches": ["**"], "tags": ["**"]}, True), ({"tags": ["**"]}, False)],
    ids=["no filter", "both", "tags alone"],
)
def test_a_deleted_tag_leaves_the_preview_of_a_branch_with_its_name(
    filters: dict[str, Any], spared: bool
) -> None:
    """Both have one name here. If only tags match, the preview is the tag's."""
    repository = {"id": 1, "full_name": "acme/shop", "name": "shop"}
    payload = {"ref": "develop", "ref_type": "tag", "repository": repository, "sender": {"login": "dev"}}
    world = World(resources={"preview-develop"}, refs={"heads/develop"})
    scene = Scene(event="delete", payload=payload, world=world)
    named = step("preview-${{ event.ref }}", allow_untrusted=("event.ref",))
    scene.with_automation(triggers=({"event": "delete", **filters},), steps=(named,))
    ending = scene.play()
    assert ending.verdict == "success"
    assert deletes(scene.world) == ([] if spared else ["delete preview-develop"])
    assert ("heads/develop of acme/shop is there" in ending.summary) is spared


FORGED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("preview-${{ event.repository.name }}-17", {"name": "web"}, "preview-web-17"),
    ("${{ event.repository.owner.login }}-17", {"owner": {"login": "beta"}}, "beta-17"),
    ("${{ event.repository.owner.id }}-17", {"owner": {"login": "acme", "id": 8}}, "8-17"),
)


@pytest.mark.parametrize(("named", "forged", "aimed_at"), FORGED, ids=["name", "owner", "owner's id"])
@pytest.mark.parametrize("event", ["pull_request", "delete"])
def test_a_payload_about_two_repositories_deletes_nothing(
    event: str, named: str, forged: dict[str, Any], aimed_at: str
) -> None:
    """A holder of the webhook's secret can combine a closed pull request with the name of another's preview."""
    repository = {"id": 1, "full_name": "acme/shop", "name": "shop", "private": True, **forged}
    scene = Scene(world=World(resources={aimed_at}))
    scene.payload["repository"] = scene.payload["pull_request"]["base"]["repo"] = repository
    if event == "delete":
        scene.event, scene.payload = event, {"ref": "x", "ref_type": "branch", "repository": repository}
    trigger = {"event": event} | ({"types": ["closed"]} if event == "pull_request" else {})
    scene.with_automation(triggers=(trigger,), steps=(step(named),), repositories=("acme/*",))
    assert scene.play().verdict == "failure"
    assert deletes(scene.world) == []


def test_a_branch_that_differs_from_the_pull_requests_deletes_nothing() -> None:
    """GitHub says which branch the pull request has; the payload may say any."""
    scene = by_branch(pull=PullRequest(1700, 17, "closed", 1, "acme/shop", head_ref="another"))
    ending = scene.play()
    assert (ending.verdict, deletes(scene.world)) == ("failure", [])
    assert "acme/shop#17 has the branch another, the event says feature" in ending.summary


def test_a_destructive_step_without_a_live_check_is_refused() -> None:
    """Unless the automation says `unguarded: true`."""
    payload = pull_payload() | {"action": "labeled"}
    triggers = ({"event": "pull_request", "types": ["labeled"]},)
    refused = Scene(payload=payload).with_automation(triggers=triggers)
    assert refused.play().verdict == "failure"
    assert "plan" not in refused.world.log, "nothing is even read"
    assert deletes(refused.world) == []
    allowed = Scene(payload=payload).with_automation(triggers=triggers, unguarded=True)
    assert allowed.play().verdict == "success"


@pytest.mark.parametrize("unguarded", [False, True])
def test_a_destructive_function_without_a_live_check_is_refused(unguarded: bool) -> None:
    """It has no plan that could be refused before, so each of its calls is."""
    dropped: list[int] = []
    scene = function_scene(
        lambda run: run.record("drop", lambda: dropped.append(1)),
        triggers=({"event": "pull_request", "types": ["labeled"]},),
        unguarded=unguarded,
    )
    scene.payload["action"] = "labeled"
    assert scene.play().verdict == ("success" if unguarded else "failure")
    assert dropped == [1] * unguarded


def test_a_deleted_branch_must_still_be_gone() -> None:
    """If it was pushed again, the run is cancelled."""
    payload = {
        "ref": "feature",
        "ref_type": "branch",
        "repository": pull_payload()["repository"],
        "sender": {},
    }
    triggers = ({"event": "delete"},)
    automation = dataclasses.replace(AUTOMATION, triggers=triggers, steps=(step("preview-17"),))
    gone = Scene(payload=payload, event="delete", automation=automation)
    assert gone.play().verdict == "success"
    there = Scene(payload=payload, event="delete", automation=automation, world=World(ref_there=True))
    assert there.play().verdict == "cancelled"
    assert deletes(there.world) == []


def test_a_run_whose_turn_never_came_ends_in_a_failure() -> None:
    """It only reports that."""
    scene = Scene(queue_expired=True)
    assert scene.play().verdict == "failure"
    assert scene.world.log == ["status failure"]


def test_a_run_whose_turn_never_came_is_skipped_if_its_condition_is_false() -> None:
    """No status, as in its turn. If the condition cannot be decided, the run fails."""
    skipped = Scene(queue_expired=True).with_automation(condition="event.pull_request.merged == false")
    assert (skipped.play().verdict, skipped.world.statuses) == ("skipped", [])
    paths = ({"event": "pull_request", "types": ["closed"], "paths": ["src/**"]},)
    unknown = Scene(queue_expired=True).with_automation(triggers=paths)
    unknown.world.faults["read files"] = [unreachable()] * 1_000
    ending = unknown.play()
    assert (ending.verdict, ending.summary) == ("failure", "waited 1d for its turn and was not started")
    assert [state for state, _ in unknown.world.statuses] == ["failure"]


def test_a_run_whose_turn_never_came_can_be_cancelled() -> None:
    """Even while its condition is being decided."""
    scene = Scene(queue_expired=True)

    def cancel(name: str, when: str) -> bool:
        if (name, when) == ("begin", "after"):
            scene.durable.cancel("ada")
        return False

    scene.durable.kill = cancel
    ending = scene.play()
    assert (ending.verdict, ending.summary) == ("cancelled", "cancelled by ada; nothing was deleted")


def test_a_run_that_is_cancelled_before_its_first_status_deletes_nothing() -> None:
    """A refused status does not stop a teardown, but a cancel that arrives there does."""
    scene = Scene()

    def cancel(name: str, when: str) -> bool:
        if (name, when) == ("match", "after"):
            scene.durable.cancel()
        return False

    scene.durable.kill = cancel
    assert scene.play().verdict == "cancelled"
    assert deletes(scene.world) == []


def test_a_refused_progress_status_is_only_logged() -> None:
    """The next one may succeed."""
    scene = Scene()

    def refuse(call: str) -> None:
        if call == "status pending" and "plan" in scene.world.log:
            raise unreachable()

    scene.world.before = refuse
    assert scene.play().verdict == "success"
    assert "status not updated: no answer" in scene.world.lines
    assert scene.durable.result("delete-1/status") == {"sent": False, "reason": "no answer"}


def test_secrets_are_learned_before_anything_is_planned() -> None:
    """After the first status, which a slow store of secrets must not delay."""
    scene = Scene()
    deps = dataclasses.replace(scene.deps(), learn=lambda: scene.world.call("learn"))
    play(make_run_function(deps), scene.durable, scene.execution())
    log = list(dict.fromkeys(scene.world.log))
    assert log[:2] == ["status pending", "learn"]


def test_a_run_that_cannot_begin_ends_its_status() -> None:
    """The first thing it does is to write to its log."""

    class Full:
        def write(self, execution: str, step: str | None, text: str) -> None:
            if text.startswith("run "):
                raise StoreUnavailable("the disk is full")

    scene = Scene()
    deps = dataclasses.replace(scene.deps(), journal=Full())
    ending = play(make_run_function(deps), scene.durable, scene.execution())
    assert (ending.verdict, ending.summary) == ("failure", "the disk is full")
    assert scene.world.log == ["status failure"]


def test_an_undelivered_status_is_reported_in_the_run() -> None:
    """The teardown continues without GitHub's statuses; the ending says that they were not delivered."""
    scene = Scene()
    for state in ("pending", "success"):
        scene.world.faults[f"status {state}"] = [unreachable() for _ in range(1000)]
    ending = scene.play()
    assert ending.verdict == "success"
    assert "status not delivered: no answer" in ending.summary


def test_throttling_delays_a_delete_and_does_not_fail_it() -> None:
    """A transient error of the call itself is retried, each time after the live check."""
    scene = Scene()
    scene.world.faults["delete preview-17"] = [unreachable("aws") for _ in range(3)]
    assert scene.play().verdict == "success"
    assert scene.world.log.count("read pull request") == 4


def test_a_service_that_stays_down_ends_only_its_step() -> None:
    """The call is given up after the step's timeout, not the run's, which leaves time for the others."""
    scene = Scene(world=World(resources={"preview-17", "other-17"}))
    scene.world.faults["delete preview-17"] = [unreachable("aws")] * 10_000
    scene.with_automation(steps=(step(), step("other-${{ event.number }}", id="delete-2")))
    ending = scene.play()
    assert ending.verdict == "failure"
    assert "given up after 600 s, the step's timeout" in ending.summary
    assert scene.world.resources == {"preview-17"}


def test_a_call_is_given_up_after_the_steps_timeout() -> None:
    """Its second attempt comes a second after the first."""
    scene = Scene().with_automation(steps=(step(timeout=1.0),))
    tries: list[str] = []
    scene.world.before = tries.append
    scene.world.faults["delete preview-17"] = [unreachable("aws")] * 10
    assert "given up after 1 s, the step's timeout" in scene.play().summary
    assert tries.count("delete preview-17") == 2


def test_a_reopening_during_throttling_is_noticed() -> None:
    """Each retry asks again, so the new preview stays."""
    scene = Scene()
    scene.world.faults["delete preview-17"] = [unreachable("aws") for _ in range(3)]
    calls = 0

    def reopen(call: str) -> None:
        nonlocal calls
        calls += call == "delete preview-17"
        if calls == 2:
            scene.world.pull = PullRequest(1700, 17, "open", 1)

    scene.world.before = reopen
    assert scene.play().verdict == "cancelled"
    assert "preview-17" in scene.world.resources


def test_secrets_are_redacted_in_errors_and_results() -> None:
    """What an outside service echoes is redacted before it is stored or posted."""
    scene = Scene()
    scene.world.faults["plan"] = [
        ServiceError("denied for hunter2hunter2", service="aws", operation="x", reason="AccessDenied")
    ]
    ending = scene.play()
    told = [ending.summary, *scene.world.lines, str(scene.world.statuses), str(scene.durable.operations)]
    assert all("hunter2" not in text for text in told), told


def test_the_planned_name_is_used_even_if_it_contains_a_secret() -> None:
    """A weak secret in a name is redacted in what people read, not in the call."""
    scene = Scene(world=World(resources={"hunter2hunter2-17"}))
    scene.with_automation(steps=(step("hunter2hunter2-${{ event.number }}"),))
    ending = scene.play()
    assert scene.world.resources == set()
    assert (ending.verdict, ending.summary) == ("success", "deleted ***-17")


def test_a_stored_run_with_a_removed_action_fails_that_step() -> None:
    """After a version change the other steps run, and the commit does not stay pending forever."""
    scene = Scene(world=World(resources={"preview-17"}))
    scene.with_automation(steps=(step(id="old", uses="gone/action"), step(id="delete-2")))
    ending = scene.play()
    assert ending.verdict == "failure"
    assert scene.world.resources == set()
    assert scene.world.statuses[-1][0] == "failure"
    assert "gone/action" in scene.world.statuses[-1][1]


def test_a_bug_in_the_run_function_ends_the_status_too() -> None:
    """Whatever is raised between two recorded operations, the last status is not `pending`."""
    scene = function_scene(lambda _run: None, grace="a defect: not a number")
    ending = scene.play()
    assert ending.verdict == "failure"
    assert "internal error" in ending.summary
    assert scene.world.statuses[-1][0] == "failure"


def test_grace_is_waited_before_the_first_destructive_step_and_reopening_in_it_cancels() -> None:
    """Reopened during the grace: nothing is deleted."""
    scene = Scene().with_automation(grace=600.0)
    assert scene.play().verdict == "success"
    assert scene.clock.now() >= 1_700_000_600
    assert scene.world.statuses[1] == ("pending", "waiting 10m before anything is changed")
    reopened = Scene().with_automation(grace=600.0)
    reopened.world.before = lambda call: (
        setattr(reopened.world, "pull", PullRequest(1700, 17, "open", 1)) if call == "plan" else None
    )
    assert reopened.play().verdict == "cancelled"
    assert deletes(reopened.world) == []


def test_grace_is_waited_once_for_all_steps() -> None:
    """The second destructive step follows the first one at once."""
    steps = (step(), step("other-${{ event.number }}", id="delete-2"))
    scene = Scene(world=World(resources={"preview-17", "other-17"}))
    scene.with_automation(grace=600.0, steps=steps)
    assert scene.play().verdict == "success"
    assert [text for _, text in scene.world.statuses].count("waiting 10m before anything is changed") == 1
    assert scene.world.resources == set()


def outside_calls() -> list[str]:
    scene = Scene()
    scene.play()
    return scene.world.log


@pytest.mark.parametrize("when", ["before", "after"])
def test_dying_at_every_operation_converges(when: str) -> None:
    """Wherever the process dies, the next one finishes the run, and repeats no finished operation."""
    names = list(_operations())
    assert len(names) >= 8, names
    for victim in names:
        scene = Scene()
        deaths = [victim]

        def kill(name: str, moment: str, deaths: list[str] = deaths) -> bool:
            if moment == when and deaths and name == deaths[0]:
                deaths.pop()
                return True
            return False

        scene.durable.kill = kill
        ending = scene.play()
        assert ending.verdict == "success", f"died {when} {victim}: {ending}"
        assert not deaths, f"{victim} was never reached"
        assert scene.world.resources == set()


def _operations() -> list[str]:
    scene = Scene()
    scene.play()
    return list(dict.fromkeys(scene.durable.calls))


def test_a_crash_and_a_reopening_at_any_outside_call_delete_nothing_more() -> None:
    """The server dies, the pull request is reopened, the server restarts: not one more delete."""
    total = len(outside_calls())
    for position in range(total):
        scene = Scene()
        count = 0

        def die(call: str, scene: Scene = scene, position: int = position) -> None:
            nonlocal count
            if count == position:
                count += 1
                scene.world.pull = PullRequest(1700, 17, "open", 1)
                scene.world.log.append("REOPENED")
                raise Killed(call)
            count += 1

        scene.world.before = die
        ending = scene.play()
        after = scene.world.log[scene.world.log.index("REOPENED") :]
        assert not [entry for entry in after if entry.startswith("delete")], (
            f"died at call {position}: {after}"
        )
        assert ending.verdict in ("cancelled", "success"), ending
        assert scene.world.statuses[-1][0] != "pending"


def test_a_function_uses_the_same_engine_and_live_check() -> None:
    """`@on` functions record durably, and their effects come after the live check."""
    scene = Scene()

    def clean_up(run: Any) -> str:
        run.record("drop", lambda: scene.world.call("delete database"))
        run.sleep("settle", 60)
        return f"dropped the database of #{run.event['number']}"

    scene.functions["m:clean_up"] = clean_up
    scene.with_automation(function="m:clean_up", steps=())
    assert scene.play().summary == "dropped the database of #17"
    assert deletes(scene.world) == ["delete database"]
    reopened = Scene(world=World(pull=PullRequest(1700, 17, "open", 1)), functions={"m:clean_up": clean_up})
    reopened.with_automation(function="m:clean_up", steps=())
    assert reopened.play().verdict == "cancelled"


def function_scene(function: Callable[[Any], Any], **changes: Any) -> Scene:
    return Scene(functions={"m:f": function}).with_automation(steps=(), function="m:f", **changes)


def test_a_functions_grace_is_waited_before_its_first_call() -> None:
    """`@on(…, grace="10m")` is not silently ignored."""
    dropped: list[float] = []
    scene = function_scene(
        lambda run: run.record("drop", lambda: dropped.append(scene.clock.now())), grace=600.0
    )
    began = scene.clock.now()
    assert scene.play().verdict == "success"
    assert [at - began for at in dropped] == [600.0]


@pytest.mark.parametrize("destructive", [True, False])
def test_a_function_is_not_called_in_a_dry_run(destructive: bool) -> None:
    """Even one that deletes nothing: it may post, or start something."""
    called: list[str] = []
    scene = function_scene(
        lambda run: run.record("post", lambda: called.append("post")),
        mode="dry-run",
        destructive_function=destructive,
    )
    assert scene.play().summary == "dry run: the function was not called"
    assert called == []


def test_a_function_cannot_swallow_the_cancel_that_ends_its_run() -> None:
    """`except Exception` around each call does not let the next call delete; the run ends as cancelled."""
    dropped: list[int] = []

    def function(run: Any) -> None:
        for number in range(3):
            with contextlib.suppress(Exception):
                run.record(f"drop-{number}", lambda number=number: dropped.append(number))
            if number == 0:
                scene.durable.cancel()

    scene = function_scene(function)
    assert scene.play().verdict == "cancelled"
    assert dropped == [0]


def test_an_exception_in_a_function_is_a_failure_with_its_message() -> None:
    """Never a crash."""

    def clean_up(run: Any) -> None:
        raise RuntimeError("no such database")

    scene = Scene(functions={"m:clean_up": clean_up}).with_automation(function="m:clean_up", steps=())
    assert "RuntimeError: no such database" in scene.play().summary


def test_a_call_that_cannot_be_killed_keeps_the_runs_key() -> None:
    """The status is final at once; the run ends, and frees its key, only when the call has ended."""
    scene = Scene()
    looks = 0

    def lingers(execution: str) -> bool:
        nonlocal looks
        assert execution == scene.execution().id
        looks += 1
        return looks <= 3

    scene.actions = {"test/delete": dataclasses.replace(DELETE, lingers=lingers)}
    began = scene.clock.now()
    assert scene.play().verdict == "success"
    assert looks == 4
    assert (
        scene.world.lines.count("a call that exceeded its time still runs here; the run keeps its key") == 1
    )
    assert scene.clock.now() > began + 1
    assert scene.world.statuses[-1][0] == "success"


def test_a_payload_without_its_base_repository_fails_by_name() -> None:
    """Paths are read from the event's repository; the live check then says what is missing, and nothing is deleted."""
    triggers = ({"event": "pull_request", "types": ["closed"], "paths": ["src/**"]},)
    payload = pull_payload()
    payload["pull_request"]["base"]["repo"] = None
    scene = Scene(payload=payload).with_automation(triggers=triggers)
    ending = scene.play()
    assert ending.verdict == "failure"
    assert "no live check is possible" in ending.summary
    assert deletes(scene.world) == []
    assert Scene().with_automation(triggers=triggers).play().verdict == "success"


def test_without_a_token_a_destructive_step_is_refused_at_once() -> None:
    """The live check could only wait in vain, so the run does not use up its time."""
    scene = Scene(has_token=False)
    ending = scene.play()
    assert ending.verdict == "failure"
    assert "no `secrets.github` is configured" in ending.summary
    assert "plan" not in scene.world.log
    assert scene.clock.now() - 1_700_000_000 < 60


def test_a_function_cannot_swallow_a_reopening() -> None:
    """The pull request may be closed again when it returns, so its run is over all the same."""

    def function(run: Any) -> str:
        scene.world.pull = PullRequest(1700, 17, "open", 1)
        with contextlib.suppress(Exception):
            run.record("drop", lambda: None)
        scene.world.pull = PullRequest(1700, 17, "closed", 1)
        return "dropped"

    scene = function_scene(function)
    ending = scene.play()
    assert ending.verdict == "cancelled"
    assert "dropped" not in ending.summary


def test_each_reason_for_a_held_call_is_reported_once() -> None:
    """It is tried for hours: a line each time would flood the log, and a status each time use up GitHub's thousand."""
    scene = Scene()
    reasons = iter(["first", "first", "second", "second", "second", None])
    scene.paused = lambda: next(reasons, None)
    assert scene.play().verdict == "success"
    held = [line for line in scene.world.lines if line.startswith("waiting: ")]
    assert held == ["waiting: paused: first", "waiting: paused: second"]
    assert [text for _, text in scene.world.statuses].count("paused: second") == 1
