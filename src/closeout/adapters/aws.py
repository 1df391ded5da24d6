"""boto3 behind a thin proxy: one session per account, region and role, and `ServiceError` for every error.

Actions never see botocore: they decide by `reason` and `transient` alone. botocore retries little here, because a
durable engine waits without holding a thread. boto3 is imported with the first client, so that a process without AWS
steps does not load it. botocore reads the standard variables (AWS_ENDPOINT_URL, AWS_PROFILE, …) itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, NoReturn

from closeout.adapters.answers import checked
from closeout.core.errors import ServiceError
from closeout.ports import AwsTarget

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
SESSION_NAME = "closeout"
"""Role session name, which CloudTrail shows for closeout's calls under an assumed role."""

SENTENCE = 500
"""Characters kept from a service's own message: enough for any sentence, too few for a proxy's page."""

UNREADABLE = "ResponseParser"
"""The reason for an answer that cannot be read."""
NONSENSE = (AttributeError, LookupError, TypeError, ValueError, RecursionError)

NO_CREDENTIALS = (
    "no AWS credentials were found: give closeout a role (instance profile, AWS_ROLE_ARN with a web identity), "
    "a profile in AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in its environment"
)

# Error codes after which the same call may succeed: botocore's own throttling and transient lists
# (botocore/data/_retry.json and retries/standard.py), plus S3's two words for "busy, come again".
TRANSIENT_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "OperationAborted",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)


def _plain_session() -> Any:
    import boto3  # noqa: PLC0415

    return boto3.Session()


@dataclass(kw_only=True)
class AwsClients:
    """Sessions by target, each created once; safe to use from several threads.

    `session` creates the plain session that every target starts from; tests pass their own. `now` returns seconds
    since the epoch, for a Retry-After that is a date. `attempts` are botocore's own, in this thread.
    """

    now: Callable[[], float]
    session: Callable[[], Any] = _plain_session
    attempts: int = 2

    def __post_init__(self) -> None:
        self._targets: dict[AwsTarget, TargetClients] = {}

    def for_target(self, target: AwsTarget) -> TargetClients:
        """Return the clients of one account, region and role, without calling AWS."""
        return self._targets.setdefault(target, TargetClients(target, self))


