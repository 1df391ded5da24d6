"""An automation as a value: what the file says, checked, with every default filled in.

A run stores it as canonical JSON and replays only that, so `to_json` and `from_json` are part of the ledger's
format: new keys get defaults, and old ones stay readable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from closeout.core.ids import short_digest

MODES = ("apply", "dry-run")
BASES = ("ever", "at-close")
EXPECTATIONS = ("any", "present")


RECHECK = (900.0, 3_600.0, 86_400.0)
"""Seconds after a teardown at which closeout looks again by default."""
_ADDED = {
    "bases": "at-close",
    "environment": None,
    "expect": "any",
    "late": False,
    "patrol": "report",
    "recheck": RECHECK,
    "rechecked": False,
}
"""Keys added after the first release, with their defaults. They are stored only if they differ, so most runs do not grow,
and an earlier release can still read them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One use of an action. `inputs` are as written, templates and all; durations are seconds."""

    id: str
    name: str
    uses: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    condition: str | None = None
    timeout: float
    retry_attempts: int
    retry_backoff: float
    """Seconds before the second try; doubled for each further one."""
    destructive: bool
    allow_untrusted: tuple[str, ...] = ()
    pass_env: tuple[str, ...] = ()
    account: str | None = None
    region: str | None = None
    assume_role: str | None = None
    expect: str = "any"
    rechecked: bool = False
    """Own code that also runs in the further attempts that a recheck starts, as typed deletes do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Automation:
    """One named entry of the file (or one `@on` function: `function` is then `module:name` and `steps` empty).

    `triggers` are the JSON objects that `core.triggers` reads; the receiver matches on them alone.
    """

    name: str
    triggers: tuple[Mapping[str, Any], ...]
    steps: tuple[Step, ...] = ()
    function: str | None = None
    condition: str | None = None
    repositories: tuple[str, ...] = ()
    senders: tuple[str, ...] = ()
    status_context: str | None = None
    """None: no status."""
    concurrency: str | None = None
    """A template of payload paths, `${{ event.a.b }}`; None: the default key (see `core.keys`)."""
    timeout: float = 10_800.0
    queue_timeout: float = 86_400.0
    on_failure: str = "continue"
    mode: str = "apply"
    grace: float = 0.0
    max_changes: int = 50
    max_objects: int = 100_000
    unguarded: bool = False
    protect_names: tuple[str, ...] = ()
    protect_tags: Mapping[str, str] = field(default_factory=dict)
    secret_variables: tuple[str, ...] = ()
    """Environment variables that a secret reference of the file names: never passed to a `shell` step."""
    public_logs: bool = False
    destructive_function: bool = True
    """Whether the live check guards an `@on` function's recorded calls."""
    environment: str | None = None
    """A template: the GitHub environment that must have no active deployment when a run deletes nothing."""
    recheck: tuple[float, ...] = RECHECK
    """Seconds after a successful teardown at which its typed deletes are planned again; empty for never."""
    late: bool = False
    """Whether a recheck started this attempt, to delete what was deployed after the pull request was closed."""
    bases: str = "at-close"
    """The bases of a closed pull request that `branches` are compared with: the one `at-close`, or all that it `ever` had."""

    patrol: str = "report"
    """What patrol does with its orphans: `report`, `repair` or `off`."""

    def canonical(self) -> str:
        """Return canonical JSON: the same automation gives the same bytes."""
        value = {**_stored(self), "steps": [_stored(step) for step in self.steps]}
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_canonical(cls, text: str) -> Automation:
        """Read the text that `canonical` returned, in this version or an earlier one."""
        return cls.from_json(json.loads(text))

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Automation:
        """Read decoded JSON, which is changed. Raises `TypeError` for keys that this version does not know."""
        value["steps"] = tuple(
            Step(**{**step, **{key: tuple(step.get(key, ())) for key in ("allow_untrusted", "pass_env")}})
            for step in value["steps"]
        )
        for key in ("triggers", "repositories", "senders", "protect_names", "secret_variables"):
            value[key] = tuple(value.get(key, ()))
        value["recheck"] = tuple(value.get("recheck", RECHECK))
        return cls(**value)


def _stored(value: Automation | Step) -> dict[str, Any]:
    parts = {each.name: getattr(value, each.name) for each in fields(value)}
    return {key: part for key, part in parts.items() if key not in _ADDED or part != _ADDED[key]}


def steps_digest(definition: str) -> str:
    """Return a digest of the steps of a canonical automation; empty if it cannot be read."""
    try:
        steps = json.loads(definition)["steps"]
    except (ValueError, KeyError, TypeError):
        return ""
    return short_digest(json.dumps(steps))


class Current(NamedTuple):
    """What the configuration says now about the automation of a run that was accepted earlier.

    The file-level `protect` is here, too: it applies to every run, even if the run's automation has been removed.
    """

    automation: Automation | None
    """None if the configuration no longer has an automation of this name."""
    protect_names: tuple[str, ...] = ()
    protect_tags: Mapping[str, str] = {}


def status_contexts(automations: Iterable[Automation]) -> tuple[str, ...]:
    """Return the status contexts that these automations set. closeout itself causes the events about them."""
    contexts = (automation.status_context for automation in automations)
    return tuple(dict.fromkeys(context for context in contexts if context is not None))
