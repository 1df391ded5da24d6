"""`closeout secret`: store a stack's secret, read from a hidden prompt or standard input.

A value on a command line stays in the shell's history and in the process list, one in an environment variable in
every child's environment. So this command takes neither, and never prints the value.
"""

from __future__ import annotations

import re
import sys
import time
from typing import NamedTuple

import click

from closeout.cli import options, output
from closeout.cli.commands import group
from closeout.cli.confirm import confirm
from closeout.core.errors import ServiceError, UsageError
from closeout.core.secrets import PREVIOUS_SECONDS
from closeout.wiring.stack import Stack, open_stack

LIMIT = 65_536
"""Bytes that Secrets Manager takes (PutSecretValue, SecretString)."""

_TOKEN = re.compile(r"gh[a-z]_[A-Za-z0-9_.-]{20,}|github_pat_[A-Za-z0-9_]{20,}|[0-9a-f]{40}")
SHORT = 16
AT_ONCE = (
    "From now on the stack rejects hooks that sign with the value before the former one. Set this one on them with"
    " `closeout webhook rotate-secret TARGET... --stack {stack}`."
)
"""What to do after a change while the value before the former one was still accepted."""


class StackSecret(NamedTuple):
    """One of the stack's secrets: what it is, which output names it, and what to do after a change."""

    what: str
    output: str
    after: str


KINDS = {
    "github": StackSecret(
        "GitHub token",
        "GitHubTokenSecretName",
        "The stack uses it within 300 s, or as soon as GitHub rejects the former one.",
    ),
    "webhook": StackSecret(
        "webhook secret",
        "WebhookSecretName",
        "Hooks still sign with the former value, which the stack accepts for 24 hours. Set this one on them with"
        " `closeout webhook rotate-secret TARGET... --stack {stack}`.",
    ),
}


@group("secret", "closeout secret set github --stack closed-pr-event-stack")
def secret() -> None:
    """Store the secrets of a deployed stack in AWS Secrets Manager."""


@secret.command(
    "set",
    examples=(
        "closeout secret set github --stack closed-pr-event-stack",
        "gh auth token | closeout secret set github --stack closed-pr-event-stack",
    ),
)
@click.argument("name", type=click.Choice(tuple(KINDS)), metavar="github|webhook")
@options.stack
@options.yes
@options.as_json
def set_(name: str, stack_name: str, yes: bool, as_json: bool) -> None:
    """Store the GitHub token or the webhook secret: type or paste it at the prompt, or pipe it in.

    There is no option for the value, because the shell's history keeps command lines. Secrets Manager keeps the
    former value as AWSPREVIOUS. The stack accepts the former webhook secret for 24 hours, but no older one: a second
    change within that time asks first, and needs --yes if you pipe the value in. With --json:
    {"secret", "version", "region", "stack"}.
    """
    kind = KINDS[name]
    stack = open_stack(stack_name)
    where = stack.output(kind.output)
    after = kind.after
    why = lockout_warning(stack, where) if name == "webhook" else None
    if why is not None:
        output.note(output.wrapped(why))
        confirm("Store another value?", yes=yes)
        after = AT_ONCE
    value = read_value(kind.what)
    for doubt in value_warning(name, value):
        output.note(f"Warning: {doubt}")
    version = stack.put_secret(where, value)
    if as_json:
        output.print_json({"secret": where, "version": version, "region": stack.region, "stack": stack.name})
        return
    output.say(f"The {kind.what} is stored: {where} in {stack.region}, version {version}.")
    output.say(output.wrapped(after.format(stack=stack.name)))


def lockout_warning(stack: Stack, where: str) -> str | None:
    """Return a warning if another secret would shut out hooks at once: two values are accepted, not three."""
    now = time.time()
    try:
        changed = stack.changed(where)
    except ServiceError as error:
        return (
            f"closeout cannot find out whether {where} was changed within the last 24 hours ({error.message}). If it was,"
            " another change shuts out hooks that still sign with the value before that."
        )
    if changed is None or now >= changed + PREVIOUS_SECONDS:
        return None
    return (
        f"{where} was changed {output.ago(changed, now)} ago, and the stack accepts the value before that until"
        f" {output.moment(changed + PREVIOUS_SECONDS)}. Another change ends that at once: the stack rejects hooks that still"
        f" sign with it, and GitHub does not redeliver on its own. `closeout webhook rotate-secret TARGET... --stack"
        f" {stack.name}` sets the current value on the hooks."
    )


def read_value(what: str) -> str:
    """Read a value from a hidden prompt, or from standard input without its final line end.

    Raises `UsageError` for one that is empty, has white space around it or a control character in it, or is too long;
    the message never holds it.
    """
    if sys.stdin.isatty():
        text = str(
            click.prompt(f"The {what} (hidden)", hide_input=True, default="", show_default=False, err=True)
        )
    else:
        data = sys.stdin.buffer.read(LIMIT + 3)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise UsageError(f"The {what} is not UTF-8 text; nothing was stored.") from None
        text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise UsageError(f"The {what} is empty or only white space; nothing was stored.")
    if text != text.strip() or not text.isprintable():
        raise UsageError(
            f"The {what} has white space around it, or contains a line end or a control character; nothing was stored."
        )
    if len(text.encode()) > LIMIT:
        raise UsageError(f"The {what} is longer than {LIMIT:,} bytes; nothing was stored.")
    return text


def value_warning(name: str, value: str) -> list[str]:
    """Return why a value may be the wrong one; no character of it is in the reasons."""
    looks_like_token = _TOKEN.fullmatch(value) is not None
    if name == "github":
        if looks_like_token:
            return []
        return ["this does not look like a GitHub token (ghp_…, github_pat_…, ghs_…); it is stored anyway."]
    found = []
    if looks_like_token and "_" in value:
        found.append("this looks like a GitHub token, not like a webhook secret; it is stored anyway.")
    if len(value) < SHORT:
        found.append(f"this is shorter than {SHORT} characters, so it can be guessed; it is stored anyway.")
    return found
