"""Checks of the webhooks on GitHub: they exist, are active, have this URL and the right events, and get answers of success.

A drill first asks GitHub for pings, so that the newest delivery in each log is less than a minute old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import urlsplit

from closeout.checks.check import Check, Result, failed, fine, skipped, unknown, worst, wrong
from closeout.checks.machine import LOOPBACK
from closeout.checks.token import ASKING, UNREADABLE, repositories_in_all, tried, visible, with_token
from closeout.checks.world import PATIENCE, WEBHOOK, HooksFound, OwnedHook, World, events, repositories
from closeout.core.errors import ServiceError
from closeout.core.units import counted
from closeout.ports.clients import HookDelivery

ANSWERS = {
    0: "there was no answer",
    403: "something in front of closeout refuses it, such as a proxy or a firewall",
    404: "there is no closeout at this address",
    413: "a proxy in front of closeout refuses its size",
    429: "something in front of closeout limits the rate",
    503: "closeout cannot store it",
}
PLACE = "repository → Settings → Webhooks"


def found(world: World) -> Iterator[tuple[str, HooksFound]]:
    """Yield the webhooks of each readable repository; `github-hooks` reports those that cannot be read."""
    for name in visible(world):
        try:
            yield name, world.hooks(name)
        except ServiceError:
            continue


def ours(world: World) -> list[OwnedHook]:
    """Return the active webhooks that lead here, each once."""
    known = {
        (one.target, one.hook.id): one for _, hooks in found(world) for one in hooks.ours if one.hook.active
    }
    return list(known.values())


def _nothing(world: World) -> Result:
    """Return the result of a check without a webhook to check: unknown if none could be read."""
    if visible(world) and not any(found(world)):
        return unknown("the webhooks of no repository can be read")
    return skipped("no active webhook leads here")


def _readable(world: World) -> Result:
    names = visible(world)
    if not names:
        named = repositories(world.loaded.automations)
        return UNREADABLE if named else skipped("the file names no repository in full")
    may = f"the token can read the webhooks of {repositories_in_all(len(names))}"
    return tried(world.hooks, names, "the token may not read webhooks", may)


def _there(world: World) -> Result:
    results = [_brings_events(world, name, hooks) for name, hooks in found(world)]
    if not results:
        return _nothing(world)
    return worst(results, f"a webhook brings the events of {repositories_in_all(len(results))}")


def _brings_events(world: World, name: str, hooks: HooksFound) -> Result:
    if hooks.ours or _moved(world, name, hooks) or _similar(hooks):
        return fine(name)  # `hook-url` reports one that leads somewhere else
    if hooks.unread is not None and _heard(world, name, hooks):
        return fine(name)
    others = "; those of its organization cannot be read" if hooks.unread is not None else ""
    return wrong(f"{name} has no webhook that leads to {world.base()}{WEBHOOK}{others}")


def _heard(world: World, name: str, hooks: HooksFound) -> bool:
    """Whether deliveries of a repository came through another webhook than its own: its organization's."""
    own = {str(one.hook.id) for one in hooks.others}
    return bool(world.heard(name) - own)


def _moved(world: World, name: str, hooks: HooksFound) -> OwnedHook | None:
    """Return a webhook that has delivered to this closeout but now leads somewhere else."""
    return next((one for one in hooks.others if str(one.hook.id) in world.heard(name)), None)


def _similar(hooks: HooksFound) -> OwnedHook | None:
    """Return a webhook whose URL ends like closeout's. It may be another program's."""
    return next((one for one in hooks.others if urlsplit(one.hook.url).path.endswith(WEBHOOK)), None)


def _url(world: World) -> Result:
    results = []
    url = f"{world.base()}{WEBHOOK}"
    for name, hooks in found(world):
        moved = _moved(world, name, hooks)
        other = moved or _similar(hooks)
        if hooks.ours:
            results.append(fine(name))
        elif other is not None:
            fix = f"set its Payload URL to {url} ({PLACE}), or correct `public-url`"
            if moved is None:
                fix = f"if this webhook is closeout's, {fix}; if not, add one"
            results.append(wrong(f"{other} leads to {_place(other.hook.url)}, and closeout is at {url}", fix))
    if not results:
        return _nothing(world)
    return worst(results, f"the webhooks of {repositories_in_all(len(results))} have this URL")


