"""Every error that closeout raises on purpose: one root, a stable code each, a status at the edge.

They are in one module so that tests can check that codes are unique and documented. A message is a sentence for a person
and never contains a secret.
"""

from __future__ import annotations

from typing import Any, ClassVar


class CloseoutError(Exception):
    """The root of all errors, with the code for an unforeseen one.

    `code` is stable and documented; `status` is that of the HTTP answer, if any.
    """

    code: ClassVar[str] = "internal-error"
    status: ClassVar[int] = 500
    public: str | None = None
    """The part of the message that anybody may read, if that is not all of it."""
    transient: bool = False
    retry_after: float | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


# --- a delivery that is refused ---------------------------------------------------------------------


class Unauthorized(CloseoutError):
    """The signature is missing, malformed or wrong. The message is always the same."""

    code = "unauthorized"
    status = 401

    def __init__(self, why: str) -> None:
        super().__init__("Unauthorized request")
        self.why = why
        """For our own log."""


class TokenRefused(CloseoutError):
    """A workflow's OIDC token is missing, expired, or not for this closeout or a repository of its automations."""

    code = "token-refused"
    status = 401


class PayloadTooLarge(CloseoutError):
    """The body is over 25 MB, GitHub's own limit."""

    code = "payload-too-large"
    status = 413


class MethodNotAllowed(CloseoutError):
    """The webhook path takes POST only."""

    code = "method-not-allowed"
    status = 405


class NotFound(CloseoutError):
    """There is nothing at this path."""

    code = "not-found"
    status = 404


class ReadTimeout(CloseoutError):
    """The body did not arrive before the deadline."""

    code = "read-timeout"
    status = 408


class BadDelivery(CloseoutError):
    """A signed request is not a delivery: a header is missing or the body cannot be decoded."""

    code = "bad-delivery"
    status = 400


class PayloadRefused(BadDelivery):
    """The body breaks the rule for payloads."""

    code = "payload-refused"


class StoreUnavailable(CloseoutError):
    """The ledger cannot take a write; nothing was acknowledged."""

    code = "store-unavailable"
    status = 503
    transient = True


class Overloaded(CloseoutError):
    """closeout is reading or storing too much at once; nothing was acknowledged."""

    code = "overloaded"
    status = 503
    transient = True


# --- the file ---------------------------------------------------------------------------------------


class PatternError(CloseoutError):
    """GitHub Actions would reject this filter pattern too."""

    code = "bad-pattern"


