"""The concurrency key of a run: runs with the same key exclude each other and run in the order of acceptance.

Two runs that belong together must never get different keys, so a missing value becomes one fixed word: such runs
share a key and wait for each other, which is slow but safe.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from closeout.core.facts import Facts
from closeout.core.payload import at

MISSING = "<missing>"
MAX_LENGTH = 512
"""Bytes: a partition key of DynamoDB counts them too."""
_PART = r"(?a:\$\{\{\s*event((?:\.[A-Za-z_][A-Za-z0-9_]*)+)\s*\}\})"


def concurrency_key(
    automation: str, template: str | None, facts: Facts, lookup: Callable[[str], Any]
) -> str | None:
    """Return the key, or None for no exclusion.

    `template` is text with `${{ event.a.b }}`, or None for the default: repository and number on pull request
    events, else no key. `lookup` takes a dotted path below `event` (`pull_request.number`) and returns its value,
    or None if there is none (`lookup_of` returns one for a decoded payload).
    """
    if template is not None:
        text = re.sub(_PART, lambda part: _text(lookup(part.group(1)[1:])), template)
        return _bounded(f"{automation}|{text}")
    if not is_pull_request(facts):
        return None
    repository = facts.repository_id if facts.repository_id is not None else facts.repository
    number = MISSING if facts.number is None else facts.number
    return _bounded(f"{automation}|{MISSING if repository is None else repository}|{number}")


def is_pull_request(facts: Facts) -> bool:
    """Whether the default key applies: to `pull_request`, its reviews and their comments."""
    return facts.event.startswith("pull_request")


def lookup_of(payload: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return the `lookup` of a decoded payload."""
    return lambda path: at(payload, *path.split("."))


def check_template(template: str) -> str | None:
    """Return a sentence if the template cannot be used: the receiver computes keys, and it has no CEL."""
    if not template.strip():
        return "a concurrency key is empty; leave it out for the default"
    rest = re.sub(_PART, "", template)
    if "${{" in rest:
        wrong = rest[rest.index("${{") :].split("}}")[0]
        return f"a concurrency key takes plain paths only, `${{{{ event.a.b }}}}`; not {wrong.strip()!r}"
    return None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return MISSING


def _bounded(key: str) -> str:
    """Replace a long key with its digest: equal keys stay equal, and the ledger's index stays small."""
    text = key.encode("utf-8", "surrogatepass")
    return key if len(text) <= MAX_LENGTH else f"sha256:{hashlib.sha256(text).hexdigest()}"
