"""Everything that a server's application needs, as one value: the application opens no file and reads no environment variable.

So tests run the same application over fakes and over a real ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from closeout.config.load import Loaded
from closeout.core.automation import Automation
from closeout.intake.receiver import Receiver
from closeout.ports import PageReader, Requests
from closeout.server.access import Access
from closeout.server.bodies import Limits
from closeout.server.guard import Ask
from closeout.server.log import Log
from closeout.server.spool import unnamed_file
from closeout.server.webhook import Accept

if TYPE_CHECKING:
    from closeout.orphans.audit import Report, Target
    from closeout.patrol.ignored import Ignored


@dataclass(frozen=True, slots=True, kw_only=True)
class PageActions:
    """The functions by which the pages act. All are called in threads and may raise CloseoutError."""

    requests: Requests
    plan: Callable[..., Sequence[Mapping[str, Any]]]
    """Makes the plans of the automations that an event would start: `wiring.preview.Planner.plan`."""
    plan_cleaning: Callable[[Target], Sequence[Mapping[str, Any]]]
    """Makes the plan of a run that cleans up, for the current state of a pull request on GitHub."""
    audit: Callable[[], Report]
    left_alone: Callable[[str], Ignored]
    """Finds a delivery by its GUID that did not arrive and that patrol ignored. Raises `NotFound`."""
    read: Callable[[Ignored], Mapping[str, Any]]
    """Reads its payload from GitHub."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParts:
    """What the application needs.

    `accept` is the ledger's; `started` the engine's (`wake`); `refresh` reads the webhook secrets again and returns
    whether they changed; `ready` raises CloseoutError if the ledger cannot be written (a real write);
    `link_key` signs Details links; `metrics_token` opens `/metrics` to other machines.
    """

    receiver: Receiver
    accept: Accept
    started: Callable[[Sequence[str]], None]
    refresh: Callable[[], bool]
    ready: Callable[[], None]
    views: PageReader
    link_key: bytes
    metrics_token: str | None = None
    access: Access | None = None
    """Checks sessions and tokens; without it, there are only the pages of Details links."""
    page_actions: PageActions | None = None
    """What visitors with the right to act can do; without it, no page can change anything."""
    loaded: Loaded | None = None
    """The current configuration, for the pages that show it."""
    marks: Callable[[str], Mapping[str, Mapping[str, Any]]] = lambda _kind: {}
    """Reads what patrol and the drill stored about their last rounds, by kind."""
    redact: Callable[[str], str] = str
    """Removes secrets from a payload before it is shown."""
    ledger_path: Path | None = None
    """The ledger's file, for the health page."""
    pages_apart: bool = False
    """Whether the pages of signed-in visitors have an address of their own (`Application.pages_alone`)."""
    guard: Ask | None = None
    """Answers workflows that deploy previews."""
    public_logs: bool = False
    """Whether the log of a run on a public repository is shown."""
    secrets: str = ""
    """The references of the webhook secrets, for the log line of a signature that matches none."""
    log: Log = field(default_factory=Log)
    limits: Limits = field(default_factory=Limits)
    spool_file: Callable[[], IO[bytes]] = unnamed_file
    """Opens a file for a body over 1 MB that is not verified yet."""
    clock: Callable[[], float] = time.time

    @property
    def automations(self) -> Sequence[Automation]:
        """The automations of the current configuration."""
        return self.loaded.automations if self.loaded is not None else ()

    @property
    def patrols(self) -> bool:
        """Whether patrol looks for closed pull requests."""
        return self.loaded is not None and self.loaded.settings.patrol.state is not None