def _place(url: str) -> str:
    """Return a webhook's URL without parts that may be secret: its query, and the user before the host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _active(world: World) -> Result:
    leading = [hooks.ours for _, hooks in found(world) if hooks.ours]
    results = [
        wrong(f"{hooks[0]} is not active") for hooks in leading if not any(one.hook.active for one in hooks)
    ]
    return worst(results, "the webhooks that lead here are active") if leading else _nothing(world)


def _events(world: World) -> Result:
    leading = [(name, hooks.ours) for name, hooks in found(world) if hooks.ours]
    if not leading:
        return _nothing(world)
    results = []
    for name, hooks in leading:
        sent = {event for one in hooks for event in one.hook.events}
        missing = set(events(world.loaded.automations, name)) - sent
        if missing and "*" not in sent:
            results.append(wrong(f"{hooks[0]} does not send {', '.join(sorted(missing))}"))
    return worst(results, "the webhooks send each event that starts an automation")


def _json(one: OwnedHook) -> Result:
    what = f"{one} sends {one.hook.content_type}"
    return fine(what) if one.hook.content_type == "json" else wrong(what)


def _encrypted(one: OwnedHook) -> Result:
    place = urlsplit(one.hook.url)
    if place.scheme == "http" and place.hostname not in LOOPBACK:
        return wrong(f"{one} sends payloads over http, which everybody on the network can read")
    if place.scheme == "https" and one.hook.insecure:
        return wrong(f"{one} does not check the certificate")
    return fine(str(one))


def _each(look: Callable[[OwnedHook], Result], what: str, world: World) -> Result:
    hooks = ours(world)
    if not hooks:
        return _nothing(world)
    return worst([look(one) for one in hooks], what)


def _ping(world: World) -> Result:
    if not world.pings:
        return skipped("`closeout drill` asks GitHub for pings")
    hooks = ours(world)
    if not hooks:
        return _nothing(world)
    before: dict[OwnedHook, frozenset[int]] = {}
    results = []
    for one in hooks:
        webhooks = world.outside.webhooks(one.target)
        try:
            known = frozenset(delivery.id for delivery in webhooks.deliveries(one.hook.id))
            webhooks.ping(one.hook.id)
        except ServiceError as error:
            results.append(unknown(f"{one} cannot be pinged ({error.message})"))
        else:
            before[one] = known
    silent = _silent(world, before)
    results += [unknown(f"{one}: GitHub's log shows no ping within {PATIENCE} s") for one in silent]
    return worst(results, f"GitHub sent a ping through {counted(len(hooks), 'webhook')}")


def _silent(world: World, before: dict[OwnedHook, frozenset[int]]) -> list[OwnedHook]:
    """Wait until each webhook's log shows a new ping; return those whose log does not."""
    waiting = list(before)
    for look in range(PATIENCE):
        waiting = [one for one in waiting if not _pinged(world, one, before[one])]
        if not waiting:
            break
        world.pause(min(1.0, 0.05 * 2**look))
    return waiting


def _pinged(world: World, one: OwnedHook, before: frozenset[int]) -> bool:
    try:
        log = world.outside.webhooks(one.target).deliveries(one.hook.id)
    except ServiceError:
        return False  # it is asked again, and the checks of deliveries report the error
    return any(delivery.event == "ping" and delivery.id not in before for delivery in log)


def _answered(one: OwnedHook, last: HookDelivery) -> Result:
    code = last.status_code
    if code == 401 or 200 <= code < 300:
        return fine(str(one))  # `hook-secret` reports a 401
    why = ANSWERS.get(
        code, "closeout or a proxy in front of it fails" if code >= 500 else "closeout refuses it"
    )
    return wrong(f"{one}: its delivery of {last.delivered_at} was answered with {code or last.status}: {why}")


