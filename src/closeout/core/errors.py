"""Every error that closeout raises on purpose: one root, a stable code each, a status at the edge.

They stand in one module so that the codes can be seen to be unique and the documentation be held
against them. A message is a sentence for a person and never carries a secret.
"""

from __future__ import annotations

from typing import Any, ClassVar


class CloseoutError(Exception):
    """The root. `code` is stable and documented; `status` is the HTTP answer where one is given."""

    code: ClassVar[str] = "internal-error"
    status: ClassVar[int] = 500
    public: str | None = None
    """What of the message anybody may read, where that is not all of it."""
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
    """The body is over GitHub's own cap of 25 MB."""

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
    """A signed request that is not a delivery: a header is missing or the body does not decode."""

    code = "bad-delivery"
    status = 400


class PayloadRefused(BadDelivery):
    """The body breaks the one rule for payloads (see `core.payload`)."""

    code = "payload-refused"


class StoreUnavailable(CloseoutError):
    """The ledger cannot take a write; nothing was acknowledged."""

    code = "store-unavailable"
    status = 503
    transient = True


class Overloaded(CloseoutError):
    """Too much is being read or waits to be stored; nothing was acknowledged."""

    code = "overloaded"
    status = 503
    transient = True


# --- the file ---------------------------------------------------------------------------------------


class PatternError(CloseoutError):
    """A filter pattern that GitHub Actions would refuse as well."""

    code = "bad-pattern"


class ConfigError(CloseoutError):
    """The configuration cannot be used; the message holds every finding, `findings` the same with their places."""

    code = "config-invalid"

    def __init__(self, message: str, findings: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.findings = findings


class SecretError(CloseoutError):
    """A secret cannot be read. The message names the reference, never the value."""

    code = "secret-unavailable"


class ExpressionError(CloseoutError):
    """A CEL expression failed, or gave a type that its place does not take."""

    code = "expression-failed"


class SenderUnknown(ExpressionError):
    """A condition or `senders` asks who closed a pull request, and GitHub's API does not say: the run does nothing."""

    code = "sender-unknown"


# --- a run ------------------------------------------------------------------------------------------


class StepFailed(CloseoutError):
    """A recorded operation ended in an error. The same on first execution and on replay.

    `step` is the operation's name, `kind` the error's code (or its type's name), `message` a sentence.
    """

    code = "step-failed"

    def __init__(self, step: str, kind: str, message: str) -> None:
        super().__init__(message)
        self.step = step
        self.kind = kind

    @property
    def cancels(self) -> bool:
        """Whether this failed operation means that the run is to end early."""
        return self.kind in ("cancelled", "reopened", "run-cancelled", AutomationGone.code)


class WaitTimeout(StepFailed):
    """What `wait_until` waited for did not come within its timeout."""

    code = "wait-timeout"


class RunCancelled(StepFailed):
    """The run is to end early; `kind` is `cancelled` (by hand) or `reopened` (the PR is open again)."""

    code = "run-cancelled"


class GuardRefused(CloseoutError):
    """A guard refused a plan or a change, whole: nothing was done."""

    code = "guard-refused"


class NameRefused(GuardRefused):
    """A value from the payload is not fit to be part of a name."""

    code = "name-refused"


class WrongAccount(GuardRefused):
    """The credentials belong to another AWS account than the configuration names."""

    code = "wrong-account"


class Reopened(CloseoutError):
    """The live check found the pull request open (or the ref there) again: the run cancels itself."""

    code = "reopened"


class AutomationGone(CloseoutError):
    """The configuration no longer has the run's automation, and the run's time is up: the run ends itself."""

    code = "automation-gone"


class NotSame(GuardRefused):
    """The live check found another pull request or repository behind the same name."""

    code = "not-the-same"


class BranchInUse(GuardRefused):
    """What is named after a branch belongs to another pull request of it too, which is open: the step is skipped."""

    code = "branch-in-use"


class NothingThere(CloseoutError):
    """A run deleted nothing although there should have been something: `expect: present`, or an active deployment.

    Check the names that the steps make.
    """

    code = "nothing-there"


class InputError(CloseoutError):
    """An action's input is missing, of the wrong type or out of range."""

    code = "bad-input"


class ActionFailed(CloseoutError):
    """What an action set out to do ended badly; the message names the resource and the reason.

    `public` is given where the message quotes what an operator's own code is or says (see `run.visibility`).
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

    `service` and `operation` say what was asked, `reason` is the service's own error code (`AccessDenied`,
    `404`, `ConnectTimeout`), `transient` whether the same call may succeed later, `retry_after` the
    number of seconds that the service asked us to wait, `details` the decoded body where that says more.
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
    """Return an error of GitHub's API: `operation` is the method and the path, `how` is `transient` and the like."""
    text = f"GitHub: {operation}: {problem}"
    return ServiceError(text, service="github", operation=operation, reason=reason, **how)


def unusable_answer(operation: str, problem: str = "the answer is not what was asked for") -> ServiceError:
    """Return the error of an answer of GitHub's that cannot be used: the next one may be another."""
    return github_error(operation, problem, "unusable-answer", transient=True)


# --- the pages and the JSON API -----------------------------------------------------------------------


class NotSignedIn(CloseoutError):
    """A page or the API is asked for without a session and without a token, or with one that has ended."""

    code = "not-signed-in"
    status = 401


class NotAllowed(CloseoutError):
    """A visitor who may only read asks for something that an operator may do."""

    code = "not-allowed"
    status = 403


class FormRefused(CloseoutError):
    """A form did not come from a page of this server, or not from one of this session."""

    code = "form-refused"
    status = 403


class ChangedMeanwhile(CloseoutError):
    """What a visitor asks for does not fit any more: a run has finished, a plan is another one, nothing is paused."""

    code = "changed-meanwhile"
    status = 409


class CodeRefused(CloseoutError):
    """A link of `closeout open` has expired, was used before, or was not made for this server."""

    code = "link-refused"
    status = 403


# --- the ledger and the commands ----------------------------------------------------------------------


class LedgerInUse(CloseoutError):
    """Another engine process holds this ledger."""

    code = "ledger-in-use"


class LedgerError(CloseoutError):
    """The ledger cannot be opened or is of another version."""

    code = "ledger-unusable"


class UsageError(CloseoutError):
    """A command was called in a way that it cannot carry out; the message says the right way."""

    code = "usage"
    status = 400


class BadFilter(CloseoutError):
    """A list was asked for by a filter or a cursor that it does not take."""

    code = "bad-filter"
    status = 400


class NotConfirmed(CloseoutError):
    """A command that could destroy was not confirmed; nothing was done."""

    code = "not-confirmed"


class Unavailable(CloseoutError):
    """What a command needs cannot be had now: a port in use, a host that does not answer, a missing folder."""

    code = "unavailable"
    status = 503


# --- messages -----------------------------------------------------------------------------------------


class NotifierUnknown(CloseoutError):
    """The URL of a notifier has a form that closeout does not know, or one that would act on this machine only."""

    code = "notifier-unknown"


class NotifierFailed(CloseoutError):
    """A notifier did not take a message. Nothing is lost: it is sent again until it is taken."""

    code = "notifier-failed"
    transient = True
