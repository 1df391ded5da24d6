"""The checks over a configuration and a ledger of this machine: for a command, and for the server that drills once a day.

A command may read the ledger while a server runs on it; the server uses the clients that its runs use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from closeout.actions.registry import builtin
from closeout.adapters.clock import SystemClock
from closeout.checks.check import redacted
from closeout.checks.world import World
from closeout.config.load import Loaded, load
from closeout.core.redact import Redactor
from closeout.ledger.sqlite import Requests, Views, disk
from closeout.patrol.marks import REPORT
from closeout.wiring.clients import configured_clients
from closeout.wiring.notifying import NOTIFIER
from closeout.wiring.outside import Outside, hooks_heard

if TYPE_CHECKING:
    from closeout.checks.check import Check, Outcome

NEWEST = 500
"""Deliveries that are read to find out which webhooks deliver."""


class LedgerFile:
    """`checks.world.LedgerView` and `Host` over SQLite.

    `base` returns the server's public URL.
    """

    def __init__(self, path: Path, base: Callable[[Views], str | None]) -> None:
        views = Views(path)
        self.path = path
        self.exists = path.exists
        self.held = Requests(path).server_running
        self.unwritable: Callable[[], str | None] = partial(disk.unwritable, path)
        self.file_system: Callable[[], str | None] = partial(disk.file_system, path)
        self.free: Callable[[], int] = partial(disk.free, path)
        self.base = partial(base, views)
        self.heard = partial(hooks_heard, partial(views.deliveries, NEWEST))
        self.empty_runs: Callable[[], Mapping[str, int]] = lambda: views.stats()["empty_runs"]
        self.last_patrols = partial(views.marks, REPORT)
        self.notifier_failures = partial(views.marks, NOTIFIER)
        self.paused = views.paused
        self.close = views.close


def inspect(
    config: Path, db: Path, base_setting: str, *, pings: bool, on_start: Callable[[Check], object]
) -> Iterator[Outcome]:
    """Yield the outcome of each check of a configuration file and a ledger, with this process's rights. Secrets are redacted.

    `base_setting` names the setting in which a server leaves its public URL; `on_start` gets each check before it runs.
    """
    from closeout.checks import registry

    redactor = Redactor()

    def base(views: Views) -> str | None:
        kept = views.setting(base_setting)
        return kept.decode() if kept else None

    ledger = LedgerFile(db, base)

    def connect(loaded: Loaded) -> Outside:
        return Outside(configured_clients(loaded, SystemClock(), redactor))

    world = World(
        partial(load, config, builtin()),
        connect,
        ledger,
        machine=ledger,
        file=config,
        now=time.time,
        pause=time.sleep,
        pings=pings,
    )
    try:
        yield from redacted(registry.ask(world, on_start=on_start), redactor)
    finally:
        ledger.close()