class ConfigError(CloseoutError):
    """The configuration has errors; the message lists every finding.

    `findings` has them with their places.
    """

    code = "config-invalid"

    def __init__(self, message: str, findings: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.findings = findings


class SecretError(CloseoutError):
    """A secret cannot be read. The message names the reference, never the value."""

    code = "secret-unavailable"


class ExpressionError(CloseoutError):
    """A CEL expression failed, or its value has a type that is not allowed at this place."""

    code = "expression-failed"


class SenderUnknown(ExpressionError):
    """A condition or `senders` depends on who closed the pull request, which GitHub's API does not say; the run does nothing."""

    code = "sender-unknown"


# --- a run ------------------------------------------------------------------------------------------


class StepFailed(CloseoutError):
    """A recorded operation ended in an error, on its first execution or on replay.

    `step` is the operation's name, `kind` the error's code (or its type's name), `message` a sentence.
    """

    code = "step-failed"

    def __init__(self, step: str, kind: str, message: str) -> None:
        super().__init__(message)
        self.step = step
        self.kind = kind

    @property
    def cancels(self) -> bool:
        """Whether this failed operation ends the run early."""
        return self.kind in ("cancelled", "reopened", "run-cancelled", AutomationGone.code)


class WaitTimeout(StepFailed):
    """What `wait_until` waited for did not happen within its timeout."""

    code = "wait-timeout"


class RunCancelled(StepFailed):
    """The run must end early; `kind` is `cancelled` (by hand) or `reopened` (the pull request is open again)."""

    code = "run-cancelled"


class GuardRefused(CloseoutError):
    """A guard rejected an entire plan or call; none of it was carried out."""

    code = "guard-refused"


class NameRefused(GuardRefused):
    """A value from the payload cannot be part of a name."""

    code = "name-refused"


class WrongAccount(GuardRefused):
    """The credentials belong to another AWS account than the configuration names."""

    code = "wrong-account"


class Reopened(CloseoutError):
    """The pull request is open again, or the deleted ref exists again: the run cancels itself."""

    code = "reopened"


class AutomationGone(CloseoutError):
    """The configuration no longer has the run's automation, and the run's time is up: the run ends."""

    code = "automation-gone"


class NotSame(GuardRefused):
    """The live check found another pull request or repository behind the same name."""

    code = "not-the-same"


class BranchInUse(GuardRefused):
    """The step uses a branch name that another open pull request or an existing ref has, too: the step is skipped."""

    code = "branch-in-use"


class NothingThere(CloseoutError):
    """A run found nothing to delete, but the file (`expect: present`) or GitHub (an active deployment) says that something exists.

    Check the names that the steps make.
    """

    code = "nothing-there"


class InputError(CloseoutError):
    """An action's input is missing, of the wrong type or out of range."""

    code = "bad-input"


class ActionFailed(CloseoutError):
    """An action failed; the message names the resource and the reason.

    `public` is set if the message quotes an operator's own code or its output (see `run.visibility`).
    """

    code = "action-failed"

    def __init__(self, message: str, public: str | None = None) -> None:
        super().__init__(message)
        self.public = public


class DeadlinePassed(CloseoutError):
    """The run's or the step's time is up."""

    code = "timeout"


# --- the outside ------------------------------------------------------------------------------------


class ServiceError(CloseoutError):
    """An outside service answered with an error, or not at all.

    `service` and `operation` name the call, `reason` is the service's own error code (`AccessDenied`,
    `404`, `ConnectTimeout`), `transient` says whether the same call may succeed later, `retry_after` is the
    number of seconds that the service asked us to wait, `details` the decoded body if it says more.
    """

    code = "service-error"
    details: Any = None

    def __init__(
        self,
        message: str,
        *,
        service: str,
        operation: str,
        reason: str,
        transient: bool = False,
        retry_after: float | None = None,
        http_status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.service = service
        self.operation = operation
        self.reason = reason
        self.transient = transient
        self.retry_after = retry_after
        self.http_status = http_status


def github_error(operation: str, problem: str, reason: str, **how: Any) -> ServiceError:
    """Return an error of GitHub's API: `operation` is the method and the path, `how` holds `transient` and the like."""
    text = f"GitHub: {operation}: {problem}"
    return ServiceError(text, service="github", operation=operation, reason=reason, **how)


def unusable_answer(operation: str, problem: str = "the answer is not what was asked for") -> ServiceError:
    """Return the error for an unusable answer of GitHub's. It is transient, because the next answer may differ."""
    return github_error(operation, problem, "unusable-answer", transient=True)


# --- the pages and the JSON API -----------------------------------------------------------------------


class NotSignedIn(CloseoutError):
    """A page or the API was requested without a valid session or token."""

    code = "not-signed-in"
    status = 401


class NotAllowed(CloseoutError):
    """A visitor who may only read asked for an action."""

    code = "not-allowed"
    status = 403


class FormRefused(CloseoutError):
    """A form did not come from a page of this server and this session."""

    code = "form-refused"
    status = 403


class ChangedMeanwhile(CloseoutError):
    """What a visitor asked for no longer applies: the run has finished, the plan has changed, or nothing is paused."""

    code = "changed-meanwhile"
    status = 409


class CodeRefused(CloseoutError):
    """A link of `closeout open` has expired, was used already, or belongs to another server."""

    code = "link-refused"
    status = 403


# --- the ledger and the commands ----------------------------------------------------------------------


class LedgerInUse(CloseoutError):
    """Another engine process holds this ledger."""

    code = "ledger-in-use"


class LedgerError(CloseoutError):
    """The ledger cannot be opened, or has another version."""

    code = "ledger-unusable"


class UsageError(CloseoutError):
    """A command was called incorrectly; the message says how to call it."""

    code = "usage"
    status = 400


class BadFilter(CloseoutError):
    """A list does not accept this filter or cursor."""

    code = "bad-filter"
    status = 400


class NotConfirmed(CloseoutError):
    """A command that could delete something was not confirmed; nothing was done."""

    code = "not-confirmed"


class Unavailable(CloseoutError):
    """A command cannot get what it needs: a port is in use, a host does not answer, a folder is missing."""

    code = "unavailable"
    status = 503


# --- messages -----------------------------------------------------------------------------------------


class NotifierUnknown(CloseoutError):
    """The URL of a notifier has a form that closeout does not know, or one that would act on this machine only."""

    code = "notifier-unknown"


class NotifierFailed(CloseoutError):
    """A notifier did not accept a message. closeout sends it again until the notifier accepts it."""

    code = "notifier-failed"
    transient = True
