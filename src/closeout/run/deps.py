"""What the run function needs from outside, as one value.

The composition root fills it; tests fill it with fakes. Nothing in `run` creates a client or reads the system's clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from closeout.actions.spec import Action, Limit
from closeout.config.functions import Run
from closeout.core.automation import Current
from closeout.core.redact import Redactor
from closeout.ports import ClientFactory, Clock, Execution, GitHub, Journal, Switch


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDeps:
    """Everything outside the run function.

    `current` reads what the configuration says now about an automation. Like `switch` it may raise a transient error; then
    nothing is decided.
    """

    actions: Mapping[str, Action]
    clients: ClientFactory
    github: GitHub
    journal: Journal
    clock: Clock
    switch: Switch
    redact: Redactor
    current: Callable[[str], Current]
    functions: Mapping[str, Callable[[Run], object]] = field(default_factory=dict)
    details: Callable[[Execution], str | None] = lambda _execution: None
    directory: Path = Path()
    own_contexts: Callable[[], tuple[str, ...]] = tuple
    """Returns the status contexts of today's configuration: events about them start nothing."""
    has_token: bool = True
    """Whether `secrets.github` is configured; without it no status can be posted."""
    claim_closing: Callable[[str, str, str], str] = lambda _closing, _run_id, owner: owner
    """`ports.Attempts.claim_closing`."""
    learn: Callable[[], None] = lambda: None
    """Makes the secrets that steps name known to `redact`. Raises `ConfigError` if the file is first read here and is unusable."""
    deleted_before: Callable[[str, int, bool], bool] = lambda _run_id, _attempt, _closings: False
    """Whether an earlier attempt of the run deleted something; with True also an earlier run of its automation for the
    same pull request. Raises `StoreUnavailable`. Only inside a recorded function."""
    longest_call: Limit | None = None
    """How long one call may take if the platform ends the process, as on Lambda; None elsewhere."""
