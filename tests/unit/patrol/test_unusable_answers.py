"""Answers with status 200 that are not what patrol asked for: each is an error, and none an empty list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from closeout.core.closed_payload import SLACK
from closeout.core.errors import ServiceError
from closeout.patrol.answers import MOST_PAGES, shown
from closeout.patrol.closed_list import ClosedPull, read_closed
from closeout.patrol.closers import read_closers
from closeout.patrol.coverage import Coverage
from closeout.patrol.delivery_log import DeliveryLogs, read_payload
from closeout.patrol.hooks import PAGES, Hook, Hooks
from closeout.patrol.marks import HOOK as HOOK_MARK
from closeout.patrol.marks import HookMark, RepositoryMark
from closeout.patrol.owners import Owners
from closeout.patrol.report import Report
from closeout.ports.patrol import GitHubReads, Page
from tests.unit.patrol.lists import START, MemoryMarks, Taken, failure
from tests.unit.patrol.test_delivery_log import CLEAN

NONSENSE: tuple[Any, ...] = (None, {}, "proxy", 5, [5], [None], [{}])
HOOK = Hook(77, "/repos/acme/shop/hooks/77", "https://closeout.example/webhook", ("*",))
PULL: dict[str, Any] = {
    "id": 9_001,
    "number": 1,
    "state": "closed",
    "base": {"repo": {"id": 501, "full_name": "acme/shop"}},
    "updated_at": "2026-05-28T20:26:40Z",
    "closed_at": "2026-05-28T20:26:40Z",
}
ENTRY = {"id": 1, "guid": "g", "event": "push", "delivered_at": "2026-05-28T20:26:40Z", "redelivery": False}


class Says:
    """A GitHub that gives one answer for each path, on every page the same. `endless`: each page names a next one."""

    def __init__(self, answers: Mapping[str, Any], *, endless: bool = False) -> None:
        self.answers = answers
        self.endless = endless
        self.calls = 0

    def read(self, path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        """Answer as `GitHubReads`."""
        del query, etag
        self.calls += 1
        answer = self.answers[path]
        if isinstance(answer, ServiceError):
            raise answer
        return Page(answer, False, None, START, {"page": str(self.calls)} if self.endless else None)


class NoIntake(Taken):
    """An intake that has no delivery and must get none."""

    def has(self, hook: int, guid: str) -> bool:
        """Return that nothing is stored."""
        del hook, guid
        return False

    def recover(self, *what: object) -> bool:
        """Refuse what no answer can bring."""
        raise AssertionError(what)


def refused(call: Callable[[], object], said: str) -> None:
    """Assert that an answer is refused as one to ask for again."""
    with pytest.raises(ServiceError, match=said) as caught:
        call()
    assert caught.value.transient
    assert caught.value.reason == "unusable-answer"


def errors_of_owners(answers: Mapping[str, Any], *, endless: bool = False) -> list[str]:
    """Return what reading an owner's repositories tells, which must bring none."""
    report = Report()
    assert Owners().repositories(Says(answers, endless=endless), ["acme"], report) == {}
    return report.errors


@pytest.mark.parametrize("answer", [*NONSENSE, {"type": "Bot"}])
def test_an_owner_is_a_user_or_an_organization(answer: Any) -> None:
    """Otherwise nobody knows which list is its own."""
    (error,) = errors_of_owners({"/users/acme": answer})
    assert "neither a user nor an organization" in error


@pytest.mark.parametrize("answer", [*NONSENSE, [{"full_name": 5}], [{"full_name": "shop"}]])
def test_an_owners_repositories_are_a_list_of_full_names(answer: Any) -> None:
    """An empty one would end the patrol of all of them."""
    (error,) = errors_of_owners({"/users/acme": {"type": "Organization"}, "/orgs/acme/repos": answer})
    assert "the answer is not a list of repositories" in error


def test_a_list_of_repositories_that_does_not_end_is_an_error() -> None:
    """And patrol ends."""
    answers = {"/users/acme": {"type": "Organization"}, "/orgs/acme/repos": [{"full_name": "acme/shop"}]}
    (error,) = errors_of_owners(answers, endless=True)
    assert "the list does not end" in error


@pytest.mark.parametrize("answer", [*NONSENSE, [{"id": "x", "config": {}, "events": []}]])
def test_hooks_are_a_list_of_hooks(answer: Any) -> None:
    """No list is not "no hook": its deliveries would be missed for hours."""
    hooks, report = Hooks(), Report()
    coverage = Coverage({"acme/shop": ("clean",)}, ())
    said = Says({"/orgs/acme/hooks": [], "/repos/acme/shop/hooks": answer})
    assert hooks.candidates(said, coverage, report, again=False) == []
    assert ["not a list of webhooks" in error for error in report.errors] == [True]


def test_hooks_are_read_over_a_bounded_number_of_pages() -> None:
    """GitHub allows 20 webhooks for an event, so a longer list is nonsense."""
    said = Says({"/orgs/acme/hooks": [], "/repos/acme/shop/hooks": []}, endless=True)
    Hooks().candidates(said, Coverage({"acme/shop": ("clean",)}, ()), Report(), again=False)
    assert said.calls == 2 * PAGES


def errors_of_the_log(github: GitHubReads) -> list[str]:
    """Return what reading a log tells whose mark is known."""
    report, store = Report(), MemoryMarks()
    store.save_mark(
        HOOK_MARK,
        "77",
        HookMark(id=77, last=9, delivered_at=START, etag=None, read_at=START, beginnings={}).to_json(),
    )
    logs = DeliveryLogs(github, store, NoIntake(), [CLEAN], report, {}, {})
    logs.patrol([HOOK], lambda _url: True, set())
    return report.errors


