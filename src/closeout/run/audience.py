"""Who reads what a run says: of a public repository everybody reads the statuses, and the page behind their link.

A script, a function and whatever they print are the operator's own code, which may name hosts and hold passwords that
closeout does not know. So what is said has two forms, and whoever says it chooses by the repository. The ledger keeps
the whole one. It fails closed: own code says nothing to everybody unless its action says what may be said.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from closeout.actions.spec import Action
from closeout.core.automation import Step
from closeout.core.errors import CloseoutError, DeadlinePassed, StepFailed
from closeout.core.runs import CRASHED

WITHHELD = "failed; how is in the run's log"

_NUMBERED = re.compile(r"arn:[\w:/+=,.@*-]+|\b\d{12}\b", re.ASCII)
_BEFORE_THE_NAME = re.compile(r"arn:(?:[\w*-]*:){4}", re.ASCII)
"""Of an ARN all but the resource: partition, service, region and account.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html"""
TIME_IS_UP = "the run's time is up; nothing more was done"


class Said(NamedTuple):
    """A sentence, and what of it anybody may read."""

    whole: str
    public: str

    @classmethod
    def plain(cls, text: str) -> Said:
        """Return a sentence that everybody may read as it is."""
        return cls(text, text)


def title(step: Step, action: Action | None) -> str:
    """Return what a step is called in a sentence: its `name` if the file gives it one, else its id."""
    given = step.name if action is None or step.name != action.summary else ""
    return given or step.id


def of_failure(error: CloseoutError, *, own_code: bool) -> str:
    """Return what anybody may read of an error that a step ended in. Of a time that is up: not who had paused closeout."""
    if error.public is not None:
        return error.public
    if isinstance(error, StepFailed) and error.kind == DeadlinePassed.code:
        return TIME_IS_UP
    if isinstance(error, StepFailed) and error.kind == CRASHED:
        return error.message
    return WITHHELD if own_code else masked(error.message)


def masked(text: str) -> str:
    """Return what AWS or GitHub says without ARNs and numbers of accounts."""
    return _NUMBERED.sub("…", text)


def named(resource: str) -> str:
    """Return a resource by its name alone, where it is called by an ARN: a topic, a load balancer."""
    return masked(_BEFORE_THE_NAME.sub("", resource))


def of_cancel(error: StepFailed) -> str:
    """Return what anybody may read of why a run was cancelled: not who did it, and on which machine."""
    return "cancelled by hand" if error.kind == "cancelled" else error.message
