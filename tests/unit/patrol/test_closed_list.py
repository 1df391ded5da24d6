"""One repository's list: where it begins, what an answer must say, and what a quiet hour costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from closeout.core.automation import Automation, Step
from closeout.core.errors import ServiceError
from closeout.patrol.answers import seconds, shown
from closeout.patrol.closed_list import LAG, ClosedPull
from closeout.patrol.closers import asks_who_closed
from closeout.patrol.closings import ClosedLists
from closeout.patrol.reader import Reader
from closeout.patrol.report import Report
from closeout.ports.patrol import Page
from tests.unit.patrol.lists import Lists, MemoryMarks, Taken, failure

HERE = {"acme/shop": ("clean",)}
SCRIPT = Step(
    id="a", name="a", uses="shell", timeout=60.0, retry_attempts=1, retry_backoff=1.0, destructive=False
)


class Round:
    """A GitHub, what is kept, and rounds over them."""

    def __init__(self) -> None:
        self.github, self.store, self.taken = Lists(), MemoryMarks(), Taken()

    def patrol(
        self,
        repositories: dict[str, tuple[str, ...]] | None = None,
        asking: str = "",
        reported: set[int] | None = None,
    ) -> Report:
        """Make one round."""
        report = Report()
        reader = Reader(self.github, lambda _seconds: None)
        ClosedLists(
            reader,
            self.store,
            self.taken,
            HERE if repositories is None else repositories,
            report,
            frozenset({asking}),
            reported=set() if reported is None else reported,
        ).patrol()
        return report

    def close(self, number: int, *, after: int = 10) -> str:
        """Close a pull request some seconds later; return the moment."""
        self.github.now += after
        self.github.close(number)
        return shown(self.github.now)


@pytest.fixture
def world() -> Round:
    """Return a world in which patrol has begun."""
    made = Round()
    made.close(1)
    made.patrol()
    made.github.calls.clear()
    return made


def test_a_thousand_old_closings_start_nothing() -> None:
    """Neither at the first read nor later, when one of them gets a comment."""
    world = Round()
    for number in range(1_000):
        world.close(number, after=1)
    report = world.patrol()
    assert (report.closings_seen, report.errors) == (0, [])
    assert report.notes == [
        f"acme/shop: patrol begins here with what is closed after {shown(world.github.now)}"
    ]
    world.github.now += 10
    world.github.comment(3)
    assert world.patrol().closings_seen == 0
    assert world.taken.started == []


class WithoutLinks(Lists):
    """A GitHub behind a proxy that drops the header `Link`."""

    def read(self, path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        return super().read(path, query, etag)._replace(next=None)


def test_a_full_page_without_a_link_is_not_the_end_of_the_list() -> None:
    """Only a page with room is: the next is asked for by its number."""
    world = Round()
    world.github = WithoutLinks()
    world.close(1)
    world.patrol()
    moments = {number: world.close(number) for number in range(2, 252)}
    report = world.patrol()
    assert (report.closings_seen, report.errors) == (len(moments), [])


def test_a_beginning_is_reported_even_after_a_crash() -> None:
    """By the next process, once."""
    world = Round()
    world.patrol()  # what it told is lost
    assert [len(world.patrol().notes) for _ in range(2)] == [1, 0]
    reported: set[int] = set()
    other = Round()
    reports = [other.patrol(reported=reported) for _ in range(3)]
    assert [len(report.notes) for report in reports] == [1, 0, 0]
    of_an_earlier_release = dict(world.store.kept["repository", "501"])
    del of_an_earlier_release["told"]
    world.store.kept["repository", "501"] = of_an_earlier_release
    assert world.patrol().notes == []


def test_a_closing_after_the_beginning_starts_once(world: Round) -> None:
    """It stays in the list's last minutes for a while, and is not started again."""
    moment = world.close(2)
    assert world.patrol().started == 1
    world.close(3)
    assert world.patrol().started == 1
    assert world.taken.started[0] == (2, moment, "clean")


def test_a_closing_that_was_pruned_is_not_started_again(world: Round) -> None:
    """A comment brings an old pull request to the front of the list."""
    world.close(2)
    world.close(3, after=1_000)
    assert world.patrol().started == 2
    world.taken.started.clear()
    world.github.now += 100
    world.github.comment(2)
    assert world.patrol().started == 1, "what is within the last minutes is compared with the ledger"
    assert [number for number, _, _ in world.taken.started] == [3]