class TargetClients:
    """The clients of one target, created on first use."""

    def __init__(self, target: AwsTarget, shared: AwsClients) -> None:
        self._target = target
        self._shared = shared
        self._lock = threading.RLock()  # a boto3 session must not create two clients at once
        self._clients: dict[str, TranslatedClient] = {}

    def aws(self, service: str) -> TranslatedClient:
        """Return the client of a service, by boto3's name (`cloudformation`). Raises `ServiceError`."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._make_client(service)
            return self._clients[service]

    def account(self) -> str:
        """Ask AWS at each call which account these credentials belong to. Raises `ServiceError`."""
        return str(self.aws("sts").get_caller_identity()["Account"])

    def _make_client(self, service: str) -> TranslatedClient:
        with translated(service, "CreateClient", self._shared.now):
            client = self._session.client(service, region_name=self._target.region, config=self._config)
        return TranslatedClient(client, service, self._shared.now)

    @cached_property
    def _session(self) -> Any:
        plain, role = self._shared.session(), self._target.assume_role
        return _under_role(plain, role, self._target.region, self._config) if role else plain

    @cached_property
    def _config(self) -> Any:
        from botocore.config import Config  # noqa: PLC0415

        return Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": self._shared.attempts},
            user_agent_extra="closeout",
            max_pool_connections=16,
        )


class TranslatedClient:
    """A boto3 client whose operations raise only `ServiceError`.

    Paginators and waiters are refused: paginators hide errors from the translation, and waiters hold a thread.
    """

    def __init__(self, client: Any, service: str, now: Callable[[], float]) -> None:
        self._client = client
        self._service = service
        self._now = now

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operations: dict[str, str] = self._client.meta.method_to_api_mapping
        if name not in operations:
            message = (
                f"{self._service} has no operation {name!r}; page with its tokens and wait with wait_until"
            )
            raise AttributeError(message)
        method, operation = getattr(self._client, name), operations[name]
        shape = self._client.meta.service_model.operation_model(operation).output_shape

        def refuse(why: str) -> NoReturn:
            raise _failed(self._service, operation, UNREADABLE, why, transient=True)

        def call(**arguments: Any) -> Any:
            with translated(self._service, operation, self._now):
                return checked(shape, method(**arguments), refuse)

        return call


@contextmanager
def translated(service: str, operation: str, now: Callable[[], float]) -> Iterator[None]:
    """Translate every error that botocore raises inside into a `ServiceError`."""
    try:
        yield
    except ServiceError:  # from a client that is not boto3's
        raise
    except Exception as error:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
        from botocore.parsers import ResponseParserError  # noqa: PLC0415

        if isinstance(error, ClientError):
            raise _answered(error, service, operation, now) from error
        # botocore's parsers raise the last ones for JSON that is not an object, or has unexpected types.
        if isinstance(error, (BotoCoreError, ResponseParserError, *NONSENSE)):
            # `from None`: botocore's own text may quote a whole answer, and a traceback would show it.
            reason, text, transient = _cause(error)
            raise _failed(service, operation, reason, text, transient=transient) from None
        raise


def _answered(error: Any, service: str, operation: str, now: Callable[[], float]) -> ServiceError:
    problem = error.response.get("Error", {})
    metadata = error.response.get("ResponseMetadata", {})
    code = str(problem.get("Code") or "Unknown")
    status = metadata.get("HTTPStatusCode")
    text = " ".join(str(problem.get("Message") or "no message").split())[:SENTENCE]
    # An assumed role's own error appears in the call that needed the credentials, so name both.
    operation = str(getattr(error, "operation_name", "") or operation)
    return ServiceError(
        f"{service} {operation}: {text} ({code})",
        service=service,
        operation=operation,
        reason=code,
        transient=code in TRANSIENT_CODES or status == 429 or (status or 0) >= 500,
        retry_after=retry_after(metadata.get("HTTPHeaders", {}).get("retry-after"), now()),
        http_status=status,
    )


def _failed(service: str, operation: str, reason: str, text: str, *, transient: bool) -> ServiceError:
    whole = f"{service} {operation}: {text}"
    return ServiceError(whole, service=service, operation=operation, reason=reason, transient=transient)


def _cause(error: Exception) -> tuple[str, str, bool]:
    """Return reason, sentence and whether it is transient, for an error without an answer from the service."""
    from botocore import exceptions as known  # noqa: PLC0415
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    if isinstance(error, known.ProfileNotFound):
        return "NoCredentials", _no_profile(str(error.kwargs.get("profile", ""))), False
    if isinstance(error, (known.NoCredentialsError, known.PartialCredentialsError)):
        return "NoCredentials", NO_CREDENTIALS, False
    if isinstance(error, (ResponseParserError, *NONSENSE)) and not isinstance(error, known.BotoCoreError):
        # Its text is the answer itself, and a truncated answer of AssumeRole contains credentials.
        return UNREADABLE, "the answer could not be read", True
    no_answer = (known.HTTPClientError, known.ConnectionError, known.IncompleteReadError)
    transient = isinstance(error, (*no_answer, known.CredentialRetrievalError))
    return type(error).__name__.removesuffix("Error"), str(error), transient


def _no_profile(name: str) -> str:
    named = next((key for key in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE") if os.environ.get(key) == name), "")
    whose = f" ({named})" if named else ""
    return f"the profile {name}{whose} is not in the AWS configuration; `aws configure list-profiles` shows what is"


def retry_after(header: str | None, now: float) -> float | None:
    """Read a Retry-After header, seconds or a date (RFC 9110, 10.2.3); None for a missing or malformed one."""
    if not header:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except ValueError:
        return None


def _under_role(plain: Any, role: str, region: str, config: Any) -> Any:
    """Return a session under an assumed role, whose credentials are fetched when needed and before they expire."""
    import boto3  # noqa: PLC0415
    from botocore.credentials import DeferredRefreshableCredentials  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    def fetch() -> dict[str, str]:
        sts = plain.client("sts", region_name=region, config=config)
        given = sts.assume_role(RoleArn=role, RoleSessionName=SESSION_NAME)["Credentials"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    inner = get_session()
    # botocore has no public API for refreshable credentials; others use this attribute, too.
    inner._credentials = DeferredRefreshableCredentials(refresh_using=fetch, method="assume-role")
    return boto3.Session(botocore_session=inner)
