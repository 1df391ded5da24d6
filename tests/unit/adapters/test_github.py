"""GitHub's client: answers that count, errors that say whether to come again, a token that stays home."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from closeout.adapters.github import GitHubClient
from closeout.core.errors import CloseoutError, ConfigError, SecretError, ServiceError
from closeout.ports import PullRequest
from closeout.testing.github import FakeGitHub
from tests.unit.adapters.shown import shown

SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"


def failure(call: Callable[[], object]) -> ServiceError:
    """Return the ServiceError that a call raises."""
    with pytest.raises(ServiceError) as caught:
        call()
    return caught.value


# --- what closeout asks ---------------------------------------------------------------------------------


def test_a_status_is_posted_with_all_its_parts(github: FakeGitHub, client: GitHubClient) -> None:
    """State, context, description and link arrive as they were given."""
    client.create_status(
        "acme/shop",
        SHA,
        state="pending",
        context="closeout/x",
        description="1/2",
        target_url="https://h/runs/1",
    )
    (status,) = github.statuses("acme/shop", SHA)
    assert (status["state"], status["context"], status["description"], status["target_url"]) == (
        "pending",
        "closeout/x",
        "1/2",
        "https://h/runs/1",
    )


def test_each_request_says_which_version_of_the_api_it_speaks(
    github: FakeGitHub, client: GitHubClient
) -> None:
    """And what it sends, if it sends something."""
    client.request("GET", "/repos/acme/shop")
    client.create_status("acme/shop", SHA, state="success", context="c", description="d", target_url=None)
    names = ("accept", "user-agent", "x-github-api-version", "content-type")
    sent = [tuple(entry["headers"].get(name) for name in names) for entry in github.requests()]
    version = ("application/vnd.github+json", "closeout", "2022-11-28")
    assert sent == [(*version, None), (*version, "application/json")]


@pytest.mark.parametrize(("length", "posted"), [(140, "é" * 140), (141, "é" * 139 + "…")])
def test_a_description_that_github_would_refuse_is_cut(
    github: FakeGitHub, client: GitHubClient, length: int, posted: str
) -> None:
    """GitHub answers 422 to more than 140 characters; a cut sentence is better than no status."""
    client.create_status(
        "acme/shop", SHA, state="success", context="c", description="é" * length, target_url=None
    )
    assert github.statuses("acme/shop", SHA)[0]["description"] == posted


def test_a_pull_request_is_read_with_its_identity(github: FakeGitHub, client: GitHubClient) -> None:
    """Id, number, state and the base repository's id: what the live check compares."""
    github.world.open_pull("acme/shop", number=17, id=1_700_017)
    assert client.pull_request("acme/shop", 17) == PullRequest(
        1_700_017, 17, "open", 501_001, "acme/shop", 9_001, "feature/17"
    )
    changed = github.world.change_pull("acme/shop", 17, "closed", merged=True)
    closed = client.pull_request("acme/shop", 17)
    assert (closed.state, closed.closed_at) == ("closed", changed.closed_at)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        "closed",
        {"id": 1, "number": 17, "state": "closed"},
        {"id": 1, "number": 17, "state": "closed", "base": {"repo": None}},
        {
            "id": 1,
            "number": 17,
            "state": "closed",
            "base": {"repo": {"id": "501001", "full_name": "acme/shop"}},
        },
        {"id": 1, "number": 17, "state": "closed", "base": {"repo": {"id": 501_001}}},
        {"id": 1, "number": 17, "state": "closed", "base": {"repo": {"id": 501_001, "full_name": "acme"}}},
        {
            "id": True,
            "number": 17,
            "state": "closed",
            "base": {"repo": {"id": 501_001, "full_name": "acme/shop"}},
        },
        {
            "id": 1,
            "number": 18,
            "state": "closed",
            "base": {"repo": {"id": 501_001, "full_name": "acme/shop"}},
        },
        {
            "id": 1,
            "number": 17,
            "state": "CLOSED",
            "base": {"repo": {"id": 501_001, "full_name": "acme/shop"}},
        },
        {"id": 1, "number": 17, "state": None, "base": {"repo": {"id": 501_001, "full_name": "acme/shop"}}},
    ],
)
def test_an_incomplete_answer_is_never_guessed_at(
    github: FakeGitHub, client: GitHubClient, answer: Any
) -> None:
    """A 200 with anything else than this pull request is a transient error, not "closed"."""
    github.world.open_pull("acme/shop", number=17)
    github.faults.add("status", status=200, body=json.dumps(answer))
    assert failure(lambda: client.pull_request("acme/shop", 17)).transient


