"""The checks over a configuration and a ledger of this machine: for a command, and for the server that drills once a day.

A command reads the ledger beside whatever server runs on it; the server uses the clients that its runs use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closeout.actions.registry import builtin
from closeout.adapters.clock import SystemClock
from closeout.checks.check import redacted
from closeout.checks.world import World
from closeout.config.load import Loaded, load
from closeout.core.redact import Redactor
from closeout.ledger.sqlite import Requests, Views, place
from closeout.patrol.marks import REPORT
from closeout.wiring.clients import configured_clients
from closeout.wiring.notifying import NOTIFIER
from closeout.wiring.outside import Outside, hooks_heard

if TYPE_CHECKING:
    from closeout.checks.check import Check, Outcome

NEWEST = 500
"""Deliveries that are looked at for the webhooks by which they came."""


class LedgerFile:
    """`checks.world.LedgerLook` and `Place` over SQLite. `base` returns the server's public URL."""

    def __init__(self, path: Path, base: Callable[[Views], str | None]) -> None:
        self.path = path
        self._base = base
        self._views = Views(path)

    def exists(self) -> bool:
        """Whether there is a file."""
        return self.path.exists()

    def held(self) -> bool:
        """Whether a server holds it now."""
        return Requests(self.path).server_running()

    def unwritable(self) -> str | None:
        """Return what this user may not write."""
        return place.unwritable(self.path)

    def file_system(self) -> str | None:
        """Return the kind of its file system."""
        return place.file_system(self.path)

    def free(self) -> int:
        """Return the free bytes."""
        return place.free(self.path)

    def base(self) -> str | None:
        """Return the public URL of the server that last ran."""
        return self._base(self._views)

    def heard(self, repository: str) -> frozenset[str]:
        """Return the ids of the webhooks by which the newest deliveries of a repository came."""
        return hooks_heard(self._views.deliveries(NEWEST), repository)

    def last_patrols(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the last patrols saw."""
        return self._views.marks(REPORT)

    def empty_runs(self) -> Mapping[str, int]:
        """Return the runs that found nothing, by automation."""
        counts: Mapping[str, int] = self._views.stats()["empty_runs"]
        return counts

    def notifier_failures(self) -> Mapping[str, Mapping[str, Any]]:
        """Return since when and why a notifier takes no message."""
        return self._views.marks(NOTIFIER)

    def paused(self) -> str | None:
        """Return who paused, and why."""
        return self._views.paused()

    def close(self) -> None:
        """Close its connections."""
        self._views.close()


def inspect(
    config: Path, db: Path, base_setting: str, *, pings: bool, told: Callable[[Check], object]
) -> Iterator[Outcome]:
    """Yield the outcome of each check of a configuration file and a ledger, as this process may ask. Secrets are redacted.

    `base_setting` names the setting in which a server leaves its public URL; `told` gets each check before it is asked.
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
        yield from redacted(registry.ask(world, told=told), redactor)
    finally:
        ledger.close()
