"""Pull requests of a repository, read in batches from a fake GitHub: few calls, and no error read as an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from closeout.adapters.github import GitHubClient
from closeout.core.errors import ServiceError
from closeout.orphans.reading import Pull, UnknownState, reading
from closeout.ports import Json
from closeout.testing.github import FakeGitHub
from tests.openapi.description import check

REPOSITORY = "acme/shop"
COUNT = 450


@pytest.fixture(scope="module")
def server() -> Iterator[FakeGitHub]:
    """A repository with many pull requests, every third of them open."""
    with FakeGitHub() as fake:
        fake.world.add_repository(REPOSITORY)
        for number in range(1, COUNT + 1):
            fake.world.open_pull(REPOSITORY, number=number)
            if number % 3:
                fake.world.change_pull(REPOSITORY, number, "closed")
        yield fake


@pytest.fixture
def github(server: FakeGitHub) -> Iterator[FakeGitHub]:
    """The same repository, with nothing asked and no fault; what is asked is held against GitHub's description."""
    server.clear_requests()
    server.faults.clear()
    yield server
    # GitHub's description lacks `/repositories/{id}`, where a name that was renamed leads.
    check([asked for asked in server.requests() if asked["path"].startswith("/repos/")])


def client(github: FakeGitHub) -> GitHubClient:
    return GitHubClient(lambda: github.token, github.url, timeout=10.0)


def states(found: dict[int, Pull | UnknownState]) -> dict[int, str]:
    return {
        number: pull.reason if isinstance(pull, UnknownState) else pull.answer["state"]
        for number, pull in found.items()
    }


def test_many_are_read_from_the_list(github: FakeGitHub) -> None:
    """One call for a hundred, down to the oldest that is wanted and no further; one that is missing is asked for."""
    wanted = {*range(101, 440), 449, 450, 451}
    found = reading(client(github), REPOSITORY).read(wanted)
    expected = {number: "closed" if number % 3 else "open" for number in wanted - {451}}
    assert states(found) == expected | {451: "acme/shop has no pull request 451"}
    assert len(github.requests()) == 1 + 4


def test_few_are_read_individually(github: FakeGitHub) -> None:
    """Two old ones take two calls and no pages."""
    found = reading(client(github), REPOSITORY).read({2, 3})
    assert states(found) == {2: "closed", 3: "open"}
    assert all(isinstance(pull, Pull) and pull.whole for pull in found.values())
    assert [entry["path"].rpartition("/")[2] for entry in github.requests()][:2] == ["shop", "pulls"]
    assert len(github.requests()) == 4


@pytest.mark.parametrize("fault", ["rate-limit", "half", "drop"])
def test_a_failed_page_makes_its_pull_requests_unknown(github: FakeGitHub, fault: str) -> None:
    """Nothing more is requested, and what was read before counts."""
    source = reading(client(github), REPOSITORY)
    source.read({450})
    github.faults.add(fault, path=f"/repos/{REPOSITORY}/pulls", times=99)
    found = source.read(set(range(1, 300)))
    assert all(isinstance(pull, UnknownState) and pull.failed for pull in found.values())


def test_a_missing_pull_request_is_no_failure(github: FakeGitHub) -> None:
    """GitHub has answered: the number may be an issue's, or another team's."""
    github.world.repository(REPOSITORY).pulls.pop(200, None)
    source = reading(client(github), REPOSITORY)
    absent = UnknownState("acme/shop has no pull request 200", failed=False)
    assert (source.read({200}), source.alone(200)) == ({200: absent}, absent)


def test_an_answer_about_another_repository_is_a_failure(github: FakeGitHub) -> None:
    """A renamed or reused name says nothing about this one."""
    github.world.add_repository("acme/old")
    github.world.rename("acme/old", "acme/new")
    with pytest.raises(ServiceError, match="acme/old is now acme/new"):
        reading(client(github), "acme/old")
    source = reading(client(github), REPOSITORY)
    source.id += 1
    found = source.read({17})
    assert [isinstance(pull, UnknownState) and pull.failed for pull in found.values()] == [True]
    with pytest.raises(ServiceError):
        reading(client(github), "acme/none")


