"""A ledger in memory that carries requests out at once, plans that a test sets, and visitors who may read or act."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import urlencode

from closeout.core import ids
from closeout.core.errors import CloseoutError, NotFound
from closeout.core.records import NewDelivery, NewRun
from closeout.ledger.problems import dismiss
from closeout.orphans.audit import Report, Row, Target
from closeout.patrol.ignored import Ignored
from closeout.ports import Ending
from closeout.ports.access import ACT, READ, SESSION, TOKEN, Credential
from closeout.server.access import Access, PresentedSecret, digest, new_secret
from closeout.server.parts import PageActions
from closeout.testing import deliveries
from tests.contract.http.serving import AUTOMATION, KEY, Answer, FakeStore, Running, serving

NAME = AUTOMATION.name
SECRET = "ghs_a-token-of-this-server"
"""What the server's redactor knows."""
SECRETS = {
    "operator": new_secret(KEY, SESSION),
    "reader": new_secret(KEY, SESSION),
    "program": new_secret(KEY, TOKEN),
}
PLAN: tuple[dict[str, Any], ...] = (
    {
        "name": NAME,
        "mode": "apply",
        "steps": [
            {
                "id": "stack",
                "uses": "aws/cloudformation-delete-stack",
                "changes": [
                    {"verb": "delete", "resource": "stack preview-17", "reason": "it exists"},
                    {"verb": "delete", "resource": "bucket preview-17-assets", "reason": "part of the stack"},
                    {"verb": "keep", "resource": "table preview-17-audit", "reason": "DeletionPolicy: Retain"},
                ],
            }
        ],
    },
)  # fmt: skip


def step(**values: Any) -> list[dict[str, Any]]:
    """Return a plan of one step."""
    return [
        {"name": NAME, "mode": "apply", "steps": [{"id": "stack", "uses": "shell", "changes": [], **values}]}
    ]


class Visitors:
    """Credentials that never expire: of an operator, a reader, and a program that may act."""

    def find(self, sought: str) -> Credential | None:
        """Return whose secret it is."""
        for number, (who, secret) in enumerate(SECRETS.items(), 1):
            if digest(secret) == sought:
                kind = TOKEN if who == "program" else SESSION
                return Credential(number, kind, who, READ if who == "reader" else ACT, 0.0, 100.0, None)
        return None

    def all(self) -> Sequence[Credential]:
        """Return nothing: nobody lists them here."""
        return ()

    def add(self, *_: Any, **__: Any) -> bool:
        """Refuse."""
        return False

    def end(self, number: int) -> bool:
        """Refuse."""
        del number
        return False


class ActionStore(FakeStore):
    """A ledger; `held` keeps requests waiting."""

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.held = False
        self.broken: CloseoutError | None = None
        self.asked: list[tuple[str, str | None, str, str | None]] = []
        self.replays: list[str] = []

    def finished(self, guid: str = "g-1", verdict: str = "failure") -> str:
        """Add a delivery and its finished run; return the run's id."""
        run_id = self.queued(guid)
        self.end(run_id, verdict)
        return run_id

    def queued(self, guid: str = "g-1") -> str:
        """Add a delivery and its run."""
        run_id = ids.run_id(guid, NAME)
        body = deliveries.encode(deliveries.pull_request())
        delivery = NewDelivery(
            "1", guid, "pull_request", "closed", "acme/shop", body, False, 1.0, "github", 17
        )
        self.accept_wait(delivery, [NewRun(run_id, NAME, None, AUTOMATION.canonical(), 60.0)])
        return run_id

    def end(self, run_id: str, verdict: str = "failure") -> None:
        """End the latest attempt."""
        found = self._find(run_id)
        assert found is not None
        self.finish(found.number, Ending(verdict, "it ended"), 2.0)

    def add_request(self, kind: str, target: str | None, by: str, reason: str | None) -> int:
        """Store a request, and carry it out as a server's engine would."""
        if self.broken is not None:
            raise self.broken
        number = super().add_request(kind, target, by, reason)
        self.asked.append((kind, target, by, reason))
        if not self.held:
            self._carry_out(kind, str(target), by, number)
        return number

    def _carry_out(self, kind: str, target: str, by: str, number: int) -> None:
        if kind == "rerun":
            self.new_attempt(target, AUTOMATION.canonical(), by, key=None, queue_timeout=60.0, request=number)
        elif kind == "cancel":
            self.finish_request(number, "done" if self.ask_cancel(target, by) else "unknown or finished")
        elif kind in ("replay", "recover", "clean"):
            self.finish_request(number, self.replays.pop(0))
        elif kind == "dismiss":
            self.finish_request(number, dismiss(self.problems, target, by, 3.0))
        else:
            self.take_requests()


