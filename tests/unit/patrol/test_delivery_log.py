"""The delivery logs of hooks: what is recovered, what is only counted, and where a log ends too early."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from closeout.core.automation import Automation
from closeout.patrol.answers import shown
from closeout.patrol.coverage import Coverage
from closeout.patrol.delivery_log import LAG, DeliveryLogs, Entry
from closeout.patrol.hooks import Hook, Hooks
from closeout.patrol.ignored import IGNORED, MOST, Ignored, ignored, keep_ignored
from closeout.patrol.marks import RepositoryMark
from closeout.patrol.report import Report
from closeout.ports.patrol import Page
from closeout.wiring.recovery import left_alone
from tests.unit.patrol.lists import START, MemoryMarks, failure

DAY = 86_400
URL = "https://closeout.example/webhook"
CLEAN = Automation(name="clean", triggers=({"event": "pull_request", "types": ["closed"]},))
LISTS = {"acme/shop": ("clean",)}
HERE = {
    501: RepositoryMark(
        id=501, name="acme/shop", known_to=START, etag=None, read_at=START, beginnings={"clean": START}
    )
}


class Logs:
    """A GitHub of hooks and their logs without HTTP."""

    def __init__(self) -> None:
        self.now = START
        self.per_page = 2
        self.hooks: dict[str, list[tuple[int, str, list[str]]]] = {}
        self.hooks = {"/repos/acme/shop": [(77, URL, ["pull_request", "push"])]}
        self.log: dict[int, list[dict[str, Any]]] = {77: [], 78: []}
        self.before: Callable[[str], None] = lambda _path: None
        self.calls: list[str] = []

    def deliver(
        self,
        event: str = "pull_request",
        action: str | None = "closed",
        hook: int = 77,
        *,
        again: bool = False,
        **pull: Any,
    ) -> str:
        """Note a delivery; return its GUID."""
        self.now += 10
        number = 1_000 + sum(map(len, self.log.values()))
        closed = {"closed_at": shown(self.now), "number": 5} | pull
        payload = {"action": action, "pull_request": closed, "repository": {"id": 501}}
        entry = {
            "id": number,
            "guid": f"guid-{number}",
            "event": event,
            "action": action,
            "delivered_at": shown(self.now),
            "redelivery": again,
            "request": {"payload": payload if event == "pull_request" else {"ref": "x"}},
        }
        self.log[hook].insert(0, entry)
        return str(entry["guid"])

    def read(self, path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        """Answer as `GitHubReads`."""
        self.calls.append(path)
        self.before(path)
        owner, _, rest = path.partition("/hooks")
        if owner not in self.hooks:
            raise failure("404", transient=False, status=404)
        if not rest:
            hooks = [
                {"id": i, "config": {"url": url}, "events": events} for i, url, events in self.hooks[owner]
            ]
            return self._page(hooks, None, etag)
        known = list(self.log[int(rest.split("/")[1])])
        if rest.count("/") == 3:
            return self._page(
                next(one for one in known if str(one["id"]) == rest.rpartition("/")[2]), None, etag
            )
        at = int(query.get("cursor", "0"))
        cut = [{k: v for k, v in entry.items() if k != "request"} for entry in known[at : at + self.per_page]]
        following = {"cursor": str(at + self.per_page)} if len(known) > at + self.per_page else None
        return self._page(cut, following, etag)

    def _page(self, body: Any, following: Mapping[str, str] | None, etag: str | None) -> Page:
        same = repr(body) == etag
        return Page(None if same else body, same, repr(body), self.now, following, 5_000, 5_000)


class Round:
    """Rounds over the logs; `stored` is the ledger."""

    def __init__(self, *automations: Automation) -> None:
        self.github, self.store, self.hooks = Logs(), MemoryMarks(), Hooks()
        self.automations = automations or (CLEAN,)
        self.stored: dict[tuple[int, str], frozenset[str]] = {}

    def has(self, hook: int, guid: str) -> bool:
        """Whether the delivery is stored."""
        return (hook, guid) in self.stored

    def recover(
        self, hook: int, entry: Entry, payload: Mapping[str, Any], automations: frozenset[str]
    ) -> bool:
        """Store it."""
        self.stored[hook, entry.guid] = automations
        return True

    def patrol(
        self, repositories: Mapping[int, RepositoryMark] = HERE, lists: Mapping[str, tuple[str, ...]] = LISTS
    ) -> Report:
        """Make one round."""
        report = Report()
        self.github.calls.clear()
        logs = DeliveryLogs(self.github, self.store, self, self.automations, report, lists, repositories)
        hooks = self.hooks.candidates(
            self.github, Coverage({"acme/shop": ("clean",)}, ()), report, again=True
        )
        logs.patrol(hooks, lambda url: url == URL, self.hooks.foreign)
        return report


@pytest.fixture
def world() -> Round:
    """Return a world in which patrol has begun to watch the hook."""
    made = Round()
    for _ in range(5):
        made.github.deliver()
    assert made.patrol().errors == []
    assert made.stored == {}, "nothing from before the beginning is taken in"
    return made


def test_missed_deliveries_are_recovered_once_however_far_back(world: Round) -> None:
    """Over many pages, the oldest first; those that arrived are left alone."""
    lost = [world.github.deliver() for _ in range(7)]
    world.stored[77, world.github.deliver()] = frozenset()
    report = world.patrol()
    assert (report.deliveries_seen, report.recovered, report.ignored, report.gaps) == (8, 7, 0, 0)
    assert [guid for (_, guid), begun in world.stored.items() if begun == {"clean"}] == lost
    assert (world.patrol().recovered, world.patrol().deliveries_seen) == (0, 0)


def test_a_log_is_read_back_to_the_last_known_delivery_and_no_further(world: Round) -> None:
    """An organization's may have thousands. To begin, the first page is enough."""
    log = "/repos/acme/shop/hooks/77/deliveries"
    assert world.github.calls.count(log) == 1
    world.github.now += 1_000
    lost = [world.github.deliver() for _ in range(3)]
    world.patrol()
    lost.append(world.github.deliver())
    world.patrol()
    assert world.github.calls.count(log) == 3, "of five pages"
    assert [guid for _, guid in world.stored] == lost


