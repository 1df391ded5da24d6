"""The `closed` event made from GitHub's API: what conditions and names see in it is what they see in the delivery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from closeout import livecheck
from closeout.adapters.github import GitHubClient
from closeout.core.errors import NotFound, PayloadRefused, ServiceError
from closeout.run.closed_event import read_closed_event
from closeout.testing.github import FakeGitHub
from tests.openapi.description import check

NOW = 1_773_480_413.0


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """A fake with acme/shop, whose every request is held against GitHub's description afterwards."""
    with FakeGitHub() as fake:
        fake.world.add_repository("acme/shop", id=501_001)
        yield fake
        check(fake.requests())


def client(github: FakeGitHub) -> GitHubClient:
    return GitHubClient(lambda: github.token, github.url, timeout=10.0)


@pytest.mark.parametrize("fork", [None, "outsider/shop", "gone"])
def test_the_event_is_the_one_that_the_delivery_carries(github: FakeGitHub, fork: str | None) -> None:
    """Pull request, number, repository and action are the delivery's, for a fork and for one that is gone too."""
    pull = github.world.open_pull("acme/shop", number=17, labels=("keep", "preview"), fork=fork)
    github.world.change_pull("acme/shop", 17, "closed", merged=True)
    delivered = github.world.pull_payload(github.world.repository("acme/shop"), pull)
    closing = read_closed_event(client(github), "acme/shop", 17, NOW)
    merged_by = closing.payload["pull_request"].pop("merged_by")
    for key in ("action", "number", "pull_request", "repository"):
        assert closing.payload[key] == delivered[key], key
    assert closing.payload["sender"] == merged_by
    assert closing.payload["organization"]["login"] == "acme"
    assert livecheck.subject_of("pull_request", closing.payload) == livecheck.subject_of(
        "pull_request", delivered
    )
    assert (closing.name, closing.state) == ("acme/shop#17", "closed")
    assert [entry["method"] for entry in github.requests()] == ["GET"]


def test_an_open_pull_request_is_treated_as_closed_now_and_labelled_so(github: FakeGitHub) -> None:
    """State and time are set as a close would set them; it counts neither as merged nor as closed by a person."""
    github.world.open_pull("acme/shop", number=17)
    closing = read_closed_event(client(github), "acme/shop", 17, NOW)
    pull = closing.payload["pull_request"]
    assert (pull["state"], pull["merged"], pull["closed_at"]) == ("closed", False, "2026-03-14T09:26:53Z")
    assert "sender" not in closing.payload
    assert closing.state == "open"
    assert any("still open" in note and "without a merge" in note for note in closing.notes)
    assert any("no `sender`" in note for note in closing.notes)


def test_a_renamed_repository_has_the_name_that_a_delivery_would_carry() -> None:
    """Names contain `event.repository`: the old one would name other resources than the delivery's."""
    with FakeGitHub() as github:
        github.world.add_repository("acme/shop")
        github.world.open_pull("acme/shop", number=17)
        github.world.rename("acme/shop", "acme/store")
        closing = read_closed_event(client(github), "acme/shop", 17, NOW)
    assert closing.payload["repository"]["full_name"] == "acme/store"
    assert closing.name == "acme/store#17"


def test_a_missing_pull_request_is_reported_and_not_planned(github: FakeGitHub) -> None:
    """GitHub's 404 can also mean that the token may not see it."""
    with pytest.raises(NotFound, match=r"no pull request acme/shop#99: is the name right, and may the token"):
        read_closed_event(client(github), "acme/shop", 99, NOW)


def whole() -> dict[str, Any]:
    with FakeGitHub() as fake:
        fake.world.add_repository("acme/shop", id=501_001)
        pull = fake.world.open_pull("acme/shop", number=17)
        answer: dict[str, Any] = fake.world.pull_payload(fake.world.repository("acme/shop"), pull)[
            "pull_request"
        ]
        return answer


def refused(github: FakeGitHub, answer: Any) -> None:
    """Have GitHub answer this, and insist that it is refused."""
    github.faults.add("status", path="/repos/acme/shop/pulls/17", status=200, body=answer)
    with pytest.raises(ServiceError, match="not the pull request that was asked for"):
        read_closed_event(client(github), "acme/shop", 17, NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": 18},
        {"state": "locked"},
        {"merged": None},
        {"id": "1700"},
        {"base": {"ref": "develop", "repo": None}},
        {"head": None},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_an_answer_that_is_not_the_pull_request_is_an_error(
    github: FakeGitHub, wrong: dict[str, Any]
) -> None:
    """Nothing is guessed: a plan of another pull request, or of half of one, would be believed."""
    refused(github, whole() | wrong)


@pytest.mark.parametrize("answer", [[], {}])
def test_an_answer_that_is_no_pull_request_is_an_error(github: FakeGitHub, answer: Any) -> None:
    """Nor is nothing read as one."""
    refused(github, answer)


def test_a_payload_that_no_delivery_could_carry_is_refused(github: FakeGitHub) -> None:
    """The payload rule applies here as well: CEL would cut the string at the NUL."""
    github.faults.add(
        "status", path="/repos/acme/shop/pulls/17", status=200, body=whole() | {"title": "pr\0d"}
    )
    with pytest.raises(PayloadRefused, match="NUL"):
        read_closed_event(client(github), "acme/shop", 17, NOW)
