"""Signed payloads made to mislead: each is refused or stored, none ends in a 500, and none deletes what is open.

Numbers as strings, huge or negative numbers, renamed and misnamed repositories, two numbers for one pull request, keys
that stand twice, NULs, deep nesting, and titles that steer a terminal. The previews that they aim at belong to pull
requests that are open on GitHub, and stand afterwards; the control's does not. What the command line and the log show
of them holds no control character, and a comment that looks like closeout's own starts its run.

Red when sabotaged: let `closeout/livecheck.py` believe one of two numbers; print a run's facts as they are
(`cli/output.py`); find closeout's mark in anybody's comment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from closeout.ledger.sqlite import Views
from closeout.testing import deliveries
from closeout.testing.aws import FakeAws
from tests.acceptance.machine import REPOSITORY, SECRET, Machine, machine
from tests.hostile.flood import RAW_CONTROL, check_log
from tests.hostile.protection import HEAD, QUEUE
from tests.hostile.report import Report
from tests.hostile.server import GOOD, status_of
from tests.hostile.stage import Stage
from tests.until import until

CONFIG = (
    HEAD
    + """\
automations:
  preview-cleanup:
    on: { pull_request: { types: [closed] } }
    repositories: ['acme/*']
    steps:
      - uses: aws/cloudformation-delete-stack
        with: { stack-name: 'preview-${{ event.repository.name }}-${{ event.pull_request.number }}' }
  shout:
    on: { pull_request: { types: [closed] } }
    repositories: ['acme/*']
    status: false
    steps:
      - uses: python
        destructive: false
        with: { function: 'shouter:shout' }
  hear:
    on: { issue_comment: { types: [created] } }
    repositories: [acme/shop]
    status: false
    steps:
      - uses: shell
        destructive: false
        with: { argv: ['true'] }
"""
)
SHOUTER = """\
def shout(context):
    title = context.event["pull_request"]["title"]
    context.log(title)
    raise RuntimeError(title)