def test_a_delivery_that_the_log_shows_late_is_recovered(world: Round) -> None:
    """The last minutes are read again, to the second: it may be on the page behind the one that ends there."""
    github = world.github
    first = github.deliver()
    github.now -= 10
    late = github.deliver()
    github.log[78].append(github.log[77].pop(0))
    github.now += 100
    github.deliver()
    github.now += LAG - 120
    github.deliver()
    world.patrol()
    github.log[77].insert(1 + [one["guid"] for one in github.log[77]].index(first), github.log[78].pop())
    github.deliver()
    assert world.patrol().recovered == 2
    assert (77, late) in world.stored


@pytest.mark.parametrize(("before", "gaps"), [(LAG, 1), (LAG + 1, 0)])
def test_an_older_delivery_proves_that_the_log_is_complete(world: Round, before: int, gaps: int) -> None:
    """Even if the last known one is missing; in the last minutes the order is uncertain."""
    last = world.github.now
    world.github.log[77].clear()
    world.github.now -= before + 10
    world.github.deliver()
    world.github.now = last + 3_600
    assert world.patrol().gaps == gaps
    if not gaps:
        assert world.store.kept["hook", "77"]["delivered_at"] == last, "no mark moves back"


@pytest.mark.parametrize(
    ("event", "action"), [("push", None), ("pull_request", "opened"), ("issue_comment", "created")]
)
def test_events_without_a_live_check_are_only_counted(world: Round, event: str, action: str | None) -> None:
    """A push of three days ago deploys nothing."""
    world.github.deliver(event, action)
    report = world.patrol()
    assert (report.recovered, report.ignored, world.stored) == (0, 1, {})
    assert not any(path.endswith("/1005") for path in world.github.calls), "nor are they read"


