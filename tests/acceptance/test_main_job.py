"""The main job over real HTTP: a pull request closes, its preview is torn down, the commit says so."""

from __future__ import annotations

import http.client
import json
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from closeout.ledger.sqlite import Views
from closeout.testing import deliveries
from closeout.testing.aws import FakeAws
from tests.acceptance.machine import CONFIG, REGION, REPOSITORY, Machine, machine
from tests.until import until


def close(scene: Machine, number: int = 17) -> str:
    """Deploy a preview, open and close its pull request; return the head's SHA."""
    sha = scene.open_pull(number)
    scene.github.world.change_pull(REPOSITORY, number, "closed")
    return sha


def test_a_closed_pull_request_tears_its_preview_down(scene: Machine) -> None:
    """pending, then success with a Details link; stack, bucket and every version are gone."""
    stack = scene.preview()
    sha = close(scene)
    (run,) = scene.finished()
    assert run["verdict"] == "success", (run, scene.log())
    assert scene.is_gone(stack)
    states = [state for state, _ in scene.statuses(sha)]
    assert states[0] == "pending"
    assert states[-1] == "success"
    posted = scene.github.statuses(REPOSITORY, sha)[-1]
    assert f"/runs/{run['id']}?" in posted["target_url"]
    with urllib.request.urlopen(posted["target_url"], timeout=10) as page:
        text = page.read().decode()
    assert "preview-17" in text
    # The line is written after the end is stored.
    until("the line of the log", lambda: "a run has finished" in scene.log())
    (told,) = [line for line in scene.log().splitlines() if "a run has finished" in line]
    assert f"a run has finished: success run={run['id']}-1 automation=preview-cleanup" in told


def test_a_stack_that_is_not_there_is_named(scene: Machine) -> None:
    """In the plan, in the run and in the status: it may be gone, or its name may never have been right."""
    absent = "there is no stack preview-17 in 123456789012/eu-central-1"
    nothing = f"nothing was there: {absent}"
    payload = scene.folder / "closed.json"
    payload.write_text(json.dumps(deliveries.pull_request()), encoding="utf-8")
    plan = scene.closeout("plan", "--event", "pull_request", "--payload", str(payload)).stdout
    assert absent in " ".join(plan.split())
    sha = close(scene)
    (run,) = scene.finished()
    assert (run["verdict"], run["summary"]) == ("success", nothing)
    assert scene.statuses(sha)[-1] == ("success", nothing)


def test_the_same_delivery_again_is_a_duplicate_and_runs_nothing_twice(scene: Machine) -> None:
    """GitHub's redelivery keeps the GUID: 200, the original's run, no second run."""
    scene.preview()
    close(scene)
    scene.finished()
    repository = scene.github.world.repository(REPOSITORY)
    scene.github.sender.settle()
    closed = next(d for d in repository.deliveries if (d["event"], d["action"]) == ("pull_request", "closed"))
    before = len(scene.aws.requests())
    assert scene.github.sender.redeliver(repository, closed["id"])
    scene.github.sender.settle()
    again = repository.deliveries[0] if repository.deliveries[0]["redelivery"] else repository.deliveries[-1]
    assert again["status_code"] == 200
    assert len(scene.runs()) == 1
    assert len(scene.aws.requests()) == before


