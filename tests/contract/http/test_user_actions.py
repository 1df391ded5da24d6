"""What visitors do from the pages, over a real server: read the plan, confirm it, and make exactly one request."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from closeout.core.errors import ServiceError, StoreUnavailable
from closeout.core.problems import Problem
from closeout.orphans.audit import Report
from closeout.server.pages import page_actions
from closeout.server.pages import user_actions as action_pages
from closeout.server.pages.wording import problem_name
from tests.contract.http.action_site import (
    NAME,
    PLAN,
    SECRET,
    ActionSite,
    Form,
    action_site,
    form_token,
    orphan,
    step,
)
from tests.contract.http.serving import Answer
from tests.until import until


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
    del shared.server.log[:]
    return shared


def text(answer: Answer) -> str:
    """The page without its line breaks."""
    return " ".join(answer.body.decode().split())


# --- a rerun --------------------------------------------------------------------------------------------------


def test_a_rerun_shows_what_will_be_gone_then_starts_the_next_attempt(world: ActionSite) -> None:
    """The run and the log name who confirmed it, and the answer redirects to the new attempt."""
    run = world.store.finished()
    page = world.get(f"/runs/{run}/rerun")
    said = text(page)
    for name in ("stack preview-17", "bucket preview-17-assets", "table preview-17-audit"):
        assert name in said
    assert "2 resources will be deleted." in said
    assert "Rerun: delete 2 resources" in said
    assert world.store.asked == [], "a GET asks for nothing"
    form = world.form(f"/runs/{run}/rerun")
    done = world.post(form.action, form.fields | {"reason": " the policy\r\nis repaired "})
    assert (done.status, done.headers["location"]) == (303, f"/runs/{run}?attempt=2")
    assert world.store.asked == [("rerun", run, "operator (pages)", "the policy is repaired")]
    again = world.store.run(run)
    assert again is not None
    assert (again.attempt, again.requested_by) == (2, "operator (pages)")
    assert "operator (pages)" in text(world.get(done.headers["location"]))
    (line,) = [line for line in world.server.log if "a visitor asked for rerun" in line]
    assert f"by=operator (pages) target={run}" in line


def test_a_form_that_is_sent_again_makes_one_request(world: ActionSite) -> None:
    """Whether sent concurrently or again later, each submission leads to the same new attempt."""
    run = world.store.finished()
    form = world.form(f"/runs/{run}/rerun")
    answers: list[Answer] = []
    world.planned.ready.clear()
    clicks = [
        threading.Thread(target=lambda: answers.append(world.post(form.action, form.fields)))
        for _ in range(3)
    ]
    for click in clicks:
        click.start()
    world.planned.ready.set()
    for click in clicks:
        click.join(10)
    answers.append(world.post(form.action, form.fields))
    assert {(one.status, one.headers["location"]) for one in answers} == {(303, f"/runs/{run}?attempt=2")}
    assert len(answers) == 4
    assert len(world.store.asked) == 1


def test_a_form_from_another_tab_finds_the_run_under_way(world: ActionSite) -> None:
    """A second tab, or a page opened before the first confirmation, starts no second attempt."""
    run = world.store.finished()
    first, second = world.form(f"/runs/{run}/rerun"), world.form(f"/runs/{run}/rerun")
    assert world.post(first.action, first.fields).status == 303
    late = world.post(second.action, second.fields)
    assert late.status == 409
    assert "it can be run again when it has finished" in text(late)
    world.store.end(run)
    later = world.post(second.action, second.fields)
    assert later.status == 409, "what it confirmed was attempt 2"
    assert len(world.store.asked) == 1


def test_a_plan_that_changed_must_be_confirmed_again(world: ActionSite) -> None:
    """The new plan is shown and nothing is requested; the form of the new plan works."""
    run = world.store.finished()
    form = world.form(f"/runs/{run}/rerun")
    changes = [{"verb": "delete", "resource": "stack production", "reason": "it exists"}]
    world.planned.rows = step(changes=changes)
    refused = world.post(form.action, form.fields)
    assert refused.status == 409
    assert "no longer what you confirmed" in text(refused)
    assert "stack production" in text(refused)
    assert world.store.asked == []
    new = Form(refused.body.decode())
    assert world.post(new.action, new.fields).status == 303


def test_a_reason_that_contains_a_time_does_not_change_the_plan(world: ActionSite) -> None:
    """Only what would be changed is compared, so that a countdown does not invalidate the confirmation."""
    run = world.store.finished()
    form = world.form(f"/runs/{run}/rerun")
    world.planned.rows = [
        {**PLAN[0], "steps": [{**PLAN[0]["steps"][0], "changes": [
            {**change, "reason": "created 3 minutes ago"} for change in PLAN[0]["steps"][0]["changes"]]}]}
    ]  # fmt: skip
    assert world.post(form.action, form.fields).status == 303


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (step(error={"code": "guard-refused", "message": "61 changes planned, 50 allowed; nothing was done"}),
         "A guard rejects the plan of stack, so the run would fail: 61 changes planned, 50 allowed"),
        (step(error={"code": "service-error", "message": "AWS: AccessDenied"}), "nothing can be confirmed: AWS: AccessDenied"),
        ([], "does not match this event"),
        ([{"name": NAME, "mode": "apply", "steps": [], "error": {"code": "bad-input", "message": "no name"}}], "no name"),
    ],
)  # fmt: skip
def test_a_plan_that_cannot_run_has_no_button(
    world: ActionSite, rows: list[dict[str, object]], says: str
) -> None:
    """If a guard rejects it, or it is unreadable or matches nothing; a form from an earlier page is refused."""
    run = world.store.finished()
    form = world.form(f"/runs/{run}/rerun")
    world.planned.rows = rows
    page = world.get(f"/runs/{run}/rerun")
    assert page.status == 200
    assert says in text(page)
    assert Form(page.body.decode()).fields == {}
    assert world.post(form.action, form.fields).status == 409
    assert world.store.asked == []


def test_a_plan_that_fails_says_why(world: ActionSite) -> None:
    """GitHub is unreachable: the page gives the reason instead of an internal error or an empty plan."""
    run = world.store.finished()
    world.planned.error = ServiceError(
        "GitHub: cannot connect", service="github", operation="x", reason="ConnectTimeout"
    )
    page = world.get(f"/runs/{run}/rerun")
    assert page.status == 200
    assert "nothing can be confirmed: GitHub: cannot connect" in text(page)
    assert Form(page.body.decode()).fields == {}


@pytest.mark.parametrize("path", ["/runs/{run}/rerun", "/rerun", "/orphans/clean"])
def test_an_error_from_github_reveals_no_secret(world: ActionSite, path: str) -> None:
    """GitHub may quote what it received: no page, form or API answer repeats the secret."""
    path = path.format(run=world.store.finished())
    world.planned.report = Report((orphan(17, "preview-17"),), ())
    form = world.form(path)
    world.planned.error = ServiceError(
        f"GitHub: {SECRET} was refused", service="github", operation="x", reason="y"
    )
    answers = [world.get(path), world.post(path, form.fields), world.get(path, "program")]
    assert [SECRET in text(answer) for answer in answers] == [False] * 3
    assert "[redacted] was refused" in text(answers[0])


def test_a_page_reloads_until_a_slow_plan_is_ready(
    world: ActionSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works without script, by a header, and the plan is made once."""
    monkeypatch.setattr(action_pages, "GLANCE", 0.0)
    run = world.store.finished()
    world.planned.ready.clear()
    page = world.get(f"/runs/{run}/rerun")
    assert page.status == 200
    assert page.headers["refresh"] == "1"
    assert Form(page.body.decode()).fields == {}
    world.planned.ready.set()
    until("the plan", lambda: "Rerun: delete 2 resources" in text(world.get(f"/runs/{run}/rerun")))
    assert world.planned.made == 1


