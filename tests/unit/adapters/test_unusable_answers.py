"""Malformed answers with status 200: a transient error, never "closed", "absent" or "empty"."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from closeout.adapters.answers import checked
from closeout.adapters.github import GitHubClient
from closeout.adapters.hooks import Hooks, Target
from closeout.core.errors import ServiceError
from closeout.core.url import same_webhook
from closeout.ports import HttpAnswer, Json

PULL: dict[str, Any] = {
    "id": 1700,
    "number": 17,
    "state": "closed",
    "base": {"repo": {"id": 1, "full_name": "acme/shop", "owner": {"id": 9}}},
    "head": {"ref": "feature"},
}


class Says(GitHubClient):
    """A client that returns this answer to every request."""

    def __init__(self, answer: Any) -> None:
        super().__init__(lambda: "t", "https://api.github.test")
        self._answer = answer

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Json] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        """Return the answer."""
        del method, path, body, query
        answer: Json = self._answer
        return answer


def refused(call: Callable[[], object], said: str) -> None:
    """Assert that an answer is refused with a transient error."""
    with pytest.raises(ServiceError, match=said) as caught:
        call()
    assert caught.value.transient
    assert caught.value.reason == "unusable-answer"


def changed(*keys: str, to: Any) -> dict[str, Any]:
    """Return the pull request with one field of another value."""
    pull: Any = deepcopy(PULL)
    inner = pull
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    return dict(pull)


def test_a_complete_answer_is_the_pull_request() -> None:
    """The other tests change one field of it."""
    found = Says(PULL).pull_request("acme/shop", 17)
    assert (found.id, found.number, found.state, found.base_owner_id) == (1700, 17, "closed", 9)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "not a pull request"),
        ([], "not a pull request"),
        ({}, "not a pull request"),
        (changed("base", to={}), "not a pull request"),
        (changed("id", to="1700"), "not the pull request that was asked for"),
        (changed("id", to=True), "not the pull request that was asked for"),
        (changed("number", to=18), "not the pull request that was asked for"),
        (changed("state", to="gone"), "not the pull request that was asked for"),
        (changed("base", "repo", "id", to=None), "not the pull request that was asked for"),
        (changed("base", "repo", "owner", "id", to="9"), "not the pull request that was asked for"),
        (changed("base", "repo", "full_name", to=["acme/shop"]), "not the pull request that was asked for"),
        (changed("base", "repo", "full_name", to="shop"), "not the pull request that was asked for"),
    ],
)
def test_an_incomplete_or_other_pull_request_is_refused(answer: Any, said: str) -> None:
    """Its state decides about a delete, so it must be the requested one."""
    refused(lambda: Says(answer).pull_request("acme/shop", 17), said)


@pytest.mark.parametrize("answer", [None, {}, [{}], ["a.py"], [{"name": "a.py"}]])
def test_changed_files_are_a_list_of_names(answer: Any) -> None:
    """An empty list would match no filter."""
    refused(lambda: Says(answer).pull_request_files("acme/shop", 17), "not a list of files")


def test_both_names_of_a_renamed_file_count() -> None:
    """As in GitHub Actions."""
    files = [{"filename": "new.py", "previous_filename": "old.py"}, {"filename": "same.py"}]
    assert Says(files).pull_request_files("acme/shop", 17) == ("new.py", "old.py", "same.py")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "not a list of pull requests"),
        ([{"number": 1}], "not a list of pull requests"),
        ([{"number": 1, "state": "closed", "head": {"ref": "x"}}], "not the list that was asked for"),
        ([{"number": 1, "state": "open", "head": {"ref": "y"}}], "not the list that was asked for"),
        ([{"number": "1", "state": "open", "head": {"ref": "x"}}], "not the list that was asked for"),
    ],
)
def test_only_open_pull_requests_of_the_branch_count(answer: Any, said: str) -> None:
    """GitHub ignores a filter that it does not understand, and lists all."""
    refused(lambda: Says(answer).open_pull_requests("acme/shop", "x"), said)


@pytest.mark.parametrize("repository", [None, {}, {"default_branch": 5}, {"default_branch": "x"}])
def test_a_ref_is_gone_only_if_another_one_can_be_read(repository: Any) -> None:
    """A token without permission gets 404 for every ref."""

    class Without(Says):
        def _ref(self, path: str, ref: str) -> bool:
            del path, ref
            return False

    refused(lambda: Without(repository).ref_exists("acme/shop", "heads/x"), "does not name another branch")
    refused(
        lambda: Without({"default_branch": "main"}).ref_exists("acme/shop", "heads/x"),
        "neither heads/x nor heads/main",
    )


@pytest.mark.parametrize(
    "answer", [None, {}, [{}], [5], [{"id": "x", "config": {}, "events": [], "active": True}]]
)
def test_a_malformed_list_is_not_an_empty_list_of_hooks(answer: Any) -> None:
    """Otherwise a second hook would be made."""
    hooks = Hooks(Says(answer), Target.parse("acme/shop"))
    refused(hooks.all, "the answer is not a ")
    refused(lambda: hooks.deliveries(5), "the answer is not a ")


def test_a_hook_with_an_unreadable_url_is_not_ours() -> None:
    """Its destination is unknown."""
    assert same_webhook("https://a.example/x/webhook/", "https://a.example/x")
    assert same_webhook("https://a.example", "nonsense") is False


class Answers(GitHubClient):
    """A client whose every exchange returns an empty list with these headers."""

    def __init__(self, **headers: str) -> None:
        super().__init__(lambda: "t", "https://api.github.test")
        self._answer = HttpAnswer(200, headers, b"[]")

    def _exchange(self, *_request: object) -> HttpAnswer:
        return self._answer


@pytest.mark.parametrize("date", ["", "yesterday", "Thu, 99 Jan 2026 00:00:00 GMT"])
def test_a_page_has_githubs_time(date: str) -> None:
    """Watermarks follow GitHub's clock."""
    refused(lambda: Answers(date=date).read("/x", {}), "the answer has no date")
    refused(lambda: Answers().read("/x", {}), "the answer has no date")
    assert Answers(date="Thu, 01 Jan 2026 00:00:00 GMT").read("/x", {}).date == 1_767_225_600


