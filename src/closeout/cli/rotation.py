"""Rotate the webhook secret without a rejected delivery: store, wait, change one hook after another, verify each ping.

No record of a rotation is kept. As long as the value before the current one is accepted, the rotation to the current one
is under way, and setting a value on a hook twice changes nothing. So a call that was interrupted can be repeated: it finds
the value, sets it on every hook, and generates none. No hook is skipped: GitHub shows no secret, and a hook that was
updated since may have been updated by somebody else.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from closeout.adapters.hooks import Hooks, Target
from closeout.cli import output, webhook_context
from closeout.config.load import Loaded
from closeout.core.errors import ActionFailed, CloseoutError, NotFound, ServiceError, Unavailable
from closeout.core.patterns import is_literal
from closeout.core.secrets import PREVIOUS_SECONDS
from closeout.core.units import DAY, iso
from closeout.ports.clients import Hook
from closeout.wiring.stack import Stack, StoredSecret

T = TypeVar("T")
Tell = Callable[[str], None]

SETTLE = 5.0
"""Seconds between storing a value and the first hook that signs with it.

A receiver reads the secret again when a signature does not fit, but at most once a second: one that has just read it,
because somebody sent it a bad signature, would refuse the new one until that second is over. Longer than a second,
since a read takes time too. Nobody has to wait for the cache's 300 s.
"""
RECENT, RECENT_DAYS = 500, 7
"""Deliveries that are looked through for hooks that the call does not name, and how old they may be."""
PINGS = 3
PING_AGAIN = 2.0
"""Seconds until a ping that was rejected is sent again."""
ATTEMPTS = 6
LONGEST_WAIT = 300.0


class Value(NamedTuple):
    """The secret's current value, and whether this call generated it."""

    text: str
    version: str
    created: float
    generated: bool

    def __repr__(self) -> str:
        """Return a text without the value."""
        return "Value(…)"

    @property
    def until(self) -> float:
        """When the value before it ends."""
        return self.created + PREVIOUS_SECONDS


def rotate(stack: Stack, targets: Sequence[Hooks], *, new: bool, tell: Tell) -> dict[str, Any]:
    """Rotate, and return what was done as JSON. Raises `NotFound` before anything is changed if a target has no hook.

    An error after that leaves both values accepted: the message says until when, and that the same call continues.
    """
    url = stack.output("WebhookUrl")
    hooks = [(each, hook) for each in targets for hook in _hooks(stack, each, url)]
    for line in other_hooks_warning(stack, {str(hook.id) for _, hook in hooks}):
        output.note(line)
    name = stack.output("WebhookSecretName")
    value = _value(stack, name, new=new, tell=tell)
    _settle(value, tell)
    done: list[dict[str, Any]] = []
    for each, hook in hooks:
        try:
            answer = _change(each, hook, value.text)
        except CloseoutError as error:
            raise _unfinished(error, value, len(done), len(hooks)) from None
        tell(
            f"{each.target.name}: hook {hook.id} signs with the new value; its ping was answered with {answer}."
        )
        done.append({"target": each.target.name, "hook": hook.id, "ping": answer})
    tell(
        f"Done: {len(done)} of {len(hooks)} hooks. The former value is accepted until {output.moment(value.until)}."
    )
    return {
        "secret": name,
        "version": value.version,
        "generated": value.generated,
        "accepted_until": iso(value.until),
        "hooks": done,
    }


def other_hooks_warning(stack: Stack, known: set[str]) -> list[str]:
    """Return a warning for each other hook that has delivered to the stack lately: it is refused when the former value ends."""
    since = time.time() - RECENT_DAYS * DAY
    try:
        recent = stack.ledger().views.deliveries(RECENT)
    except CloseoutError as error:
        return [f"closeout cannot find out whether other hooks deliver to this stack: {error.message}"]
    others = {
        one.hook: one.repository or "no repository"
        for one in recent
        if one.received_at > since and one.hook.isdigit() and one.hook not in known
    }
    return [
        f"Hook {hook} ({name}) has delivered to this stack within {RECENT_DAYS} days and is not among the targets. Unless"
        " it is deleted, add its repository or organization to this command."
        for hook, name in sorted(others.items())
    ]


