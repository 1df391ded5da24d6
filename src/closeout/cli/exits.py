"""Exit codes: what a script may rely on, and which error has which code.

One table, so that `--help`, the reference page and the program cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping

from closeout.core.errors import (
    BadFilter,
    CloseoutError,
    GuardRefused,
    LedgerError,
    LedgerInUse,
    NotConfirmed,
    NotifierFailed,
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
    (OK, "success"),
    (FAILED, "findings, a failed run, or something that does not exist"),
    (USAGE, "wrong usage of the command"),
    (REFUSED, "refused by a guard, or not confirmed"),
    (UNAVAILABLE, "unavailable or in use: ledger, stack, port, secret, network"),
    (INTERNAL, "a bug in closeout"),
    (INTERRUPTED, "interrupted (Ctrl-C)"),
)

_BY_CODE: Mapping[int, tuple[type[CloseoutError], ...]] = {
    USAGE: (UsageError, BadFilter),
    REFUSED: (GuardRefused, NotConfirmed),
    UNAVAILABLE: (
        LedgerInUse,
        LedgerError,
        StoreUnavailable,
        SecretError,
        ServiceError,
        NotifierFailed,
        Unavailable,
    ),
}


def code_for(error: CloseoutError) -> int:
    """Return the exit code for this error."""
    return next((code for code, kinds in _BY_CODE.items() if isinstance(error, kinds)), FAILED)
