"""Rerunning failed runs together, over a real server: each run that the visitor selects becomes one request."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from closeout.server.pages import batches
from tests.contract.http.action_site import NAME, ActionSite, action_site, form_token, step
from tests.contract.http.test_user_actions import text

PATH = "/rerun"


@pytest.fixture(scope="module")
def shared() -> Iterator[ActionSite]:
    """One server for all tests."""
    with action_site() as world:
        yield world


@pytest.fixture
def world(shared: ActionSite) -> ActionSite:
    """The server with an empty ledger and the plan of `PLAN`."""
    shared.store.reset()
    shared.planned.__init__()  # type: ignore[misc]
    return shared


def test_the_selected_failures_are_rerun_once(world: ActionSite) -> None:
    """Each plan lists what would be deleted; successful runs are not offered; a reload requests nothing more."""
    first, second, third = (world.store.finished(guid) for guid in ("g-1", "g-2", "g-3"))
    fine = world.store.finished("g-4", "success")
    page = text(world.get(PATH))
    assert page.count("2 resources will be deleted.") == 3
    assert f"{NAME} on acme/shop#17" in page
    assert f'name="{fine}"' not in page
    form = world.form(PATH)
    fields = {name: value for name, value in form.fields.items() if name != second}
    for _ in range(2):
        done = world.post(PATH, fields | {"reason": "the policy is repaired"})
        assert done.status == 200
        for run in (first, third):
            assert f"/runs/{run}?attempt=2" in text(done)
        assert f"{NAME} on acme/shop#17" in text(done)
    assert sorted(world.store.asked) == sorted(
        ("rerun", run, "operator (pages)", "the policy is repaired") for run in (first, third)
    )
    again = world.store.run(first)
    assert again is not None
    assert (again.attempt, again.requested_by) == (2, "operator (pages)")


def test_the_list_and_the_overview_offer_the_rerun(world: ActionSite) -> None:
    """With the list's own filters, to visitors who may act."""
    world.store.finished()
    link = f'href="/rerun?automation={NAME}&amp;verdict=failure"'
    assert link in text(world.get(f"/runs?automation={NAME}&verdict=failure"))
    assert "/rerun?" not in text(world.get("/runs?verdict=success"))
    assert "/rerun?" not in text(world.get("/runs?verdict=failure", "reader"))
    assert f'name="{world.store.finished("g-2")}"' not in text(world.get(f"{PATH}?automation=another"))
    assert "No failed run meets these filters." in text(world.get(f"{PATH}?automation=another"))
    assert world.get(f"{PATH}?since=never").status == 400


def test_a_changed_plan_requests_nothing(world: ActionSite) -> None:
    """A run that was started again meanwhile, and a plan that would delete something else."""
    run, other = world.store.finished(), world.store.finished("g-2")
    form = world.form(PATH)
    world.store.add_request("rerun", run, "grace", None)
    for _ in range(2):
        refused = world.post(PATH, form.fields)
        assert (refused.status, "no longer what you confirmed" in text(refused)) == (409, True)
        world.store.end(run)
    form = world.form(PATH)
    assert {run, other} <= set(form.fields)
    world.planned.rows = step(changes=[{"verb": "delete", "resource": "stack production", "reason": ""}])
    assert world.post(PATH, form.fields).status == 409
    assert [who for _, _, who, _ in world.store.asked] == ["grace"]


def test_a_refusal_is_shown_for_its_run(world: ActionSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine may refuse one of the requests; the others start."""
    first, second = world.store.finished(), world.store.finished("g-2")
    carry_out = world.store._carry_out

    def refuse(kind: str, target: str, by: str, number: int) -> None:
        if target == second:
            world.store.finish_request(number, f"run {second} has not finished; cancel it first")
        else:
            carry_out(kind, target, by, number)

    monkeypatch.setattr(world.store, "_carry_out", refuse)
    form = world.form(PATH)
    done = text(world.post(PATH, form.fields))
    assert f"/runs/{first}?attempt=2" in done
    assert f"run {second} has not finished; cancel it first" in done


def test_a_rerun_is_limited_to_the_cap(world: ActionSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says so and leads to the older ones; a form with more is refused."""
    monkeypatch.setattr(batches, "MOST", 1)
    older, newer = world.store.finished(), world.store.finished("g-2")
    page = text(world.get(PATH))
    assert "These are 1 of the failed runs" in page
    assert (f'name="{newer}"' in page, f'name="{older}"' in page) == (True, False)
    more = page.partition('<a class="button" href="/rerun?')[2].partition('"')[0].replace("&amp;", "&")
    assert f'name="{older}"' in text(world.get(f"{PATH}?{more}"))
    assert world.post(PATH, {newer: "", older: ""}, "program").status == 400
    assert world.store.asked == []


def test_an_empty_selection_and_a_missing_right_change_nothing(world: ActionSite) -> None:
    """The first gets an explanation, the second 403."""
    run = world.store.finished()
    form = world.form(PATH)
    assert world.post(PATH, {name: form.fields[name] for name in ("form_token", "once")}).status == 400
    reader = world.post(PATH, form.fields | {"form_token": form_token("reader")}, "reader")
    assert reader.status == 403
    assert world.post(PATH, form.fields | {"once": "x"}).status == 403
    assert world.post(PATH, form.fields | {run: ""}).status == 409
    assert world.store.asked == []


def test_a_program_reruns_the_runs_it_names(world: ActionSite) -> None:
    """With the plan that it read, or without one."""
    run, other = world.store.finished(), world.store.finished("g-2")
    told = world.get(PATH, "program").json
    assert {each["target"] for each in told["proposals"]} == {run, other}
    assert {each["deletes"] for each in told["proposals"]} == {2}
    done = world.post(PATH, {run: ""}, "program")
    assert (done.status, done.json["by"]) == (200, "program (token)")
    (one,) = done.json["requests"]
    assert (one["target"], one["runs"]) == (run, [f"{run}-2"])
    assert world.post(PATH, {other: "another"}, "program").status == 409
    assert len(world.store.asked) == 1


def test_plans_of_a_batch_are_made_concurrently_and_keep_their_order() -> None:
    """An error of one is not lost, and no shutdown waits for them."""
    assert batches.at_once(str, range(30)) == [str(number) for number in range(30)]
    assert batches.at_once(str, ()) == []
    assert batches.at_once(lambda _: threading.current_thread().daemon, range(2)) == [True, True]
    with pytest.raises(ZeroDivisionError):
        batches.at_once(lambda number: 1 / number, [1, 0, 1])