def test_an_event_without_an_automation_is_only_counted(world: Round) -> None:
    """Even with a live check."""
    world.github.deliver("delete", None)
    assert world.patrol().ignored == 1
    world.automations = (CLEAN, Automation(name="refs", triggers=({"event": "delete"},)))
    world.patrol()
    world.github.deliver("delete", None)
    assert world.patrol().recovered == 1


@pytest.mark.parametrize(
    ("away", "empty", "gap"),
    [(3_600, False, 0), (3_600, True, 1), (2 * DAY, True, 1), (14 * DAY, True, 1), (14 * DAY, False, 1)],
)
def test_a_log_that_ends_before_the_last_known_delivery_is_a_gap(
    world: Round, away: int, empty: bool, gap: int
) -> None:
    """After a fortnight GitHub has forgotten it, and an empty log says nothing."""
    world.github.now += away
    if empty or away > 3 * DAY:
        world.github.log[77].clear()
    guid = world.github.deliver() if not empty else None
    report = world.patrol()
    assert (report.gaps, report.recovered) == (gap, int(not empty))
    assert (guid is None) or (77, guid) in world.stored
    world.store.kept["hook", "77"] = {**world.store.kept["hook", "77"], "etag": None}
    assert world.patrol().gaps == 0, "it is told once"


def test_an_ignored_delivery_can_be_replayed_for_three_days(
    world: Round,
) -> None:
    """With its repository and the reason; one that arrives after all is left out."""
    world.automations = (CLEAN, Automation(name="deploy", triggers=({"event": "push"},)))
    push, comment = world.github.deliver("push", None), world.github.deliver("issue_comment", "created")
    world.github.deliver("ping", None)
    assert world.patrol().ignored == 3
    assert world.patrol().ignored == 0
    later = world.github.deliver("push", None)
    world.patrol()
    now = world.github.now

    def listed(at: float, stored: str = "") -> list[tuple[str, str | None, bool]]:
        world.store.delivered = {("77", stored)}
        return [(each.guid, each.repository, each.wanted) for each in left_alone(world.store, at)]

    everything = [(later, "acme/shop", True), (comment, "acme/shop", False), (push, "acme/shop", True)]
    assert listed(now) == everything
    assert listed(now, push) == everything[:2]
    assert listed(now + 3 * DAY) == []


def test_an_ignored_delivery_has_its_reason() -> None:
    """As `closeout deliveries list --ignored --json` prints it."""
    facts = ("/repos/acme/shop/hooks/77", 1_001, "g", "push", None, "acme/shop", START)
    assert Ignored(*facts, wanted=False).to_json() == {
        "delivered_at": START,
        "hook": "77",
        "guid": "g",
        "event": "push",
        "action": None,
        "repository": "acme/shop",
        "reason": "no automation starts on this event",
    }
    assert "has no live check" in Ignored(*facts, wanted=True).reason


def test_deliveries_beyond_the_limit_are_reported(world: Round) -> None:
    """Those with an automation come first, then the newest."""
    hook = Hook(77, "/repos/acme/shop/hooks/77", URL, ("*",))
    many = [
        Ignored(hook.path, number, f"g{number}", "push", None, None, START + number, wanted=number == 0)
        for number in range(MOST + 2)
    ]
    assert keep_ignored(world.store, hook, many, START + MOST) == 2
    kept = ignored(world.store.marks(IGNORED).values(), START + MOST)
    assert [each.id for each in kept][-2:] == [3, 0]
    world.github.deliver("push", None)
    assert "no room" in world.patrol().notes[0]


