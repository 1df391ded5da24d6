"""The lines that `closeout serve` writes at its start: what it will do, for which repositories, and its addresses.

They show which automations change something, before the first delivery arrives.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from closeout.config.load import Loaded
from closeout.core.automation import Automation
from closeout.core.errors import InputError
from closeout.core.url import parse_base

MOST = 20
"""Automations to name; a file may have hundreds."""
WITHOUT_GITHUB = (
    "warning: no `secrets.github` is configured: no commit gets a status, and nothing is deleted when a pull request"
    " closes, because closeout cannot read the pull request again before it deletes"
)


def summary(loaded: Loaded, address: str, base: str) -> Iterator[str]:
    """Yield the lines; `address` is where the server listens, `base` is the base of Details links."""
    yield f"webhook URL: {base}/webhook" + ("" if base == address else f", received at {address}/webhook")
    for automation in loaded.automations[:MOST]:
        yield _automation(automation)
    if len(loaded.automations) > MOST:
        yield f"and {len(loaded.automations) - MOST} more automations"
    if not loaded.automations:
        yield "warning: no automation is configured: closeout stores deliveries and runs nothing"
    yield f"Details links begin with {base}/runs/"
    if only_here(base) and any(one.status_context for one in loaded.automations):
        yield (
            f"warning: people on other machines cannot open {base}; set `public-url` or --public-url to the address"
            " at which they reach closeout"
        )
    accounts = {step.account for one in loaded.automations for step in one.steps if step.account}
    for account in sorted(accounts):
        yield f"AWS account {account}: closeout compares it with its credentials before every plan and every change"
    if loaded.settings.secrets_github is None:
        yield WITHOUT_GITHUB


def _automation(automation: Automation) -> str:
    mode = "dry run, changes nothing" if automation.mode == "dry-run" else "applies its changes"
    events = ", ".join(dict.fromkeys(str(trigger["event"]) for trigger in automation.triggers))
    where = f" in {', '.join(automation.repositories)}" if automation.repositories else ""
    return f"automation {automation.name}: {mode}; on {events}{where}"


def only_here(base: str) -> bool:
    """Whether an address can be opened only on this machine."""
    try:
        host = parse_base(base).host
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except (InputError, ValueError):
        return False
    return address.is_loopback or address.is_unspecified
