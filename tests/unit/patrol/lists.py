"""A GitHub of lists without HTTP, for patrol's own tests: pages, tags, a clock, lagging replicas, and faults on purpose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from closeout.core.errors import ServiceError
from closeout.patrol.answers import shown
from closeout.patrol.closed_list import ClosedPull
from closeout.ports.patrol import Page

START = 1_780_000_000


def failure(reason: str = "502", *, transient: bool = True, status: int | None = 502) -> ServiceError:
    """Return an error as GitHub's client raises it."""
    return ServiceError(
        f"GitHub: {reason}",
        service="github",
        operation="GET",
        reason=reason,
        transient=transient,
        http_status=status,
    )


class Lists:
    """One repository's pull requests. `before` is called ahead of each answer, and may change the world or raise."""

    def __init__(self, *, per_page: int = 100, repository: int = 501) -> None:
        self.per_page = per_page
        self.repository = repository
        self.name = "acme/shop"
        self.others: dict[int, str] = {}
        """Names of repositories that one may ask for by id."""
        """Its present name; it answers to `acme/shop` too."""
        self.now = START
        self.lag = 0
        self.pulls: dict[int, dict[str, Any]] = {}
        self.before: Callable[[str], None] = lambda _path: None
        self.calls: list[tuple[str, bool]] = []
        self.events: list[dict[str, Any]] = []
        self.remaining: int | None = None
        self._past: list[tuple[int, list[dict[str, Any]]]] = [(0, [])]

    # --- what people do -----------------------------------------------------------------------------------

    def open(self, number: int) -> None:
        """Open a pull request, or reopen it."""
        self._change(number, state="open", closed_at=None)

    def close(self, number: int) -> None:
        """Close a pull request, as the user `u<number>`."""
        event = {"event": "closed", "actor": {"login": f"u{number}"}, "created_at": shown(self.now)}
        self.events.insert(0, {**event, "issue": {"number": number}})
        self._change(number, state="closed", closed_at=shown(self.now))

    def comment(self, number: int) -> None:
        """Update a pull request without any other change."""
        self._change(number)

    def _change(self, number: int, **fields: Any) -> None:
        blank = {
            "id": 9_000 + number,
            "number": number,
            "base": {"repo": {"id": self.repository}},
            "merged_at": None,
        }
        self.pulls[number] = self.pulls.get(number, blank) | fields | {"updated_at": shown(self.now)}
        self._past.append((self.now, self._closed()))

    def _closed(self) -> list[dict[str, Any]]:
        closed = [dict(pull) for pull in self.pulls.values() if pull["state"] == "closed"]
        return sorted(closed, key=lambda pull: (pull["updated_at"], pull["id"]), reverse=True)

    def closings(self) -> set[tuple[int, str]]:
        """Return number and moment of what is closed now."""
        return {(pull["number"], pull["closed_at"]) for pull in self._closed()}

    # --- what GitHub answers --------------------------------------------------------------------------------

    def read(self, path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        """Answer as `GitHubReads`."""
        self.before(path)
        if path.startswith("/repositories/") and int(path.split("/")[2]) in self.others:
            number = int(path.split("/")[2])
            return self._page(path, {"id": number, "full_name": self.others[number]}, None, etag)
        path = path.replace(f"/repos/{self.name}", "/repos/acme/shop")
        if path == "/repos/acme/shop":
            return self._page(path, {"id": self.repository}, None, etag)
        if path == "/repos/acme/shop/issues/events":
            at = int(query.get("page", "1"))
            cut = self.events[(at - 1) * self.per_page : at * self.per_page]
            more = len(self.events) > at * self.per_page
            return self._page(path, cut, {**query, "page": str(at + 1)} if more else None, etag)
        if path != "/repos/acme/shop/pulls":
            raise failure("404", transient=False, status=404)
        assert (query["state"], query["sort"], query["direction"]) == ("closed", "updated", "desc")
        shown_now = next(state for at, state in reversed(self._past) if at <= self.now - self.lag or at == 0)
        page = int(query.get("page", "1"))
        items = [self._named(pull) for pull in shown_now[(page - 1) * self.per_page : page * self.per_page]]
        more = len(shown_now) > page * self.per_page
        return self._page(path, items, {**query, "page": str(page + 1)} if more else None, etag)

    def _named(self, pull: dict[str, Any]) -> dict[str, Any]:
        """Return it with the present name of its repository."""
        repository = pull["base"]["repo"]
        return pull | {"base": {"repo": repository and {"full_name": self.name, **repository}}}

    def _page(self, path: str, body: Any, following: Mapping[str, str] | None, etag: str | None) -> Page:
        tag = f'"{hash(repr(body))}"'
        self.calls.append((path, tag == etag))
        if self.remaining is not None:
            self.remaining -= tag != etag
        unchanged = tag == etag
        return Page(
            None if unchanged else body,
            unchanged,
            tag,
            self.now,
            None if unchanged else following,
            self.remaining,
            5000,
        )


class MemoryMarks:
    """A `PatrolStore` in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Mapping[str, Any]] = {}
        self.delivered: set[tuple[str, str]] = set()

    def marks(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Return all marks of a kind."""
        return {key: value for (of, key), value in self.kept.items() if of == kind}

    def save_mark(self, kind: str, key: str, value: Mapping[str, Any]) -> None:
        """Keep a mark."""
        self.kept[kind, key] = dict(value)

    def has_delivery(self, hook: str, guid: str) -> bool:
        """Whether a test says that it was delivered."""
        return (hook, guid) in self.delivered


class Taken:
    """A `ClosingIntake` that notes what it takes in, once for each closing and automation."""

    def __init__(self) -> None:
        self.started: list[tuple[int, str, str]] = []
        self.before: Callable[[], None] = lambda: None
        self.senders: dict[int, Any] = {}
        self.open: set[int] = set()
        """The numbers of pull requests whose runs go on."""

    def goes_on(self, closed: ClosedPull, automations: frozenset[str]) -> bool:
        """Whether a test says so."""
        del automations
        return closed.pull["number"] in self.open

    def is_new(self, closed: ClosedPull, automations: frozenset[str]) -> bool:
        """Whether one of the automations has not been started for it."""
        return any((*self._closing(closed), each) not in self.started for each in automations)

    def take_in(
        self, closed: ClosedPull, automations: frozenset[str], sender: Mapping[str, Any] | None
    ) -> bool:
        """Note it."""
        self.before()
        self.senders[closed.pull["number"]] = sender
        new = [each for each in sorted(automations) if (*self._closing(closed), each) not in self.started]
        self.started += [(*self._closing(closed), each) for each in new]
        return bool(new)

    @staticmethod
    def _closing(closed: ClosedPull) -> tuple[int, str]:
        return closed.pull["number"], shown(closed.closed)