def left_out(loaded: Loaded, targets: Iterable[Target]) -> list[str]:
    """Return the repositories that the configuration names and that no target covers."""
    covered = {target.name.lower() for target in targets}
    named = {pattern for automation in loaded.automations for pattern in automation.repositories}
    return sorted(
        name
        for name in named
        if is_literal(name) and not {name.lower(), name.lower().partition("/")[0]} & covered
    )


def _hooks(stack: Stack, hooks: Hooks, url: str) -> tuple[Hook, ...]:
    found = hooks.reaching(url)
    if not found:
        raise NotFound(
            f"Nothing was changed: {hooks.target.name} has no hook of the stack {stack.name} ({url});"
            f" `closeout webhook create {hooks.target.name} --stack {stack.name}` creates one."
        )
    return found


def _value(stack: Stack, name: str, *, new: bool, tell: Tell) -> Value:
    """Return the value of the rotation under way, or generate one and store it."""
    current = stack.secret(name)
    now = time.time()
    under_way = now < current.created + PREVIOUS_SECONDS and stack.has_previous(name)
    if under_way and not new:
        tell(
            f"{name} was changed {output.ago(current.created, now)} ago (version {current.version}). This command continues"
            " that change: it sets every hook again and generates no value. --new generates another one."
        )
        return Value(current.value, current.version, current.created, generated=False)
    if under_way:
        output.note(
            "--new: from now on the stack rejects hooks that still sign with the value before the current one."
        )
    text = secrets.token_hex(32)
    version = stack.put_secret(name, text, after=current.version)
    if version is None:
        return _use_concurrent_value(stack, name, current, text, tell)
    value = Value(text, version, time.time(), generated=True)
    tell(
        f"{name} has a new value (version {version}). The former one is accepted until {output.moment(value.until)}."
    )
    return value


def _use_concurrent_value(stack: Stack, name: str, before: StoredSecret, text: str, tell: Tell) -> Value:
    """Use the value that another call stored at the same moment: two new ones would shut out the former at once.

    A version with that id may also be an old one, if somebody restored the value before it.
    """
    current = stack.secret(name)
    if current.version != before.version:
        tell(
            f"Another command changed {name} just now (version {current.version}); this one continues with that value."
        )
        return Value(current.value, current.version, current.created, generated=False)
    version = stack.put_secret(name, text)
    tell(f"{name} has a new value (version {version}).")
    return Value(text, str(version), time.time(), generated=True)


def _settle(value: Value, tell: Tell) -> None:
    left = value.created + SETTLE - time.time()
    if left > 0:
        tell(
            f"Waiting {SETTLE:g} s, so that every receiver accepts the new value: a receiver reads the secret again when a"
            " signature does not match, at most once a second."
        )
        time.sleep(min(left, SETTLE))


def _change(hooks: Hooks, hook: Hook, secret: str) -> int:
    """Set the secret and wait until a ping signed with it is answered with 200; send a rejected ping again."""

    def pinged() -> int:
        return with_retries(lambda: webhook_context.ping(hooks, hook.id)).status_code

    with_retries(lambda: hooks.set_secret(hook.id, secret))
    for _ in range(PINGS - 1):
        try:
            return pinged()
        except ActionFailed as error:
            output.note(f"{error.message} Pinging it again.")
            time.sleep(PING_AGAIN)
    return pinged()


def with_retries(call: Callable[[], T]) -> T:
    """Call again after the time for which GitHub asks (rate limits), or after a while if the call fails."""
    for attempt in range(1, ATTEMPTS):
        try:
            return call()
        except ServiceError as error:
            wait = error.retry_after if error.retry_after is not None else 2.0**attempt
            if not error.transient or wait > LONGEST_WAIT:
                raise
            output.note(f"{error.message}; retrying in {wait:g} s.")
            time.sleep(wait)
    return call()


def _unfinished(error: CloseoutError, value: Value, done: int, count: int) -> CloseoutError:
    kind = Unavailable if error.transient or isinstance(error, Unavailable | ServiceError) else ActionFailed
    return kind(
        f"{error.message} {done} of {count} hooks have the new value. The stack accepts both values until"
        f" {output.moment(value.until)}, so no delivery is lost. Repeat the command: it continues with this value."
    )
