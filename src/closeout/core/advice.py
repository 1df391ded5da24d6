"""Advice on a failure: one sentence for each error code, for run pages and messages.

The code decides. For `service-error` and `action-failed` the service's own error in the message decides, because one code
covers a missing right, an expired token and a service that is down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from closeout.core import errors
from closeout.core.runs import CRASHED

STILL_THERE = "still-there"
"""The code of a step after which something of its plan still exists, although no call failed."""
_UNKNOWN = "Read the log for the cause and remove it."
_ADVICE: Mapping[str, str] = {
    errors.GuardRefused.code: "A guard refused it and nothing was changed. Correct what the message names.",
    errors.NameRefused.code: "Rename the branch or change the template, so that the name is safe to use.",
    errors.WrongAccount.code: "Give closeout the credentials of the account in `aws.account`, or correct that account.",
    errors.NotSame.code: "Check on GitHub what has this name now. closeout does not act on another repository or pull request.",
    errors.NothingThere.code: "Compare the names that the steps make with what exists, and correct the template.",
    errors.InputError.code: "Correct the step's `with` in the configuration; `closeout check` shows the place.",
    errors.ExpressionError.code: "Correct the expression; `closeout explain` evaluates it on this event.",
    errors.SenderUnknown.code: "GitHub does not say who closed it. Take the sender out of the condition if it may run anyway.",
    errors.SecretError.code: "Make the secret that the message names readable for closeout.",
    errors.DeadlinePassed.code: "Find out from the log what took so long. If that is normal, raise `timeout` of the automation.",
    errors.WaitTimeout.code: "Check the resource that closeout waited for. If it needs longer, raise the step's `timeout`.",
    errors.AutomationGone.code: "Restore the automation's name in the configuration.",
    STILL_THERE: "Find out what keeps the resource, or creates it again, and remove that.",
    CRASHED: "Check how much memory the step takes: it ended closeout's process several times.",
    errors.ServiceError.code: "Wait until the service answers again.",
    errors.ActionFailed.code: "Remove what the message names.",
    errors.StoreUnavailable.code: "Make closeout's ledger writable: check the disk.",
    errors.PayloadRefused.code: "Redeliver the event from the webhook's settings on GitHub.",
}
_BY_MESSAGE = (
    (
        r"AccessDenied|Access Denied|UnauthorizedOperation|not authorized|Forbidden|denies",
        "Allow what the message names: `closeout permissions` prints the rights that this configuration needs.",
    ),
    (
        r"ExpiredToken|InvalidClientToken|UnrecognizedClient|Unable to locate credentials|Bad credentials|\b401\b",
        "Renew the credentials that closeout uses; `closeout doctor` checks them.",
    ),
    (
        r"exit code \d|raised \w+",
        "Read the step's log, and correct the script or function.",
    ),
    (
        r"DeleteConflict|DependencyViolation|must detach|has dependencies|dependent object|in use|imported by",
        "Something else uses the resource. Remove that first, then this one can go.",
    ),
    (
        r"not empty",
        "Set `empty-buckets: true` on the step, or empty the bucket by hand.",
    ),
)
"""Patterns in the message that decide if the code does not."""
_OPEN = frozenset((errors.ServiceError.code, errors.ActionFailed.code, errors.WaitTimeout.code, STILL_THERE))


def advice(code: str | None, message: str) -> str:
    """Return what a person should do before a rerun."""
    if code is None or code in _OPEN:
        for pattern, text in _BY_MESSAGE:
            if re.search(pattern, message):
                return text
    if code is not None and code[:1].isupper():  # the name of an exception of the operator's own code
        return "Read the step's log, and correct the script or function."
    return _ADVICE.get(code or "", _UNKNOWN)
