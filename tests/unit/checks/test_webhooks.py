"""How the checks of webhooks read GitHub's answers: an organization's webhooks, missing pings, delivery logs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.checks.check import Result
from closeout.checks.world import HooksFound, OwnedHook, World
from closeout.config.load import Loaded
from closeout.core.errors import ServiceError
from closeout.core.records import NewDelivery
from closeout.ports.clients import Hook, HookDelivery
from closeout.testing.github import TOKEN
from tests.unit.checks.scene import SECRET, Scene
from tests.unit.checks.test_answers import ASK, HERE, error, loaded, raises, returns


def test_a_webhook_of_the_organization_counts_for_its_repositories(whole: Scene) -> None:
    """It has the events of all of them."""
    for name in ("acme/shop", "acme/site"):
        whole.github.world.repository(name).hooks.clear()
    organization = whole.github.world.organizations["acme"]
    hook = next(iter(whole.hooks.values()))
    organization.hooks[hook.id] = hook
    found = whole.results(pings=True)
    assert [found[name].ok for name in ("hook-there", "hook-url", "hook-active", "hook-answers")] == [
        True
    ] * 4
    assert found["hook-ping"].result.what == "GitHub sent a ping through 1 webhook"


def delivery(scene: Scene, repository: str, hook: str) -> None:
    """Store a delivery."""
    new = NewDelivery(hook, "g", "pull_request", None, repository, b"{}", False, 1.0, "github")
    scene.ledger.accept_wait(new, ())


def test_a_delivery_proves_a_hidden_webhook_of_the_organization(whole: Scene) -> None:
    """Without one it is a finding, which says what could not be read."""
    whole.github.world.repository("acme/site").hooks.clear()
    whole.github.world.organizations.clear()
    missing = whole.results()["hook-there"]
    assert (missing.ok, "of its organization cannot be read" in missing.result.what) == (False, True)
    delivery(whole, "acme/site", "77")
    assert whole.results()["hook-there"].ok is True


def test_a_ping_that_may_not_be_requested_is_unknown(whole: Scene) -> None:
    """The newest delivery in the log still counts."""
    whole.github.faults.add("status", method="POST", path=r"/repos/.*/pings", status=403, times=0)
    found = whole.results(pings=True)
    assert (found["hook-ping"].result.state, "cannot be pinged" in found["hook-ping"].result.what) == (
        "unknown",
        True,
    )
    assert (found["hook-secret"].ok, found["hook-answers"].ok) == (True, True)


def test_a_ping_that_never_appears_in_the_log_is_unknown(whole: Scene) -> None:
    """The drill looks about thirty times, and then says so."""
    whole.github.faults.add("status", method="POST", path=r"/repos/.*/pings", status=204, times=0, body={})
    found = whole.results(pings=True)["hook-ping"]
    assert (found.result.state, "no ping within 30 s" in found.result.what) == ("unknown", True)


def test_a_log_that_cannot_be_read_is_not_good_news(whole: Scene) -> None:
    """An error does not mean that all deliveries succeeded."""
    whole.github.faults.add("status", path=r"/repos/.*/deliveries", status=500, times=0)
    found = whole.results()
    assert found["hook-answers"].result.state == "unknown"
    assert found["hook-secret"].result.state == "unknown"


def test_a_webhook_without_a_delivery_proves_nothing(whole: Scene) -> None:
    """The doctor says so, and the drill sends one."""
    for name in whole.hooks:
        whole.github.world.repository(name).deliveries.clear()
    assert whole.results()["hook-secret"].result.state == "skipped"
    assert whole.results(pings=True)["hook-secret"].ok is True


def test_unencrypted_payloads_are_a_finding(whole: Scene) -> None:
    """Over http to another machine, or over TLS without certificate verification."""
    exposed = whole.hooks["acme/shop"]
    for url, insecure, ok in (
        ("http://closeout.example.com/webhook", False, False),
        ("https://closeout.example.com/webhook", True, False),
        ("https://closeout.example.com/webhook", False, True),
    ):
        exposed.url, exposed.insecure, exposed.secret = url, insecure, SECRET
        whole.hooks["acme/site"].url = url
        whole.hooks["acme/site"].insecure = insecure
        whole.file.write_text(
            whole.file.read_text().replace("env:CHECKED_URL", "https://closeout.example.com")
        )
        if url.startswith("http:"):
            whole.file.write_text(whole.file.read_text().replace("https://closeout", "http://closeout"))
        else:
            whole.file.write_text(whole.file.read_text().replace("http://closeout", "https://closeout"))
        assert whole.results()["hook-encrypted"].ok is ok


def test_a_token_without_permissions_gets_a_finding_for_each(whole: Scene) -> None:
    """Not one for all."""
    whole.github.world.tokens[TOKEN]["rights"] = {}
    found = {name for name, one in whole.results().items() if one.ok is False}
    rights = {"pull-requests", "contents", "deployments", "issues", "actions", "statuses", "hooks"}
    assert found == {f"github-{right}" for right in rights}


def test_the_webhook_of_another_program_is_not_taken_for_closeouts(whole: Scene) -> None:
    """A similar URL is a guess, and the advice says so; a webhook that has delivered here is known."""
    moved = whole.hooks["acme/site"]
    moved.url = "https://ci.example.com/webhook"
    guessed = whole.results()["hook-url"]
    assert (guessed.ok, str(guessed.fix).startswith("if this webhook is closeout's, ")) == (False, True)
    delivery(whole, "acme/site", str(moved.id))
    known = whole.results()["hook-url"]
    assert (known.ok, str(known.fix).startswith("set its Payload URL to ")) == (False, True)
    moved.url = "https://ci.example.com/github-hook/"
    assert whole.results()["hook-url"].ok is False


def test_one_repository_with_hidden_webhooks_hides_no_others(whole: Scene) -> None:
    """Its permanent finding must not hide later faults; if all are hidden, the result is unknown."""
    whole.github.faults.add("status", path="/repos/acme/site/hooks", status=403, times=0)
    whole.hooks["acme/shop"].active = False
    found = whole.results()
    assert {name for name, one in found.items() if one.ok is False} == {"github-hooks", "hook-active"}
    whole.github.faults.add("status", path="/repos/acme/shop/hooks", status=403, times=0)
    hidden = {one.result.state for one in whole.results().values() if one.check.group == "Webhook"}
    assert hidden == {"unknown", "skipped"}
    assert whole.results()["hook-active"].result.state == "unknown"


BASE = "https://ci.example"
HOOK = Hook(7, f"{BASE}/webhook", ("pull_request",), True, "json", False, None)
NAME = f"{HERE}: webhook 7"


def asked(
    check: str,
    *hooks: Hook,
    others: tuple[Hook, ...] = (),
    unread: ServiceError | None = None,
    heard: tuple[str, ...] = (),
    last: Any = None,
    file: Loaded | None = None,
    **more: Any,
) -> Result:
    """Run one check about the webhooks of one repository."""
    found = HooksFound(
        tuple(OwnedHook(HERE, hook) for hook in hooks),
        tuple(OwnedHook(HERE, hook) for hook in others),
        unread,
    )
    world = SimpleNamespace(
        loaded=file or loaded(),
        has_token=True,
        repository=returns({"full_name": HERE}),
        hooks=returns(found),
        heard=returns(frozenset(heard)),
        base=returns(BASE),
        last_delivery=raises(last) if isinstance(last, Exception) else returns(last),
        **more,
    )
    return ASK[check](cast("World", world))


CLOSEOUT, PROXY = "closeout refuses it", "closeout or a proxy in front of it fails"


@pytest.mark.parametrize(
    ("code", "why", "secret"),
    [
        (0, "there was no answer", "unknown"),
        (199, CLOSEOUT, "unknown"),
        (200, None, "fine"),
        (299, None, "fine"),
        (300, CLOSEOUT, "unknown"),
        (401, None, "wrong"),
        (403, "something in front of closeout refuses it, such as a proxy or a firewall", "unknown"),
        (499, CLOSEOUT, "unknown"),
        (500, PROXY, "unknown"),
        (503, "closeout cannot store it", "unknown"),
    ],
)
def test_the_newest_delivery_says_who_answered_it(code: int, why: str | None, secret: str) -> None:
    """A 401 is closeout's own answer to a wrong secret; without a code, GitHub's message is shown."""
    last = HookDelivery(1, "g", "pull_request", "timed out", code, "2026-03-14T09:26:53Z")
    answered, verified = asked("hook-answers", HOOK, last=last), asked("hook-secret", HOOK, last=last)
    when = "its delivery of 2026-03-14T09:26:53Z"
    if why is None:
        assert (answered.state, answered.what) == ("fine", "the newest delivery of each webhook was answered")
    else:
        text = f"{NAME}: {when} was answered with {code or 'timed out'}: {why}"
        assert (answered.state, answered.what) == ("wrong", text)
    assert (verified.state, verified.what) == (
        secret,
        {
            "fine": "closeout verified the newest delivery of each webhook",
            "wrong": f"{NAME} has another secret than closeout's, or none: {when} got 401",
            "unknown": f"{NAME}: {when} did not reach closeout ({code or 'timed out'})",
        }[secret],
    )


def test_without_a_delivery_or_a_webhook_nothing_is_reported() -> None:
    """A log that cannot be read is an error and not an empty log."""
    nothing = ("skipped", "no webhook has sent a delivery yet")
    assert asked("hook-answers", HOOK)[:2] == nothing
    assert asked("hook-answers")[:2] == ("skipped", "no active webhook leads here")
    assert asked("hook-answers", HOOK, last=error("502", transient=True))[:2] == ("unknown", "502")


def test_a_log_that_is_briefly_unreadable_is_read_again() -> None:
    """It shows no ping; GitHub's next answer may."""
    ping = HookDelivery(2, "g", "ping", "OK", 200, "2026-03-14T09:26:53Z")
    answers = [[], error("502", transient=True), [ping._replace(event="push")], [ping]]
    waited: list[float] = []

    def deliveries(_hook: int) -> list[HookDelivery]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return cast("list[HookDelivery]", answer)

    webhooks = SimpleNamespace(deliveries=deliveries, ping=returns(None))
    outside = SimpleNamespace(webhooks=returns(webhooks))
    found = asked("hook-ping", HOOK, pings=True, outside=outside, pause=waited.append)
    assert found[:2] == ("fine", "GitHub sent a ping through 1 webhook")
    assert waited == [0.05, 0.1]


