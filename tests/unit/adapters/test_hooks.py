"""GitHub's hooks over HTTP: each request and answer conforms to GitHub's own API description."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.adapters.github import GitHubClient
from closeout.adapters.hooks import Hooks, Target
from closeout.core.errors import ServiceError, Unauthorized, UsageError
from closeout.core.signature import verify
from closeout.core.url import same_webhook
from closeout.testing.github import FakeGitHub

Received = list[tuple[dict[str, str], bytes]]


@pytest.fixture
def receiver() -> Iterator[tuple[str, Received]]:
    """A webhook that records what arrives: its URL, and headers (lower case) with body."""
    got: Received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/prod/webhook", got
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["acme/shop", "acme"])
def hooks(request: pytest.FixtureRequest, github: FakeGitHub, client: GitHubClient) -> Hooks:
    """The hooks of a repository, then of an organization."""
    github.world.add_organization("acme")
    return Hooks(client, Target.parse(request.param))


def signed_with(secret: str, got: Received) -> bool:
    """Whether the last delivery is signed with this secret, checked with closeout's own code."""
    headers, body = got[-1]
    given = headers["x-hub-signature-256"].encode()
    try:
        verify(body, given, [secret.encode()])
    except Unauthorized:
        return False
    return True


def test_a_hook_is_made_pinged_changed_and_removed(
    hooks: Hooks, github: FakeGitHub, receiver: tuple[str, Received]
) -> None:
    """The whole life of a hook, with each delivery signed by the hook's current secret."""
    url, got = receiver
    hook = hooks.create(url, "first", ["pull_request"])
    assert github.sender.settle()
    assert (hook.url, hook.events, hook.active, hook.content_type) == (url, ("pull_request",), True, "json")
    assert got[0][0]["x-github-event"] == "ping"
    assert signed_with("first", got)
    assert got[0][0]["x-github-hook-installation-target-type"] == (
        "organization" if hooks.target.organization else "repository"
    )

    hooks.set_secret(hook.id, "second")
    hooks.ping(hook.id)
    assert github.sender.settle()
    assert signed_with("second", got)
    pings = hooks.deliveries(hook.id)
    assert [(ping.event, ping.status_code, ping.status) for ping in pings] == [("ping", 200, "OK")] * 2
    assert len({ping.guid for ping in pings}) == 2

    changed = hooks.update(hook.id, url, "third", ["delete", "pull_request"])
    assert (changed.events, changed.active) == (("delete", "pull_request"), True)
    hooks.ping(hook.id)
    assert github.sender.settle()
    assert signed_with("third", got)
    assert [found.id for found in hooks.all()] == [hook.id]

    hooks.delete(hook.id)
    assert hooks.all() == ()


def test_repository_and_organization_hooks_get_the_same_guid(
    github: FakeGitHub, client: GitHubClient, receiver: tuple[str, Received]
) -> None:
    """As on GitHub, the GUID is the event's."""
    url, got = receiver
    github.world.add_organization("acme")
    for name in ("acme", "acme/shop"):
        Hooks(client, Target.parse(name)).create(url, "s", ["pull_request"])
    assert github.sender.settle()
    got.clear()
    github.world.open_pull("acme/shop")
    assert github.sender.settle()
    assert len(got) == 2
    assert len({headers["x-github-delivery"] for headers, _ in got}) == 1
    assert len({headers["x-github-hook-id"] for headers, _ in got}) == 2


def test_an_update_of_the_hook_itself_drops_a_secret_that_is_left_out(
    github: FakeGitHub, client: GitHubClient, receiver: tuple[str, Received]
) -> None:
    """GitHub's description warns of it; therefore a new secret is set through the hook's config."""
    url, got = receiver
    hooks = Hooks(client, Target.parse("acme/shop"))
    hook = hooks.create(url, "s", ["push"])
    client.request("PATCH", f"/repos/acme/shop/hooks/{hook.id}/config", body={"content_type": "json"})
    hooks.ping(hook.id)
    assert github.sender.settle()
    assert signed_with("s", got)
    client.request("PATCH", f"/repos/acme/shop/hooks/{hook.id}", body={"events": ["push"]})
    hooks.ping(hook.id)
    assert github.sender.settle()
    assert "x-hub-signature-256" not in got[-1][0]