def test_both_names_of_a_renamed_file_count_and_only_300_files(
    github: FakeGitHub, client: GitHubClient
) -> None:
    """GitHub Actions looks at the first 300 changed files; a rename touches its old place too."""
    files = [{"filename": f"src/{i}.py"} for i in range(305)]
    files[0] = {"filename": "new.py", "previous_filename": "old.py"}
    github.world.open_pull("acme/shop", number=17, files=files)
    names = client.pull_request_files("acme/shop", 17)
    assert names[:3] == ("new.py", "old.py", "src/1.py")
    assert len(names) == 301
    assert len(github.requests()) == 3


# --- a ref that is gone ---------------------------------------------------------------------------------


def test_the_open_pull_requests_of_a_branch_are_listed(github: FakeGitHub, client: GitHubClient) -> None:
    """Of this branch of this repository: not those of other branches, not closed ones, not a fork's of the same name."""
    for number, head, more in ((1, "feature/x", {}), (2, "feature/x", {}), (3, "feature/xy", {}), (4, "feature/x", {"fork": "eve/shop"}), (5, "feature/x", {})):  # fmt: skip
        github.world.open_pull("acme/shop", number=number, head=head, **more)
    github.world.change_pull("acme/shop", 5, "closed")
    assert sorted(client.open_pull_requests("acme/shop", "feature/x")) == [1, 2]
    assert client.open_pull_requests("acme/shop", "feature") == ()


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"message": "x"},
        [{}],
        [None],
        "x",
        [{"number": "1", "state": "open", "head": {"ref": "b"}}],
        [{"number": 1, "state": "closed", "head": {"ref": "b"}}],
        [{"number": 1, "state": "open", "head": {"ref": "another"}}],
        [{"number": 1, "state": "open", "head": None}],
    ],
    ids=repr,
)
def test_a_malformed_list_of_pull_requests_is_an_error(
    github: FakeGitHub, client: GitHubClient, answer: Any
) -> None:
    """An ignored filter, or half an answer, never means "no other pull request"."""
    github.faults.add("status", status=200, body=json.dumps(answer))
    assert failure(lambda: client.open_pull_requests("acme/shop", "b")).transient


def test_a_ref_is_there_or_not_by_its_whole_name(github: FakeGitHub, client: GitHubClient) -> None:
    """`heads/pr-1` is gone although `heads/pr-12` is there; a name with slashes is one name."""
    shop = github.world.repository("acme/shop")
    github.world.set_ref(shop, "heads/pr-12", SHA)
    github.world.set_ref(shop, "heads/feature/a/b", SHA)
    github.world.set_ref(shop, "tags/v1", SHA)
    assert not client.ref_exists("acme/shop", "heads/pr-1")
    assert client.ref_exists("acme/shop", "heads/pr-12")
    assert client.ref_exists("acme/shop", "heads/feature/a/b")
    assert client.ref_exists("acme/shop", "tags/v1")


def test_an_invisible_repository_does_not_mean_that_the_ref_is_gone(github: FakeGitHub) -> None:
    """GitHub answers 404 to both; closeout asks for the repository too."""
    github.world.add_token("narrow", repositories=["acme/other"])
    client = GitHubClient(lambda: "narrow", github.url)
    error = failure(lambda: client.ref_exists("acme/shop", "heads/gone"))
    assert error.http_status == 404


def test_unreadable_refs_do_not_mean_that_the_ref_is_gone(github: FakeGitHub, client: GitHubClient) -> None:
    """A token without Contents: read sees the repository and gets 404 for every ref: that proves nothing."""
    not_found = {"message": "Not Found", "documentation_url": "https://docs.github.com"}
    github.faults.add("status", status=404, path=r".*/git/ref/.*", times=0, body=not_found)
    assert "Contents: read" in failure(lambda: client.ref_exists("acme/shop", "heads/gone")).message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, "<html>not found</html>"),
        (404, {"message": "no route"}),
        (410, {"message": "Not Found"}),
        (403, {}),
    ],
)
def test_only_githubs_own_404_means_gone(
    github: FakeGitHub, client: GitHubClient, status: int, body: object
) -> None:
    """A proxy's page, another sentence or another status says nothing about the ref."""
    github.faults.add("status", status=status, body=body)
    assert failure(lambda: client.ref_exists("acme/shop", "heads/gone")).http_status == status


