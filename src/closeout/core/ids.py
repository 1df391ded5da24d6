"""Ids of runs and executions, computed from their content: the same delivery gives the same run.

Both engines and the ledger rely on this: a run that is started twice is one run.
"""

from __future__ import annotations

import hashlib
import re

from closeout.core.errors import UsageError

LENGTH = 26
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
MAX_DIGITS = 9
"""Digits of an attempt at most, so that SQLite can store it."""
_EXECUTION = r"(?a:([a-z2-7]{26})-([1-9][0-9]{0,8}))"
"""Compiled on first use, as are all patterns on this path, because they would delay the receiver's start."""


def run_id(guid: str, automation: str) -> str:
    """Return 26 characters of base32 (RFC 4648's alphabet in lower case) of SHA-256 over GUID, newline, automation."""
    return short_digest(f"{guid}\n{automation}")


def short_digest(text: str) -> str:
    """Return 26 characters of base32 (RFC 4648's alphabet in lower case) of SHA-256 over the text."""
    digest = hashlib.sha256(text.encode()).digest()
    bits = int.from_bytes(digest, "big")
    return "".join(_ALPHABET[bits >> shift & 31] for shift in range(251, 251 - LENGTH * 5, -5))


def execution_id(run_id: str, attempt: int) -> str:
    """Return the name of one attempt at a run: `<run id>-<attempt>`, attempts counted from 1."""
    return f"{run_id}-{attempt}"


def parse_execution(text: str) -> tuple[str, int]:
    """Return run id and attempt of an execution's name; raise `UsageError` for anything else."""
    found = re.fullmatch(_EXECUTION, text)
    if found is None:
        raise UsageError(f"{text[:80]!r} is not an execution's name (a run id, a dash and the attempt)")
    return found.group(1), int(found.group(2))


def is_execution(text: str) -> bool:
    """Return whether a text is an execution's name."""
    return re.fullmatch(_EXECUTION, text) is not None


def split_execution(target: str) -> tuple[str, int | None]:
    """Return (run id, attempt) of a typed text: an execution's name, or a run id, for which the attempt is None."""
    run_id, dash, attempt = target.rpartition("-")
    if dash and attempt.isascii() and attempt.isdigit() and len(attempt) <= MAX_DIGITS:
        return run_id, int(attempt)
    return target, None
