"""What the commands of `closeout webhook` work with: the stack, its token, the hooks of a target, and their pings.

Apart from the commands, because each needs the same few things in the same order, and all must agree on which hook is the
stack's. A hook that exists proves nothing: only a ping that was answered with 200 shows that address, secret and permissions
match. That answer is read from GitHub's list of the hook's deliveries.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from closeout.actions.registry import builtin
from closeout.adapters.github import GitHubClient
from closeout.adapters.hooks import Hooks, Target
from closeout.adapters.secrets import SecretReader
from closeout.checks.world import events as expected_events
from closeout.config.load import Loaded, load
from closeout.core.errors import ActionFailed, NotFound, SecretError, ServiceError, Unavailable, UsageError
from closeout.core.secrets import REFERENCES
from closeout.ports.clients import Hook, HookDelivery
from closeout.wiring.clients import setting_value
from closeout.wiring.stack import Stack, open_stack

PATIENCE = 30.0
"""Seconds to wait until a ping is in GitHub's list."""
EVERY = 0.5

_WHY = {
    401: "the signature is wrong: the webhook's secret differs from the stack's",
    403: "something in front of the receiver rejects it, such as the API's resource policy (`githubAddresses`)",
    404: "there is no webhook at this address",
    429: "the API throttles requests",
}


class WebhookContext(NamedTuple):
    """What a command works with: the stack, its webhook's URL, and the hooks of the target."""

    stack: Stack
    url: str
    hooks: Hooks


class Source(NamedTuple):
    """Where a command finds the stack, the token and the configuration."""

    stack_name: str
    token_from: str | None
    config: Path

    def settings(self) -> Loaded:
        """Read the configuration for its addresses; its Python modules are not imported."""
        return load(self.config, builtin(), modules=False)

    def contexts(self, targets: Iterable[str], loaded: Loaded | None = None) -> list[WebhookContext]:
        """Find the stack and its token, read each target, and return what a command works with for each."""
        loaded = loaded or self.settings()
        parsed = [Target.parse(target) for target in targets]
        stack = open_stack(self.stack_name)
        token = _token(stack, self.token_from, loaded.directory)
        api_url = setting_value(loaded.settings.api_url, "github.api-url")
        name = f"the token in {self.token_from or stack.output('GitHubTokenSecretName')}"
        github = GitHubClient(lambda: token, api_url, named=name)
        url = stack.output("WebhookUrl")
        return [WebhookContext(stack, url, Hooks(github, target)) for target in parsed]


def _token(stack: Stack, reference: str | None, directory: Path) -> str:
    if reference is None:
        name = stack.output("GitHubTokenSecretName")
        try:
            return stack.secret(name).value
        except SecretError as error:
            raise SecretError(
                f"{error.message} Store a token with `closeout secret set github --stack {stack.name}`, or name"
                " another one with --token-from env:NAME."
            ) from None
    if not reference.startswith(REFERENCES):
        # What was given may be the token itself, so it is not repeated.
        raise UsageError("--token-from takes a reference, env:NAME or file:PATH, never the token itself.")
    return SecretReader(region=stack.region, directory=directory).read(reference)[0]


def events_for(loaded: Loaded, target: Target) -> tuple[str, ...]:
    """Return the events of the automations that this target can start, in alphabetical order.

    Raises `UsageError` if there are none: the hook would start nothing.
    """
    events = expected_events(loaded.automations, None if target.organization else target.name)
    if not events:
        raise UsageError(f"No automation matches {target.name}, so a webhook there would start nothing.")
    return events


def one(context: WebhookContext, hook_id: int | None) -> Hook:
    """Return the stack's hook, or the one that was named if it is the stack's."""
    found = context.hooks.reaching(context.url)
    chosen = [hook for hook in found if hook_id in (None, hook.id)]
    name = context.hooks.target.name
    if not chosen:
        text = f"{name} has no hook of the stack {context.stack.name} ({context.url})."
        if found:
            text = f"{name} has no hook {hook_id} that reaches the stack {context.stack.name}."
        raise NotFound(
            f"{text} `closeout webhook list {name} --stack {context.stack.name}` shows what there is."
        )
    if len(chosen) > 1:
        raise UsageError(several(context, chosen))
    return chosen[0]


def several(context: WebhookContext, found: Sequence[Hook]) -> str:
    """Return a sentence that says that there are several hooks, and how to delete one."""
    numbers = " and ".join(str(hook.id) for hook in found)
    return (
        f"{context.hooks.target.name} has several hooks that reach the stack, {numbers}, so each event arrives more than"
        f" once (closeout handles it once). Delete one with `closeout webhook delete {context.hooks.target.name} --stack"
        f" {context.stack.name} --hook ID`."
    )


def differences(hook: Hook, events: Sequence[str]) -> list[str]:
    """Return how a hook differs from what `create` would make. Its secret cannot be compared: GitHub hides it."""
    wanted, has = set(events), set(hook.events)
    found = [f"the event {event} is missing" for event in sorted(wanted - has) if "*" not in has]
    found += [f"the event {event} starts nothing" for event in sorted(has - wanted)]
    if not hook.active:
        found.append("it is not active, so GitHub sends nothing")
    if hook.insecure:
        found.append("GitHub does not check the certificate (insecure_ssl)")
    if hook.content_type != "json":
        found.append(f"its content type is {hook.content_type}, which is accepted but is not json")
    return found


def ping(hooks: Hooks, hook: int, *, patience: float = PATIENCE) -> HookDelivery:
    """Ping a hook and wait for the answer. Raises as `arrived` does."""
    before = frozenset(delivery.id for delivery in hooks.deliveries(hook))
    hooks.ping(hook)
    return arrived(hooks, hook, before, patience=patience)


def arrived(
    hooks: Hooks, hook: int, before: frozenset[int] = frozenset(), *, patience: float = PATIENCE
) -> HookDelivery:
    """Wait for a ping that is not among the deliveries `before`, answered with 200.

    Raises `ActionFailed` for any other answer, `Unavailable` if no ping comes within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        last = time.monotonic() >= deadline
        listed: Sequence[HookDelivery] = ()
        try:
            listed = hooks.deliveries(hook)
        except ServiceError as error:
            if last or not error.transient:
                raise
        found = next((one for one in listed if one.event == "ping" and one.id not in before), None)
        if found is not None:
            return _accepted(hooks, hook, found)
        if last:
            raise Unavailable(
                f"Hook {hook} of {hooks.target.name}: no ping within {patience:g} s in GitHub's list of its deliveries."
                " The hook is not deleted. See Settings → Webhooks → Recent Deliveries, or ping it again."
            )
        time.sleep(EVERY)


def _accepted(hooks: Hooks, hook: int, delivery: HookDelivery) -> HookDelivery:
    if delivery.status_code == 200:
        return delivery
    answer = (
        f"answered with {delivery.status_code}"
        if delivery.status_code
        else f"not answered ({delivery.status})"
    )
    why = _WHY.get(delivery.status_code)
    raise ActionFailed(
        f"Hook {hook} of {hooks.target.name}: the ping was {answer}{f'; {why}' if why else ''}."
        f" The hook is not deleted (delivery {delivery.id}, GUID {delivery.guid})."
    )
