"""The guard's function between an emulated account and a fake GitHub: whatever fails, the answer is not 200."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from closeout.core.automation import Automation
from closeout.core.records import NewDelivery, NewRun
from closeout.lambdas import guard as function
from closeout.lambdas.guard import open_guard
from closeout.ledger.dynamodb.table import Table, put
from closeout.run.guard import Answer
from closeout.stack import table as layout
from closeout.stack.closings import closing_items
from closeout.stack.deployed import digest_of, pack
from closeout.testing.github import FakeGitHub
from tests.contract.remote_harness import client
from tests.ledger_table import create_ledger
from tests.stack_aws import StackAws
from tests.unit.adapters.workflow import OTHER, OURS, public_key, token

REPOSITORY = "acme/shop"
TOKEN = "token-of-the-closeout-bot"
URL = "https://a1b2c3.execute-api.us-east-1.amazonaws.com/prod"
SHOP = Automation(name="cleanup", triggers=({"event": "pull_request"},), repositories=(REPOSITORY,))
EVERYWHERE = Automation(name="everywhere", triggers=({"event": "pull_request"},))


class Scene:
    """A stack with a guard, and pull request #17, which is open."""

    def __init__(self, aws: StackAws, github: FakeGitHub) -> None:
        self.aws = aws
        self.github = github
        github.world.add_repository(REPOSITORY)
        github.world.open_pull(REPOSITORY, number=17)
        github.workflow_keys.append(public_key("ours", OURS))
        create_ledger(client(aws, "dynamodb"), "ledger")
        self.table = Table(client(aws, "dynamodb"), "ledger")
        self.publish(SHOP)
        self.secrets = client(aws, "secretsmanager")
        arn = self.secrets.create_secret(Name="token", SecretString=TOKEN)["ARN"]
        self.environment = {
            **aws.environment(),
            "AWS_REGION": "us-east-1",
            "CLOSEOUT_TABLE": "ledger",
            "CLOSEOUT_API_URL": github.url,
            "CLOSEOUT_GITHUB_SECRET": arn,
            "CLOSEOUT_PUBLIC_URL": URL,
            "CLOSEOUT_RECHECKS": "patrol:live",
        }
        self.lines: list[str] = []

    def publish(self, *automations: Automation) -> None:
        """Deploy a configuration."""
        packed = pack(automations, self.github.url)
        self.table.change(put(layout.deployed_item(packed, digest_of(packed), 1_000.0)))

    def token(self, **changed: Any) -> str:
        """A workflow's token."""
        number = self.github.world.repository(REPOSITORY).id
        claims = {"aud": URL, "repository_id": str(number), **changed}
        return token(f"{self.github.url}/_services/token", **claims)

    def ask(self, given: str | None = None, **changed: str) -> tuple[int, str]:
        """Ask a new environment; return the status, and the verdict or the error's code."""
        given = self.token() if given is None else given
        guard = open_guard({**self.environment, **changed}, self.lines.append)
        answer = function.answer(event(given), guard.ask, self.lines.append)
        assert given not in json.dumps(answer) + self.lines[-1]
        body = json.loads(answer["body"])
        return answer["statusCode"], body.get("verdict") or body["error"]


def event(given: str, number: str = "17", **changed: Any) -> dict[str, Any]:
    """An event of API Gateway's."""
    return {
        "httpMethod": "GET",
        "multiValueHeaders": {"Authorization": [f"Bearer {given}"]},
        "multiValueQueryStringParameters": {"pull-request": [number]},
        **changed,
    }


@pytest.fixture
def scene(aws: StackAws) -> Iterator[Scene]:
    """A stack."""
    with FakeGitHub(token=TOKEN) as github:
        yield Scene(aws, github)


def test_an_open_pull_request_without_a_teardown_may_be_deployed(scene: Scene) -> None:
    """The only 200. A closing with an unfinished run makes it a 409, and so does GitHub's "closed"."""
    assert scene.ask() == (200, "open")
    closing = NewDelivery("1", "g", "pull_request", "closed", "acme/shop", b"{}", False, 1.5, "github", 17)
    run = NewRun("a" * 26, "cleanup", None, "{}", 60.0)
    items = layout.acceptance(closing, [run], [], b"", 2_000_000_000)
    for item in (*items, *closing_items(closing._asdict(), "d", [run.run_id], None)):
        scene.table.change(put(item))
    assert scene.ask() == (409, "closed")
    assert "a teardown is on its way" in json.loads(scene.lines[-1])["reason"]
    scene.github.world.change_pull(REPOSITORY, 17, "closed")
    assert scene.ask() == (409, "closed")


def test_a_late_deploy_brings_the_recheck_forward(scene: Scene) -> None:
    """Only on "closed", once a minute; a recheck that cannot be started does not change the answer."""
    assert scene.ask() == (200, "open")
    assert scene.ask(scene.token(repository_id="1")) == (503, "unknown")
    assert scene.ask(scene.token(repository="stranger/shop")) == (401, "token-refused")
    assert scene.aws.executions() == []
    scene.github.world.change_pull(REPOSITORY, 17, "closed")
    for _ in range(2):
        assert scene.ask() == (409, "closed")
    (started,) = scene.aws.executions()
    assert started["function"] == "patrol:live"
    assert json.loads(started["payload"]) == {"recheck": {"repository": REPOSITORY, "number": 17}}
    scene.aws.fault(service="lambda", operation="Invoke", status=403, code="AccessDeniedException")
    assert scene.ask() == (409, "closed")
    assert "is not rechecked now" in json.loads(scene.lines[-2])["text"]


