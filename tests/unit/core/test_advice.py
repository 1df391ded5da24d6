"""What to do about a failure."""

from __future__ import annotations

import pytest

from closeout.core import errors
from closeout.core.advice import STILL_THERE, advice
from closeout.core.runs import CRASHED

ENDS_STEPS: list[type[errors.CloseoutError]] = [
    errors.GuardRefused, errors.NameRefused, errors.WrongAccount, errors.NotSame, errors.NothingThere,
    errors.InputError, errors.ExpressionError, errors.SenderUnknown, errors.SecretError, errors.DeadlinePassed,
    errors.WaitTimeout, errors.AutomationGone, errors.ServiceError, errors.ActionFailed, errors.StoreUnavailable,
]  # fmt: skip


@pytest.mark.parametrize("code", [*(error.code for error in ENDS_STEPS), STILL_THERE, CRASHED])
def test_every_code_that_ends_a_step_has_its_own_advice(code: str) -> None:
    """One or two sentences, and never the one for unknown errors."""
    said = advice(code, "x")
    assert said.endswith(".")
    assert said != advice("unheard-of", "x") == advice(None, "")


@pytest.mark.parametrize(
    ("code", "message", "part"),
    [
        ("service-error", "CloudFormation: AccessDenied: not authorized to perform", "closeout permissions"),
        ("action-failed", "bucket b: Access Denied (s3:DeleteBucket)", "closeout permissions"),
        ("service-error", "S3: ExpiredToken", "closeout doctor"),
        ("service-error", "GitHub: 401 Bad credentials", "closeout doctor"),
        ("action-failed", "exit code 3", "script"),
        ("action-failed", "bucket b: The bucket you tried to delete is not empty", "empty-buckets"),
        (
            "action-failed",
            "role r: Cannot delete entity, must detach all policies first",
            "Remove that first",
        ),
        ("action-failed", "sg-1: DependencyViolation", "Remove that first"),
        ("still-there", "still there after deleted stack s: Access Denied", "closeout permissions"),
        ("KeyError", "KeyError: 'number'", "function"),
        ("guard-refused", "AccessDenied", "guard"),
        (None, "exit code 1", "script"),
    ],
)
def test_the_message_decides_if_the_code_is_ambiguous(code: str | None, message: str, part: str) -> None:
    """A missing permission, old credentials, a script and a full bucket need different work."""
    assert part in advice(code, message)