def test_a_watermark_older_than_the_ledgers_memory_starts_nothing(
    world: Round,
) -> None:
    """A ledger remembers for 400 days that a closing was handled."""
    world.close(2)
    world.close(3, after=400 * 86_400 + 20)
    assert world.patrol().started == 1
    assert world.taken.started[0][0] == 3


def test_closings_of_one_second_and_late_ones_are_found(world: Round) -> None:
    """One that a replica shows only after a newer one has the watermark still before it."""
    world.close(2)
    late = world.github.pulls.pop(2)
    world.close(3, after=0)
    world.close(4, after=200)
    assert world.patrol().started == 2
    world.github.pulls[2] = late
    world.github.comment(9) if 9 in world.github.pulls else world.close(5)
    assert world.patrol().started == 2


def test_a_page_that_ends_in_the_watermarks_second_is_not_the_last(world: Round) -> None:
    """What else was closed in that second is on the next one."""
    world.close(2, after=3_600)
    assert world.patrol().started == 1
    world.github.now -= LAG  # the watermark's second
    for number in range(3, 6):
        world.close(number, after=0)
    world.close(6, after=LAG + 100)
    world.github.per_page = 2
    assert world.patrol().started == 4


def test_a_page_that_ends_before_the_watermark_is_the_last(world: Round) -> None:
    """A list of years costs one call an hour."""
    for number in range(2, 6):
        world.close(number, after=1_000)
    assert world.patrol().started == 4
    world.close(6)
    world.github.per_page = 3
    world.github.calls.clear()
    assert world.patrol().started == 1
    assert [path for path, _ in world.github.calls if path.endswith("/pulls")] == ["/repos/acme/shop/pulls"]


def test_an_automation_that_comes_later_begins_later(world: Round) -> None:
    """The list's last minutes do not start it."""
    world.close(2)
    world.patrol()
    assert world.patrol({"acme/shop": ("clean", "new")}).started == 0
    world.close(3)
    world.patrol({"acme/shop": ("clean", "new")})
    assert [(number, name) for number, _, name in world.taken.started] == [
        (2, "clean"),
        (3, "clean"),
        (3, "new"),
    ]


def test_a_failing_round_does_not_reset_an_automations_beginning(world: Round) -> None:
    """It is stored before anything can fail; otherwise later closings would be missed."""

    def refuse() -> None:
        raise failure("the disk is full")

    both: dict[str, tuple[str, ...]] = {"acme/shop": ("clean", "new")}
    world.close(2)
    world.taken.before = refuse
    assert world.patrol(both).started == 0
    world.taken.before = lambda: None
    world.close(3)
    world.patrol(both)
    started = {(number, name) for number, _, name in world.taken.started}
    assert started == {(2, "clean"), (3, "clean"), (3, "new")}


def test_an_automation_that_is_removed_and_returns_begins_again(world: Round) -> None:
    """Otherwise a month of closings would start when it returns."""
    world.close(2)
    assert world.patrol({"acme/gone": ("clean",)}).errors == ["GitHub: 404"]
    assert world.patrol().started == 1, "a round with errors has forgotten nothing"
    world.patrol({})
    world.close(3)
    assert world.patrol().started == 0
    world.close(4)
    assert world.patrol().started == 1


def test_a_renamed_repository_stays_watched(world: Round) -> None:
    """Its watermark is stored by its id, and its beginnings stay in the following rounds."""
    world.github.name = "acme/boutique"
    now: dict[str, tuple[str, ...]] = {"acme/boutique": ("clean",)}
    world.patrol(now)
    world.close(2)
    world.patrol(now)
    assert [number for number, _, _ in world.taken.started] == [2]


