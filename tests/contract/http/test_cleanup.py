"""Cleaning orphans from the pages, over a real server: each orphan that the visitor selects becomes one request."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from closeout.core.errors import ServiceError
from closeout.orphans.audit import Report, Target
from closeout.server.pages import batches
from tests.contract.http.action_site import NAME, ActionSite, action_site, form_token, orphan, step
from tests.contract.http.test_user_actions import text
from tests.until import until

PATH = "/orphans/clean"
ORPHANS = (orphan(17, "preview-17"), orphan(18, "preview-18"), orphan(19, "preview-19"))
FIRST, SECOND, THIRD = (f"acme/shop#{number} {NAME}" for number in (17, 18, 19))


@pytest.fixture(scope="module")
def shared() -> Iterator[ActionSite]:
    """One server for all tests."""
    with action_site() as world:
        yield world


@pytest.fixture
def world(shared: ActionSite) -> ActionSite:
    """The server with an empty ledger and three orphans."""
    shared.store.reset()
    shared.planned.__init__()  # type: ignore[misc]
    shared.planned.report = Report(ORPHANS, ())
    return shared


def test_the_selected_orphans_are_cleaned_once(world: ActionSite) -> None:
    """The page lists what each run would delete; only selected ones are requested, and a reload adds nothing."""
    page = text(world.get(PATH))
    assert FIRST in page
    assert "stack preview-17" in page
    form = world.form(PATH)
    assert {FIRST, SECOND, THIRD} <= set(form.fields)
    run = world.store.finished()
    world.store.replays = [f"{run}-2", "acme/shop#19 is open, so nothing was started"]
    fields = {name: value for name, value in form.fields.items() if name != SECOND}
    for _ in range(2):
        done = world.post(PATH, fields | {"reason": "monthly"})
        assert done.status == 200
        assert f"/runs/{run}?attempt=2" in text(done)
        assert "acme/shop#19 is open, so nothing was started" in text(done)
        assert [target in text(done) for target in (FIRST, SECOND, THIRD)] == [True, False, True]
    assert world.store.asked == [
        ("clean", target, "operator (pages)", "monthly") for target in (FIRST, THIRD)
    ]


def test_a_dry_run_is_not_preselected_and_says_what_it_would_do(world: ActionSite) -> None:
    """It would clean nothing up; orphans that would be cleaned are preselected."""
    assert 'type="checkbox"' in (page := text(world.get(PATH)))
    assert page.count(" checked>") == 3
    world.planned.rows = [{**row, "mode": "dry-run"} for row in world.planned.rows]
    page = text(world.get(PATH))
    assert " checked>" not in page
    assert "would delete" in page


def test_the_limit_selects_the_oldest(world: ActionSite) -> None:
    """Like the command's `--limit`; the page says how many there are."""
    page = text(world.get(f"{PATH}?limit=1"))
    assert FIRST in page
    assert SECOND not in page
    assert "3 runs would clean up" in page
    assert world.get(f"{PATH}?limit=0").status == 400
    assert world.get(f"{PATH}?limit=51").status == 400


def test_a_limit_above_the_number_of_orphans_is_not_mentioned(world: ActionSite) -> None:
    """Nothing is left for another time."""
    assert "would clean up" not in text(world.get(f"{PATH}?limit={len(ORPHANS)}"))
    assert "3 runs would clean up; these are the 2 with the oldest orphans" in text(
        world.get(f"{PATH}?limit=2")
    )


def test_the_page_names_what_it_leaves_out(world: ActionSite) -> None:
    """A run that would delete more than the orphan, and a resource that could not be checked, are listed."""
    spared = frozenset({Target("acme/shop", 17, NAME)})
    world.planned.report = Report(ORPHANS, ("AWS: AccessDenied in eu-west-1",), spared)
    page = text(world.get(PATH))
    assert f"{FIRST} is left out: its run would also delete something that is not an orphan." in page
    assert "Not asked: AWS: AccessDenied in eu-west-1" in page
    assert f'name="{FIRST}"' not in page
    assert f'name="{SECOND}"' in page