def test_the_waiting_page_cannot_be_given_extra_headers(
    world: ActionSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outsider who knows a run's id may send the operator a link that contains a line feed."""
    monkeypatch.setattr(action_pages, "GLANCE", 0.0)
    run = world.store.finished()
    world.planned.ready.clear()
    page = world.get(f"/runs/{run}/rerun?limit=1%0d%0aSet-Cookie:%20closeout_session=theirs%0d%0a%0d%0a<h1>")
    world.planned.ready.set()
    assert page.status == 200
    assert "set-cookie" not in page.headers
    assert "content-security-policy" in page.headers
    assert page.headers["refresh"] == "1"
    assert b"<!doctype html>" in page.body[:20]


# --- who may ---------------------------------------------------------------------------------------------------

PATHS = ("/runs/{run}/rerun", "/runs/{run}/cancel", "/deliveries/1/replay", "/pause", "/resume")


@pytest.mark.parametrize("path", PATHS)
def test_a_reader_and_an_anonymous_visitor_change_nothing(world: ActionSite, path: str) -> None:
    """Neither through a page nor with a form that carries the token of their session."""
    path = path.format(run=world.store.finished())
    assert world.get(path, "reader").status == 403
    assert "You may read here" in text(world.post(path, {"form_token": form_token("reader")}, "reader"))
    assert world.get(path, "nobody").status == 303
    assert world.post(path, {}, "nobody").status == 401
    assert world.store.asked == []


@pytest.mark.parametrize("missing", ["form_token", "once", "plan"])
@pytest.mark.parametrize("forged", ["", "forged"])
def test_every_field_of_the_form_is_required(world: ActionSite, missing: str, forged: str) -> None:
    """Without the session's token, the one-time value or the plan, nothing is requested."""
    run = world.store.finished()
    form = world.form(f"/runs/{run}/rerun")
    fields = {name: value for name, value in form.fields.items() if name != missing}
    if forged:
        fields[missing] = forged
    assert world.post(form.action, fields).status in (403, 409)
    assert world.store.asked == []


def test_a_one_time_value_works_for_its_own_form_only(world: ActionSite) -> None:
    """The value of a pause form does not cancel a run."""
    pause, run = world.form("/pause"), world.store.queued()
    cancel = world.form(f"/runs/{run}/cancel")
    assert world.post(cancel.action, cancel.fields | {"once": pause.fields["once"]}).status == 403
    assert world.store.asked == []


# --- cancel, replay, pause -------------------------------------------------------------------------------------


def test_a_run_is_cancelled(world: ActionSite) -> None:
    """The answer redirects to the run's page."""
    run = world.store.queued()
    form = world.form(f"/runs/{run}/cancel")
    done = world.post(form.action, form.fields | {"reason": "wrong stack"})
    assert (done.status, done.headers["location"]) == (303, f"/runs/{run}")
    assert world.store.asked == [("cancel", f"{run}-1", "operator (pages)", "wrong stack")]


def test_a_run_that_finished_meanwhile_is_not_cancelled(world: ActionSite) -> None:
    """The visitor gets a sentence, whether the run finished before or after the page was opened."""
    run = world.store.queued()
    form = world.form(f"/runs/{run}/cancel")
    world.store.end(run, "success")
    for answer in (world.post(form.action, form.fields), world.get(f"/runs/{run}/cancel")):
        assert answer.status == 409
        assert "has finished (success) meanwhile" in text(answer)
    assert world.store.asked == []


def test_a_delivery_is_replayed(world: ActionSite) -> None:
    """The answer leads to the run, or to the delivery if it has several; without a run the page says so."""
    run = world.store.finished()
    for outcome, status, location in (
        (f"{run}-2", 303, f"/runs/{run}?attempt=2"),
        (f"{run}-2, {run}-3", 303, "/deliveries/1"),
        ("nothing to start: no automation matches, or its run has not finished", 409, None),
    ):
        world.store.replays = [outcome]
        form = world.form("/deliveries/1/replay")
        done = world.post(form.action, form.fields)
        assert (done.status, done.headers.get("location")) == (status, location)
    assert "nothing to start" in text(done)
    assert {kind for kind, *_ in world.store.asked} == {"replay"}


def test_a_missing_delivery_is_recovered(world: ActionSite) -> None:
    """By its GUID, as with the command line; the page says when patrol has no such delivery any more."""
    run = world.store.finished()
    world.store.replays = [f"{run}-2"]
    form = world.form("/deliveries/5f3a-11f0/replay")
    assert world.post(form.action, form.fields).headers["location"] == f"/runs/{run}?attempt=2"
    assert world.store.asked == [("recover", "5f3a-11f0", "operator (pages)", None)]
    gone = world.get("/deliveries/5f3a-11f1/replay")
    assert (gone.status, "No delivery 5f3a-11f1 is left to recover" in text(gone)) == (404, True)


@pytest.mark.parametrize(
    "path",
    ["/deliveries/7/replay", "/deliveries/x/replay", f"/deliveries/{'9' * 40}/replay", "/runs/none/rerun"],
)
def test_a_pruned_run_or_delivery_gets_an_explanation(world: ActionSite, path: str) -> None:
    """The page says that it does not exist and may have been pruned."""
    for answer in (world.get(path), world.post(path, {}, "program")):
        assert answer.status == 404
        assert "may have been pruned" in text(answer)


@pytest.mark.parametrize("kind", ["failure", "orphans"])
def test_a_problem_is_dismissed_with_a_reason_and_a_name(world: ActionSite, kind: str) -> None:
    """As on the command line; one that patrol found, by its pull request; a changed problem is shown again."""
    if kind == "failure":
        target = world.store.finished()
    else:
        found = Problem(NAME, "1/2/x", "orphans", "it is left", "x", 1.0, repository="acme/shop", number=17)
        world.store.problems.open_problem(found)
        target = f"{NAME} 1/2/x"
    (found,) = world.store.open_problems()
    path = f"/problems/{problem_name(found)}/dismiss"
    again = "an audit finds it again" if kind == "orphans" else "a further attempt fails"
    assert f"If {again}, the problem opens again." in text(world.get(path))
    assert f'href="{path}"' in text(world.get("/"))
    assert path not in text(world.get("/", "reader"))
    form = world.form(path)
    world.store.problems.open_problem(found._replace(text="another stack is left"))
    assert world.post(path, form.fields).status == 409
    form = world.form(path)
    done = world.post(path, form.fields | {"reason": "deleted by hand"})
    assert (done.status, done.headers["location"]) == (303, "/")
    assert world.store.asked == [("dismiss", target, "operator (pages)", "deleted by hand")]
    assert world.store.open_problems() == []
    assert world.get(path).status == 404


def test_a_problem_of_closeout_itself_cannot_be_dismissed(world: ActionSite) -> None:
    """It closes when its cause is gone."""
    found = Problem("", "patrol", "stale", "patrol has not ended", "x", 1.0)
    world.store.problems.open_problem(found)
    gone = world.get(f"/problems/{problem_name(found)}/dismiss")
    assert (gone.status, "There is no such open problem" in text(gone)) == (404, True)


def test_pause_and_resume(world: ActionSite) -> None:
    """The pages say who paused and why. Resuming a pause other than the one shown is refused."""
    assert world.get("/resume").status == 409
    pause = world.form("/pause")
    done = world.post("/pause", pause.fields | {"reason": "incident 42"})
    assert (done.status, done.headers["location"]) == (303, "/")
    assert world.store.paused() == "by operator (pages): incident 42"
    assert any("a visitor asked for pause" in line and "target=-" in line for line in world.server.log)
    assert (
        "<p>closeout was paused by operator (pages): incident 42. Another pause replaces the reason.</p>"
        " <p>Runs wait before" in text(world.get("/pause"))
    )
    assert world.get("/pause", "program").json["deletes"] == 0
    resume = world.form("/resume")
    world.store.add_request("pause", None, "grace@laptop", "another incident")
    assert world.post("/resume", resume.fields).status == 409
    assert "another incident" in str(world.store.paused())
    resume = world.form("/resume")
    assert world.post("/resume", resume.fields).status == 303
    assert world.store.paused() is None


def test_every_page_offers_a_pause_to_an_operator(world: ActionSite) -> None:
    """Only while nothing is paused, and not to a reader."""
    link = 'href="/pause"'
    run = world.store.finished()
    assert link in text(world.get(f"/runs/{run}"))
    assert link not in text(world.get(f"/runs/{run}", "reader"))
    world.post("/pause", {}, "program")
    assert link not in text(world.get(f"/runs/{run}"))


def test_a_request_that_waits_is_answered_with_its_number(
    world: ActionSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is busy: the request is stored, and the page says so."""
    monkeypatch.setattr(page_actions, "OUTCOME_SECONDS", 0.0)
    world.store.held = True
    pause = world.form("/pause")
    done = world.post("/pause", pause.fields)
    assert done.status == 202
    assert "<h1>Requested</h1> <p>Request 1 is stored" in text(done)


def test_the_page_waits_a_few_seconds_for_the_outcome(
    world: ActionSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine looks for requests twice a second."""
    outcomes = iter([None, None, "done"])
    monkeypatch.setattr(world.store, "outcome", lambda _number: next(outcomes))
    assert world.post("/pause", world.form("/pause").fields).status == 303


def test_a_plan_that_is_not_ready_in_time_requests_nothing(
    world: ActionSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is not held any longer; the same form works once the plan is ready."""
    run = world.store.finished()
    form = world.form(f"/runs/{run}/rerun")
    monkeypatch.setattr(action_pages, "LOOK", 0.0)
    world.planned.ready.clear()
    late = world.post(form.action, form.fields)
    world.planned.ready.set()
    assert late.status == 409
    assert "AWS and GitHub did not answer in time." in text(late)
    assert world.store.asked == []
    monkeypatch.undo()
    assert world.post(form.action, form.fields).status == 303


def test_a_ledger_that_cannot_be_written_is_reported(world: ActionSite) -> None:
    """The page, the API and the log give the reason; the same form works once the ledger is writable."""
    world.store.broken = StoreUnavailable("the disk is full")
    pause = world.form("/pause")
    refused = world.post("/pause", pause.fields)
    assert refused.status == 503
    assert "<h1>This did not work</h1> <p>the disk is full</p>" in text(refused)
    assert world.post("/pause", {}, "program").json == {
        "error": "store-unavailable",
        "message": "the disk is full",
    }
    assert any("what a visitor asked for failed" in line for line in world.server.log)
    world.store.broken = None
    assert world.post("/pause", pause.fields).status == 303


# --- programs --------------------------------------------------------------------------------------------------


def test_a_program_acts_with_a_token_and_without_a_form(world: ActionSite) -> None:
    """It gets the plan as JSON, and the number and outcome of its request."""
    run = world.store.finished()
    plan = world.get(f"/runs/{run}/rerun", "program").json
    assert (plan["deletes"], plan["problem"], plan["automations"][0]["name"]) == (2, None, NAME)
    made = world.planned.made
    done = world.post(f"/runs/{run}/rerun", {"reason": "nightly"}, "program")
    assert (done.status, done.json) == (
        200,
        {
            "request": 1,
            "kind": "rerun",
            "target": run,
            "by": "program (token)",
            "outcome": f"{run}-2",
            "runs": [f"{run}-2"],
        },
    )
    assert world.planned.made == made, "as with --yes, no plan is needed"
    late = world.post(f"/runs/{run}/rerun", {}, "program")
    assert (late.status, late.json["error"]) == (409, "changed-meanwhile")
    world.store.replays = ["nothing to start"]
    refused = world.post("/deliveries/1/replay", {}, "program")
    assert (refused.status, refused.json["error"], refused.json["message"]) == (
        409,
        "changed-meanwhile",
        "nothing to start",
    )


def test_a_program_can_require_the_plan_that_it_read(world: ActionSite) -> None:
    """Any other plan is refused, and the answer has the new one."""
    run = world.store.finished()
    told = world.get(f"/runs/{run}/rerun", "program").json
    assert "error" not in told
    plan = told["plan"]
    world.planned.rows = step(changes=[{"verb": "delete", "resource": "stack production", "reason": ""}])
    refused = world.post(f"/runs/{run}/rerun", {"plan": plan}, "program")
    assert (refused.status, refused.json["error"]) == (409, "changed-meanwhile")
    assert refused.json["plan"] != plan
    assert "no longer what you confirmed" in refused.json["message"]
    assert world.post(f"/runs/{run}/rerun", {"plan": refused.json["plan"]}, "program").status == 200
    assert len(world.store.asked) == 1


def test_a_long_reason_is_refused(world: ActionSite) -> None:
    """Every list shows it."""
    refused = world.post("/pause", {"reason": "x" * 501}, "program")
    assert (refused.status, refused.json["error"]) == (400, "usage")
    assert world.post("/pause", {"reason": "x" * 500}, "program").status == 200