def test_an_unsigned_request_is_unauthorized(scene: Machine) -> None:
    """401 with the one answer that every unverified request gets."""
    request = urllib.request.Request(scene.hook_url, b"{}", {"X-GitHub-Event": "pull_request"}, method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 401
    assert json.loads(refused.value.read()) == {"error": "unauthorized", "message": "Unauthorized request"}


def test_a_pull_request_into_another_branch_deletes_nothing(scene: Machine) -> None:
    """The run asks GitHub for the bases that it had, and is skipped: it stays out of lists, and its delivery says why."""
    scene.preview()
    sha = scene.open_pull(base="main")
    scene.github.world.change_pull(REPOSITORY, 17, "closed")
    scene.github.sender.settle()
    listed = scene.closeout("deliveries", "list", "--db", str(scene.db), "--json").stdout
    (closed,) = [one for one in json.loads(listed) if one["action"] == "closed"]
    (run_id,) = closed["runs"]
    views = Views(scene.db)
    until("the run's end", lambda: (run := views.run(run_id)) is not None and run.state == "finished")
    assert scene.runs() == []
    assert scene.statuses(sha) == []
    shown = scene.closeout("deliveries", "show", str(closed["id"]), "--db", str(scene.db)).stdout
    said = "preview-cleanup was skipped: no base matched: base branch 'main' matches none of develop; it had no other base"
    assert said in " ".join(shown.split())


def test_a_pull_request_that_was_retargeted_is_torn_down(scene: Machine) -> None:
    """Opened against develop, previewed, retargeted by GitHub itself, and closed: its preview does not leak."""
    stack = scene.preview()
    sha = scene.open_pull(base="develop")
    scene.github.world.retarget(REPOSITORY, 17, "main", automatic=True)
    scene.github.world.change_pull(REPOSITORY, 17, "closed")
    (run,) = scene.finished()
    assert run["verdict"] == "success"
    assert scene.is_gone(stack)
    assert scene.statuses(sha)[-1][0] == "success"


def test_what_was_deployed_after_the_teardown_is_deleted_by_a_recheck(scene: Machine) -> None:
    """The server missed the recheck while it was down, and makes it at its start; nothing else runs again."""
    scene.preview()
    sha = close(scene)
    scene.finished()
    assert scene.stop() == 0
    with closing(sqlite3.connect(scene.db)) as ledger, ledger:  # the teardown was twenty minutes ago
        ledger.execute("UPDATE run SET finished_at = finished_at - 1200")
        ledger.execute("INSERT OR REPLACE INTO setting VALUES ('rechecked-until', CAST('0' AS BLOB))")
    stack = scene.preview()
    scene.start()
    views = Views(scene.db)
    until(
        "the further attempt's end", lambda: (run := views.runs()[0]).attempt == 2 and run.state == "finished"
    )
    (run,) = scene.runs()
    assert run["verdict"] == "success"
    assert run["summary"].startswith("deployed after the pull request was closed; ")
    assert scene.is_gone(stack)
    assert scene.statuses(sha)[-1][0] == "success"


def test_reopened_while_the_teardown_waits_nothing_more_is_deleted(scene: Machine) -> None:
    """The stack is busy, the pull request is reopened: the stack stays, the status ends as success."""
    stack = scene.preview()
    update = {"status": "UPDATE_IN_PROGRESS", "then": "UPDATE_COMPLETE", "region": REGION}
    scene.aws.stack_status("preview-17", seconds=600, **update)
    sha = close(scene)
    views = Views(scene.db)
    until("the run's wait", lambda: any(run.state == "waiting" for run in views.runs()))
    scene.github.world.change_pull(REPOSITORY, 17, "reopened")
    scene.aws.stack_status("preview-17", seconds=0, **update)
    (run,) = scene.finished()
    assert run["verdict"] == "cancelled"
    assert not scene.is_gone(stack)
    assert not [call for call in scene.aws.requests() if call["operation"].startswith("Delete")]
    assert scene.statuses(sha)[-1][0] == "success"


def test_what_cannot_be_deleted_is_named(scene: Machine) -> None:
    """The status is a failure that names the resource and the reason."""
    scene.preview()
    scene.aws.undeletable("preview-17", "Jobs", "the queue is in use by a test")
    sha = close(scene)
    (run,) = scene.finished()
    assert run["verdict"] == "failure"
    state, description = scene.statuses(sha)[-1]
    assert state == "failure"
    assert "Jobs" in description or "jobs" in description, description


def test_another_repository_with_the_same_number_is_left_alone(scene: Machine) -> None:
    """An organization's hook sends #17 of another repository: nothing happens to acme/shop's preview."""
    stack = scene.preview()
    scene.github.world.add_repository("acme/other", private=True)
    scene.github.add_hook(
        "acme/other", url=scene.hook_url, secret="a-secret-for-tests-only", events=("pull_request",)
    )
    scene.github.world.open_pull("acme/other", number=17, base="develop")
    scene.github.world.change_pull("acme/other", 17, "closed")
    scene.github.sender.settle()
    assert scene.runs() == []
    assert not scene.is_gone(stack)


def test_the_wrong_account_changes_nothing(tmp_path: Path, cloud: FakeAws) -> None:
    """The configuration names another account than the credentials: refused before anything is looked at."""
    cloud.reset()
    with machine(tmp_path, cloud, CONFIG.replace("123456789012", "999999999999")) as scene:
        stack = scene.preview()
        sha = close(scene)
        (run,) = scene.finished()
        assert run["verdict"] == "failure"
        assert "999999999999" in scene.statuses(sha)[-1][1]
        assert not scene.is_gone(stack)


def test_a_pull_request_that_github_cannot_show_is_not_taken_as_closed(scene: Machine) -> None:
    """While GitHub answers 500 the delete waits; when it answers again, the run goes on."""
    stack = scene.preview()
    fault = scene.github.faults.add("status", method="GET", path=r".*/pulls/17", times=0, status=500)
    close(scene)
    until("three unreadable answers", lambda: fault.hits >= 3)
    assert not scene.is_gone(stack)
    assert not [call for call in scene.aws.requests() if call["operation"] == "DeleteStack"]
    scene.github.faults.clear()
    (run,) = scene.finished()
    assert run["verdict"] == "success"
    assert scene.is_gone(stack)


def test_sigterm_drains_and_the_next_start_goes_on(scene: Machine) -> None:
    """A stopped server exits with 0, and what it had begun ends after the next start."""
    stack = scene.preview()
    scene.aws.delete_takes(1)
    close(scene)
    until("the delete", lambda: [c for c in scene.aws.requests() if c["operation"] == "DeleteStack"])
    assert scene.stop() == 0
    scene.start()
    (run,) = scene.finished()
    assert run["verdict"] == "success", run
    assert scene.is_gone(stack)


def test_a_page_that_somebody_watches_does_not_hold_up_the_server(scene: Machine) -> None:
    """The connection that it keeps between two questions ends, and it asks again at the next start."""
    scene.preview()
    scene.aws.delete_takes(60)
    sha = close(scene)
    until("the delete", lambda: [c for c in scene.aws.requests() if c["operation"] == "DeleteStack"])
    page = scene.github.statuses(REPOSITORY, sha)[-1]["target_url"]
    address = urlsplit(page)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=5)
    with closing(connection):
        connection.request("GET", f"{address.path}/live?{address.query}")
        assert json.loads(connection.getresponse().read())["again"] == 1
        assert scene.stop() == 0
