"""The guard for deploys over a configuration and a ledger of this machine.

It opens the ledger only once GitHub says "open", so a closed pull request is answered without one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from closeout.adapters.clock import SystemClock
from closeout.adapters.oidc import WorkflowTokens, issuer_of
from closeout.config.load import Loaded
from closeout.core.errors import ServiceError, TokenRefused
from closeout.core.patterns import compile_patterns
from closeout.core.redact import Redactor
from closeout.ledger.sqlite import Views
from closeout.ports import Clock
from closeout.run import guard
from closeout.wiring.clients import LazyGitHub, SharedClients, configured_clients, setting_value


def ask(loaded: Loaded, db: Callable[[], Path], repository: str, number: int) -> guard.Answer:
    """Return the guard's answer about a pull request, with the configured token. `db` returns the ledger's path, or raises."""
    github = LazyGitHub(configured_clients(loaded, SystemClock(), Redactor()))

    def teardowns(name: str, of: int) -> Sequence[str]:
        views = Views(db())
        try:
            return views.teardowns(name, of)
        finally:
            views.close()

    return guard.ask(github, teardowns, repository, number)


class DeployGuard:
    """Answers workflows that prove by an OIDC token in which repository they run.

    `audience` returns what a workflow must ask its token for: the server's public URL. `late` is told of each pull request that is
    closed: its deploy may have ended already.
    """

    def __init__(
        self,
        loaded: Loaded,
        clients: SharedClients,
        teardowns: guard.Teardowns,
        audience: Callable[[], str],
        clock: Clock,
        late: Callable[[str, int], None] = lambda _repository, _number: None,
    ) -> None:
        self._automations = loaded.automations
        self._github = LazyGitHub(clients)
        self._teardowns = teardowns
        self._late = late
        issuer = issuer_of(setting_value(loaded.settings.api_url, "github.api-url"))
        self._tokens = WorkflowTokens(issuer, audience, clients.for_step(None).http, clock)

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
        answer = guard.ask(self._github, self._teardowns, repository, number, int(repository_id))
        if answer.verdict == "closed":
            self._late(repository, number)
        return answer

    def _covers(self, repository: str) -> bool:
        """Whether an automation names the repository: anybody on GitHub gets tokens, and each question costs an API call."""
        return any(
            one.repositories and compile_patterns(one.repositories, "name").matches(repository)
            for one in self._automations
        )
