"""Who may read what a run reports: anyone can read the statuses of a public repository and the pages that they link to.

Scripts, functions and their output are the operator's own code. They may name hosts and contain passwords that closeout
does not know. So a message has a full and a public form, and its poster chooses by the repository. The ledger stores
the full form. This fails closed: own code publishes nothing unless its action says what may be published.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from closeout.actions.spec import Action
from closeout.core.automation import Step
from closeout.core.errors import CloseoutError, DeadlinePassed, StepFailed
from closeout.core.runs import CRASHED

WITHHELD = "failed; see the run's log"

_NUMBERED = re.compile(r"arn:[\w:/+=,.@*-]+|\b\d{12}\b", re.ASCII)
_BEFORE_THE_NAME = re.compile(r"arn:(?:[\w*-]*:){4}", re.ASCII)
"""Everything of an ARN before the resource: partition, service, region and account.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html"""
TIME_IS_UP = "the run's time is up; nothing more was done"


class Message(NamedTuple):
    """A sentence in full, and the form of it that everybody may read."""

    full: str
    public: str

    @classmethod
    def plain(cls, text: str) -> Message:
        """Return a sentence that everybody may read in full."""
        return cls(text, text)


def title(step: Step, action: Action | None) -> str:
    """Return a step's name in a sentence: its `name` if the file sets one, else its id."""
    given = step.name if action is None or step.name != action.summary else ""
    return given or step.id


def of_failure(error: CloseoutError, *, own_code: bool) -> str:
    """Return the public form of an error that ended a step. For a time that is up it omits who had paused closeout."""
    if error.public is not None:
        return error.public
    if isinstance(error, StepFailed) and error.kind == DeadlinePassed.code:
        return TIME_IS_UP
    if isinstance(error, StepFailed) and error.kind == CRASHED:
        return error.message
    return WITHHELD if own_code else masked(error.message)


def masked(text: str) -> str:
    """Return a message of AWS or GitHub without ARNs and account numbers."""
    return _NUMBERED.sub("…", text)


def named(resource: str) -> str:
    """Return a resource's name alone where an ARN identifies it, as for a topic or a load balancer."""
    return masked(_BEFORE_THE_NAME.sub("", resource))


def of_cancel(error: StepFailed) -> str:
    """Return the public form of why a run was cancelled, without the person and the machine."""
    return "cancelled by hand" if error.kind == "cancelled" else error.message