def test_a_log_that_is_empty_again_after_a_fortnight_is_a_gap() -> None:
    """GitHub says that it has not changed; what it had meanwhile is unknown."""
    world = Round()
    world.patrol()
    world.github.now += 3_600
    assert world.patrol().gaps == 0
    world.github.now += 14 * DAY
    assert (world.patrol().gaps, world.patrol().gaps) == (1, 0)


@pytest.mark.parametrize("per_page", [2, 100])
def test_a_quiet_hook_has_no_gap(world: Round, per_page: int) -> None:
    """Its log becomes empty, but was read while nothing happened. Of one page, GitHub says that it is unchanged."""
    world.github.per_page = per_page
    for _ in range(5):
        world.github.now += DAY
        if world.github.now - START > 3 * DAY:
            world.github.log[77].clear()
        assert (report := world.patrol()).gaps == 0, report.notes


def test_an_error_keeps_the_mark_so_that_the_rest_is_read_again(world: Round) -> None:
    """Also in the middle of a log."""
    world.github.deliver()
    world.github.deliver()
    mark = {**world.store.kept["hook", "77"]}

    def refuse(path: str) -> None:
        if path.endswith("/deliveries/1006"):
            raise failure()

    world.github.before = refuse
    report = world.patrol()
    assert (report.recovered, len(report.errors)) == (1, 1)
    assert world.store.kept["hook", "77"] == mark
    world.github.before = lambda _path: None
    assert world.patrol().recovered == 1


def test_an_old_delivery_that_is_redelivered_starts_nothing(world: Round) -> None:
    """Its closing is older than the beginning; without a time that is unknown."""
    world.github.deliver(closed_at=shown(START - 5))
    world.github.deliver(closed_at=None, again=True)
    world.patrol({})
    assert list(world.stored.values()) == [frozenset(), frozenset()]


def test_a_closing_without_a_time_starts_unless_it_was_redelivered(world: Round) -> None:
    """GitHub sends such closings, and the run asks for the time."""
    world.github.deliver(closed_at=None)
    world.github.deliver(closed_at="yesterday")
    world.patrol()
    assert list(world.stored.values()) == [{"clean"}, frozenset()]


@pytest.mark.parametrize("listed", [True, False])
def test_an_automation_that_no_list_is_read_for_starts_from_the_log(world: Round, listed: bool) -> None:
    """The repository is left over from a former configuration. One whose list is to be read begins there."""
    world.github.deliver()
    world.github.deliver(closed_at=None)
    world.patrol({501: replace(HERE[501], beginnings={})}, LISTS if listed else {})
    assert list(world.stored.values()) == [frozenset() if listed else {"clean"}] * 2


def test_the_beginning_of_the_repository_counts_too(world: Round) -> None:
    """An automation that is new there does not start for what was closed before."""
    world.github.deliver()
    later = replace(HERE[501], beginnings={"clean": world.github.now})
    world.patrol({501: later})
    assert list(world.stored.values()) == [frozenset()]


def test_hooks_of_others_are_left_alone_until_one_has_delivered_to_us() -> None:
    """And their logs are read once."""
    world = Round()
    world.github.hooks["/repos/acme/shop"] = [(78, "https://ci.example/", ["*"]), (79, URL, ["push"])]
    world.github.deliver(hook=78)
    world.patrol()
    assert world.github.calls.count("/repos/acme/shop/hooks/78/deliveries") == 1
    assert not any("/79/" in path for path in world.github.calls), "no event of it could be recovered"
    assert world.store.kept == {}
    world.stored[78, "guid-1000"] = frozenset()
    world.patrol()
    world.github.deliver(hook=78)
    assert world.patrol().recovered == 1


def test_a_token_that_may_not_read_hooks_is_reported_once() -> None:
    """It is no error, for the list covers it."""
    world = Round()
    world.github.hooks = {}
    first, second = world.patrol(), world.patrol()
    assert (first.errors, second.errors, second.notes) == ([], [], [])
    assert len(first.notes) == 1
    assert "Webhooks: read" in first.notes[0]