def test_a_new_repository_under_an_old_name_is_not_confused_with_it(world: Round) -> None:
    """It is reported, and nothing begins until the configuration has the new name, or the old one is gone."""
    old = world.github
    world.github = Lists(repository=777)
    world.github.now, world.github.others = old.now, {501: "acme/boutique"}
    world.close(2)
    (error,) = world.patrol().errors
    assert "called acme/boutique now" in error
    assert ("repository", "777") not in world.store.kept
    world.github.others = {}
    report = world.patrol()
    assert (report.errors, "patrol begins here" in report.notes[0]) == ([], True)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"id": 999, "full_name": "acme/other"}, "called something else now"),
        ("proxy", "called something else now"),
        (failure("403", transient=False, status=403), "GitHub: 403"),
        (failure("404", transient=True, status=404), "GitHub: 404"),
    ],
)
def test_a_reused_name_begins_only_if_the_former_repository_is_gone(
    world: Round, answer: Any, said: str
) -> None:
    """Only a plain 404 says so."""
    read = world.github.read

    def ask(path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        if path != "/repositories/501":
            return read(path, query, etag)
        if isinstance(answer, ServiceError):
            raise answer
        return Page(answer, False, None, world.github.now, None)

    world.github.read = ask  # type: ignore[method-assign]
    world.github.repository = 777
    world.github.pulls.clear()
    world.close(2)
    (error,) = world.patrol().errors
    assert said in error
    assert ("repository", "777") not in world.store.kept


def test_both_repositories_are_read_if_the_configuration_names_both(world: Round) -> None:
    """The one that has a new name may be read later in the round."""
    world.github.repository, world.github.others = 777, {501: "acme/boutique"}
    world.github.pulls.clear()
    world.close(2)
    report = world.patrol({"acme/shop": ("clean",), "acme/boutique": ("clean",)})
    assert ("repository", "777") in world.store.kept
    assert [error for error in report.errors if "another repository" in error] == []


def test_a_new_name_that_is_not_configured_is_reported(world: Round) -> None:
    """GitHub still answers to the old one, but no closing would match: the watermark waits for the configuration."""
    world.github.name = "acme/boutique"
    world.close(2)
    world.close(3, after=1_000)
    (error,) = world.patrol().errors
    assert "the repository is called acme/boutique now" in error
    assert world.taken.started == []
    assert world.patrol({"acme/boutique": ("clean",)}).started == 2


@pytest.mark.parametrize(
    "broken",
    [
        {"state": "open"},
        {"closed_at": None},
        {"closed_at": "yesterday"},
        {"updated_at": None},
        {"id": "x"},
        {"base": {"repo": None}},
        {"base": {"repo": {"id": 7}}},
    ],
)
def test_an_incomplete_answer_is_reported_and_moves_nothing(world: Round, broken: dict[str, Any]) -> None:
    """Nothing starts for it, and the watermark stays, so that a complete answer is read later."""
    kept = dict(world.store.kept)
    moment = world.close(2)
    whole = world.github.pulls[2]
    world.close(3)
    listed = world.github._closed
    world.github._closed = lambda: [  # type: ignore[method-assign]
        pull | broken if pull["number"] == 2 else pull for pull in listed()
    ]
    world.github._change(3)
    report = world.patrol()
    assert len(report.errors) == 1
    assert not any(number == 2 for number, _, _ in world.taken.started)
    assert {key: mark["known_to"] for key, mark in world.store.kept.items()} == {
        key: mark["known_to"] for key, mark in kept.items()
    }
    world.github._closed = listed  # type: ignore[method-assign]
    world.github.pulls[2] = whole
    world.github._change(3)
    world.patrol()
    assert (2, moment, "clean") in world.taken.started


@pytest.mark.parametrize("status", [404, 403, 500, 429])
def test_an_error_is_reported_and_moves_nothing(world: Round, status: int) -> None:
    """Above all, a 404 is not an empty list."""
    kept = dict(world.store.kept)
    world.close(2)

    def refuse(_path: str) -> None:
        raise failure(str(status), transient=status >= 500, status=status)

    world.github.before = refuse
    report = world.patrol()
    assert report.errors == [f"GitHub: {status}"]
    assert (report.closings_seen, world.store.kept) == (0, kept)


def test_a_closing_that_could_not_be_stored_is_read_again(world: Round) -> None:
    """The others are stored; the watermark stays before it, and its page counts as changed."""
    for number in (2, 3, 4):
        world.close(number)
    full = iter([failure("the disk is full"), failure("it still is")])

    def refuse() -> None:
        error = next(full, None)
        if error is not None:
            raise error

    world.taken.before = refuse
    report = world.patrol()
    assert (report.started, set(report.errors)) == (1, {"GitHub: the disk is full", "GitHub: it still is"})
    assert world.patrol().started == 2
    assert sorted(number for number, _, _ in world.taken.started) == [2, 3, 4]


def test_a_quiet_repository_costs_one_call_that_does_not_count(world: Round) -> None:
    """GitHub says that the page has not changed."""
    for _ in range(3):
        world.github.now += 3_600
        assert world.patrol().errors == []
    assert [unchanged for _, unchanged in world.github.calls] == [True] * 3


def test_a_closing_is_read_until_its_run_has_ended(world: Round) -> None:
    """The run may have got an outdated answer, and nothing else would report the closing again."""
    world.close(2)
    world.github.now += 100
    world.github.comment(2)
    world.taken.open = {2}
    assert world.patrol().started == 1
    world.close(3, after=3_600)
    assert (world.patrol().closings_seen, world.patrol().closings_seen) == (2, 2)
    world.taken.open = set()
    world.taken.started.remove(next(each for each in world.taken.started if each[0] == 2))
    assert world.patrol().started == 1
    world.close(4, after=3_600)
    assert world.patrol().started == 1
    assert world.patrol().closings_seen == 0


def test_a_closing_whose_run_is_cancelled_while_the_list_is_taken_in_is_seen_again(world: Round) -> None:
    """It was under way when patrol asked what is new, and had ended when patrol asked what goes on."""

    class Interrupted(Taken):
        def is_new(self, closed: ClosedPull, automations: frozenset[str]) -> bool:
            found = super().is_new(closed, automations)
            if not found and closed.pull["number"] in self.open:
                self.open.discard(2)
                self.started = [one for one in self.started if one[0] != 2]
            return found

    world.taken = Interrupted()
    world.close(2)
    assert world.patrol().started == 1
    world.taken.open = {2}
    world.github.now += 100
    world.github.comment(2)
    assert world.patrol().started == 0, "its run has not ended"
    assert world.patrol().started == 1, "its run has ended, because it read an answer that was out of date"


def test_a_page_that_has_not_changed_hides_nothing_on_the_next_one(world: Round) -> None:
    """All on it is of one second, and so is what comes after."""
    world.github.per_page = 2
    world.close(7)
    world.close(8, after=0)
    assert world.patrol().started == 2
    assert world.patrol().started == 0  # after a round that starts nothing the page's tag may be kept
    world.close(5, after=0)
    assert world.patrol().started == 1


def test_a_reused_name_begins_again(world: Round) -> None:
    """The watermark is the old repository's, and the new one has none."""
    world.github.repository = 777
    world.github.pulls.clear()
    world.close(5)
    assert world.patrol().started == 0
    assert set(world.store.marks("repository")) == {"501", "777"}


def test_an_empty_list_begins_too() -> None:
    """The repository is then asked for its id."""
    world = Round()
    world.patrol()
    world.close(1)
    assert world.patrol().started == 1


def test_a_pull_request_that_moves_to_a_page_that_was_read_is_found(world: Round) -> None:
    """One of the first page is reopened, so that another one moves up to it."""
    world.github.per_page = 2
    for number in range(2, 7):
        world.close(number)
    calls = []

    def reopen(path: str) -> None:
        calls.append(path)
        if len(calls) == 2:
            world.github.open(6)

    world.github.before = reopen
    report = world.patrol()
    assert (report.errors, {number for number, _, _ in world.taken.started}) == ([], {2, 3, 4, 5, 6})


def test_a_list_that_keeps_changing_is_reported() -> None:
    """After some passes; closings found until then start."""
    world = Round()
    world.github.per_page = 2
    world.close(1)
    world.patrol()
    for number in range(2, 12):
        world.close(number)
    reopened = iter(range(2, 12))

    def reopen(_path: str) -> None:
        number = next(reopened, None)
        if number is not None and len(world.github._closed()) > 4:
            world.github.now += 1
            world.github.open(number)

    world.github.before = reopen
    report = world.patrol()
    assert report.started > 0
    assert len(report.errors) in (0, 1)


def test_times_of_another_form_are_no_times() -> None:
    """Fractions are dropped."""
    assert seconds("2026-05-28T20:26:40.123Z") == seconds("2026-05-28T20:26:40Z") == 1_780_000_000
    for text in (
        "2026-05-28T20:26:40",
        "2026-05-28",
        17,
        None,
        "2026-05-28T20:26:40.xZ",
        "2026-05-28T20:26:40+00:00",
    ):
        with pytest.raises(ValueError):
            seconds(text)


# --- who closed it ------------------------------------------------------------------------------------------


def test_the_issue_events_say_who_closed_them(world: Round) -> None:
    """A page at a time, as far back as the oldest closing."""
    world.github.per_page = 3
    for number in range(2, 9):
        world.close(number)
    del world.github.events[3]
    world.patrol()
    senders = {number: sender and sender["login"] for number, sender in world.taken.senders.items()}
    assert senders == {number: None if number == 5 else f"u{number}" for number in range(2, 9)}
    assert len(world.taken.started) == 7, (
        "without a sender it is started too, and its run says what is unknown"
    )


@pytest.mark.parametrize(
    ("transient", "asking", "started"), [(False, "clean", 1), (True, "clean", 0), (True, "other", 1)]
)
def test_unreadable_issue_events(world: Round, transient: bool, asking: str, started: int) -> None:
    """If transient, the closing waits for the next patrol if it matters; if permanent, it has no sender."""

    def refuse(path: str) -> None:
        if path.endswith("/events"):
            raise failure(transient=transient, status=502 if transient else 403)

    world.close(2)
    world.github.before = refuse
    report = world.patrol(asking=asking)
    assert (report.started, len(report.errors)) == (started, 1 - started)
    world.github.before = lambda _path: None
    assert world.patrol(asking=asking).started == 1 - started


def test_which_automations_need_the_sender() -> None:
    """Those with a filter, a condition or a template on it, and functions or scripts, which may read anything."""
    closed = ({"event": "pull_request", "types": ["closed"]},)
    plain = Automation(name="clean", triggers=closed)
    assert not asks_who_closed(plain)
    asking: tuple[dict[str, Any], ...] = (
        {"senders": ("bot",)},
        {"function": "module:name"},
        {"condition": "event.sender.login == 'bot'"},
        {"concurrency": "${{ event.Sender.login }}"},
        {"steps": (SCRIPT,)},
    )
    for given in asking:
        assert asks_who_closed(replace(plain, **given)), given


def test_a_thousand_closings_cost_few_calls(world: Round) -> None:
    """At most 300 besides the ones that are made anyhow."""
    for number in range(2, 1_002):
        world.close(number, after=7)
    assert world.patrol().started == 1_000
    assert len(world.github.calls) < 50


# --- the budget --------------------------------------------------------------------------------------------


def test_a_round_spends_half_of_what_is_left_and_keeps_the_reserve() -> None:
    """Runs need the rest to check and to report."""
    for remaining, most in ((5_000, 2_500), (900, 400), (510, 10), (400, 1)):
        github = Lists()
        github.remaining = remaining + 1
        reader = Reader(github, lambda _seconds: None)
        with pytest.raises(ServiceError, match="kept for runs"):
            _read_for_ever(reader)
        assert len(github.calls) == most, remaining


def _read_for_ever(reader: Reader) -> None:
    for _ in range(10_000):
        reader.read("/repos/acme/shop", {}, None)


def test_a_limit_ends_the_round_and_is_reported_once(world: Round) -> None:
    """No further call is made."""
    calls = []

    def limit(path: str) -> None:
        calls.append(path)
        raise failure("rate-limit", status=403)

    world.github.before = limit
    report = world.patrol({f"acme/{name}": ("clean",) for name in "abc"})
    assert len(calls) == 1
    assert len(report.errors) == 2
    assert report.errors[1].startswith("2 repositories wait for the next patrol")


def test_transient_errors_are_retried_after_growing_pauses() -> None:
    """A GitHub that does not answer is left alone after three reads."""
    pauses: list[float] = []
    github = Lists()

    def refuse(_path: str) -> None:
        raise failure()

    github.before = refuse
    reader = Reader(github, pauses.append)
    for _ in range(5):
        with pytest.raises(ServiceError):
            reader.read("/repos/acme/shop", {}, None)
    assert pauses == [1.0, 2.0, 4.0] * 3


def test_a_successful_read_resets_the_failures() -> None:
    """Three in a row end a round, not three of a day."""
    github, failing = Lists(), [True]

    def refuse(_path: str) -> None:
        if failing[0]:
            raise failure()

    github.before = refuse
    reader = Reader(github, lambda _seconds: None)
    for works in (False, False, True, False, False, True):
        failing[0] = not works
        if works:
            reader.read("/repos/acme/shop", {}, None)
        else:
            with pytest.raises(ServiceError, match="502"):
                reader.read("/repos/acme/shop", {}, None)


def test_a_list_that_changes_with_every_pass_is_reported_as_unusable() -> None:
    """What was found until then is known."""
    world = Round()
    world.github.per_page = 2
    world.close(1)
    world.patrol()
    for number in range(2, 60):
        world.close(number)
    left = iter(range(2, 60))

    def reopen(path: str) -> None:
        if path.endswith("/pulls"):
            number = next(left)
            world.github.now += 1
            world.github.open(number)

    world.github.before = reopen
    asked, read = [], world.github.read

    def note(path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        asked.append(query.get("page", "1"))
        return read(path, query, etag)

    world.github.read = note  # type: ignore[method-assign]
    assert "the list changed each of 5 times" in "".join(world.patrol().errors)
    assert asked.count("1") == 5 + 1, "and once the events"


def test_closings_start_in_the_order_in_which_they_happened(world: Round) -> None:
    """A list has the newest first."""
    for number in (4, 2, 3):
        world.close(number)
    world.patrol()
    assert [number for number, _, _ in world.taken.started] == [4, 2, 3]
