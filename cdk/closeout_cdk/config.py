"""The user's configuration for the stack: loaded with the code that it names, and checked for AWS.

It uses the loader of `closeout check` and `closeout serve`, so that all three accept the same files.
"""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from closeout.actions.registry import builtin
from closeout.config import load as loading
from closeout.config import permissions, reading_rights
from closeout.config.load import Loaded
from closeout.config.patrol import PatrolSettings
from closeout.config.typed_deletes import further
from closeout.core.automation import Automation, status_contexts
from closeout.core.problems import Routes
from closeout.core.rules import compile_rules
from closeout.core.units import DAY, HOUR
from closeout.stack.deployed import definition_digest, digest_of, pack
from closeout_cdk import checks
from closeout_cdk.bundling import Bundler
from closeout_cdk.parameters import ParameterError, Parameters

LARGEST = 100_000
"""Characters of the packed configuration: an update's request holds the new and the old one, and Lambda accepts 256 KB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The parts of the configuration that go into the stack."""

    rules: str
    """For the receiver: JSON."""
    packed: str
    """For the ledger's table: `stack.deployed.pack`, as base64."""
    digest: str
    """The digest of the packed configuration."""
    further: str
    """Digests of what else further attempts may carry out, by automation: JSON."""
    statements: tuple[permissions.Statement, ...]
    audit: tuple[permissions.Statement, ...]
    """Rights that patrol needs to list resources, under its own role."""
    rechecks: tuple[permissions.Statement, ...]
    """Rights that rechecks need to read resources, under patrol's role."""
    last_recheck: int
    """Seconds from a teardown to its last recheck."""
    patrol: PatrolSettings
    routes: Routes
    """Who is notified of problems."""
    api_url: str
    """GitHub's API, for the worker."""
    execution_timeout: int
    """Seconds that one execution may take, including waits."""
    unknown: tuple[str, ...]
    """Steps and functions whose required rights closeout cannot know."""
    warnings: tuple[str, ...] = ()


def read_config(given: Parameters, bundler: Bundler) -> Config:
    """Load the configuration. Raises `ConfigError` with FILE:LINE:COL for every mistake."""
    libraries = bundler.libraries_here(given.requirements_file) if given.requirements_file else None
    places = tuple(place for place in (libraries, given.code_path) if place is not None)
    loaded = _load(given, places)
    found = (*loaded.warnings, *checks.check(loaded, given, places))
    automations = loaded.automations
    warnings = [finding.pretty() for finding in found]
    settings = loaded.settings
    api_url = _api_url(settings.api_url, given)
    packed = pack(automations, api_url, settings.protect_names, settings.protect_tags)
    digests = _further(automations)
    return Config(
        rules=compile_rules(automations, status_contexts(automations)),
        packed=_text(packed, digests),
        digest=digest_of(packed),
        further=digests,
        statements=permissions.statements(automations, builtin()),
        audit=_audit(automations),
        rechecks=reading_rights.recheck_statements(automations, builtin()),
        last_recheck=int(max((after for one in automations for after in one.recheck), default=0)),
        patrol=settings.patrol,
        routes=loaded.routes,
        api_url=api_url,
        execution_timeout=int(longest(automations)),
        unknown=permissions.unknown(automations, builtin()),
        warnings=tuple(warnings),
    )


def _audit(automations: tuple[Automation, ...]) -> tuple[permissions.Statement, ...]:
    """Return the rights to list resources for patrol's audit. It assumes no step's role, because that role may delete."""
    watched = [one for one in automations if one.patrol != "off"]
    found = reading_rights.audit_statements(watched, builtin())
    return tuple(one for one in found if one.role is None and one.actions != ("sts:AssumeRole",))


def longest(automations: tuple[Automation, ...]) -> float:
    """Return the seconds after which an execution is certainly lost: the longest queue and run of one automation, and an hour."""
    return max((item.queue_timeout + item.timeout for item in automations), default=DAY + 3 * HOUR) + HOUR


def _api_url(setting: str, given: Parameters) -> str:
    """Return GitHub's address as the worker reads it. Its variable has been checked."""
    return given.environment[setting[4:]] if setting.startswith("env:") else setting


def _further(automations: tuple[Automation, ...]) -> str:
    """Return the digests, by automation, of the definitions that rechecks and cleaning derive from these automations."""
    found: dict[str, list[str]] = {}
    for one in automations:
        forms = {form.canonical() for form in further([one], builtin())} - {one.canonical()}
        if forms:
            found[one.name] = sorted(map(definition_digest, forms))
    return json.dumps(found, sort_keys=True, separators=(",", ":"))


def _text(packed: bytes, digests: str) -> str:
    text = base64.b64encode(packed).decode()
    if (size := len(text) + len(digests)) > LARGEST:
        raise ParameterError(
            f"the configuration is {size:,} characters when it is packed, and {LARGEST:,} can be deployed: make it"
            " shorter"
        )
    return text


def _load(given: Parameters, places: tuple[Path, ...]) -> Loaded:
    """Load the file with its modules from the places where the worker finds them."""
    sys.path[:0] = [str(place) for place in reversed(places) if str(place) not in sys.path]
    return loading.load(given.config_file, builtin())