def test_one_active_webhook_is_enough() -> None:
    """An inactive one next to it is not a fault, and nothing more is asked about it."""
    off = HOOK._replace(id=8, active=False, content_type="form")
    assert asked("hook-active", off, HOOK).state == "fine"
    assert asked("hook-content-type", off, HOOK).state == "fine"
    assert asked("hook-active", off)[:2] == ("wrong", f"{HERE}: webhook 8 is not active")
    assert asked("hook-content-type", off)[:2] == ("skipped", "no active webhook leads here")


def test_several_webhooks_may_share_the_events() -> None:
    """Two may split them, and one that sends all covers everything."""
    both = loaded(**{"    on": "    on: { pull_request: { types: [closed] }, delete: {} }"})
    delete = HOOK._replace(id=8, events=("delete",))
    assert asked("hook-events", HOOK, delete, file=both).state == "fine"
    assert asked("hook-events", HOOK._replace(events=("*",)), file=both).state == "fine"
    assert asked("hook-events", HOOK, file=both)[:2] == ("wrong", f"{NAME} does not send delete")
    none = asked("hook-events", HOOK._replace(events=()), file=both)
    assert none.what == f"{NAME} does not send delete, pull_request"


ELSEWHERE = HOOK._replace(url="https://old.example/webhook")
ANOTHERS = HOOK._replace(url="https://old.example/github-hook/")
HIDDEN = error("403", status=403)


