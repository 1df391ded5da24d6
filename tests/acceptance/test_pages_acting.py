"""A failed teardown, from its message to its repair on the pages of a real `closeout serve`; and an orphan that a program cleans up."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from closeout.testing.aws import FakeAws
from tests.acceptance.forked import closeout_prompt
from tests.acceptance.machine import CONFIG, REPOSITORY, Machine
from tests.acceptance.machine import machine as running_machine
from tests.acceptance.test_cli_orphans import DAY, HOUR, machine, pull, stack
from tests.contract.http.action_site import Form
from tests.notified import Service, service
from tests.until import until

__all__ = ["machine"]
NOTIFIES = CONFIG.replace("aws:", "notify: { on: [failure, recovered], to: ['env:NOTIFY'] }\naws:", 1)


class Browser:
    """Keeps a cookie and asks for HTML; follows nothing by itself."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookie = ""

    def open(self, url: str) -> tuple[int, str, str]:
        """Ask for a link that somebody was given."""
        parts = urlsplit(url)
        assert parts.port == self._port
        return self.ask("GET", f"{parts.path}?{parts.query}")

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


@pytest.fixture
def receiver() -> Iterator[Service]:
    """A service that takes messages."""
    with service() as running:
        yield running


@pytest.fixture
def scene(tmp_path: Path, cloud: FakeAws, receiver: Service) -> Iterator[Machine]:
    """A running server that tells a service of what fails and of its repair, and does not wait two minutes for it."""
    cloud.reset()
    variables = {"NOTIFY": receiver.url()}
    with running_machine(tmp_path, cloud, NOTIFIES, main=closeout_prompt, variables=variables) as it:
        yield it


def test_who_never_saw_closeout_repairs_a_failed_teardown(scene: Machine, receiver: Service) -> None:
    """One message leads to the page, the page says what to do and reruns, and a second message says that it is over.

    Every step follows from what the one before said. The ledger, the page and the log say who asked for the rerun.
    """
    scene.open_pull()
    stack = scene.preview()
    scene.aws.undeletable("preview-17", "Jobs", "the queue is in use by a test")
    scene.github.world.change_pull(REPOSITORY, 17, "closed")

    (told,) = receiver.wait(1)
    assert told.title == "closeout: preview-cleanup failed for acme/shop#17, step delete-stack-1"
    assert "What is left: stack preview-17" in told.body
    browser = Browser(scene.port)
    (link,) = [line for line in told.body.splitlines() if line.startswith("http")]
    status, _, page = browser.open(link)
    assert status == 200
    for said in (
        "the queue is in use by a test",
        "Something else uses the resource. Remove that first",
        "To sign in, run <code>closeout open</code> on the server",
    ):
        assert said in page
    scene.aws.deletable()

    assert browser.open(scene.closeout("open", "--db", str(scene.db)).stdout.strip())[:2] == (303, "/")
    assert "preview-cleanup failed for acme/shop#17" in browser.ask("GET", "/")[2]
    (path,) = set(re.findall(r'href="(/runs/[^"]+/rerun)"', browser.open(link)[2]))
    status, _, page = browser.ask("GET", path)
    assert status == 200
    assert "stack preview-17" in page
    assert "preview-17-assets-jobs" in page
    form = Form(page)
    status, where, page = browser.ask("POST", form.action, form.fields | {"reason": "the queue is free"})
    assert (status, where) == (303, f"{path.removesuffix('/rerun')}?attempt=2"), page

    _, over = receiver.wait(2)
    assert over.title == "closeout: repaired: acme/shop#17"
    assert "are gone now" in over.body
    assert scene.is_gone(stack)
    assert "Nothing needs you." in browser.ask("GET", "/")[2]
    (run,) = scene.finished()
    assert (run["verdict"], run["attempt"]) == ("success", 2), (run, scene.log())
    assert run["requested_by"].endswith(" (pages)")
    assert run["requested_by"] in browser.ask("GET", where)[2]
    (line,) = [line for line in scene.log().splitlines() if "a visitor asked for rerun" in line]
    assert f"by={run['requested_by']}" in line
    # The same form once more, as a reload would send it: it leads there and starts nothing.
    assert browser.ask("POST", form.action, form.fields)[:2] == (303, where)
    assert len(scene.runs()) == 1
    assert len(receiver.taken) == 2


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
