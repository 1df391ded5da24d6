"""What a server's application needs, as one value: it opens no file and reads no environment variable.

So tests run the same application over fakes and over a real ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from closeout.config.load import Loaded
from closeout.intake.receiver import Receiver
from closeout.ports import PageReader
from closeout.server.access import Access
from closeout.server.bodies import Limits
from closeout.server.guard import Ask
from closeout.server.log import Log
from closeout.server.spool import unnamed_file
from closeout.server.webhook import Accept


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParts:
    """What the application needs.

    `accept` is the ledger's; `started` the engine's (`wake`); `refresh` reads the webhook secrets again and says
    whether they changed; `ready` raises CloseoutError when the ledger cannot be written (a real write);
    `link_key` signs Details links; `metrics_token` opens `/metrics` to others than this machine.
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
    """Knows sessions and tokens; without it there are no pages but those of Details links."""
    loaded: Loaded | None = None
    """The configuration in force, for the pages that show it."""
    marks: Callable[[str], Mapping[str, Mapping[str, Any]]] = lambda _kind: {}
    """Reads what patrol and the drill kept of their last rounds, by kind."""
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
