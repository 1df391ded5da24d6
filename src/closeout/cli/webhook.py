"""`closeout webhook`: the hook on GitHub that brings deliveries to a deployed stack.

URL and secret come from the stack, so nobody copies a secret: it is read from Secrets Manager and sent to GitHub,
and never printed. A ping proves that a hook works.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from closeout.actions.registry import builtin
from closeout.cli import exits, options, output, rotation, webhook_context
from closeout.cli.commands import group
from closeout.cli.confirm import confirm
from closeout.cli.webhook_context import Source, WebhookContext
from closeout.config.load import load
from closeout.core.errors import UsageError
from closeout.core.url import same_webhook
from closeout.ports.clients import Hook, HookDelivery

F = TypeVar("F", bound=Callable[..., Any])


@group(
    "webhook",
    "closeout webhook create acme/shop --stack closed-pr-event-stack",
    "closeout webhook rotate-secret acme/shop --stack closed-pr-event-stack",
)
def webhook() -> None:
    """Manage the webhook on GitHub that delivers to a deployed stack.

    TARGET is a repository (acme/shop) or an organization (acme), whose webhook gets the events of all its repositories.
    The stack's token needs `Webhooks: write` for it; --token-from names another token.
    """


def _common(function: F) -> F:
    """Add what every command here takes; stack, token and configuration arrive as one `source`."""

    @functools.wraps(function)
    def called(*, stack_name: str, token_from: str | None, config: Path, **rest: Any) -> Any:
        return function(source=Source(stack_name, token_from, config), **rest)

    token = click.option(
        "--token-from",
        metavar="REF",
        help="Where the GitHub token is: env:NAME or file:PATH.  [default: the stack's token secret]",
    )
    return cast("F", options.stack(token(options.config(options.as_json(called)))))


_wait = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the ping.",
)
_hook_id = click.option(
    "--hook",
    "hook_id",
    type=click.IntRange(min=1),
    metavar="ID",
    help="The webhook's id, if there are several.",
)


@webhook.command(
    "create",
    examples=(
        "closeout webhook create acme/shop --stack closed-pr-event-stack",
        "closeout webhook create acme --stack closed-pr-event-stack \\",
        "  --token-from env:GITHUB_TOKEN",
    ),
)
@click.argument("target")
@_common
@_wait
@click.option("--update", is_flag=True, help="Update the events and the secret of an existing webhook.")
def create(*, target: str, source: Source, as_json: bool, wait: float, update: bool) -> int:
    """Create the webhook with the events that the configuration uses, and wait until its ping has arrived.

    It uses the stack's URL and secret. An existing webhook is not changed unless you give --update; exit code 1 if it
    differs from what this command creates, or if the stack answers the ping with a status other than 200. With
    --json: {"target", "hook", "url", "events", "outcome": "created|updated|present", "differs": [...], "ping":
    {"id", "guid", "status_code"} or null}.
    """
    loaded = load(source.config, builtin())
    [context] = source.contexts([target], loaded)
    events = webhook_context.events_for(loaded, context.hooks.target)
    present = context.hooks.reaching(context.url)
    outcome = "updated" if present else "created"
    if len(present) > 1:
        raise UsageError(webhook_context.several(context, present))
    if present and not update:
        return _present(context, present[0], events, as_json=as_json)
    secret = context.stack.secret(context.stack.output("WebhookSecretName")).value
    if present:
        hook = context.hooks.update(present[0].id, present[0].url, secret, events)
    else:
        hook = context.hooks.create(context.url, secret, events)
    if not as_json:
        output.say(f"Hook {hook.id} of {target} {outcome}: {hook.url}")
        output.say(f"  events    {', '.join(hook.events)}")
    # GitHub pings a new hook by itself.
    answer = webhook_context.ping if present else webhook_context.arrived
    _tell(context, hook, outcome, answer(context.hooks, hook.id, patience=wait), as_json=as_json)
    return exits.OK


@webhook.command("list", examples=("closeout webhook list acme/shop --stack closed-pr-event-stack",))
@click.argument("target")
@_common
def list_(*, target: str, source: Source, as_json: bool) -> None:
    """List the webhooks of TARGET, and show which of them deliver to the stack.

    With --json: [{"id", "url", "events", "active", "content_type", "insecure", "last_code", "stack": bool}].
    LAST is the status of the answer to a repository hook's last delivery.
    """
    [context] = source.contexts([target])
    found = [(hook, same_webhook(hook.url, context.url)) for hook in context.hooks.all()]
    if as_json:
        output.print_json(
            [{**hook._asdict(), "events": list(hook.events), "stack": ours} for hook, ours in found]
        )
        return
    output.table(
        ("STACK", "ACTIVE", "LAST", "ID", "EVENTS", "URL"),
        [
            (
                "yes" if ours else "-",
                "yes" if hook.active else "no",
                str(hook.last_code or "-"),
                str(hook.id),
                ",".join(hook.events),
                hook.url,
            )
            for hook, ours in found
        ],
        shrink=(4, 5),
    )


@webhook.command("ping", examples=("closeout webhook ping acme/shop --stack closed-pr-event-stack",))
@click.argument("target")
@_common
@_wait
@_hook_id
def ping(*, target: str, source: Source, as_json: bool, wait: float, hook_id: int | None) -> None:
    """Make GitHub ping the stack's webhook, and wait for the answer; exit code 1 if it is not 200.

    With --json: the same as `webhook create`.
    """
    [context] = source.contexts([target])
    hook = webhook_context.one(context, hook_id)
    _tell(
        context, hook, "present", webhook_context.ping(context.hooks, hook.id, patience=wait), as_json=as_json
    )


@webhook.command("delete", examples=("closeout webhook delete acme/shop --stack closed-pr-event-stack",))
@click.argument("target")
@_common
@_hook_id
@options.yes
def delete(*, target: str, source: Source, as_json: bool, hook_id: int | None, yes: bool) -> None:
    """Delete the stack's webhook from TARGET; its events no longer arrive.

    Shows the webhook and asks first, unless you give --yes. With --json: {"target", "hook", "url", "outcome": "deleted"}.
    """
    [context] = source.contexts([target])
    hook = webhook_context.one(context, hook_id)
    if not yes:
        output.note(f"Hook {hook.id} of {target}: {hook.url}, events {', '.join(hook.events)}")
    confirm("Delete it?", yes=yes)
    context.hooks.delete(hook.id)
    if as_json:
        output.print_json({"target": target, "hook": hook.id, "url": hook.url, "outcome": "deleted"})
    else:
        output.say(f"Hook {hook.id} of {target} is deleted; its events no longer arrive.")


@webhook.command(
    "rotate-secret",
    examples=(
        "closeout webhook rotate-secret acme/shop acme/api \\",
        "  --stack closed-pr-event-stack",
        "closeout webhook rotate-secret acme --stack closed-pr-event-stack --json",
    ),
)
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@_common
@click.option("--new", is_flag=True, help="Generate another value, although the last is under 24 hours old.")
def rotate_secret(*, targets: tuple[str, ...], source: Source, as_json: bool, new: bool) -> None:
    """Replace the webhook secret without losing a delivery; name every TARGET with a webhook of the stack.

    It stores a new value in Secrets Manager and sets it on one webhook after the other, each verified by a ping. The
    stack accepts the former value for 24 hours. If the command is interrupted, repeat it: within those 24 hours it
    continues with the same value, unless you give --new. It sets every webhook again, because GitHub does not show
    which secret a webhook has. It reports other webhooks that have delivered to the stack lately.

    With --json: {"secret", "version", "generated": bool, "accepted_until", "hooks": [{"target", "hook", "ping"}]}.
    """
    loaded = source.settings()
    contexts = source.contexts(dict.fromkeys(targets), loaded)
    hooks = [context.hooks for context in contexts]
    for name in rotation.left_out(loaded, [each.target for each in hooks]):
        output.note(
            f"{source.config} also names {name}: a webhook there keeps the former value; add it to this command."
        )
    done = rotation.rotate(contexts[0].stack, hooks, new=new, tell=output.note if as_json else output.say)
    if as_json:
        output.print_json(done)


# --- what the commands print --------------------------------------------------------------------------------


def _present(context: WebhookContext, hook: Hook, events: tuple[str, ...], *, as_json: bool) -> int:
    differs = webhook_context.differences(hook, events)
    name = context.hooks.target.name
    if as_json:
        output.print_json(_as_json(context, hook, "present", None, differs))
    else:
        output.say(f"{name} already has this webhook: hook {hook.id}, {hook.url}")
        output.say(f"  events    {', '.join(hook.events)}")
        for line in differs:
            output.say(f"  differs   {line}")
        output.say("Nothing was changed." + (" --update corrects it." if differs else ""))
    return exits.FAILED if differs else exits.OK


def _tell(context: WebhookContext, hook: Hook, outcome: str, ping: HookDelivery, *, as_json: bool) -> None:
    if as_json:
        output.print_json(_as_json(context, hook, outcome, ping, []))
        return
    output.say(
        f"The ping of hook {hook.id} arrived: {ping.status_code} (delivery {ping.id}, GUID {ping.guid})."
    )


def _as_json(
    context: WebhookContext, hook: Hook, outcome: str, ping: HookDelivery | None, differs: list[str]
) -> dict[str, Any]:
    return {
        "target": context.hooks.target.name,
        "hook": hook.id,
        "url": hook.url,
        "events": list(hook.events),
        "outcome": outcome,
        "differs": differs,
        "ping": None if ping is None else {"id": ping.id, "guid": ping.guid, "status_code": ping.status_code},
    }
