"""Clients of the outside world as actions and the run use them: GitHub, HTTP, secrets, AWS.

Adapters implement these, and fakes stand in for them in tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from closeout.ports.durable import Json


class PullRequest(NamedTuple):
    """What the live check needs to know about a pull request, read from GitHub just now."""

    id: int
    number: int
    state: str
    """`open` or `closed`, GitHub's own word."""
    base_repository_id: int
    base_repository: str = ""
    """`owner/name` as GitHub has it now."""
    base_owner_id: int = 0
    head_ref: str = ""
    """The name of its head branch."""
    closed_at: str | None = None
    """When it was closed, in GitHub's notation; None while it is open."""


class GitHubRequests(Protocol):
    """GitHub's API, one path at a time."""

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Json] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        """Call one path of the API (`/repos/…`) and return the decoded answer (None for 204). Raises `ServiceError`.

        Rate limits come back as a transient `ServiceError` with `retry_after`; redirects are followed only
        within the API's origin.
        """


class GitHub(GitHubRequests, Protocol):
    """GitHub's REST API as closeout uses it. `repository` is `owner/name`. Every method raises `ServiceError`.

    An error is never read as an answer: only GitHub's exact 404 on a ref means "gone".
    """

    def create_status(
        self, repository: str, sha: str, *, state: str, context: str, description: str, target_url: str | None
    ) -> None:
        """Post a commit status: state `error|failure|pending|success`, description at most 140 characters."""

    def pull_request(self, repository: str, number: int) -> PullRequest:
        """Read a pull request."""

    def pull_request_files(self, repository: str, number: int) -> tuple[str, ...]:
        """Paths changed by a pull request (the first 300 count, as in GitHub Actions; both names of a rename)."""

    def open_pull_requests(self, repository: str, branch: str) -> tuple[int, ...]:
        """Numbers of the open pull requests whose head is this branch of the repository itself: at most 100."""

    def ref_exists(self, repository: str, ref: str) -> bool:
        """Whether `heads/x` or `tags/x` is there."""


class Hook(NamedTuple):
    """A webhook, as far as GitHub shows it: never its secret."""

    id: int
    url: str
    events: tuple[str, ...]
    active: bool
    content_type: str
    insecure: bool
    """Whether GitHub does not check the certificate."""
    last_code: int | None
    """Status of the answer to its last delivery; None if there is none yet, or for an organization's hook, which does not say."""


class HookDelivery(NamedTuple):
    """One delivery of a hook, as GitHub's list shows it."""

    id: int
    guid: str
    event: str
    status: str
    status_code: int
    delivered_at: str


class HttpAnswer(NamedTuple):
    """An HTTP answer: header names in lower case, at most 1 MB of body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    """Plain HTTP to any host, without following redirects to another origin."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
        secret_headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send one request. `secret_headers` are dropped on a redirect that leaves the origin.

        Raises `ServiceError` (transient) when no answer came.
        """


class Secrets(Protocol):
    """Reads secrets by reference: `env:NAME`, `file:PATH`, `aws-secretsmanager:NAME[#json-key]`."""

    def read(self, reference: str) -> tuple[str, ...]:
        """Return the active values, newest first. Raises `SecretError` naming the reference, never a value."""


class AwsTarget(NamedTuple):
    """Which AWS account a step acts in. `account` is checked against `GetCallerIdentity` before use."""

    account: str
    region: str
    assume_role: str | None


class Clients(Protocol):
    """What an action may reach, bound to its step (the account, the region, the role)."""

    def aws(self, service: str) -> Any:
        """Return a boto3 client whose errors are `ServiceError`; the action declares the methods that it needs."""

    def account(self) -> str:
        """Ask AWS (`GetCallerIdentity`) to which account the step's credentials belong, and return it."""

    @property
    def github(self) -> GitHub:
        """GitHub's API with the configured token."""

    @property
    def http(self) -> Http:
        """Plain HTTP."""

    @property
    def secrets(self) -> Secrets:
        """Secrets by reference."""


class ClientFactory(Protocol):
    """Makes the clients of one step."""

    def for_step(self, target: AwsTarget | None) -> Clients:
        """Return clients bound to `target`; None for steps that are not AWS's."""