def test_a_quiet_hour_lists_few_hooks() -> None:
    """However many repositories there are."""
    github, hooks = Logs(), Hooks()
    names = [f"acme/r{number}" for number in range(50)]
    watched = Coverage(dict.fromkeys(names, ("clean",)), ())
    github.hooks = {path: [] for path in ("/orgs/acme", *(f"/repos/{name}" for name in names))}
    hooks.candidates(github, watched, Report(), again=True)
    assert len(github.calls) == 51
    github.calls.clear()
    for round_ in range(12):
        hooks.candidates(github, watched, Report(), again=round_ == 0)
    assert len(github.calls) == 4


def test_hooks_that_cannot_be_read_for_a_while_are_kept() -> None:
    """And reported. A limit may answer 403 too, so nothing is known until it passes."""
    world = Round()
    world.patrol()

    def refuse(path: str) -> None:
        if path == "/repos/acme/shop/hooks":
            raise failure("rate", status=403)

    world.github.before = refuse
    world.github.deliver()
    report = world.patrol()
    assert (report.errors, report.notes, report.recovered) == (["GitHub: rate"], [], 1)


def test_the_hooks_listed_longest_ago_are_listed_next() -> None:
    """So that each owner has its turn."""
    github, hooks = Logs(), Hooks()
    names = [f"acme/r{number}" for number in range(6)]
    github.hooks = {f"/repos/{name}": [] for name in names}
    watched = Coverage(dict.fromkeys(names, ("clean",)), ())
    listed = []
    for _ in range(3):
        github.calls.clear()
        hooks.candidates(github, watched, Report(), again=True)
        listed.append(" ".join(path.removesuffix("/hooks")[-4:] for path in github.calls))
    assert listed == ["acme e/r0 e/r1 e/r2 e/r3 e/r4 e/r5", "acme e/r0 e/r1 e/r2", "e/r3 e/r4 e/r5 acme"]


@pytest.mark.parametrize(("count", "more"), [(1, ""), (3, ""), (4, " and 1 more")])
def test_repositories_without_permission_are_named_up_to_a_limit(count: int, more: str) -> None:
    """The others are counted."""
    github, report = Logs(), Report()
    github.hooks = {}
    names = [f"acme/r{number}" for number in range(count)]
    Hooks().candidates(github, Coverage(dict.fromkeys(names, ("clean",)), ()), report, again=True)
    assert report.notes[0].startswith(f"{', '.join(names[:3])}{more}: the token may not read webhooks")


def test_logs_beyond_the_budget_are_counted_in_one_line(world: Round) -> None:
    """They are read with the next patrol."""
    world.github.hooks["/repos/acme/shop"] = [(77, URL, ["pull_request"]), (78, URL, ["pull_request"])]
    world.patrol()

    def refuse(path: str) -> None:
        if path.endswith("/deliveries"):
            raise failure("budget")

    world.github.before = refuse
    assert world.patrol().errors == ["2 delivery logs wait for the next patrol, which may ask more"]


@pytest.mark.parametrize(("later", "gaps"), [(-1, 0), (0, 1)])
def test_an_unchanged_empty_log_is_a_gap_once_github_may_have_forgotten(later: int, gaps: int) -> None:
    """To the second."""
    world = Round()
    world.patrol()
    world.github.now += 3 * DAY - 3_600 + later
    assert world.patrol().gaps == gaps


@pytest.mark.parametrize(("later", "gaps"), [(-1, 0), (0, 1)])
def test_a_log_that_was_not_read_for_a_fortnight_is_a_gap(later: int, gaps: int) -> None:
    """Even if only known entries are gone: GitHub may have dropped others that came meanwhile."""
    world = Round()
    world.patrol()
    world.github.deliver()
    world.github.now += 100
    world.patrol()
    world.github.log[77].clear()
    world.github.now += 3 * DAY - 3_600 + later
    assert world.patrol().gaps == gaps
