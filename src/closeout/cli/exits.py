"""Exit codes: what a script may rely on, and which error ends in which.

One table, so that `--help`, the reference page and the program cannot disagree.
"""

from __future__ import annotations

from closeout.core.errors import (
    CloseoutError,
    GuardRefused,
    LedgerError,
    LedgerInUse,
    NotConfirmed,
    SecretError,
    ServiceError,
    StoreUnavailable,
    Unavailable,
    UsageError,
)

OK = 0
FAILED = 1
USAGE = 2
REFUSED = 3
UNAVAILABLE = 4
INTERNAL = 70
INTERRUPTED = 130

MEANINGS: tuple[tuple[int, str], ...] = (
    (OK, "fine"),
    (FAILED, "findings, or what was asked about failed or does not exist"),
    (USAGE, "the command was called wrongly"),
    (REFUSED, "refused by a guard, or not confirmed"),
    (UNAVAILABLE, "something needed is not there or in use: ledger, stack, port, secret, network"),
    (INTERNAL, "a defect of closeout"),
    (INTERRUPTED, "interrupted (Ctrl-C)"),
)

_BY_ERROR: tuple[tuple[type[CloseoutError], int], ...] = (
    (UsageError, USAGE),
    (GuardRefused, REFUSED),
    (NotConfirmed, REFUSED),
    (LedgerInUse, UNAVAILABLE),
    (LedgerError, UNAVAILABLE),
    (StoreUnavailable, UNAVAILABLE),
    (SecretError, UNAVAILABLE),
    (ServiceError, UNAVAILABLE),
    (Unavailable, UNAVAILABLE),
)


def code_for(error: CloseoutError) -> int:
    """Return the exit code that this error ends in."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), FAILED)