def test_an_answer_about_other_refs_is_an_error(github: FakeGitHub, client: GitHubClient) -> None:
    """The list of matching refs, which an old API gave here, is not read as "it is there"."""
    github.faults.add("status", status=200, body={"ref": "refs/heads/pr-12"})
    failure(lambda: client.ref_exists("acme/shop", "heads/pr-1"))


# --- errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "transient"),
    [
        (400, False),
        (401, False),
        (403, False),
        (404, False),
        (408, True),
        (409, False),
        (410, False),
        (422, False),
    ]
    + [(status, True) for status in (500, 502, 503, 504)],
)
def test_which_errors_are_transient(
    github: FakeGitHub, client: GitHubClient, status: int, transient: bool
) -> None:
    """The server's own faults are; a wrong request stays wrong."""
    github.faults.add(
        "status", status=status, body={"message": "sentence", "errors": [{"field": "é"}, "second"]}
    )
    error = failure(lambda: client.request("GET", "/repos/acme/shop"))
    assert (error.transient, error.http_status, error.reason) == (transient, status, str(status))
    help_ = {
        401: "; the token is wrong or has expired",
        404: "; it does not exist, or the token may not see it",
    }
    assert error.message == (
        f'GitHub: GET /repos/acme/shop: {status} sentence; {{"field": "é"}}; second{help_.get(status, "")}'
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [("<html>", "(no JSON answer)"), ([1], "(no message)"), ({"message": "x" * 301}, "x" * 300)],
)
def test_a_meaningless_answer_is_not_quoted(
    github: FakeGitHub, client: GitHubClient, body: object, told: str
) -> None:
    """Neither a proxy's page nor a long text fills the log."""
    github.faults.add("status", status=422, body=body)
    error = failure(lambda: client.request("GET", "/repos/acme/shop"))
    assert error.message == f"GitHub: GET /repos/acme/shop: 422 {told}"


@pytest.mark.parametrize(("status", "wait"), [(500, 7.0), (503, 7.0), (409, None)])
def test_an_outage_is_waited_out_as_long_as_github_says(
    github: FakeGitHub, client: GitHubClient, status: int, wait: float | None
) -> None:
    """Maintenance of an Enterprise Server names its end; it is no rate limit."""
    github.faults.add("status", status=status, headers={"retry-after": "7"}, body={"message": "m"})
    error = failure(lambda: client.request("GET", "/repos/acme/shop"))
    assert (error.reason, error.retry_after, error.transient) == (str(status), wait, wait is not None)