@pytest.mark.parametrize(
    "answer", [*NONSENSE, [ENTRY | {"id": "x"}], [ENTRY | {"delivered_at": "yesterday"}]]
)
def test_a_log_is_a_list_of_deliveries(answer: Any) -> None:
    """An empty log would move the mark past what it does not show."""
    (error,) = errors_of_the_log(Says({f"{HOOK.path}/deliveries": answer}))
    assert "the answer is not a list of deliveries" in error


def test_a_log_that_does_not_end_is_an_error() -> None:
    """And patrol ends."""
    said = Says({f"{HOOK.path}/deliveries": []}, endless=True)
    (error,) = errors_of_the_log(said)
    assert "the log does not end" in error
    assert said.calls == MOST_PAGES


@pytest.mark.parametrize(
    "answer",
    [
        *NONSENSE,
        {"guid": "g", "request": {}},
        {"guid": "g", "request": {"payload": []}},
        {"guid": "h", "request": {"payload": {}}},
    ],
)
def test_a_payload_is_the_one_that_was_asked_for(answer: Any) -> None:
    """Another delivery's would start another run."""
    said = Says({f"{HOOK.path}/deliveries/1": answer})
    refused(lambda: read_payload(said, HOOK.path, 1, "g"), "not the delivery that was asked for")


def closed(answer: Any, *, endless: bool = False, **more: Any) -> Callable[[], object]:
    """Return what reads the list of closed pull requests, whose watermark is known."""
    mark = RepositoryMark(
        id=501,
        name="acme/shop",
        known_to=START - 9_999_999,
        etag=None,
        read_at=START,
        beginnings={"clean": 0},
    )
    said = Says({"/repos/acme/shop/pulls": answer, **more}, endless=endless)

    def read() -> object:
        found = read_closed(said, "acme/shop", ["clean"], {501: mark})
        if found.error is not None:
            raise found.error
        return found

    return read


@pytest.mark.parametrize(
    "answer",
    [
        *NONSENSE,
        [PULL | {"id": "9"}],
        [PULL | {"number": None}],
        [PULL | {"updated_at": "yesterday"}],
        [PULL | {"base": {"repo": {"id": "501"}}}],
    ],
)
def test_a_list_of_closed_pull_requests_is_one(answer: Any) -> None:
    """An empty one would move the watermark past what it does not show."""
    refused(closed(answer), "not a list of pull requests")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([PULL | {"updated_at": "2026-05-28T20:26:39Z"}, PULL], "not in the order that was asked for"),
        ([PULL, PULL | {"base": {"repo": {"id": 502}}}], "pull requests of two repositories"),
        ([PULL, PULL | {"state": "open"}], "names one that is not closed"),
        ([PULL, PULL | {"closed_at": None}], "names one that is not closed"),
    ],
)
def test_a_list_of_closed_pull_requests_is_the_one_that_was_asked_for(
    answer: list[dict[str, Any]], said: str
) -> None:
    """GitHub ignores a filter that it does not understand."""
    refused(closed(answer), said)


def test_a_list_of_closed_pull_requests_that_does_not_end_is_an_error() -> None:
    """And patrol ends."""
    refused(closed([PULL | {"updated_at": "2026-06-28T20:26:39Z"}], endless=True), "the list does not end")


@pytest.mark.parametrize("answer", [*NONSENSE, {"id": "501"}, {"id": True}])
def test_a_repository_without_closed_pull_requests_has_an_id(answer: Any) -> None:
    """Its watermark stands under it."""
    refused(closed([], **{"/repos/acme/shop": answer}), "the answer is not a repository")


CLOSED = ClosedPull(501, 9_001, START, START, PULL)


@pytest.mark.parametrize("answer", [None, {}, "proxy", 5])
def test_events_that_are_no_list_say_nobody_and_are_read_again(answer: Any) -> None:
    """A closing without a sender waits for it."""
    found, error = read_closers(Says({"/repos/acme/shop/issues/events": answer}), "acme/shop", [CLOSED])
    assert found == {}
    assert error is not None
    assert error.transient


@pytest.mark.parametrize("transient", [True, False])
def test_events_that_cannot_be_read_are_an_error_only_when_they_may_come(transient: bool) -> None:
    """A token without the right to read them gets 403 each time."""
    raised = failure(transient=transient, status=502 if transient else 403)
    found, error = read_closers(Says({"/repos/acme/shop/issues/events": raised}), "acme/shop", [CLOSED])
    assert (found, error) == ({}, raised if transient else None)


@pytest.mark.parametrize(
    ("closings", "last", "pages"),
    [(1, START - SLACK, 10), (1, START - SLACK - 1, 1), (7, START, 11), (8, START, 12)],
)
def test_events_are_read_back_to_the_oldest_closing_over_a_bounded_number_of_pages(
    closings: int, last: int, pages: int
) -> None:
    """Ten, and one more for every four closings: a repository may have years of events."""
    events = [{"event": "labeled", "created_at": shown(at)} for at in (START + 60, last)]
    said = Says({"/repos/acme/shop/issues/events": events}, endless=True)
    assert read_closers(said, "acme/shop", [CLOSED] * closings) == ({}, None)
    assert said.calls == pages


def test_an_event_without_its_moment_ends_the_read() -> None:
    """What is older than nobody knows what is not read."""
    said = Says({"/repos/acme/shop/issues/events": [{"event": "closed"}]}, endless=True)
    assert read_closers(said, "acme/shop", [CLOSED]) == ({}, None)
    assert said.calls == 1