def test_a_plan_that_differs_from_the_one_shown_requests_nothing(world: ActionSite) -> None:
    """One changed plan is enough."""
    form = world.form(PATH)
    world.planned.rows = step(changes=[{"verb": "delete", "resource": "stack production", "reason": ""}])
    refused = world.post(PATH, form.fields)
    assert refused.status == 409
    assert "is no longer what you confirmed" in text(refused)
    assert world.store.asked == []


def test_plans_that_are_not_ready_in_time_request_nothing(
    world: ActionSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is not held any longer."""
    form = world.form(PATH)
    monkeypatch.setattr(batches, "LOOK", 0.0)
    world.planned.ready.clear()
    late = world.post(PATH, form.fields)
    world.planned.ready.set()
    assert late.status == 409
    assert "AWS and GitHub did not answer in time, so nothing was requested." in text(late)
    assert world.store.asked == []


def test_an_orphan_without_a_plan_has_no_button(world: ActionSite) -> None:
    """The page shows each guard's reason, or the error of the audit."""
    world.planned.rows = step(error={"code": "guard-refused", "message": "61 changes planned, 50 allowed"})
    page = text(world.get(PATH))
    assert "61 changes planned, 50 allowed" in page
    assert "Start the chosen runs" not in page
    world.planned.error = ServiceError("GitHub: cannot connect", service="github", operation="x", reason="y")
    page = text(world.get(PATH))
    assert "The audit could not be made: GitHub: cannot connect" in page
    assert "Start the chosen runs" not in page
    assert "no orphan" not in page, "an audit that failed is no audit that found nothing"


def test_the_page_reloads_until_a_long_audit_is_done(
    world: ActionSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same limit; a program learns where to ask again."""
    monkeypatch.setattr(batches, "GLANCE", 0.0)
    world.planned.ready.clear()
    page = world.get(f"{PATH}?limit=2")
    assert page.headers["refresh"] == "1"
    for query in ("limit=2", "path=x&limit=2"):
        assert world.get(f"{PATH}?{query}", "program").json["again"] == f"{PATH}?{query}"
    world.planned.ready.set()
    until("the audit", lambda: f'name="{SECOND}"' in text(world.get(f"{PATH}?limit=2")))


def test_an_empty_selection_and_a_missing_right_change_nothing(world: ActionSite) -> None:
    """The first gets an explanation, the second 403."""
    form = world.form(PATH)
    none = {name: form.fields[name] for name in ("form_token", "once")}
    assert world.post(PATH, none).status == 400
    reader = world.post(PATH, form.fields | {"form_token": form_token("reader")}, "reader")
    assert (reader.status, "You may read here" in text(reader)) == (403, True)
    assert world.post(PATH, form.fields | {"form_token": "x"}).status == 403
    assert world.store.asked == []


def test_a_program_cleans_the_orphans_it_names(world: ActionSite) -> None:
    """With the plan that it read, or without one."""
    told = world.get(PATH, "program").json
    plans = {each["target"]: each["plan"] for each in told["proposals"]}
    assert set(plans) == {FIRST, SECOND, THIRD}
    resources = {each["target"]: each["resources"] for each in told["proposals"]}
    assert resources == {FIRST: ["preview-17"], SECOND: ["preview-18"], THIRD: ["preview-19"]}
    world.store.replays = ["run x has not finished"]
    done = world.post(PATH, {FIRST: ""}, "program")
    assert (done.status, done.json["by"]) == (200, "program (token)")
    (one,) = done.json["requests"]
    assert (one["target"], one["outcome"], one["runs"]) == (FIRST, "run x has not finished", [])
    assert world.post(PATH, {SECOND: "another"}, "program").status == 409
    assert len(world.store.asked) == 1