class Planned:
    """Makes the plans: a test sets what they say and how long they take."""

    def __init__(self) -> None:
        self.rows: Sequence[Mapping[str, Any]] = PLAN
        self.error: CloseoutError | None = None
        self.report = Report((), ())
        self.ready = threading.Event()
        self.ready.set()
        self.made = 0

    def __call__(
        self, event: str, payload: Mapping[str, Any], *, only: str | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Return the plan."""
        del event, payload, only
        self.ready.wait(60)
        self.made += 1
        if self.error is not None:
            raise self.error
        return self.rows

    def cleaning(self, target: Target) -> Sequence[Mapping[str, Any]]:
        """Return the plan of a run that cleans up."""
        return self(target.automation, {})

    def audit(self) -> Report:
        """Return what the audit says."""
        self.ready.wait(60)
        if self.error is not None:
            raise self.error
        return self.report

    def left_alone(self, guid: str) -> Ignored:
        """Find the one delivery that patrol left alone."""
        if guid != LEFT_ALONE.guid:
            raise NotFound(f"No delivery {guid} is left to recover.")
        return LEFT_ALONE


LEFT_ALONE = Ignored("/repos/acme/shop/hooks/1", 7, "5f3a-11f0", "push", None, "acme/shop", 1, wanted=True)


def orphan(number: int, resource: str) -> Row:
    """Return an orphan of a pull request of acme/shop."""
    return Row(None, resource, "orphan", "", "acme/shop", number, NAME, 1.0, False)


class Form(HTMLParser):
    """The form of a page other than the sign-out form: its address and its fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.fields: dict[str, str] = {}
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a form and its fields."""
        named = dict(attrs)
        if tag == "form":
            self._inside = named["action"] != "/logout"
            self.action = str(named["action"]) if self._inside else ""
        elif tag == "input" and named.get("name") and self._inside:
            self.fields[str(named["name"])] = named.get("value") or ""


class ActionSite(NamedTuple):
    """A server with pages, and everything it uses."""

    server: Running
    store: ActionStore
    planned: Planned

    def get(self, path: str, who: str = "operator", accept: str = "text/html") -> Answer:
        """Ask for a page."""
        return self.server.send("GET", path, headers=headers(who, accept))

    def post(
        self, path: str, form: Mapping[str, str], who: str = "operator", accept: str = "text/html"
    ) -> Answer:
        """Send a form."""
        return self.server.send("POST", path, urlencode(form).encode(), headers(who, accept))

    def form(self, path: str) -> Form:
        """Read the form of a page."""
        page = self.get(path)
        assert page.status == 200, page.body
        return Form(page.body.decode())


def headers(who: str, accept: str = "text/html") -> dict[str, str]:
    """Return the headers of a visitor's request."""
    form = {"Accept": accept, "Content-Type": "application/x-www-form-urlencoded"}
    if who == "nobody":
        return form
    if who == "program":
        return {**form, "Accept": "application/json", "Authorization": f"Bearer {SECRETS[who]}"}
    return {**form, "Cookie": f"closeout_session={SECRETS[who]}"}


def form_token(who: str) -> str:
    """Return what each form of a session carries."""
    visitor = Access(KEY, Visitors(), lambda: 1.0).visitor(PresentedSecret(SESSION, SECRETS[who]))
    assert visitor is not None
    return str(visitor.form_token)


@contextmanager
def action_site() -> Iterator[ActionSite]:
    """Serve in a thread until the block ends."""
    store, planned = ActionStore(), Planned()
    access = Access(KEY, Visitors(), lambda: 1.0)
    page_actions = PageActions(
        requests=store,
        plan=planned,
        plan_cleaning=planned.cleaning,
        audit=planned.audit,
        left_alone=planned.left_alone,
        read=lambda each: {"ref": "refs/heads/main", "guid": each.guid},
    )
    with serving(
        store=store,
        access=access,
        page_actions=page_actions,
        redact=lambda text: text.replace(SECRET, "[redacted]"),
    ) as server:
        yield ActionSite(server, store, planned)
