"""What a receiver passes to a ledger and what the ledger returns, the same on both runtimes.

It is in the core because the receiver on AWS imports nothing else.
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
    """`github` for a webhook, else one of the other sources (`core.closing.HEARD`)."""
    number: int | None = None
    """The pull request's or issue's title, for lists."""
    closing: str | None = None
    """The text of the closing that it reports (`core.closing`), None for any other event."""


class NewRun(NamedTuple):
    """A run to be stored with its delivery: attempt 1 of (closing, automation), for other events of (GUID, automation)."""

    run_id: str
    automation: str
    key: str | None
    """The concurrency key, which includes the automation; None: no exclusion."""
    definition: str
    queue_timeout: float


class Accepted(NamedTuple):
    """The ledger's answer after its commit. `started` are the new executions."""

    delivery: int | str
    """A number on SQLite, a name of hook and GUID on DynamoDB."""
    runs: tuple[str, ...]
    """Run ids of this delivery, or of the original if this is a duplicate."""
    duplicate: bool
    """Whether the delivery, or every run that it could start, existed already."""
    started: tuple[str, ...]