@pytest.mark.parametrize(
    ("others", "heard", "unread", "there", "url"),
    [
        ((), (), None, "wrong", "skipped"),
        ((ANOTHERS,), (), None, "wrong", "skipped"),
        ((ELSEWHERE,), (), None, "fine", "wrong"),  # which may be another program's
        ((ANOTHERS,), ("7",), None, "fine", "wrong"),
        ((), ("9",), None, "wrong", "skipped"),
        ((), (), HIDDEN, "wrong", "skipped"),
        ((), ("9",), HIDDEN, "fine", "skipped"),
        ((ANOTHERS,), ("9",), HIDDEN, "fine", "skipped"),
    ],
)
def test_a_webhook_counts_if_it_leads_or_has_led_here(
    others: tuple[Hook, ...], heard: tuple[str, ...], unread: ServiceError | None, there: str, url: str
) -> None:
    """One that has delivered here is closeout's own, whatever its URL; others may be the organization's."""
    given: dict[str, Any] = {"others": others, "heard": heard, "unread": unread}
    assert (asked("hook-there", **given).state, asked("hook-url", **given).state) == (there, url)
    assert {asked("hook-there", HOOK, **given).state, asked("hook-url", HOOK, **given).state} == {"fine"}


@pytest.mark.parametrize(
    ("url", "insecure", "state"),
    [
        ("https://ci.example/webhook", False, "fine"),
        ("https://ci.example/webhook", True, "wrong"),
        ("http://ci.example/webhook", False, "wrong"),
        ("http://127.0.0.1:8080/webhook", False, "fine"),
        ("http://localhost/webhook", True, "fine"),
    ],
)
def test_only_local_traffic_may_be_unencrypted(url: str, insecure: bool, state: str) -> None:
    """Over plain HTTP there is no certificate to check."""
    assert asked("hook-encrypted", HOOK._replace(url=url, insecure=insecure)).state == state
