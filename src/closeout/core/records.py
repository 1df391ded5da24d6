"""What a receiver hands to a ledger, and what it hears back: the same on both runtimes.

In the core, because the receiver on AWS imports nothing else.
"""

from __future__ import annotations

from typing import NamedTuple


class NewDelivery(NamedTuple):
    """A verified delivery, ready to be stored. `body` is the raw request body; `form` says how it is encoded."""

    hook: str
    guid: str
    event: str
    action: str | None
    repository: str | None
    body: bytes
    form: bool
    received_at: float
    origin: str
    """`github`: it came as a webhook; else the way by which it was heard of (`core.closing.HEARD`)."""
    number: int | None = None
    """Of the pull request or issue, for lists."""
    closing: str | None = None
    """The text of the closing that it brings (`core.closing`), None for any other event."""


class NewRun(NamedTuple):
    """A run to be stored with its delivery: attempt 1 of (closing, automation), for other events of (GUID, automation)."""

    run_id: str
    automation: str
    key: str | None
    """Concurrency key, already within its automation; None: no exclusion."""
    definition: str
    queue_timeout: float


class Accepted(NamedTuple):
    """What the ledger answered after its commit. `started` are the executions that are new."""

    delivery: int | str
    """A number on SQLite, a name made of hook and GUID on DynamoDB."""
    runs: tuple[str, ...]
    """Run ids of this delivery, the original's when it is a duplicate."""
    duplicate: bool
    """The delivery is there already, or every run that it could start is."""
    started: tuple[str, ...]
