"""Checks of who is told of problems: each notifier's URL can be read, has a known form, and leads to a host that answers.

Nothing is sent: `closeout notify test` does that.
"""

from __future__ import annotations

from closeout.checks.check import Check, Result, failed, skipped, worst, wrong
from closeout.checks.world import World
from closeout.core.errors import NotifierFailed, NotifierUnknown, SecretError
from closeout.core.units import spoken_duration


def _notifiers(world: World) -> Result:
    targets = world.loaded.routes.targets()
    if not targets:
        return skipped("the file has no `notify`, so nobody is told of problems")
    results = [result for target in targets if (result := _wrong_with(world, target)) is not None]
    return worst(results, f"{', '.join(targets)} can be read, and can be reached where the URL names a host")


def _wrong_with(world: World, target: str) -> Result | None:
    """Return what is wrong with a notifier, None if nothing is."""
    try:
        world.outside.check_notifier(target)
    except SecretError as error:
        return failed(error)
    except NotifierUnknown as error:
        return wrong(f"{target}: {error.message}")
    except NotifierFailed as error:
        return wrong(
            f"{target}: {error.message}", "see that the service runs, and that this machine may reach it"
        )
    return None


def _deliveries(world: World) -> Result:
    targets = world.loaded.routes.targets()
    if not targets:
        return skipped("the file has no `notify`, so nobody is told of problems")
    if not world.ledger.exists():
        return skipped("no server has run yet")
    kept = world.place.notifier_failures()
    results = [
        wrong(
            f"{target} has taken no message for {spoken_duration(world.now() - kept[target]['since'])}:"
            f" {kept[target]['error']}"
        )
        for target in targets
        if kept.get(target)
    ]
    return worst(results, "each notifier took the last message to it")


CHECKS = (
    Check(
        id="notifiers",
        group="Messages",
        looks="each notifier's URL can be read, has a known form, and leads to a host that answers",
        breaks="nobody is told when a run fails or something is left behind",
        fix="write the service's URL where the reference says, and try it with `closeout notify test`",
        ask=_notifiers,
        after=("configuration",),
    ),
    Check(
        id="messages",
        group="Messages",
        looks="each notifier took the last message",
        breaks="messages to it wait; they are sent, in few, once it takes them",
        fix="try it with `closeout notify test`, which says why",
        ask=_deliveries,
        after=("configuration", "ledger"),
    ),
)
