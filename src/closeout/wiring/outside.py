"""What the checks read outside closeout's own store, with the clients of a process: for a machine, and for a stack.

Apart from `checking`, which reads a SQLite file, because the functions of a stack do not have the libraries for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from closeout.adapters.hooks import Hooks, Target
from closeout.core.closing import WEBHOOK, heard_by
from closeout.ports import DeliveryView, Http, Secrets
from closeout.wiring.clients import LazyGitHub, SharedClients, setting_value


class Outside:
    """`checks.world.Outside` over the clients of a process."""

    def __init__(self, clients: SharedClients, github: LazyGitHub | None = None) -> None:
        self.clients = clients
        self.github = github or LazyGitHub(clients)
        self.setting = setting_value

    @property
    def secrets(self) -> Secrets:
        """Secrets by reference."""
        return self.clients.secrets

    @property
    def http(self) -> Http:
        """Plain HTTP."""
        return self.clients.http

    def webhooks(self, target: str) -> Hooks:
        """Return the webhooks of a repository or an organization."""
        return Hooks(self.github, Target.parse(target), hints=False)

    def check_notifier(self, target: str) -> None:
        """Check a notifier without sending."""
        from closeout.wiring.notifying import Targets

        Targets(lambda: self.secrets, self.clients.learned).check(target)


def hooks_heard(deliveries: Callable[[], Iterable[DeliveryView]], repository: str) -> frozenset[str]:
    """Return the ids of the webhooks that brought these deliveries of a repository."""
    return frozenset(
        one.hook
        for one in deliveries()
        if (one.repository or "").lower() == repository.lower() and heard_by(one.origin) == WEBHOOK
    )