def _no_keys(scene: Scene) -> tuple[int, str]:
    scene.github.workflow_keys.clear()
    return scene.ask()


def _no_github(scene: Scene) -> tuple[int, str]:
    scene.github.faults.add("status", status=502, times=0)
    return scene.ask()


def _nothing_at_the_issuer(scene: Scene) -> tuple[int, str]:
    return scene.ask(CLOSEOUT_API_URL="http://127.0.0.1:9")


def _no_token_of_its_own(scene: Scene) -> tuple[int, str]:
    return scene.ask(CLOSEOUT_GITHUB_SECRET="absent")


def _another_repository_id(scene: Scene) -> tuple[int, str]:
    return scene.ask(scene.token(repository_id="1"))


@pytest.mark.parametrize(
    "cannot", [_no_keys, _no_github, _nothing_at_the_issuer, _no_token_of_its_own, _another_repository_id]
)
def test_an_unknown_state_is_503(scene: Scene, cannot: Callable[[Scene], tuple[int, str]]) -> None:
    """Never "open"."""
    assert cannot(scene) == (503, "unknown")


def test_a_ledger_that_cannot_be_read_is_503(scene: Scene) -> None:
    """Neither the configuration nor the teardowns are known then."""
    assert scene.ask(CLOSEOUT_TABLE="absent") == (503, "store-unavailable")
    scene.table.change({"Delete": {"Key": layout.DEPLOYED_KEY}})
    assert scene.ask() == (503, "unavailable")


def test_an_invalid_token_is_401(scene: Scene) -> None:
    """GitHub's API is not called, and no teardown is searched."""
    wrong: tuple[dict[str, Any], ...] = (
        {"aud": "https://a1b2c4.execute-api.us-east-1.amazonaws.com/prod"},
        {"aud": f"{URL}/guard"},
        {"repository": "acme/other"},
        {"repository": "stranger/shop"},
        {"repository_id": None},
        {"repository_id": "x"},
        {"exp": 1_000},
        {"key": OTHER},
    )
    for changed in wrong:
        assert scene.ask(scene.token(**changed)) == (401, "token-refused"), changed
    assert not [call for call in scene.github.requests() if "/pulls/" in call["path"]]


def test_an_automation_must_name_the_owner(scene: Scene) -> None:
    """Without `repositories`, or with a wildcard as owner, it would accept tokens of any owner."""
    for repositories, may in (
        ((), False),
        (("*",), False),
        (("*/shop",), False),
        (("acm*/shop",), False),
        (("ACME/*",), True),
        (("acme/*", "!acme/shop"), False),
        (("!acme/other", "*"), False),
        (("acme-labs/*", "*"), False),
    ):
        scene.publish(replace(SHOP, repositories=repositories))
        assert scene.ask() == ((200, "open") if may else (401, "token-refused")), repositories


def test_the_guard_follows_the_deployed_configuration(scene: Scene) -> None:
    """Even in an environment that stays alive."""
    guard = open_guard(scene.environment)
    assert function.answer(event(scene.token()), guard.ask, scene.lines.append)["statusCode"] == 200
    scene.publish(EVERYWHERE)
    assert function.answer(event(scene.token()), guard.ask, scene.lines.append)["statusCode"] == 401


def asked(answer: Callable[[], Answer], **changed: Any) -> tuple[int, str, dict[str, Any]]:
    """The status, code and log line for a request with this token."""
    lines: list[str] = []
    said = function.answer(event("a.b.c", **changed), lambda _token, _number: answer(), lines.append)
    (line,) = lines
    assert (said["headers"]["cache-control"], said["isBase64Encoded"]) == ("no-store", False)
    body = json.loads(said["body"])
    return said["statusCode"], body.get("verdict") or body["error"], json.loads(line)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"httpMethod": "POST"}, 405),
        ({"multiValueHeaders": None}, 401),
        ({"multiValueHeaders": {"authorization": ["Basic abc"]}}, 401),
        ({"multiValueHeaders": {"Authorization": ["Bearer a", "Bearer b"]}}, 401),
        ({"multiValueHeaders": {"Authorization": ["Bearer a"], "authorization": ["Bearer b"]}}, 401),
        ({"multiValueQueryStringParameters": None}, 400),
        ({"multiValueQueryStringParameters": {"pull-request": ["17", "18"]}}, 400),
        ({"multiValueQueryStringParameters": {"pull-request": ["-1"]}}, 400),
    ],
)
def test_an_invalid_request_is_refused_before_any_call(changed: dict[str, Any], status: int) -> None:
    """In the one shape of errors."""

    def answer() -> Answer:
        raise AssertionError

    found, _, line = asked(answer, **changed)
    assert (found, line["status"], line["level"]) == (status, status, "info")


def test_a_bug_is_500_and_its_text_stays_inside() -> None:
    """It may quote what the caller sent."""

    def answer() -> Answer:
        raise ValueError("a.b.c")

    status, code, line = asked(answer)
    assert (status, code) == (500, "internal-error")
    assert (line["level"], line["outcome"], line["reason"]) == ("error", "internal-error", "ValueError")
