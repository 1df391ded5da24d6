"""The page of a pull request as values: its timeline in order, and the outcome."""

from __future__ import annotations

from typing import Any

from closeout.ports import RunView
from closeout.server.pages import pull_request_page
from closeout.server.pages.pull_request_page import DeliveryPayload, PullRequest
from closeout.server.pages.rendering import Renderer
from closeout.testing import deliveries
from closeout.wiring.pull_requests import Entry, ExpectedEvent, PullRequestView, Resource
from tests.contract.http import page_world
from tests.contract.http.page_world import NOW, World

WORLD = World()


def shown(*heard: DeliveryPayload, attempts: tuple[RunView, ...] = (), **more: Any) -> PullRequest:
    """Return the page of acme/shop#17."""
    views = [one.view._replace(id=number) for number, one in enumerate(heard, start=1)]
    story = PullRequestView(
        repository="acme/shop",
        number=17,
        former_names=more.pop("former_names", ()),
        title=None,
        url=None,
        entries=tuple(Entry(view.received_at, "delivery", "", delivery=view) for view in views),
        runs=attempts,
        resources=more.pop("resources", ()),
        next=more.pop("next", ()),
        left_out=0,
    )
    numbered = [one._replace(view=view) for one, view in zip(heard, views, strict=True)]
    return pull_request_page.shown(story, numbered, NOW + 3600)


def heard(action: str, at: float, *, origin: str = "github", **pull: Any) -> DeliveryPayload:
    """Return a delivery at so many seconds, with its payload."""
    payload = deliveries.pull_request(action, **pull)
    view = WORLD.delivery(1)
    return DeliveryPayload(view._replace(action=action, received_at=NOW + at, origin=origin), payload)


def attempt(kind: str, **more: Any) -> RunView:
    """Return a run of the world."""
    world = World()
    getattr(page_world, kind)(world)
    (run,) = world.runs.values()
    return run._replace(**more)


def resource(name: str, outcome: str, execution: str = "r1-2", reason: str = "") -> Resource:
    """Return something that was planned to be deleted."""
    return Resource(name, "delete", outcome, reason, "stack", execution)


def test_the_timeline_is_in_order() -> None:
    """Deliveries, a retarget, runs and attempts, in whatever order they were read."""
    retarget = heard("edited", 20)
    retarget.payload["changes"] = {"base": {"ref": {"from": "main"}}}  # type: ignore[index]
    page = shown(
        heard("opened", 0),
        heard("synchronize", 5),
        heard("synchronize", 10),
        heard("synchronize", 15),
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
        ("New commits (3 times)", ""),
        ("Base changed", "From main to develop."),
        ("Merged", "Into develop."),
        ("preview-cleanup: Failed", "1 of 3 steps failed"),
        ("preview-cleanup: Succeeded", "3/3 steps: deleted stack preview-17"),
        ("Closed", ""),
    ]
    assert "bucket preview-17-assets" in page.entries[4].left
    assert page.entries[4].aside.startswith("took ")
    assert page.entries[5].aside.startswith("attempt 2, asked for by ada@desk")
    assert page.entries[6].aside == "by octo-dev, found by patrol in GitHub's list of closed pull requests"
    assert page.entries[0].url == "/deliveries/1"


def test_the_header_shows_the_newest_delivery() -> None:
    """Title, state and branches; without a delivery nothing is guessed."""
    page = shown(heard("opened", 0, title="Old"), heard("closed", 9, merged=True, title="New"))
    assert (page.about.title, page.state, page.about.url is not None) == ("New", "Merged", True)
    assert dict(page.facts)["Branches"] == "feature/basket → develop"
    assert shown(heard("closed", 1)).state == "Closed"
    half = {"pull_request": {"head": {"ref": "feature/basket"}}}
    assert "Branches" not in dict(shown(DeliveryPayload(heard("edited", 1).view, half)).facts)
    assert shown(heard("reopened", 1)).state == "Open"
    assert (shown().state, shown().about.title, shown().entries) == ("Unknown", None, ())
    renamed = shown(heard("closed", 1), former_names=("acme/old",))
    assert ("Earlier", "earlier in acme/old") in renamed.facts


def test_a_pull_request_without_deliveries_has_no_page() -> None:
    """The page does not even confirm that it exists."""
    page = pull_request_page.shown(
        PullRequestView("acme/shop", 4711, (), None, None, (), (), (), (), 0), (), NOW
    )
    assert (page.entries, [*page.groups.values()], page.next, page.state) == ((), [[]] * 4, (), "Unknown")


