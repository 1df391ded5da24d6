"""The user's configuration as the stack needs it: loaded with the code that it names, and held against what AWS carries.

The same loader as `closeout check` and `closeout serve`, so that what one accepts the others run.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from closeout.actions.registry import builtin
from closeout.config import load as loading
from closeout.config import permissions
from closeout.config.load import Loaded
from closeout.core.automation import Automation, status_contexts
from closeout.core.rules import compile_rules
from closeout_cdk import bundling, checks
from closeout_cdk.parameters import Parameters

HOUR = 3600.0
DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What of the configuration becomes part of the stack."""

    rules: str
    """For the receiver: JSON."""
    statements: tuple[permissions.Statement, ...]
    execution_timeout: int
    """Seconds that one execution may take, waiting included."""
    api_url: str
    has_steps_unknown: tuple[str, ...]
    """Steps and functions whose needs closeout cannot know."""
    warnings: tuple[str, ...] = ()


def read_config(given: Parameters) -> Config:
    """Load the configuration. Raises `ConfigError` with FILE:LINE:COL for every mistake."""
    loaded = _load(given)
    found = (*loaded.warnings, *checks.check(loaded, given))
    automations = loaded.automations
    warnings = [finding.pretty() for finding in found]
    return Config(
        rules=compile_rules(automations, status_contexts(automations)),
        statements=permissions.statements(automations, builtin()),
        execution_timeout=int(longest(automations)),
        api_url=loaded.settings.api_url,
        has_steps_unknown=permissions.unknown(automations),
        warnings=tuple(warnings),
    )


def longest(automations: tuple[Automation, ...]) -> float:
    """Give the seconds after which an execution is certainly lost: the longest queue, the longest run, an hour."""
    queue = max((item.queue_timeout for item in automations), default=DAY)
    timeout = max((item.timeout + item.grace for item in automations), default=3 * HOUR)
    return queue + timeout + HOUR


def _load(given: Parameters) -> Loaded:
    """Load the file with its modules taken from `codePath`, where the worker will find them too."""
    places = []
    if given.requirements_file is not None:
        places.append(str(bundling.libraries_here(given.requirements_file)))
    if given.code_path is not None:
        places.append(str(given.code_path))
    sys.path[:0] = [place for place in reversed(places) if place not in sys.path]
    return loading.load(given.config_file, builtin())
