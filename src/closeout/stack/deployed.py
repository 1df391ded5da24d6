"""What is deployed, packed as one item of the ledger's table: the automations of the file that was deployed last.

Pure, because three programs must agree on it: synthesis packs it, the worker reads it before each destructive call, and
commands with `--stack` make the next attempt at a run from it. It holds each automation as a run stores its own, with its
`protect`, limits and `mode`, and the file's `protect` for runs whose automation the file no longer has.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from closeout.core.automation import MODES, Automation, Current, Step

LATE = 86_400.0
"""Seconds that a start, or the end of a run whose execution failed, may come late."""


class Deployed(NamedTuple):
    """What was packed. `since` is when it was written, in seconds since the epoch."""

    automations: Mapping[str, Automation]
    """By their names, in the file's order."""
    api_url: str
    """Of GitHub, for the worker: `env:NAME` is resolved."""
    digest: str
    since: float
    unknown: tuple[str, ...] = ()
    """Keys of a later version that this one does not know. It keeps what it knows, and cannot pass on the rest."""
    protect_names: tuple[str, ...] = ()
    protect_tags: Mapping[str, str] = {}
    rewritten: tuple[str, ...] = ()
    """Automations that this version would write in another form: the worker knows only the deployed form."""

    def current(self, name: str) -> Current:
        """Return what is deployed about a run of the automation `name`."""
        return Current(self.automations.get(name), self.protect_names, self.protect_tags)


def pack(
    automations: Iterable[Automation],
    api_url: str,
    protect_names: Iterable[str] = (),
    protect_tags: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes that are stored: zlib over JSON. `protect_*` are the file's own."""
    value = {
        "automations": [json.loads(one.canonical()) for one in automations],
        "api_url": api_url,
        "protect": {"names": list(protect_names), "tags": dict(protect_tags or {})},
    }
    return zlib.compress(json.dumps(value, sort_keys=True, separators=(",", ":")).encode(), 9)


def digest_of(packed: bytes) -> str:
    """Return the digest that names a packed configuration: of what is packed, however it was compressed."""
    return hashlib.sha256(zlib.decompress(packed)).hexdigest()


def definition_digest(definition: str) -> str:
    """Return the digest under which a definition, an automation's canonical JSON, is stored as deployed."""
    return hashlib.sha256(definition.encode()).hexdigest()


def definition_lifetime(automation: Automation) -> float:
    """Return for how many seconds runs may still use an automation's form after another one was deployed.

    Its runs wait and run at most that long; the rest is for starts that Lambda delays, and for the handler of failed
    executions.
    """
    return automation.queue_timeout + automation.timeout + LATE


def unpack(packed: bytes, since: float) -> Deployed:
    """Read what `pack` of this, an earlier or a later version returned. Raises `ValueError` for anything else."""
    try:
        text = zlib.decompress(packed)
        value = json.loads(text)
        unknown: set[str] = set(value) - {"automations", "api_url", "protect"}
        texts = [_canonical(one) for one in value["automations"]]
        found = [_automation(one, unknown) for one in value["automations"]]
        names, tags = _protect(value, found)
        return Deployed(
            automations={one.name: one for one in found},
            api_url=value["api_url"],
            digest=hashlib.sha256(text).hexdigest(),
            since=since,
            unknown=tuple(sorted(unknown)),
            protect_names=names,
            protect_tags=tags,
            rewritten=tuple(
                one.name for one, text in zip(found, texts, strict=True) if one.canonical() != text
            ),
        )
    except (AttributeError, KeyError, TypeError, zlib.error) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _protect(
    value: Mapping[str, Any], automations: Iterable[Automation]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the file's `protect`. An earlier version stored it only in the automations, the same in each."""
    if "protect" in value:
        return tuple(value["protect"]["names"]), dict(value["protect"]["tags"])
    names = (name for one in automations for name in one.protect_names)
    tags = {key: pattern for one in automations for key, pattern in one.protect_tags.items()}
    return tuple(dict.fromkeys(names)), tags


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _automation(value: Mapping[str, Any], unknown: set[str]) -> Automation:
    if value.get("mode", "apply") not in MODES:  # it may forbid what this version would do
        raise ValueError(f"the mode {value['mode']} is a later version's")
    known = _known(Automation, value, unknown)
    known["steps"] = [_known(Step, step, unknown) for step in known["steps"]]
    return Automation.from_json(known)


def _known(kind: type, value: Mapping[str, Any], unknown: set[str]) -> dict[str, Any]:
    """Return the keys that this version knows of a value; name the others in `unknown`."""
    names = {field.name for field in fields(kind)}
    unknown.update(set(value) - names)
    return {name: part for name, part in value.items() if name in names}
