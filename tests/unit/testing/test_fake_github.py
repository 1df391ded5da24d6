"""The fake GitHub: rules, hooks and faults that behave as GitHub's do, since other tests stand on it."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from closeout.testing.github import TOKEN, FakeGitHub

SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"


class Receiver:
    """A webhook's server: keeps what it gets, answers what it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status = 202
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhook"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Yield a receiver."""
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """Yield a fake with acme/shop."""
    with FakeGitHub() as fake:
        fake.world.add_repository("acme/shop", id=501_001)
        yield fake


def ask(
    github: FakeGitHub, method: str, path: str, body: Any = None, *, token: str | None = TOKEN
) -> tuple[int, Any, dict[str, str]]:
    """Send one request; return status, decoded answer and headers."""
    connection = http.client.HTTPConnection(urlsplit(github.url).netloc, timeout=5)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return (
        response.status,
        json.loads(text) if text else None,
        {k.lower(): v for k, v in response.getheaders()},
    )


def control(github: FakeGitHub, method: str, path: str, body: Any = None) -> Any:
    """Send one control request, which must succeed."""
    status, answer, _ = ask(github, method, f"/_control/{path}", body, token=None)
    assert status == 200, answer
    return answer


# --- the API's rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "wrong"])
def test_without_a_known_token_everything_is_401(github: FakeGitHub, token: str | None) -> None:
    """As on GitHub."""
    assert ask(github, "GET", "/repos/acme/shop", token=token)[0] == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"state": "success"}, 201),
        ({"state": "success", "description": "é" * 140, "target_url": "https://h/"}, 201),
        ({"state": "success", "description": "x" * 141}, 422),
        ({"state": "done"}, 422),
        ({"state": "success", "target_url": "ftp://h/"}, 422),
    ],
)
def test_a_status_is_held_to_githubs_limits(github: FakeGitHub, body: Any, status: int) -> None:
    """Documented or not."""
    assert ask(github, "POST", f"/repos/acme/shop/statuses/{SHA}", body)[0] == status


def test_a_thousand_statuses_of_one_context_are_enough(github: FakeGitHub) -> None:
    """GitHub refuses the next one; another context has its own count."""
    shop = github.world.repository("acme/shop")
    for _ in range(1000):
        github.world.add_status(shop, SHA, {"state": "pending", "context": "c"}, None)
    path = f"/repos/acme/shop/statuses/{SHA}"
    assert ask(github, "POST", path, {"state": "success", "context": "c"})[0] == 422
    assert ask(github, "POST", path, {"state": "success", "context": "d"})[0] == 201


def test_statuses_are_listed_with_their_history_newest_first(github: FakeGitHub) -> None:
    """As the list for a commit gives them."""
    for state in ("pending", "success"):
        ask(github, "POST", f"/repos/acme/shop/statuses/{SHA}", {"state": state, "context": "c"})
    _, listed, _ = ask(github, "GET", f"/repos/acme/shop/commits/{SHA}/statuses")
    assert [status["state"] for status in listed] == ["success", "pending"]


def test_matching_refs_go_by_prefix_and_one_ref_does_not(github: FakeGitHub) -> None:
    """The trap that real code falls into."""
    github.world.set_ref(github.world.repository("acme/shop"), "heads/pr-12", SHA)
    assert ask(github, "GET", "/repos/acme/shop/git/ref/heads/pr-1")[0] == 404
    assert len(ask(github, "GET", "/repos/acme/shop/git/matching-refs/heads/pr-1")[1]) == 1


def test_every_answer_says_how_much_of_the_limit_is_left(github: FakeGitHub) -> None:
    """And a spent limit is 403."""
    github.remaining = 1
    assert ask(github, "GET", "/repos/acme/shop")[2]["x-ratelimit-remaining"] == "0"
    status, answer, headers = ask(github, "GET", "/repos/acme/shop")
    assert (status, headers["x-ratelimit-remaining"]) == (403, "0")
    assert "rate limit" in answer["message"]