class Says(GitHubClient):
    """A client that gets one answer for each path."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__(lambda: "t", "https://api.github.test")
        self.answers = answers

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Json] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        """Return the answer."""
        del method, body, query
        answer: Json = self.answers[path]
        return answer


HOME = {"full_name": REPOSITORY, "id": 501}
PULL = {"number": 17, "state": "closed", "base": {"repo": {"id": 501}}}


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"id": 501}, {"full_name": 5, "id": 501}, {"full_name": REPOSITORY, "id": "501"}]
)
def test_a_malformed_repository_is_an_error(answer: Any) -> None:
    """Nothing is judged by pull requests of an unknown repository."""
    with pytest.raises(ServiceError, match="the answer is not what was asked for"):
        reading(Says({f"/repos/{REPOSITORY}": answer}), REPOSITORY)


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        "proxy",
        PULL | {"number": "17"},
        PULL | {"number": 18},
        PULL | {"state": "gone"},
        PULL | {"base": {"repo": None}},
        PULL | {"base": {"repo": {"id": 502}}},
    ],
)
def test_a_malformed_pull_request_is_a_failure(answer: Any) -> None:
    """Alone as well as in a list, and the next one gets the same reason without a call."""
    path = f"/repos/{REPOSITORY}/pulls"
    alone = reading(Says({f"/repos/{REPOSITORY}": HOME, f"{path}/17": answer}), REPOSITORY)
    listed = reading(Says({f"/repos/{REPOSITORY}": HOME, path: [answer]}), REPOSITORY)
    found = [alone.alone(17), alone.alone(18)]
    if answer != PULL | {"number": 18}:  # which a list may have
        found += [listed.read([17])[17], listed.alone(18)]
        found += [listed.read([17, 18])[18]]
    for pull in found:
        assert isinstance(pull, UnknownState)
        assert pull.failed
        assert "the answer is not what was asked for" in pull.reason


@pytest.mark.parametrize("answer", [None, {}, "proxy", PULL])
def test_a_malformed_list_is_a_failure(answer: Any) -> None:
    """It does not mean "no pull request"."""
    source = reading(Says({f"/repos/{REPOSITORY}": HOME, f"/repos/{REPOSITORY}/pulls": answer}), REPOSITORY)
    (found,) = source.read([17]).values()
    assert isinstance(found, UnknownState)
    assert found.failed


def test_an_empty_list_means_that_there_are_none() -> None:
    """A repository in which nobody has opened a pull request."""
    source = reading(Says({f"/repos/{REPOSITORY}": HOME, f"/repos/{REPOSITORY}/pulls": []}), REPOSITORY)
    assert source.read([1]) == {1: UnknownState("acme/shop has no pull request 1", failed=False)}


@pytest.mark.parametrize(
    ("private", "hidden"), [(True, True), (False, False), (None, False), ("true", False)]
)
def test_only_what_github_calls_private_is_private(private: Any, hidden: bool) -> None:
    """Visibility decides what is public about a repository's orphans."""
    assert reading(Says({f"/repos/{REPOSITORY}": HOME | {"private": private}}), REPOSITORY).private is hidden


@pytest.mark.parametrize(("gap", "pages"), [(1, 18), (2, 9)])
def test_a_list_is_read_down_to_the_oldest_number_and_no_further(gap: int, pages: int) -> None:
    """Numbers have gaps, for issues have some: a page that ends with the oldest that is asked for is the last one."""
    asked: list[str] = []

    class Listed(Says):
        def request(self, method: str, path: str, *, body: Any = None, query: Any = None) -> Any:
            """Answer a hundred pull requests a page, each number or each second one, the newest of them 2,000."""
            del method, body
            if path == f"/repos/{REPOSITORY}":
                return HOME
            asked.append(query["page"])
            first = 2_000 - 100 * gap * (int(query["page"]) - 1)
            return [PULL | {"number": number} for number in range(first, max(first - 100 * gap, 0), -gap)]

    wanted = range(200 + gap, 2_001, gap)
    found = reading(Listed({}), REPOSITORY).read(wanted)
    assert sorted(found) == list(wanted)
    assert all(isinstance(pull, Pull) and not pull.whole for pull in found.values()), (
        "a list is not the whole"
    )
    assert sorted(asked, key=int) == [str(page) for page in range(1, pages + 1)]