def test_the_last_outcome_of_each_resource_is_shown() -> None:
    """In four groups, each with a link to the attempt that reported it, and why something is left."""
    page = shown(
        resources=(
            resource("stack preview-17", "left", reason="DELETE_FAILED"),
            resource("table audit", "kept"),
            resource("bucket a", "done"),
            resource("bucket b", "gone"),
            resource("bucket c", "under-way", "r9-1"),
            resource("bucket d", "a word of a later version"),
        )
    )
    found = {kind: [(one.name, one.says, one.reason) for one in group] for kind, group in page.groups.items()}
    assert found == {
        "left": [
            ("stack preview-17", "still there", "DELETE_FAILED"),
            ("bucket d", "a word of a later version", ""),
        ],
        "ahead": [("bucket c", "under way", "")],
        "gone": [("bucket a", "deleted", ""), ("bucket b", "already gone", "")],
        "kept": [("table audit", "kept", "")],
    }
    assert page.groups["ahead"][0].url == "/runs/r9?attempt=1"
    assert page.summary == "2 resources left."
    ahead = shown(resources=(resource("bucket c", "under-way"),))
    assert ahead.summary == "1 resource to be deleted."
    gone = shown(resources=(resource("bucket a", "done"),))
    assert gone.summary == "Everything that closeout planned to delete is gone."
    assert shown().summary == ""


def test_resources_of_several_automations_name_their_automation() -> None:
    """Two automations may plan the same name."""
    runs = (attempt("success", execution="r1-2"), attempt("success", execution="r9-1", automation="docs"))
    page = shown(attempts=runs, resources=(resource("a", "done"), resource("a", "done", "r9-1")))
    assert [one.says for one in page.groups["gone"]] == ["deleted by preview-cleanup", "deleted by docs"]
    page = shown(attempts=runs[:1], resources=(resource("a", "done"),))
    assert [one.says for one in page.groups["gone"]] == ["deleted"]


def test_a_long_list_of_resources_is_cut_and_counted() -> None:
    """The page says how many are not listed."""
    page = shown(resources=tuple(resource(f"bucket {number}", "left") for number in range(250)))
    assert page.summary == "250 resources left."
    text = Renderer().fragment(
        "_pull_request.html",
        page=page,
        now=NOW,
        asked_for="acme/shop",
        titles=pull_request_page.TITLES,
        most_listed=pull_request_page.MOST_LISTED,
        visitor=None,
    )
    assert text.count("<code>bucket ") == 200
    assert "and 50 more" in text


def test_what_comes_next() -> None:
    """A failed run needs a repair and a rerun; an open one says what it waits for; a recheck says when."""
    failed, going = attempt("failure"), attempt("waiting", id="going", accepted_at=NOW + 9, automation="docs")
    page = shown(
        attempts=(failed, going),
        next=(
            ExpectedEvent("recheck", NOW + 7200, "docs looks again"),
            ExpectedEvent("waiting", NOW + 9, "x"),
        ),
    )
    assert [(step.tone, step.text.partition(" ")[0], step.action) for step in page.next] == [
        ("bad", "preview-cleanup", f"/runs/{failed.id}/rerun"),
        ("busy", "docs:", f"/runs/{going.id}/cancel"),
        ("none", "docs", None),
    ]
    assert page.next[2].text == "docs looks again, on 21 Sep 2026, 16:13:20 UTC."
    assert page.next[1].text.startswith("docs: stack/deleted: stack preview-17 is DELETE_IN_PROGRESS")


def test_the_icon_shows_the_state_in_a_background_tab() -> None:
    """What is left or needs a repair comes before what is in progress, and that before what is gone."""
    left, gone = resource("a", "left"), resource("b", "done")
    going = attempt("waiting")
    assert shown(attempts=(going,), resources=(left, gone)).icon == "failure"
    assert shown(attempts=(attempt("failure"),)).icon == "failure"
    assert shown(attempts=(going,), resources=(gone,)).icon == "running"
    assert shown(resources=(gone,)).icon == "success"
    assert shown().icon == "none"


def test_a_repaired_failure_needs_nothing_more() -> None:
    """Repaired by a further attempt, or by the run of a later closing, which deletes the same names."""
    failed = attempt("failure")
    again = attempt("success", id=failed.id, attempt=2, accepted_at=NOW + 500)
    assert shown(attempts=(failed, again)).next == ()
    assert shown(attempts=(failed, attempt("success", id="other", accepted_at=NOW + 500))).next == ()
    earlier = attempt("success", id="other", accepted_at=NOW - 500)
    assert len(shown(attempts=(failed, earlier)).next) == 1


def test_hostile_payloads_do_not_break_the_page() -> None:
    """With wrong types everywhere, the page is shown and says less."""
    view = WORLD.delivery(1)
    payloads: list[dict[str, Any]] = [
        {},
        {"pull_request": []},
        {"pull_request": {"user": 7, "base": "x"}, "changes": 3, "sender": []},
    ]
    for payload in payloads:
        page = shown(DeliveryPayload(view._replace(action="edited"), payload))
        assert page.entries[0].title == "Edited"
        assert page.state == "Unknown"
