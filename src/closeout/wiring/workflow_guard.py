"""The guard for workflows that prove their repository with an OIDC token: on a server, and in a function on AWS.

It imports no configuration's loader, because the function's bundle has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from closeout.adapters.oidc import WorkflowTokens, issuer_of
from closeout.core.automation import Automation
from closeout.core.errors import ServiceError, TokenRefused
from closeout.core.patterns import compile_patterns
from closeout.ports import Clock
from closeout.run import guard
from closeout.wiring.clients import LazyGitHub, SharedClients


@dataclass
class WorkflowGuard:
    """Answers workflows.

    `automations` returns the current ones. `audience` returns what a workflow must ask its token for: the public URL. `late` gets
    each pull request that is closed: its deploy may have ended already.
    """

    automations: Callable[[], Iterable[Automation]]
    clients: SharedClients
    teardowns: guard.Teardowns
    api_url: str
    audience: Callable[[], str]
    clock: Clock
    late: Callable[[str, int], None] = lambda _repository, _number: None

    def __post_init__(self) -> None:
        http = self.clients.for_step(None).http
        self._tokens = WorkflowTokens(issuer_of(self.api_url), self.audience, http, self.clock)

    def ask(self, token: str, number: int) -> guard.Answer:
        """Return the answer about a pull request of the repository that the token is for. Raises `TokenRefused`."""
        try:
            claims = self._tokens.claims(token)
        except ServiceError as error:
            return guard.Answer(
                "unknown", f"the token cannot be verified now; do not deploy: {error.message}"
            )
        repository, repository_id = str(claims["repository"]), str(claims["repository_id"])
        if not self._covers(repository):
            raise TokenRefused(f"no automation names {repository} in `repositories`")
        if not repository_id.isdecimal():
            raise TokenRefused("the token has no repository_id")
        answer = guard.ask(LazyGitHub(self.clients), self.teardowns, repository, number, int(repository_id))
        if answer.verdict == "closed":
            self.late(repository, number)
        return answer

    def _covers(self, repository: str) -> bool:
        """Whether an automation names the repository, and its owner without a wildcard.

        Anybody on GitHub gets tokens for repositories of their own, and each question costs an API call.
        """
        owner = f"{repository.partition('/')[0]}/".lower()
        return any(
            compile_patterns(one.repositories, "name").matches(repository)
            for one in self.automations()
            if any(pattern.lower().startswith(owner) for pattern in one.repositories)
        )