"""
TITLE = "\x1b[2J\x1b]8;;http://evil\x07click\x1b]8;;\x07\x9b31m\x85\u202e\u2066txt\u2069\r\n2026-01-01 00:00:00 closeout: forged-line\x7f"
OPEN = (17, 18)
CONTROL = 50
DEPTHS = (99, 101, 3000, 100_000)
Change = Callable[[dict[str, Any]], None]


def _set(*path: str, to: Any) -> Change:
    """Return a change that puts a value at a path."""

    def change(payload: dict[str, Any]) -> None:
        for key in path[:-1]:
            payload = payload[key]
        payload[path[-1]] = to

    return change


def _both(*path: str, to: Any) -> Change:
    """Return a change of the repository in both places: the payload agrees with itself, and not with its full name."""
    first, second = _set("repository", *path, to=to), _set("pull_request", "base", "repo", *path, to=to)

    def change(payload: dict[str, Any]) -> None:
        first(payload)
        second(payload)

    return change


_NUMBER = ("pull_request", "number")
CHANGES: tuple[tuple[str, Change], ...] = (
    *((f"the number {value!r}", _set(*_NUMBER, to=value)) for value in
      ("17", "17\n", "\uff11\uff17", "017", 17.0, 1e3, True, -17, 0, 2**63 - 1, 2**64, None, [17], {"n": 17}, "17-x", "17/../18")),
    ("two numbers", _set("number", to=18)),
    ("two numbers, the other way", _set(*_NUMBER, to=18)),
    *((f"the repository {value!r}", _set("repository", "full_name", to=value)) for value in
      ("acme/other", "\u0430cme/shop", "acme/../shop", "ACME/SHOP", "acme/shop\n", "acme", "", None, 17, "acme/shop/x", "acme/%2e%2e")),
    *((f"the repository's name {value!r}", _set("repository", "name", to=value)) for value in
      ("other", "../shop", "shop-17", "sh\u043ep", "*", "", None, ["shop"])),
    ("another name of the repository, in both places", _both("name", to="other")),
    ("another owner, in both places", _both("owner", "login", to="beta")),
    ("another owner's id, in both places", _both("owner", "id", to=1)),
    ("another repository's id", _set("repository", "id", to=1)),
    ("another base", _set("pull_request", "base", "repo", "full_name", to="acme/other")),
    ("no base", _set("pull_request", "base", "repo", to=None)),
    ("no head repository", _set("pull_request", "head", "repo", to=None)),
    ("a pull request that is none", _set("pull_request", to=None)),
    ("a pull request that is a list", _set("pull_request", to=[17])),
    ("a pull request that is text", _set("pull_request", to="closed")),
    ("another pull request's id", _set("pull_request", "id", to=1)),
    ("an action in capitals", _set("action", to="CLOSED")),
    ("an action that is a list", _set("action", to=["closed"])),
    ("a state that contradicts", _set("pull_request", "state", to="open")),
    ("a sender that is nobody", _set("sender", to=None)),
    ("a NUL in the title", _set("pull_request", "title", to="a\x00b")),
    ("half a surrogate pair", _set("pull_request", "title", to="\ud83d")),
    ("a title that steers a terminal", _set("pull_request", "title", to=TITLE)),
    ("a title of 500 KB", _set("pull_request", "title", to="\x1b[31m" * 100_000)),
)  # fmt: skip


def run(stage: Stage, report: Report) -> None:
    """Send them all, and look at what is left."""
    (stage.folder / "shouter.py").write_text(SHOUTER, encoding="utf-8")
    with FakeAws(delete_seconds=0.1) as aws, machine(stage.folder, aws, CONFIG) as scene:
        stacks = {name: _stack(scene, f"preview-{name}") for name in _aims()}
        for number in (*OPEN, CONTROL):
            scene.open_pull(number)
        statuses = [
            (name, _send(scene, body, f"misleading-{place}")) for place, (name, body) in enumerate(_bodies())
        ]
        for name, status in statuses:
            report.check(status in (202, 400), f"{name}: answered with {status}")
        comment = deliveries.encode(
            deliveries.issue_comment("/teardown <!-- closeout:x -->", author="outsider")
        )
        report.check(_send(scene, comment, "comment", "issue_comment") == 202, "the comment was not taken")
        scene.github.world.change_pull(REPOSITORY, CONTROL, "closed")
        control = stacks.pop(f"shop-{CONTROL}")
        until("the control's deletion", lambda: _status(scene, control).startswith("DELETE_"), 60.0)
        _wait_for_runs(scene)
        for name, stack in stacks.items():
            report.check(not _status(scene, stack).startswith("DELETE_"), f"the preview {name} was deleted")
        taken = sum(status == 202 for _, status in statuses)
        report.events.append(f"{len(statuses)} payloads: {len(statuses) - taken} refused, {taken} taken")
        _check_shown(scene, report)
        check_log((scene.folder / "server.log").read_bytes(), report)


def _aims() -> tuple[str, ...]:
    return (
        "shop-17",
        "shop-18",
        "other-17",
        "other-18",
        "shop-017",
        "shop-1000",
        "shop-17-17",
        f"shop-{CONTROL}",
    )


def _bodies() -> list[tuple[str, bytes]]:
    """Return every payload as it is sent."""
    bodies: list[tuple[str, str]] = []
    for name, change in CHANGES:
        payload = deliveries.pull_request()
        change(payload)
        bodies.append((name, json.dumps(payload)))

    def text() -> str:
        return json.dumps(deliveries.pull_request())  # each is a closing of its own

    for depth in DEPTHS:
        bodies += [(f"{depth} levels", text().replace('"Add a basket"', "[" * depth + "]" * depth))]
    for key, other in (("number", "18"), ("full_name", '"acme/other"'), ("action", '"opened"')):
        escaped = f"\\u{ord(key[0]):04x}{key[1:]}"
        for kind, twin in (("twice", key), ("twice, escaped", escaped)):
            bodies += [(f"{key} {kind}", text().replace(f'"{key}":', f'"{twin}": {other}, "{key}":'))]
    return [(name, body.encode()) for name, body in bodies]


def _send(scene: Machine, body: bytes, guid: str, event: str = "pull_request") -> int:
    """Deliver a signed body over a connection of its own; return the status."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", scene.port, timeout=10, source_address=(GOOD, 0))
    try:
        connection.request("POST", "/webhook", body, deliveries.signed_headers(event, body, SECRET, guid))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return status_of(b"")
    finally:
        connection.close()


def _stack(scene: Machine, name: str) -> str:
    return str(scene.client("cloudformation").create_stack(StackName=name, TemplateBody=QUEUE)["StackId"])


def _status(scene: Machine, stack: str) -> str:
    return str(scene.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])


def _wait_for_runs(scene: Machine) -> None:
    """Wait until every run has ended or waits: what waits does so for GitHub's word about something open."""
    views = Views(scene.db)
    end = time.monotonic() + 20.0
    while time.monotonic() < end and any(run.state in ("queued", "running") for run in views.runs()):
        time.sleep(0.1)


def _check_shown(scene: Machine, report: Report) -> None:
    """What the command line prints of the misleading runs steers no terminal."""
    runs = Views(scene.db).runs()
    told = [run for run in runs if run.automation == "hear"]
    report.check(len(told) == 1, "a comment that holds `<!-- closeout:` started no run")
    steering = [
        run for run in runs if run.automation == "shout" and "\x1b" in f"{run.summary}{run.reason}{run.steps}"
    ]
    some = (
        steering[:2] or [run for run in runs if run.automation == "shout" and run.verdict == "failure"][-2:]
    )
    report.check(bool(some), "no run has shouted its title")
    words = [("runs", verb, f"{run.id}") for run in some for verb in ("show", "logs")]
    for command in (*words, ("runs", "list"), ("deliveries", "list")):
        done = scene.closeout(*command, "--db", str(scene.db), check=False)
        found = RAW_CONTROL.search((done.stdout + done.stderr).replace("\t", " "))
        report.check(found is None, f"`{' '.join(command[:2])}` prints {found.group() if found else ''!r}")