def of(kind: str, **more: Any) -> Any:
    """Return a shape as botocore's models have it."""
    return SimpleNamespace(type_name=kind, **more)


SHAPE = of(
    "structure",
    members={
        "Names": of("list", member=of("string")),
        "Tags": of("map", value=of("string")),
        "Inner": of("structure", members={"Count": of("integer")}),
        "TemplateBody": of("string"),
        "Blob": of("blob"),
    },
)


def refuse(what: str) -> NoReturn:
    """Raise a stand-in for the `ServiceError`."""
    raise LookupError(what)


def test_a_well_formed_answer_is_returned_unchanged() -> None:
    """Including fields that the model does not know, and a template that botocore has decoded."""
    answer = {
        "Names": ["a"],
        "Tags": {"k": "v"},
        "Inner": {"Count": 1},
        "TemplateBody": {},
        "Blob": b"x",
        "New": 5,
    }
    assert checked(SHAPE, answer, refuse) == answer
    assert checked(None, {"a": 1}, refuse) == {"a": 1}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([], "it is no structure"),
        ({"Names": {}}, "Names is no list"),
        ({"Names": [1]}, "Names is no string"),
        ({"Tags": []}, "Tags is no map"),
        ({"Tags": {"k": 1}}, "Tags is no string"),
        ({"Inner": None}, "Inner is no structure"),
        ({"Inner": {"Count": "1"}}, "Count is no integer"),
    ],
)
def test_a_malformed_answer_is_refused(answer: Any, said: str) -> None:
    """What botocore could not parse is not read as empty."""
    with pytest.raises(LookupError, match=said):
        checked(SHAPE, answer, refuse)


def test_a_missing_field_is_refused_when_it_is_read() -> None:
    """`get` is for optional ones."""
    answer = checked(SHAPE, {"Inner": {}}, refuse)
    assert answer.get("Names") is None
    with pytest.raises(LookupError, match="the answer lacks Count"):
        _ = answer["Inner"]["Count"]
