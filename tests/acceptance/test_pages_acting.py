"""From the pages of a real `closeout serve`: a failed teardown is repaired and run again, and an orphan is cleaned up."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.acceptance.machine import REPOSITORY, Machine
from tests.acceptance.test_cli_orphans import DAY, HOUR, machine, pull, stack
from tests.contract.http.deed_world import Form
from tests.until import until

__all__ = ["machine"]


class Browser:
    """Keeps a cookie and asks for HTML; follows nothing by itself."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookie = ""

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Return status, `Location` and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}
        headers |= {"Cookie": self._cookie} if self._cookie else {}
        connection.request(method, path, urlencode(form).encode() if form else None, headers)
        answer = connection.getresponse()
        body = " ".join(answer.read().decode().split())
        self._cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0] or self._cookie
        connection.close()
        return answer.status, answer.getheader("Location") or "", body


def test_a_failed_teardown_is_repaired_and_rerun_from_the_page(scene: Machine) -> None:
    """The page names what will be gone; the rerun ends as a success, and the ledger, the page and the log say who asked."""
    scene.open_pull()
    stack = scene.preview()
    scene.aws.undeletable("preview-17", "Jobs", "the queue is in use by a test")
    scene.github.world.change_pull(REPOSITORY, 17, "closed")
    (failed,) = scene.finished()
    assert failed["verdict"] == "failure"
    scene.aws.deletable()

    browser = Browser(scene.port)
    path = f"/runs/{failed['id']}/rerun"
    assert browser.ask("GET", path)[:2] == (303, "/login")
    link = urlsplit(scene.closeout("open", "--db", str(scene.db)).stdout.strip())
    assert browser.ask("GET", f"{link.path}?{link.query}")[0] == 303
    status, _, page = browser.ask("GET", path)
    assert status == 200
    assert "stack preview-17" in page
    assert "preview-17-assets-jobs" in page
    form = Form(page)
    status, where, page = browser.ask("POST", form.action, form.fields | {"reason": "the queue is free"})
    assert (status, where) == (303, f"/runs/{failed['id']}?attempt=2"), page

    (run,) = until("the second attempt", lambda: [one for one in scene.finished() if one["attempt"] == 2])
    assert run["verdict"] == "success", (run, scene.log())
    assert scene.is_gone(stack)
    assert run["requested_by"].endswith(" (pages)")
    assert run["requested_by"] in browser.ask("GET", where)[2]
    (line,) = [line for line in scene.log().splitlines() if "a visitor asked for rerun" in line]
    assert f"by={run['requested_by']}" in line
    # The same form once more, as a reload would send it: it leads there and starts nothing.
    assert browser.ask("POST", form.action, form.fields)[:2] == (303, where)
    assert len(scene.runs()) == 1


def test_a_program_cleans_an_orphan_with_a_token(machine: Machine) -> None:
    """It reads what the audit proposes, with the plan, and asks for one of two; the other stays."""
    for number in (17, 18):
        pull(machine, number, opened=5 * DAY, closed=HOUR)
        stack(machine, f"preview-{number}")
    machine.start()
    token = machine.closeout("token", "create", "bot", "--act", "--db", str(machine.db)).stdout.strip()

    def ask(method: str, form: dict[str, str] | None = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", machine.port, timeout=60)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        connection.request(method, "/orphans/clean", urlencode(form).encode() if form else None, headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    try:
        told = until("the audit", lambda: answer if "proposals" in (answer := ask("GET")) else None)
        first, second = told["proposals"]
        assert (first["target"], first["resources"]) == ("acme/shop#17 preview-cleanup", ["preview-17"])
        assert first["automations"][0]["steps"][0]["changes"][0]["resource"] == "stack preview-17"
        assert second["target"] == "acme/shop#18 preview-cleanup"
        done = ask("POST", {first["target"]: first["plan"], "reason": "monthly"})
        assert done["by"] == "bot (token)"
        (run,) = machine.finished()
        assert done["requests"][0]["runs"] == [run["execution"]]
    finally:
        machine.kill()
    assert (run["verdict"], run["automation"], run["number"]) == ("success", "preview-cleanup", 17)
    left = machine.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE"])
    assert [row["StackName"] for row in left["StackSummaries"]] == ["preview-18"]