def test_a_renamed_repository_redirects_until_its_name_is_taken_again(github: FakeGitHub) -> None:
    """By id, with another repository behind the old name afterwards: the reused name of a live check."""
    github.world.rename("acme/shop", "acme/store")
    status, _, headers = ask(github, "GET", "/repos/acme/shop")
    assert (status, urlsplit(headers["location"]).path) == (301, "/repositories/501001")
    assert ask(github, "GET", "/repositories/501001")[1]["full_name"] == "acme/store"
    control(github, "POST", "repositories", {"full_name": "acme/shop"})
    assert ask(github, "GET", "/repos/acme/shop")[1]["id"] != 501_001


def test_a_narrow_token_sees_404_elsewhere(github: FakeGitHub) -> None:
    """GitHub does not say that a repository exists."""
    github.world.add_token("narrow", repositories=["acme/other"])
    assert ask(github, "GET", "/repos/acme/shop", token="narrow")[0] == 404


# --- hooks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", ["json", "form"])
def test_closing_a_pull_request_sends_a_signed_delivery(
    github: FakeGitHub, receiver: Receiver, content_type: str
) -> None:
    """Signed over the raw body that arrives, with GitHub's headers."""
    secret = "It's a Secret to Everybody ü"
    hook = control(
        github,
        "POST",
        "repositories/acme/shop/hooks",
        {"url": receiver.url, "secret": secret, "events": ["pull_request"], "content_type": content_type},
    )
    control(github, "POST", "repositories/acme/shop/pulls", {"number": 17, "head": "feature/basket"})
    # As on GitHub, the order of deliveries is not guaranteed: this one is answered before the next is sent.
    assert github.sender.settle()
    control(github, "POST", "repositories/acme/shop/pulls/17/close", {"merged": True, "wait": True})
    headers, body = receiver.got[-1]
    assert (
        headers["x-hub-signature-256"]
        == "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    )
    assert headers["x-github-event"] == "pull_request"
    assert headers["x-github-hook-id"] == str(hook["id"])
    assert headers["x-github-hook-installation-target-id"] == "501001"
    text = parse_qs(body.decode())["payload"][0] if content_type == "form" else body
    payload = json.loads(text)
    assert (payload["action"], payload["number"], payload["pull_request"]["merged"]) == ("closed", 17, True)
    assert len(headers["x-github-delivery"]) == 36


def test_two_hooks_get_the_same_guid_and_a_redelivery_keeps_it(
    github: FakeGitHub, receiver: Receiver
) -> None:
    """The GUID is the event's; a delivery's own id is another number."""
    for _ in range(2):
        github.add_hook("acme/shop", url=receiver.url, secret="s")
    github.world.open_pull("acme/shop")
    assert github.sender.settle()
    assert len({headers["x-github-delivery"] for headers, _ in receiver.got}) == 1
    assert len({headers["x-github-hook-id"] for headers, _ in receiver.got}) == 2
    hook = receiver.got[0][0]["x-github-hook-id"]
    _, (known,), _ = ask(github, "GET", f"/repos/acme/shop/hooks/{hook}/deliveries")
    assert ask(github, "POST", f"/repos/acme/shop/hooks/{hook}/deliveries/{known['id']}/attempts")[0] == 202
    assert github.sender.settle()
    again = receiver.got[-1]
    assert (again[0]["x-github-delivery"], again[1]) == (known["guid"], receiver.got[0][1])
    _, listed, _ = ask(github, "GET", f"/repos/acme/shop/hooks/{hook}/deliveries")
    assert [entry["redelivery"] for entry in listed] == [True, False]
    assert len({entry["id"] for entry in listed}) == 2
    _, whole, _ = ask(github, "GET", f"/repos/acme/shop/hooks/{hook}/deliveries/{known['id']}")
    assert whole["request"]["payload"]["action"] == "opened"


def test_a_delivery_that_fails_is_kept_and_not_sent_again(github: FakeGitHub, receiver: Receiver) -> None:
    """Nothing is redelivered by itself; an answer other than 2xx, or none, is a failure."""
    receiver.status = 503
    github.add_hook("acme/shop", url=receiver.url, secret="s")
    github.add_hook("acme/shop", url="http://127.0.0.1:9/", secret="s")
    github.world.open_pull("acme/shop")
    kept = control(github, "GET", "repositories/acme/shop/deliveries?settle=5")
    assert sorted(entry["status_code"] for entry in kept) == [0, 503]
    assert not [entry for entry in kept if entry["status"] == "OK"]
    assert len(receiver.got) == 1


def test_a_hook_made_by_the_api_is_pinged(github: FakeGitHub, receiver: Receiver) -> None:
    """Its secret is never shown again."""
    body = {"events": ["push"], "config": {"url": receiver.url, "content_type": "json", "secret": "s3cret"}}
    status, made, _ = ask(github, "POST", "/repos/acme/shop/hooks", body)
    assert github.sender.settle()
    assert (status, receiver.got[0][0]["x-github-event"]) == (201, "ping")
    assert "s3cret" not in json.dumps(made) + json.dumps(ask(github, "GET", "/repos/acme/shop/hooks")[1])


def test_what_closeout_does_itself_comes_back_as_events(github: FakeGitHub, receiver: Receiver) -> None:
    """A status and a comment are events too, for hooks that ask for everything."""
    github.add_hook("acme/shop", url=receiver.url, secret="s", events=["*"])
    ask(github, "POST", f"/repos/acme/shop/statuses/{SHA}", {"state": "success", "context": "closeout/x"})
    ask(github, "POST", "/repos/acme/shop/issues/17/comments", {"body": "<!-- closeout:x -->"})
    assert github.sender.settle()
    assert {headers["x-github-event"] for headers, _ in receiver.got} == {"status", "issue_comment"}


# --- faults and the journal -----------------------------------------------------------------------------


def test_a_held_call_waits_until_it_is_released(github: FakeGitHub) -> None:
    """Call 2 of an endpoint: what a crash test needs."""
    github.world.open_pull("acme/shop", number=17)
    fault = github.faults.add("hold", path=r".*/pulls/17", skip=1)
    assert ask(github, "GET", "/repos/acme/shop/pulls/17")[0] == 200
    answers: list[int] = []
    thread = threading.Thread(
        target=lambda: answers.append(ask(github, "GET", "/repos/acme/shop/pulls/17")[0])
    )
    thread.start()
    assert github.faults.wait(fault)
    assert answers == []
    github.faults.clear()
    thread.join(5)
    assert answers == [200]


@pytest.mark.parametrize(("after", "count"), [(False, 0), (True, 1)])
def test_a_lost_answer_may_have_had_its_effect_or_not(github: FakeGitHub, after: bool, count: int) -> None:
    """`after` is the crash between the effect and the answer."""
    github.faults.add("drop", method="POST", after=after)
    with pytest.raises((http.client.HTTPException, OSError)):
        ask(github, "POST", f"/repos/acme/shop/statuses/{SHA}", {"state": "success"})
    assert len(github.statuses("acme/shop", SHA)) == count


def test_a_held_caller_that_was_killed_leaves_no_effect(github: FakeGitHub) -> None:
    """The call is dropped when its caller has hung up: it was never carried out."""
    fault = github.faults.add("hold", method="POST")
    connection = http.client.HTTPConnection(urlsplit(github.url).netloc, timeout=5)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    connection.request("POST", f"/repos/acme/shop/statuses/{SHA}", json.dumps({"state": "success"}), headers)
    assert github.faults.wait(fault)
    connection.close()
    threading.Event().wait(0.2)
    github.faults.clear()
    assert github.statuses("acme/shop", SHA) == []


def test_the_journal_has_every_request_and_no_token(github: FakeGitHub) -> None:
    """Whether a token came and was known, never which."""
    ask(github, "POST", f"/repos/acme/shop/statuses/{SHA}?x=1", {"state": "success"})
    ask(github, "GET", "/user", token="other")
    first, second = github.requests()
    assert (first["method"], first["query"], first["body"], first["status"], first["token"]) == (
        "POST",
        {"x": "1"},
        {"state": "success"},
        201,
        "known",
    )
    assert (second["status"], second["token"]) == (401, "unknown")
    assert TOKEN not in json.dumps([first, second])
    github.clear_requests()
    assert github.requests() == []


def test_a_control_request_that_makes_no_sense_is_refused(github: FakeGitHub) -> None:
    """With a sentence, so that a broken test does not pass in silence."""
    for method, path, body in (
        ("POST", "repositories", {}),
        ("POST", "repositories/acme/shop/pulls", {"colour": "red"}),
        ("POST", "repositories/acme/shop/pulls/1/close", {}),
        ("GET", "nothing", None),
        ("GET", "repositories/acme/shop/pulls", None),
    ):
        status, answer, _ = ask(github, method, f"/_control/{path}", body, token=None)
        assert status in (404, 422), path
        assert answer["message"]
    with pytest.raises(ValueError, match="meteor"):
        github.faults.add("meteor")
    with pytest.raises(TypeError, match="speed"):
        github.faults.add("slow", speed=3)


def test_it_runs_as_a_process_of_its_own() -> None:
    """The first line is its URL; SIGTERM ends it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "closeout.testing.github", "--port", "0", "--token", "t"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3] / "src",
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
        connection.request("GET", "/user", headers={"Authorization": "token t"})
        assert json.loads(connection.getresponse().read())["login"] == "closeout-bot"
        connection.close()
        process.terminate()
        assert process.wait(5) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


# --- lists ------------------------------------------------------------------------------------------------


def test_closed_pull_requests_are_listed_by_their_last_update(github: FakeGitHub) -> None:
    """A comment brings one to the front, a tag spares what has not changed, and closing is an event."""
    for number in (1, 2, 3):
        github.world.open_pull("acme/shop", number=number)
        github.world.change_pull("acme/shop", number, "closed")
    github.world.repository("acme/shop").pulls[1].updated_at = "2100-01-01T00:00:00Z"
    path = "/repos/acme/shop/pulls?state=closed&sort=updated&direction=desc&per_page=2"
    status, answer, headers = ask(github, "GET", path)
    assert (status, [pull["number"] for pull in answer]) == (200, [1, 3])
    assert 'page=2>; rel="next"' in headers["link"]
    events = ask(github, "GET", "/repos/acme/shop/issues/events")[1]
    assert [(event["event"], event["issue"]["number"]) for event in events][:2] == [
        ("closed", 3),
        ("closed", 2),
    ]
    assert events[0]["created_at"] == answer[1]["closed_at"]


# --- what tokens may ------------------------------------------------------------------------------------


def test_a_fine_grained_token_may_what_its_rights_say(github: FakeGitHub) -> None:
    """What it may not is 403 with the right that it lacks; it still sees the repository."""
    github.world.add_token("narrow", rights={"pull_requests": "read", "repository_hooks": "read"})
    allowed = [("GET", "/pulls"), ("GET", "/hooks"), ("GET", "")]
    assert [
        ask(github, method, f"/repos/acme/shop{path}", token="narrow")[0] for method, path in allowed
    ] == [200] * 3
    status, _, headers = ask(
        github, "POST", f"/repos/acme/shop/statuses/{SHA}", {"state": "success"}, token="narrow"
    )
    assert (status, headers["x-accepted-github-permissions"]) == (403, "statuses=write")
    hook = github.add_hook("acme/shop", url="http://127.0.0.1:9/webhook", secret="s")
    assert ask(github, "POST", f"/repos/acme/shop/hooks/{hook.id}/pings", token="narrow")[0] == 204
    assert ask(github, "DELETE", f"/repos/acme/shop/hooks/{hook.id}", token="narrow")[0] == 403


def test_a_classic_token_is_told_its_scopes_and_every_token_its_limit(github: FakeGitHub) -> None:
    """To ask for the limit costs nothing, also when there is nothing left."""
    github.world.add_token("classic", scopes=["repo", "gist"])
    assert ask(github, "GET", "/repos/acme/shop", token="classic")[2]["x-oauth-scopes"] == "repo, gist"
    assert "x-oauth-scopes" not in ask(github, "GET", "/repos/acme/shop")[2]
    github.remaining = 0
    status, answer, headers = ask(github, "GET", "/rate_limit")
    assert (status, answer["resources"]["core"]["remaining"], headers["x-ratelimit-remaining"]) == (
        200,
        0,
        "0",
    )
    assert ask(github, "GET", "/repos/acme/shop")[0] == 403