@pytest.mark.parametrize(
    ("status", "headers", "message", "wait"),
    [
        (429, {"retry-after": "7"}, "slow down", 7.0),
        (403, {"retry-after": "7"}, "slow down", 7.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1090"}, "API rate limit exceeded", 91.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "900"}, "API rate limit exceeded", 1.0),
        (429, {"x-ratelimit-remaining": "4000", "x-ratelimit-reset": "1090"}, "secondary rate limit", 60.0),
        (403, {}, "You have exceeded a secondary rate limit.", 60.0),
        (403, {}, "You have triggered an abuse detection mechanism.", 60.0),
        (429, {"retry-after": "soon"}, "slow down", 60.0),
        (429, {"retry-after": "99999999999"}, "slow down", 86_400.0),
    ],
)
def test_a_rate_limit_is_raised_with_the_time_that_github_names(
    github: FakeGitHub, status: int, headers: dict[str, str], message: str, wait: float
) -> None:
    """Retry-after first, then the reset of a spent limit, else one minute; never slept off here."""
    client = GitHubClient(lambda: github.token, github.url, now=lambda: 1000.0)
    github.faults.add("status", status=status, headers=headers, body={"message": message})
    error = failure(lambda: client.request("GET", "/repos/acme/shop"))
    assert (error.transient, error.retry_after, error.reason) == (True, wait, "rate-limit")


def test_a_403_about_permissions_is_not_a_rate_limit(github: FakeGitHub, client: GitHubClient) -> None:
    """A token without permission will not have it later; waiting would hide that."""
    body = {"message": "Resource not accessible by personal access token"}
    github.faults.add("status", status=403, headers={"x-ratelimit-remaining": "4000"}, body=body)
    error = failure(lambda: client.request("GET", "/repos/acme/shop"))
    assert (error.transient, error.retry_after, error.reason) == (False, None, "403")


def test_a_missing_right_is_named(github: FakeGitHub, client: GitHubClient) -> None:
    """GitHub says in a header what it would take; the error passes it on, and nothing but what looks like it."""
    body = {"message": "Resource not accessible by personal access token"}
    headers = {"x-accepted-github-permissions": "statuses=write"}
    github.faults.add("status", status=403, headers=headers, body=body)
    assert failure(lambda: client.request("GET", "/repos/acme/shop")).message.endswith(
        "the token needs statuses: write"
    )
    github.faults.add("status", status=403, headers={"x-accepted-github-permissions": "<b>"}, body=body)
    assert "needs" not in failure(lambda: client.request("GET", "/repos/acme/shop")).message


def test_a_spent_limit_of_the_fake_reads_like_githubs(github: FakeGitHub, client: GitHubClient) -> None:
    """The fake's own limit ends in the same error."""
    github.remaining = 0
    error = failure(lambda: client.request("GET", "/repos/acme/shop"))
    assert error.transient
    assert 0 < (error.retry_after or 0) <= 62


@pytest.mark.parametrize(("kind", "reason"), [("drop", "ConnectionError"), ("half", "ConnectionError")])
def test_a_closed_connection_is_transient(
    github: FakeGitHub, client: GitHubClient, kind: str, reason: str
) -> None:
    """No answer and half an answer are treated alike."""
    github.faults.add(kind)
    error = failure(lambda: client.request("GET", "/repos/acme/shop"))
    assert (error.transient, error.reason) == (True, reason)


@pytest.mark.parametrize("kind", ["never", "trickle"])
def test_an_answer_that_is_too_slow_is_abandoned(github: FakeGitHub, kind: str) -> None:
    """The limit is for the whole answer: a byte now and then does not hold the thread."""
    client = GitHubClient(lambda: github.token, github.url, timeout=0.2)
    github.faults.add(kind, seconds=0.01)
    began = time.monotonic()
    error = failure(lambda: client.request("GET", "/repos/acme/shop"))
    assert (error.transient, error.reason) == (True, "ReadTimeout")
    assert time.monotonic() - began < 10, "the limit is 0.2 s"


def test_a_slow_answer_within_the_time_is_an_answer(github: FakeGitHub, client: GitHubClient) -> None:
    """Patience up to the limit."""
    github.faults.add("slow", seconds=0.1)
    assert client.request("GET", "/repos/acme/shop")["id"] == 501_001


def test_a_refused_connection_is_transient() -> None:
    """It is an outage, not an answer."""
    client = GitHubClient(lambda: "t", "http://127.0.0.1:9", timeout=0.5)
    error = failure(lambda: client.request("GET", "/user"))
    assert (error.transient, error.reason) == (True, "ConnectionError")


def test_a_page_that_is_not_json_is_refused(github: FakeGitHub, client: GitHubClient) -> None:
    """A proxy's login page has status 200 as well."""
    github.faults.add("text", status=200, body="<html>please log in</html>")
    error = failure(lambda: client.request("GET", "/repos/acme/shop"))
    assert (error.transient, error.reason) == (True, "not-json")


def test_an_endless_answer_is_cut_off(github: FakeGitHub) -> None:
    """More than eight megabytes are not read."""
    client = GitHubClient(lambda: github.token, github.url)  # as patient as in production
    github.faults.add("status", status=200, body={"message": "x" * 8_100_000})
    assert failure(lambda: client.request("GET", "/repos/acme/shop")).reason == "TooLarge"


# --- redirects ------------------------------------------------------------------------------------------


def test_a_renamed_repository_is_followed_by_reads_and_writes(
    github: FakeGitHub, client: GitHubClient
) -> None:
    """GitHub redirects the old name to the repository's id: 301 for a read, 307 for a write, body and all."""
    github.world.open_pull("acme/shop", number=17)
    github.world.rename("acme/shop", "acme/store")
    assert client.pull_request("acme/shop", 17).base_repository_id == 501_001
    client.create_status("acme/shop", SHA, state="success", context="c", description="d", target_url=None)
    assert github.statuses("acme/store", SHA)[0]["state"] == "success"
    github.clear_requests()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("path", ["/repos/acme/shop", "//{host}/repos/acme/shop"])
def test_no_token_leaves_the_origin(status: int, path: str) -> None:
    """A redirect to another host, port or scheme is an error; the other host gets no request."""
    with FakeGitHub() as other, FakeGitHub() as home:
        host = other.url.removeprefix("http://")
        home.faults.add(
            "redirect", status=status, location=path.format(host=host) if "{" in path else other.url + path
        )
        client = GitHubClient(lambda: home.token, home.url)
        error = failure(lambda: client.request("GET", "/repos/acme/shop"))
        assert (error.reason, error.transient) == ("redirect", False)
        assert other.requests() == []


def test_a_redirect_without_end_ends(github: FakeGitHub, client: GitHubClient) -> None:
    """Three redirects are enough for any rename."""
    github.faults.add("redirect", status=302, location=f"{github.url}/repos/acme/shop", times=0)
    assert failure(lambda: client.request("GET", "/repos/acme/shop")).reason == "redirect"
    assert len(github.requests()) == 4


# --- the token ------------------------------------------------------------------------------------------


def test_a_rotated_token_is_used_at_once(github: FakeGitHub) -> None:
    """The token is read for each request."""
    tokens = ["stale", github.token]
    client = GitHubClient(lambda: tokens[0], github.url, named="the token in env:T")
    refused = failure(lambda: client.request("GET", "/user"))
    assert refused.http_status == 401
    assert refused.message.endswith(": 401 Bad credentials; the token in env:T is wrong or has expired")
    tokens.pop(0)
    assert client.request("GET", "/user")["login"] == "closeout-bot"


def test_a_token_that_was_replaced_is_read_again_after_a_401(github: FakeGitHub) -> None:
    """A 401 asks for a refresh, once; the request is repeated only if the token has changed."""
    tokens = ["stale"]

    def refresh() -> bool:
        tokens.append(github.token)
        return len(tokens) == 2

    client = GitHubClient(lambda: tokens[-1], github.url, refresh=refresh)
    assert client.request("GET", "/user")["login"] == "closeout-bot"
    github.world.tokens.clear()
    assert failure(lambda: client.request("GET", "/user")).http_status == 401
    assert len(github.requests()) == 3


def test_an_unreadable_token_is_transient(github: FakeGitHub) -> None:
    """A secret store that is down makes the call wait; it does not end the run."""

    def broken() -> str:
        raise SecretError("aws-secretsmanager:token cannot be read")

    error = failure(lambda: GitHubClient(broken, github.url).request("GET", "/user"))
    assert (error.transient, error.reason) == (True, "no-token")
    assert github.requests() == []


@pytest.mark.parametrize("token", ["", "  ", "two\nlines", "naïve", "nul\0"])
def test_a_malformed_token_is_reported_without_showing_it(github: FakeGitHub, token: str) -> None:
    """http.client would quote the value in its error; closeout checks it first."""
    error = failure(lambda: GitHubClient(lambda: token, github.url).request("GET", "/user"))
    assert error.reason == "no-token"
    assert not token.strip() or token not in shown(error)


@pytest.mark.parametrize("kind", ["drop", "half", "never", "status", "redirect", "text"])
def test_no_error_shows_the_token(github: FakeGitHub, kind: str) -> None:
    """Neither the message nor the chain of causes carries it, whatever went wrong."""
    client = GitHubClient(lambda: github.token, github.url, timeout=0.1)
    github.faults.add(kind, status=302 if kind == "redirect" else 500, location="http://127.0.0.2/", body="x")
    error = failure(lambda: client.request("GET", "/repos/acme/shop"))
    assert github.token not in shown(error)


# --- where requests go ----------------------------------------------------------------------------------


def test_an_enterprise_server_has_its_own_base(github: FakeGitHub) -> None:
    """GHES serves the API under /api/v3."""
    client = GitHubClient(lambda: github.token, f"{github.url}/api/v3/")
    assert client.request("GET", "/repos/acme/shop")["id"] == 501_001


@pytest.mark.parametrize(
    "url",
    [
        "http://github.example.com/api",
        "ftp://h/",
        "api.github.com",
        "https://",
        "https://u:p@h/",
        "https://h/?x=1",
    ],
)
def test_a_base_that_would_show_the_token_is_refused(url: str) -> None:
    """Plain HTTP is for loopback only."""
    with pytest.raises(ConfigError):
        GitHubClient(lambda: "t", url)


@pytest.mark.parametrize(
    "name", ["acme", "acme/shop/x", "../shop", "acme/..", "acme/sh op", "acme/shop?x", "", "a/%2e%2e"]
)
def test_an_invalid_repository_name_is_never_requested(
    github: FakeGitHub, client: GitHubClient, name: str
) -> None:
    """A name from a payload cannot turn into another path."""
    failure(lambda: client.pull_request(name, 17))
    assert github.requests() == []


@pytest.mark.parametrize(
    "path", ["user", "/repos/a/b/../c", "/repos/%2E%2e/x", "/user?x=1", "/user#f", "/us er", "/ü"]
)
def test_a_path_cannot_leave_its_place(github: FakeGitHub, client: GitHubClient, path: str) -> None:
    """Dot segments, queries and fragments in a path are refused before anything is sent."""
    assert not failure(lambda: client.request("GET", path)).transient
    assert github.requests() == []


def test_an_answer_without_content_is_none(github: FakeGitHub, client: GitHubClient) -> None:
    """204 has nothing to decode."""
    github.world.add_workflow("acme/shop", "t.yml", details=False)
    body = {"ref": "main", "inputs": {}}
    assert client.request("POST", "/repos/acme/shop/actions/workflows/t.yml/dispatches", body=body) is None


def test_every_error_is_a_named_one(github: FakeGitHub, client: GitHubClient) -> None:
    """Whatever comes back, callers catch one class."""
    for body in ({"message": None, "errors": 3}, {"message": {"a": 1}, "errors": [None]}, [1]):
        github.faults.add("status", status=422, body=body)
        with pytest.raises(CloseoutError):
            client.request("GET", "/repos/acme/shop")


# --- lists, read conditionally ----------------------------------------------------------------------------


def test_a_page_that_has_not_changed_is_not_sent_again_and_does_not_count(
    github: FakeGitHub, client: GitHubClient
) -> None:
    """With its tag, the time by GitHub's clock, and what the token has left."""
    query = {"state": "open", "per_page": "2"}
    github.world.open_pull("acme/shop", number=901)
    first = client.read("/repos/acme/shop/pulls", query)
    assert isinstance(first.body, list)
    assert (first.unchanged, abs(first.date - time.time()) < 60, first.limit) == (False, True, 5000)
    again = client.read("/repos/acme/shop/pulls", query, first.etag)
    assert (again.unchanged, again.body, again.remaining) == (True, None, first.remaining)
    github.world.open_pull("acme/shop", number=902)
    assert client.read("/repos/acme/shop/pulls", query, first.etag).unchanged is False


def test_a_page_names_the_next_one(github: FakeGitHub, client: GitHubClient) -> None:
    """By the query to send; the last one names none."""
    for number in (903, 904, 905):
        github.world.open_pull("acme/shop", number=number, head=f"paged/{number}")
    query = {"state": "open", "per_page": "2"}
    seen = []
    page = client.read("/repos/acme/shop/pulls", query)
    for _ in range(20):
        seen += [pull["number"] for pull in page.body]
        if page.next is None:
            break
        page = client.read("/repos/acme/shop/pulls", page.next)
    assert page.next is None
    assert {903, 904, 905} <= set(seen)


@pytest.mark.parametrize(
    ("given", "scopes"),
    [(None, None), ("", ()), ("repo, admin:org_hook", ("repo", "admin:org_hook")), (" repo,", ("repo",))],
)
def test_a_page_says_which_scopes_a_classic_token_has(
    github: FakeGitHub, client: GitHubClient, given: str | None, scopes: tuple[str, ...] | None
) -> None:
    """None is a token of another kind, and that is not a token without any scope."""
    headers = {} if given is None else {"x-oauth-scopes": given}
    github.faults.add("status", status=200, headers=headers, body=[])
    assert client.read("/repos/acme/shop/pulls", {}).scopes == scopes


@pytest.mark.parametrize("kind", ["half", "drop", "status", "text"])
def test_half_a_page_is_an_error(github: FakeGitHub, client: GitHubClient, kind: str) -> None:
    """It does not count as a short list."""
    fault = github.faults.add(
        kind, path=r"/repos/acme/shop/pulls", body="<html>" if kind == "text" else None, status=200
    )
    if kind == "status":
        fault.status = 502
    assert failure(lambda: client.read("/repos/acme/shop/pulls", {})).transient
