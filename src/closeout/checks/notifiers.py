"""Checks of notifiers: each URL can be read, has a known form, and leads to a host that answers; each topic exists.

Nothing is sent: `closeout notify test` does that.
"""

from __future__ import annotations

from functools import partial

from closeout.checks.check import Check, Result, failed, fine, listed, skipped, worst, wrong
from closeout.checks.world import World
from closeout.core.errors import NotifierFailed, NotifierUnknown, SecretError, ServiceError
from closeout.core.units import spoken_duration

TOPIC_DENIED = "AuthorizationError"
"""SNS's error for a caller that may not ask about a topic."""


def _notifiers(world: World) -> Result:
    targets = world.loaded.routes.targets()
    if not targets:
        return skipped("the file has no `notify`, so no message is sent")
    results = {target: _asked(world, target) for target in targets}
    unasked = listed(result.what for result in results.values() if result.state == "skipped")
    known = ", ".join(target for target, result in results.items() if result.state == "fine")
    what = f"{known} can be read, and can be reached where the URL names a host; a topic exists"
    if not unasked or not known:
        return worst(list(results.values()), what)
    return worst([result for result in results.values() if result.state != "skipped"], f"{what}; {unasked}")


def _asked(world: World, target: str) -> Result:
    try:
        world.outside.check_notifier(target)
    except SecretError as error:
        return failed(error)
    except ServiceError as error:
        if error.reason == TOPIC_DENIED:  # publishing to it is another right
            return skipped(f"closeout may not ask SNS whether {target} exists (`sns:GetTopicAttributes`)")
        return failed(error)
    except NotifierUnknown as error:
        return wrong(f"{target}: {error.message}")
    except NotifierFailed as error:
        return wrong(
            f"{target}: {error.message}", "check that the service runs, and that this machine may reach it"
        )
    return fine(target)


def _deliveries(world: World) -> Result:
    targets = world.loaded.routes.targets()
    if not targets:
        return skipped("the file has no `notify`, so no message is sent")
    if not world.ledger.exists():
        return skipped("no server has run yet")
    failures = world.host.notifier_failures()
    results = []
    for target in filter(failures.get, targets):
        since = spoken_duration(world.now() - failures[target]["since"])
        results.append(wrong(f"{target} has taken no message for {since}: {failures[target]['error']}"))
    return worst(results, "each notifier took the last message to it")


_check = partial(Check, group="Messages")

CHECKS = (
    _check(
        id="notifiers",
        looks="each notifier's URL can be read, has a known form, and leads to a host that answers; each topic exists",
        breaks="no message is sent when a run fails or something is left behind",
        fix="write the service's URL where the reference says, or correct the topic's ARN, and try it with `closeout notify test`",
        ask=_notifiers,
        after=("configuration",),
    ),
    _check(
        id="messages",
        looks="each notifier took the last message",
        breaks="messages to it wait; once it accepts messages, it gets what is still wrong",
        fix="try it with `closeout notify test`, which says why",
        ask=_deliveries,
        after=("configuration", "ledger"),
    ),
)