def test_every_hook_is_listed_however_many_pages_there_are(github: FakeGitHub, client: GitHubClient) -> None:
    """A hook on the second page is found."""
    for number in range(103):
        github.add_hook("acme/shop", url=f"https://h{number}.example/", secret="s")
    hooks = Hooks(client, Target.parse("acme/shop"))
    assert len(hooks.all()) == 103
    assert [hook.url for hook in hooks.reaching("https://h102.example/webhook")] == ["https://h102.example/"]


def test_hooks_are_listed_up_to_ten_pages() -> None:
    """GitHub may omit `insecure_ssl`, or send it as a number or a text."""
    configs: tuple[dict[str, Any], ...] = (
        {"insecure_ssl": "1"},
        {"insecure_ssl": 1},
        {"insecure_ssl": "0"},
        {"insecure_ssl": 0},
        {},
    )
    page = [{"id": 1, "events": ["push"], "active": True, "config": config} for config in configs] * 20
    asked: list[str] = []

    def request(_method: str, _path: str, *, query: dict[str, str]) -> Any:
        asked.append(query["page"])
        return page

    hooks = Hooks(cast("Any", SimpleNamespace(request=request)), Target.parse("acme")).all()
    assert [hook.insecure for hook in hooks[:5]] == [True, True, False, False, False]
    assert asked == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize(
    "call",
    [
        lambda hooks: hooks.all(),
        lambda hooks: hooks.create("https://h/", "s3cret-value", ["push"]),
        lambda hooks: hooks.set_secret(7, "s3cret-value"),
        lambda hooks: hooks.ping(7),
    ],
)
@pytest.mark.parametrize(("name", "word"), [("acme/gone", "admin:repo_hook"), ("gone", "admin:org_hook")])
def test_a_404_says_which_permission_may_be_missing(
    client: GitHubClient, name: str, word: str, call: Callable[[Hooks], Any]
) -> None:
    """GitHub answers 404 for what a token may not see."""
    with pytest.raises(ServiceError) as error:
        call(Hooks(client, Target.parse(name)))
    assert "404" in error.value.message
    assert word in error.value.message


def test_an_error_that_repeats_the_secret_is_shown_without_it(
    github: FakeGitHub, client: GitHubClient
) -> None:
    """Whatever GitHub, or a proxy, says about a request, the secret is not in the message."""
    github.faults.add("status", status=422, body={"message": "bad config: s3cret-value"})
    with pytest.raises(ServiceError) as error:
        Hooks(client, Target.parse("acme/shop")).set_secret(7, "s3cret-value")
    assert "s3cret-value" not in error.value.message
    assert error.value.message.endswith("bad config: ***"), "the token lacks nothing"


@pytest.mark.parametrize("body", [{"a": 1}, [{"id": "x"}], [{"id": 1, "config": []}], ["x"], None])
def test_a_malformed_list_of_hooks_is_an_error(github: FakeGitHub, client: GitHubClient, body: Any) -> None:
    """Only an empty list means that there are no hooks."""
    github.faults.add("status", status=200, body=body if body is not None else "nothing")
    with pytest.raises(ServiceError):
        Hooks(client, Target.parse("acme/shop")).all()


@pytest.mark.parametrize(
    "text", ["", "/", "acme/", "/shop", "acme/shop/x", "acme/..", "a b", "-a", "acme/shöp"]
)
def test_an_invalid_repository_or_organization_is_refused(text: str) -> None:
    """A name that could change a URL's path never gets into one."""
    with pytest.raises(UsageError):
        Target.parse(text)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://a.example/prod/webhook", True),
        ("https://a.example/prod/", True),
        ("https://A.example/prod", True),
        ("https://a.example/prod/webhook/", True),
        ("https://a.example/dev/webhook", False),
        ("http://a.example/prod/webhook", False),
        ("https://b.example/prod/webhook", False),
    ],
)
def test_a_hook_with_either_path_of_this_webhook_is_recognized(url: str, same: bool) -> None:
    """The stack answers at `/` and at `/webhook`; a hook made by hand may use either."""
    assert same_webhook(url, "https://a.example/prod/webhook") is same
