"""What the commands of `closeout webhook` work with: the stack, its token, the hooks of a target.

Apart from the commands, because each needs the same few things in the same order, and because which hook is the
stack's is decided here once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from closeout.adapters.github import GitHubClient
from closeout.adapters.hooks import Hooks, Target
from closeout.adapters.secrets import SecretReader
from closeout.checks import expected
from closeout.config.load import Loaded
from closeout.core.errors import NotFound, SecretError, UsageError
from closeout.core.secrets import REFERENCES
from closeout.ports.clients import Hook
from closeout.wiring.clients import setting_value
from closeout.wiring.stack import Stack, open_stack


class WebhookContext(NamedTuple):
    """What a command works with: the stack, its webhook's URL, and the hooks of the target."""

    stack: Stack
    url: str
    hooks: Hooks


def prepare(
    targets: Iterable[str], stack_name: str, token_from: str | None, loaded: Loaded
) -> list[WebhookContext]:
    """Find the stack and its token, for at least one target; each is read first."""
    parsed = [Target.parse(target) for target in targets]
    stack = open_stack(stack_name)
    token = _token(stack, token_from, loaded.directory)
    api_url = setting_value(loaded.settings.api_url, "github.api-url")
    name = f"the token in {token_from or stack.output('GitHubTokenSecretName')}"
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
    """Return the events of the automations that this target can start, in order of the alphabet.

    Raises `UsageError` when none can: the hook would bring nothing.
    """
    events = expected.events(loaded.automations, None if target.organization else target.name)
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
