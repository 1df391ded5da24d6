"""What is outside closeout: GitHub without a socket, the network between the two, and a cloud with previews.

GitHub is `closeout.testing.github` behind the real client of its API, so an answer takes the way of every answer but for
the wire. Each call from inside goes through `Fate`, which decides whether the process still lives and the call succeeds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from closeout.adapters.github import GitHubClient
from closeout.core.errors import ServiceError
from closeout.core.url import Url
from closeout.engine.durable import Abandoned
from closeout.patrol.answers import seconds
from closeout.ports import HttpAnswer
from closeout.testing import deliveries
from closeout.testing.durable import FakeClock
from closeout.testing.github.handler import Handler
from closeout.testing.github.routes import ListedPage
from closeout.testing.github.webhooks import Hook, Sender, stamp
from closeout.testing.github.world import Pull, Repository, World

SECRET = "the-secret-of-the-hooks"
HOOK_URL = "https://closeout.example.com/webhook"
ORIGIN = "http://127.0.0.1:1"
RETENTION = 3 * 86_400
"""Seconds for which GitHub keeps a delivery in its log."""
FAULTS = ("502", "429", "404", "half", "silence")


class Died(Abandoned):
    """The process was killed here. All that it had in memory is gone."""


@dataclass
class Fate:
    """Which calls fail, and when the process dies. `nth`: every call of this number fails, 0: none."""

    nth: int = 0
    kind: str = "502"
    dies_in: int | None = None
    """Calls after which the process is killed."""
    meanwhile: Callable[[], None] = lambda: None
    """Happens before each call to GitHub: other people do not wait."""
    calls: int = 0
    failed: int = 0
    deaths: int = 0

    dead: bool = False
    """Whether it was killed: then it does nothing more, not even in a `finally`."""

    def step(self) -> None:
        """Count what the process does outside itself. Raises `Died`."""
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in < 0:
                self.deaths += not self.dead
                self.dead = True
                raise Died

    def born(self) -> None:
        """Let another process take over."""
        self.dies_in, self.dead = None, False

    def fails(self) -> bool:
        """Whether the next call to GitHub fails."""
        self.calls += 1
        fails = bool(self.nth) and self.calls % self.nth == 0
        self.failed += fails
        return fails


@dataclass(eq=False)
class Delivery:
    """A delivery on its way: GitHub has sent it, and it is not said yet whether it arrives."""

    repository: Repository
    hook: Hook
    event: str
    guid: str
    payload: dict[str, Any]

    def without_moment(self) -> Delivery:
        """Return it as GitHub was seen to send it: closed, and open, and without a moment."""
        pull = {**self.payload["pull_request"], "state": "open", "closed_at": None}
        return replace(self, payload={**self.payload, "pull_request": pull})

    def request(self, secret: str = SECRET) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """Return headers and body, as they arrive."""
        body = deliveries.encode(self.payload)
        headers = deliveries.signed_headers(self.event, body, secret, self.guid, self.hook.id)
        return [(key.lower().encode(), value.encode()) for key, value in headers.items()], body


class GitHub(GitHubClient):
    """GitHub and its API's client. `in_flight` is what it has sent; `sent` all that it ever sent."""

    def __init__(self, clock: FakeClock, fate: Fate, *, per_page: int) -> None:
        super().__init__(lambda: "a-token", ORIGIN, now=clock.now)
        self.url = ORIGIN
        self.clock, self.fate, self.per_page = clock, fate, per_page
        self.world = World(self.emit, now=clock.now)
        self.world.add_token("a-token")
        self.sender = cast("Sender", None)
        self.remaining = 5_000
        self.left = 5_000
        """Calls that the token has left, as each answer says."""
        self.lag = 0
        """Seconds for which the API shows a pull request as it was before: its replicas are behind."""
        self.logs_read: dict[int, tuple[int, list[tuple[int, int]]]] = {}
        """By hook whose log was asked for: when, and what the log had then: moments and ids."""
        self.in_flight: list[Delivery] = []
        self.sent: list[Delivery] = []
        self._numbers = 0

    def add_repository(self, name: str) -> Repository:
        """Add a repository with a webhook that leads to closeout."""
        repository = self.world.add_repository(name)
        hook = Hook(self.world.next_id(400_000), HOOK_URL, SECRET, ("pull_request",), form=False)
        repository.hooks[hook.id] = hook
        return repository

    def identity(self, name: str) -> int:
        """Return the id of the repository that has, or had, a name."""
        renamed = self.world.renamed.get(name.lower())
        return renamed or self.world.repository(name).id

    def number(self) -> int:
        """Return a number that nothing else has."""
        self._numbers += 1
        return self._numbers

    def emit(self, repository: Repository, event: str, payload: dict[str, Any]) -> None:
        """Send a closing to each hook; nobody here listens to anything else."""
        for hook in repository.hooks.values():
            if hook.wants(event) and payload.get("action") == "closed":
                sent = Delivery(repository, hook, event, f"guid-{self.number()}", payload)
                self.in_flight.append(sent)
                self.sent.append(sent)

    def log(self, delivery: Delivery, *, arrived: bool) -> None:
        """Note in the hook's log what became of a delivery."""
        delivery.repository.deliveries.insert(
            0,
            {
                "id": 10_000 + self.number(),
                "guid": delivery.guid,
                "delivered_at": stamp(self.clock.now()),
                "redelivery": False,
                "status": "OK" if arrived else "timed out",
                "status_code": 202 if arrived else 0,
                "event": delivery.event,
                "action": delivery.payload.get("action"),
                "hook_id": delivery.hook.id,
                "url": delivery.hook.url,
                "request": {"headers": {}, "payload": delivery.payload},
            },
        )

    def forget_old_deliveries(self, older_than: float = RETENTION) -> None:
        """Drop what the logs no longer keep."""
        oldest = stamp(self.clock.now() - older_than)
        for repository in self.world.repositories.values():
            while repository.deliveries and repository.deliveries[-1]["delivered_at"] < oldest:
                repository.deliveries.pop()

    # --- the API ------------------------------------------------------------------------------------------

    def _send(self, method: str, path: str, url: Url, data: bytes | None, etag: str | None) -> HttpAnswer:
        self.fate.step()
        self.fate.meanwhile()
        failing = self.fate.fails()
        if failing and self.fate.kind == "silence":
            operation = f"{method} {path}"
            raise ServiceError(
                "no answer", service="github", operation=operation, reason="ReadTimeout", transient=True
            )
        if failing and self.fate.kind.isdigit():
            text = json.dumps({"message": "a fault on purpose"}).encode()
            return HttpAnswer(int(self.fate.kind), self._dated({"retry-after": "60"}), text)
        answer = self._answered(method, url, data, etag)
        return answer._replace(body=answer.body[: len(answer.body) // 2]) if failing else answer

    def _answered(self, method: str, url: Url, data: bytes | None, etag: str | None) -> HttpAnswer:
        self.forget_old_deliveries()
        query = dict(parse_qsl(url.query.removeprefix("?")))
        if "per_page" in query and not url.path.endswith("/hooks"):
            query["per_page"] = str(self.per_page)
        self._note_log(url.path)
        exchange = _Exchange(self, method, {"If-None-Match": etag or ""})
        token = self.world.tokens["a-token"]
        status, body, headers = exchange._answer(
            unquote(url.path), json.loads(data) if data else {}, query, token
        )
        if method == "GET" and status == 200 and "/pulls" in url.path:
            body = self._behind(body)
        text = json.dumps(body)
        if method == "GET" and status == 200:
            status, body, headers = exchange._conditional(url.path, body, text, headers)
        data = b"" if status in (204, 304) else text.encode()
        return HttpAnswer(status, self._dated({k.lower(): v for k, v in headers.items()}), data)

    def _note_log(self, path: str) -> None:
        asked = re.search(r"/hooks/(\d+)/deliveries$", path)
        for repository in self.world.repositories.values() if asked else ():
            if asked and int(asked[1]) in repository.hooks:
                entries = [(seconds(entry["delivered_at"]), entry["id"]) for entry in repository.deliveries]
                self.logs_read.setdefault(int(asked[1]), (int(self.clock.now()), entries))

    def _behind(self, body: Any) -> Any:
        """Return an answer about pull requests as a replica gives it that is behind.

        In lists it is behind with some of them only, so that a closing may show later than one that came after it.
        """
        since = stamp(self.clock.now() - self.lag)
        if not self.lag:
            return body
        if isinstance(body, ListedPage):
            body[:] = [item for item in body if not (_closed(item) > since and item["number"] % 3)]
        elif _closed(body) > since:
            body = {**body, "state": "open", "closed_at": None, "merged": False, "merged_at": None}
        return body

    def _dated(self, headers: Mapping[str, str]) -> dict[str, str]:
        limits = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": str(self.left)}
        return {**headers, **limits, "date": formatdate(self.clock.now(), usegmt=True)}


def _closed(item: Mapping[str, Any]) -> str:
    return item.get("closed_at") or ""


class _Exchange(Handler):
    """One request to the fake GitHub, without a connection."""

    def __init__(self, fake: GitHub, command: str, headers: Mapping[str, str]) -> None:
        fake.remaining = 5_000
        self.fake = cast("Any", fake)
        self.command = command
        self.headers = cast("Any", headers)


@dataclass
class Cloud:
    """The previews. It notes what was deleted and must stay: that is the second half of the promise.

    It has what the action of `tests.unit.run.world` asks of its world.
    """

    github: GitHub
    made: dict[str, tuple[Repository, int] | None] = field(default_factory=dict)
    """What is there: for which pull request it was made; None: it is somebody else's."""
    created: dict[str, float] = field(default_factory=dict)
    undeletable: set[str] = field(default_factory=set)
    deleted: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What must never happen, and did. An engine would take an exception here for one of the step."""

    def make(self, name: str, owner: tuple[Repository, int] | None) -> None:
        """Make something."""
        self.made[name] = owner
        self.created[name] = self.github.clock.now()

    def pull(self, name: str) -> Pull | None:
        """Return the pull request that something was made for."""
        owner = self.made[name]
        return owner[0].pulls[owner[1]] if owner else None

    @property
    def resources(self) -> set[str]:
        """The names of all that is there."""
        return set(self.made)

    @resources.setter
    def resources(self, left: set[str]) -> None:
        self.made = {name: owner for name, owner in self.made.items() if name in left}

    def call(self, name: str) -> None:
        """Witness a call. What is deleted must be of a pull request that is closed now."""
        self.github.fate.step()
        verb, _, resource = name.partition(" ")
        if verb == "delete" and resource in self.made:
            pull = self.pull(resource)
            if pull is None:
                self.wrong.append(f"{resource} is somebody else's and was deleted")
            elif pull.state != "closed":
                self.wrong.append(f"{resource} was deleted, and #{pull.number} is open")
            self.deleted.append(resource)
