"""What the checks of one round read: webhooks and their owners, events, and each answer once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from closeout.actions.registry import builtin
from closeout.checks import world as of
from closeout.checks.world import HooksFound, OwnedHook, World
from closeout.config.load import load_text
from closeout.core.errors import ServiceError
from closeout.ports.clients import Hook, HookDelivery
from closeout.ports.patrol import Page
from tests.unit.checks.scene import ACCOUNT
from tests.unit.checks.test_answers import HERE, NO_LEDGER, STACK, error, loaded

BASE = "https://ci.example"


def hook(number: int, url: str = f"{BASE}/webhook") -> Hook:
    """Return a webhook as GitHub shows it."""
    return Hook(number, url, ("pull_request",), True, "json", False, None)


class GitHub:
    """Webhooks by repository or organization, and a record of the requests."""

    def __init__(self, owner: str, hooks: dict[str, Sequence[Hook] | ServiceError]) -> None:
        self.owner, self.hooks = owner, hooks
        self.log: list[HookDelivery] = []
        self.asked: list[str] = []

    def read(self, path: str, _query: object, _etag: object = None) -> Page:
        """Return a repository, at a time that is 5 s ahead."""
        self.asked.append(path)
        return Page({"full_name": HERE, "owner": {"type": self.owner}}, False, None, 0)._replace(date=105)

    def webhooks(self, target: str) -> Any:
        """Return the webhooks of one target."""

        def every() -> Sequence[Hook]:
            self.asked.append(target)
            found = self.hooks[target]
            if isinstance(found, ServiceError):
                raise found
            return found

        return SimpleNamespace(all=every, deliveries=lambda _hook: self.log)

    def world(self) -> World:
        """Return what a round asks of it."""
        outside = SimpleNamespace(github=self, webhooks=self.webhooks, setting=lambda text, _key: text)
        return World(
            lambda: loaded(notify=f"public-url: {BASE}"),
            lambda _loaded: cast("Any", outside),
            cast("Any", NO_LEDGER),
            file=Path("x"), now=lambda: 100.0, pause=lambda _seconds: None,
        )  # fmt: skip


def test_webhooks_of_a_repository_and_of_its_organization_differ_by_their_url() -> None:
    """Both get its events; each list is read once a round."""
    other = hook(2, "https://old.example/webhook")
    github = GitHub("Organization", {HERE: [other, hook(1)], "acme": [hook(3)]})
    world = github.world()
    expected = HooksFound(
        (OwnedHook(HERE, hook(1)), OwnedHook("acme", hook(3))), (OwnedHook(HERE, other),), None
    )
    assert (world.hooks(HERE), world.hooks(HERE)) == (expected, expected)
    assert github.asked == [HERE, f"/repos/{HERE}", "acme"]
    assert world.github_offset == 5.0


def test_a_persons_repository_has_only_its_own_webhooks() -> None:
    """GitHub would answer 404 for a person's."""
    github = GitHub("User", {HERE: [hook(1)]})
    assert github.world().hooks(HERE) == HooksFound((OwnedHook(HERE, hook(1)),), (), None)
    assert "acme" not in github.asked


def test_hidden_webhooks_of_an_organization_are_reported() -> None:
    """The repository's own still count; if those are hidden too, nothing is known."""
    hidden = error("403", status=403)
    found = GitHub("Organization", {HERE: [], "acme": hidden}).world().hooks(HERE)
    assert found == HooksFound((), (), hidden)
    with pytest.raises(ServiceError):
        GitHub("Organization", {HERE: hidden, "acme": []}).world().hooks(HERE)


def test_the_newest_delivery_is_the_first_of_the_log() -> None:
    """None if a webhook has sent nothing yet."""
    github = GitHub("User", {HERE: [hook(1)]})
    assert github.world().last_delivery(OwnedHook(HERE, hook(1))) is None
    github.log = [HookDelivery(number, "g", "ping", "OK", 200, "t") for number in (9, 8)]
    assert github.world().last_delivery(OwnedHook(HERE, hook(1))) == github.log[0]


TWO = f"""\
version: 1
secrets: {{ webhook: env:HOOK, github: env:TOKEN }}
aws: {{ account: '{ACCOUNT}', region: eu-central-1 }}
automations:
  site:
    on: {{ release: {{}} }}
    repositories: [acme/Site]
    steps: [{{ uses: shell, destructive: false, with: {{ run: 'true' }} }}]
  shop:
    on: {{ pull_request: {{ types: [closed] }}, push: {{ branches: [main] }} }}
    repositories: [acme/site, acme/shop]
    steps: [{{ uses: shell, destructive: false, with: {{ run: 'true' }} }}]
"""


@pytest.mark.parametrize(
    ("repository", "events"),
    [
        ("acme/shop", ("pull_request", "push")),
        ("acme/site", ("pull_request", "push", "release")),
        ("acme/other", ()),
        (None, ("pull_request", "push", "release")),
    ],
)
def test_a_webhook_must_send_what_starts_an_automation_for_its_repository(
    repository: str | None, events: tuple[str, ...]
) -> None:
    """An organization's must send what any of its repositories needs."""
    automations = load_text(TWO, builtin()).automations
    assert of.events(automations, repository) == events
    assert of.repositories(automations) == ("acme/Site", "acme/shop")


def test_each_account_region_and_role_is_a_target_once() -> None:
    """Steps that do not act in AWS have none."""
    file = loaded(step=f"{STACK} }}, {{ uses: shell, with: {{ run: 'true' }} }}, {{ uses: {STACK}")
    assert of.targets(file) == ((ACCOUNT, "eu-central-1", None),)
    assert of.targets(loaded()) == ()
