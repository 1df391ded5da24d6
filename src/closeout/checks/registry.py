"""The registry: every check in the order in which it is asked, and one round over them.

A round asks each check once and never raises. An unforeseen error is `unknown`, with the check's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from closeout.checks import account, coverage, files, machine, notifiers, token, webhooks
from closeout.checks.check import Check, Outcome, Result, unknown
from closeout.checks.world import World
from closeout.core.errors import CloseoutError

CHECKS: tuple[Check, ...] = (
    *files.CHECKS,
    *machine.CHECKS,
    *token.CHECKS,
    *webhooks.CHECKS,
    *account.CHECKS,
    *coverage.CHECKS,
    *notifiers.CHECKS,
)
"""Each follows the checks that must come before it."""


OF_A_MACHINE = (
    *(check.id for check in files.CHECKS if check.id not in ("configuration", "secret-github")),
    *(check.id for check in machine.CHECKS if check.id not in ("clock", "paused")),
    "aws-credentials",
    "aws-role",
    "aws-cloudformation-role",
    "messages",
)
"""Checks that do not apply to a stack: it has no files and no server, only its worker has its credentials, and an
alarm reports when its patrol is late."""
ON_STACK = tuple(check for check in CHECKS if check.id not in OF_A_MACHINE)


def ask(
    world: World, checks: Sequence[Check] = CHECKS, on_start: Callable[[Check], object] = lambda _check: None
) -> Iterator[Outcome]:
    """Yield the outcome of each check. `on_start` receives a check before it is asked."""
    hindered: dict[str, str] = {}
    """For each check that is not fine, the one that is the cause."""
    for check in checks:
        cause = next((hindered[name] for name in check.after if name in hindered), None)
        if cause is not None:
            result = unknown(f"not run: first fix `{cause}`")
        else:
            on_start(check)
            result = _answer(check, world)
        if result.state in ("wrong", "unknown"):
            hindered[check.id] = cause or check.id
        yield Outcome(check, result, cause)


def _answer(check: Check, world: World) -> Result:
    """Return a check's result. An error is never "fine"."""
    try:
        return check.ask(world)
    except CloseoutError as error:
        return unknown(error.message)
    except Exception as error:  # noqa: BLE001 - one check's bug must not hide the results of the others
        return unknown(f"{check.looks}: {type(error).__name__}, which is a bug in closeout")
