"""The page of a pull request as values: everything in order, and what it comes to."""

from __future__ import annotations

from typing import Any

from closeout.ports import DeliveryView, RunView
from closeout.server import pull_request_page
from closeout.server.pull_request_page import Facts, Heard, PullRequest
from closeout.testing import deliveries
from tests.contract.http import page_world
from tests.contract.http.page_world import NOW, World

WORLD = World()
WHOLE = ("done", "done", "done", "kept"), ("done",), ()


def shown(*heard: Heard, attempts: tuple[RunView, ...] = (), **more: Any) -> PullRequest:
    """Return the page of acme/shop#17."""
    return pull_request_page.shown(Facts("acme/shop", 17, NOW + 3600, heard, attempts, **more))


def heard(action: str, at: float, *, origin: str = "github", **pull: Any) -> Heard:
    """Return a delivery at so many seconds, with its payload."""
    payload = deliveries.pull_request(action, **pull)
    view: DeliveryView = WORLD.delivery(1)
    return Heard(view._replace(action=action, received_at=NOW + at, origin=origin), payload)


def attempt(kind: str, *outcomes: tuple[str, ...], **more: Any) -> RunView:
    """Return a run of the world, with what became of its plans."""
    world = World()
    getattr(page_world, kind)(world)
    (run,) = world.runs.values()
    steps = tuple(
        step._replace(outcomes=fates) for step, fates in zip(run.steps, outcomes or WHOLE, strict=True)
    )
    return run._replace(steps=steps, **more)


def groups(page: PullRequest) -> dict[str, list[tuple[str, str]]]:
    """Return the names and fates of the resources by group."""
    return {
        group.kind: [(one.name, one.says) for one in group.resources]
        for group in page.groups
        if group.resources
    }


def test_what_happened_is_told_in_order() -> None:
    """Deliveries, a retarget, runs and attempts, however they were read."""
    retarget = heard("edited", 20)
    retarget.payload["changes"] = {"base": {"ref": {"from": "main"}}}  # type: ignore[index]
    page = shown(
        heard("opened", 0),
        heard("synchronize", 5),
        heard("synchronize", 10),
        retarget,
        heard("closed", 30, merged=True),
        heard("closed", 300, origin="closed-list"),
        attempts=(
            attempt("success", attempt=2, accepted_at=NOW + 200, requested_by="ada@desk"),
            attempt("failure", accepted_at=NOW + 31),
        ),
    )
    assert [(entry.title, entry.text.partition(";")[0]) for entry in page.entries] == [
        ("Opened", ""),
        ("New commits (2 times)", ""),
        ("Base changed", "From main to develop."),
        ("Merged", "Into develop."),
        ("preview-cleanup: Failed", "1 of 3 steps failed"),
        ("preview-cleanup: Succeeded", "3/3 steps: deleted stack preview-17"),
        ("Closed", ""),
    ]
    assert page.entries[4].left == ("bucket preview-17-assets",)
    assert page.entries[5].aside.startswith("attempt 2, asked for by ada@desk")
    assert page.entries[6].aside == "by octo-dev, found by patrol in GitHub's list of closed pull requests"
    assert page.entries[0].url == "/deliveries/1"


def test_the_header_says_what_the_newest_delivery_says() -> None:
    """Title, state and branches; nothing is guessed without one."""
    page = shown(heard("opened", 0, title="Old"), heard("closed", 9, merged=True, title="New"))
    assert (page.title, page.state, page.url is not None) == ("New", "Merged", True)
    assert dict(page.facts)["Branches"] == "feature/basket → develop"
    assert shown(heard("closed", 1)).state == "Closed"
    assert shown(heard("reopened", 1)).state == "Open"
    assert (shown().state, shown().title, shown().entries) == ("Unknown", None, ())


def test_what_became_of_each_resource_last_counts() -> None:
    """What a first attempt left and a second one deleted is gone."""
    left = attempt("failure", ("left", "left", "gone", "kept"), ("done",), ())
    page = shown(attempts=(left,))
    assert groups(page)["left"] == [
        ("stack preview-17", "still there"),
        ("bucket preview-17-assets", "still there"),
    ]
    assert pull_request_page.summary(page) == "2 resources left."
    page = shown(attempts=(left, attempt("success", id=left.id, attempt=2, accepted_at=NOW + 500)))
    assert "left" not in groups(page)
    assert groups(page)["kept"] == [("table preview-17-audit", "kept")]
    assert pull_request_page.summary(page) == "Everything that closeout planned to delete is gone."


def test_what_a_later_attempt_did_not_meet_was_not_there() -> None:
    """A plan lists what exists: a person deleted it. A later attempt that fails too proves nothing."""
    left = attempt("failure", ("left", "left", "gone", "kept"), ("done",), ())
    later = attempt("success", (), (), (), id=left.id, attempt=2, accepted_at=NOW + 500)
    later = later._replace(steps=tuple(step._replace(changes=()) for step in later.steps))
    assert ("stack preview-17", "not there in a later attempt") in groups(shown(attempts=(left, later)))[
        "gone"
    ]
    still = groups(shown(attempts=(left, later._replace(verdict="failure"))))
    assert ("stack preview-17", "still there") in still["left"]


def test_without_known_fates_nothing_is_called_gone() -> None:
    """A plan of which nobody recorded what became of it."""
    unknown = attempt("failure", (), (), ())
    assert set(groups(shown(attempts=(unknown,)))) == {"left"}


def test_what_comes_next() -> None:
    """A failed run is to be repaired and rerun, one under way says what it waits for, a recheck says when."""
    failed, going = attempt("failure"), attempt("waiting", id="going", accepted_at=NOW + 9, automation="docs")
    page = shown(attempts=(failed, going), rechecks=[("docs", NOW + 7200)])
    assert [(step.tone, step.text.partition(" ")[0], step.deed) for step in page.next] == [
        ("bad", "preview-cleanup", f"/runs/{failed.id}/rerun"),
        ("busy", "docs:", f"/runs/{going.id}/cancel"),
        ("none", "docs", None),
    ]
    assert page.next[1].text.startswith("docs: stack/deleted: stack preview-17 is DELETE_IN_PROGRESS")


def test_nothing_comes_after_a_repair() -> None:
    """By a further attempt, or by the run of a later closing, which deletes the same names."""
    failed = attempt("failure")
    again = attempt("success", id=failed.id, attempt=2, accepted_at=NOW + 500)
    assert shown(attempts=(failed, again)).next == ()
    assert shown(attempts=(failed, attempt("success", id="other", accepted_at=NOW + 500))).next == ()
    earlier = attempt("success", id="other", accepted_at=NOW - 500)
    assert len(shown(attempts=(failed, earlier)).next) == 1


def test_hostile_payloads_change_nothing() -> None:
    """Wrong types everywhere: the page is there and says less."""
    view = WORLD.delivery(1)
    payloads: list[dict[str, Any]] = [
        {},
        {"pull_request": []},
        {"pull_request": {"user": 7, "base": "x"}, "changes": 3, "sender": []},
    ]
    for payload in payloads:
        page = shown(Heard(view._replace(action="edited"), payload))
        assert page.entries[0].title == "Edited"
        assert page.state == "Unknown"