def _verified(one: OwnedHook, last: HookDelivery) -> Result:
    code, delivery = last.status_code, f"its delivery of {last.delivered_at}"
    if code == 401:
        return wrong(f"{one} has another secret than closeout's, or none: {delivery} got 401")
    if 200 <= code < 300:
        return fine(str(one))
    return unknown(f"{one}: {delivery} did not reach closeout ({code or last.status})")


def _deliveries(look: Callable[[OwnedHook, HookDelivery], Result], what: str, world: World) -> Result:
    results = []
    for one in ours(world):
        try:
            last = world.last_delivery(one)
        except ServiceError as error:
            results.append(failed(error))
            continue
        if last is not None:
            results.append(look(one, last))
    if not results:
        return skipped("no webhook has sent a delivery yet") if ours(world) else _nothing(world)
    return worst(results, what)


_check = partial(Check, group="Webhook", after=(*ASKING, "public-url-known"))

CHECKS = (
    Check(
        id="github-hooks",
        group="GitHub",
        looks="the token can read webhooks",
        breaks="patrol cannot read delivery logs, and the webhooks cannot be checked",
        fix="give the token `Webhooks: read`; a classic token needs `read:repo_hook`",
        ask=with_token(_readable),
        after=ASKING,
    ),
    _check(
        id="hook-there",
        looks="each repository, or its organization, has a webhook of closeout's",
        breaks="closeout receives no events from there; patrol finds closings up to an hour later",
        fix=f"add a webhook ({PLACE} → Add webhook) with this URL, application/json, the secret of `secrets.webhook` and "
        "the events of `on:`; for a stack, `closeout webhook create` does it",
        ask=with_token(_there),
    ),
    _check(
        id="hook-url",
        looks="its URL is this closeout's",
        breaks="deliveries go somewhere else",
        fix=f"correct the webhook's Payload URL ({PLACE}), or `public-url`",
        ask=with_token(_url),
    ),
    _check(
        id="hook-active",
        looks="it is active",
        breaks="GitHub sends nothing; patrol finds closings up to an hour later",
        fix=f"check Active ({PLACE} → the webhook)",
        ask=with_token(_active),
    ),
    _check(
        id="hook-events",
        looks="it sends each event that starts an automation",
        breaks="these events start nothing",
        fix=f"check these events ({PLACE} → the webhook → Let me select individual events)",
        ask=with_token(_events),
    ),
    _check(
        id="hook-content-type",
        looks="it sends JSON",
        breaks="nothing yet, but forms are up to three times as large, and large ones are refused",
        fix=f"set its content type to application/json ({PLACE} → the webhook)",
        ask=with_token(partial(_each, _json, "the webhooks send JSON")),
    ),
    _check(
        id="hook-encrypted",
        looks="payloads are sent over TLS, and GitHub checks the certificate",
        breaks="others can read payloads of private repositories",
        fix=f"use an https URL, and enable SSL verification ({PLACE} → the webhook)",
        ask=with_token(
            partial(_each, _encrypted, "payloads are encrypted on their way, or stay on this machine")
        ),
    ),
    _check(
        id="hook-ping",
        looks="GitHub sends a ping through it (drill only)",
        breaks="it is not known whether deliveries arrive",
        fix="check Recent Deliveries of the webhook, and www.githubstatus.com",
        ask=with_token(_ping),
    ),
    _check(
        id="hook-answers",
        looks="its newest delivery was answered with success",
        breaks="deliveries are lost; patrol finds closings up to an hour later",
        fix="check that GitHub reaches closeout's public URL: DNS, certificate, firewall, proxy; then `closeout drill`",
        ask=with_token(partial(_deliveries, _answered, "the newest delivery of each webhook was answered")),
        after=(*ASKING, "public-url-known", "server"),
    ),
    _check(
        id="hook-secret",
        looks="closeout could verify its newest delivery",
        breaks="every delivery is refused",
        fix=f"enter the secret of `secrets.webhook` at the webhook ({PLACE} → the webhook → Secret)",
        ask=with_token(
            partial(_deliveries, _verified, "closeout verified the newest delivery of each webhook")
        ),
        after=(*ASKING, "public-url-known", "server"),
    ),
)
