"""The questions of one round of checks: narrow ports, and each answer read once.

The configuration's expectations of GitHub and AWS are read here, too: only full names, because a pattern does not say which
repositories exist. Several checks use the same answer (a repository, its webhooks, an identity), so a round keeps answers and
errors. The next round asks again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from closeout.config.load import Loaded
from closeout.config.patrol import PatrolSettings
from closeout.core.automation import Automation
from closeout.core.errors import CloseoutError, ServiceError, unusable_answer
from closeout.core.patterns import is_literal
from closeout.core.url import same_webhook
from closeout.patrol.coverage import covers
from closeout.patrol.reader import Reader
from closeout.ports import AwsTarget, ClientFactory, GitHubRequests, Http, Secrets
from closeout.ports.clients import Hook, HookDelivery
from closeout.ports.patrol import GitHubReads, Page

T = TypeVar("T")

WEBHOOK = "/webhook"
PATIENCE = 30
"""Looks at a webhook's log for its ping, a second apart."""


class GitHubQueries(GitHubReads, GitHubRequests, Protocol):
    """What is needed from GitHub's client."""


class Webhooks(Protocol):
    """The webhooks of a repository or an organization. Every method raises `ServiceError`."""

    def all(self) -> Sequence[Hook]:
        """Return every webhook."""

    def ping(self, hook: int) -> None:
        """Ask GitHub to send a `ping`."""

    def deliveries(self, hook: int) -> Sequence[HookDelivery]:
        """Return the latest deliveries, the newest first."""


class Outside(Protocol):
    """Everything outside this machine, with the clients that the configuration needs."""

    @property
    def github(self) -> GitHubQueries:
        """GitHub's API with the configured token."""

    @property
    def secrets(self) -> Secrets:
        """Secrets by reference."""

    @property
    def http(self) -> Http:
        """Plain HTTP."""

    @property
    def clients(self) -> ClientFactory:
        """AWS by target."""

    def webhooks(self, target: str) -> Webhooks:
        """Return the webhooks of `acme/shop` or `acme`."""

    def check_notifier(self, target: str) -> None:
        """Check the URL of a notifier without sending. Raises `SecretError`, `NotifierUnknown` or `NotifierFailed`."""

    def setting(self, text: str, key: str) -> str:
        """Return a URL from the file, where it may be written as `env:NAME`. Raises `ConfigError`."""


class Host(Protocol):
    """The machine with the ledger's file. A stack has none."""

    @property
    def path(self) -> Path:
        """The file's path."""

    def held(self) -> bool:
        """Whether a server holds it now."""

    def unwritable(self) -> str | None:
        """Return the file or folder that this user may not write, None if all can be written."""

    def file_system(self) -> str | None:
        """Return the kind of its file system, None if this machine does not say."""

    def free(self) -> int:
        """Return the number of free bytes. Raises `OSError`."""

    def notifier_failures(self) -> Mapping[str, Mapping[str, Any]]:
        """Return, for each notifier that accepts no messages, since when and why."""


class LedgerView(Protocol):
    """The ledger, for reading. Methods raise `LedgerError` or `StoreUnavailable`."""

    def exists(self) -> bool:
        """Whether it exists."""

    def base(self) -> str | None:
        """Return the public URL of the server that last ran on it."""

    def heard(self, repository: str) -> frozenset[str]:
        """Return the ids of the webhooks that sent a repository's newest deliveries."""

    def last_patrols(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the results of the last patrols: of `lists` and of `logs`."""

    def empty_runs(self) -> Mapping[str, int]:
        """Return, by automation, the number of runs that found nothing, if none found anything."""

    def paused(self) -> str | None:
        """Return who paused destructive calls, and why; None if they are allowed."""


class OwnedHook(NamedTuple):
    """A webhook and its owner: `acme/shop` or `acme`."""

    target: str
    hook: Hook

    def __str__(self) -> str:
        return f"{self.target}: webhook {self.hook.id}"


class HooksFound(NamedTuple):
    """The webhooks that receive one repository's events."""

    ours: tuple[OwnedHook, ...]
    """Those with this closeout's URL."""
    others: tuple[OwnedHook, ...]
    unread: ServiceError | None
    """Why the organization's are missing."""


@dataclass
class World:
    """The questions of one round. `load` reads the configuration, `connect` creates the clients for it."""

    load: Callable[[], Loaded]
    connect: Callable[[Loaded], Outside]
    ledger: LedgerView
    _: KW_ONLY
    file: Path
    now: Callable[[], float]
    pause: Callable[[float], object]
    machine: Host | None = None
    """None for a stack."""
    pings: bool = False
    """Whether GitHub may be asked for pings."""
    github_offset: float | None = field(default=None, init=False)
    """Seconds by which GitHub's clock was ahead of this machine's when it last answered."""
    _kept: dict[Hashable, tuple[Any, CloseoutError | None]] = field(default_factory=dict, init=False)

    def once(self, key: Hashable, ask: Callable[[], T]) -> T:
        """Return the answer of `ask`, or raise its error; a second call does not ask again."""
        if key not in self._kept:
            try:
                self._kept[key] = ask(), None
            except CloseoutError as error:
                self._kept[key] = None, error
        answer, problem = self._kept[key]
        if problem is not None:
            raise problem
        return answer  # type: ignore[no-any-return]

    @property
    def loaded(self) -> Loaded:
        """The configuration. Raises `ConfigError`."""
        return self.once("configuration", self.load)

    @property
    def host(self) -> Host:
        """The machine of the ledger's file. Raises `LookupError` for a stack, whose checks do not ask."""
        if self.machine is None:
            raise LookupError("a stack has no machine")
        return self.machine

    @cached_property
    def outside(self) -> Outside:
        """The clients."""
        return self.connect(self.loaded)

    @property
    def has_token(self) -> bool:
        """Whether `secrets.github` is configured."""
        return self.loaded.settings.secrets_github is not None

    def base(self) -> str | None:
        """Return this closeout's public URL: the file's, else that of the last server. Raises what reading raises."""
        text = self.loaded.settings.public_url
        if text:
            return self.outside.setting(text, "public-url")
        return self.ledger.base() if self.ledger.exists() else None

    @property
    def patrol(self) -> PatrolSettings:
        """How often patrol looks. Raises what reading it raises."""
        return self.loaded.settings.patrol

    def limits(self) -> Page:
        """Return GitHub's answer about the token's limit, which costs nothing. Raises `ServiceError`."""
        return self.once("limits", lambda: self.read("/rate_limit"))

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.outside.github, self.pause)

    def read(self, path: str, query: Mapping[str, str] | None = None) -> Page:
        """Read a page of GitHub's API, with retries, within half of the token's remaining calls. Raises `ServiceError`."""
        page = self._reader.read(path, query or {})
        self.github_offset = page.date - self.now()
        return page

    def repository(self, name: str) -> Mapping[str, Any]:
        """Return a repository as GitHub shows it. Raises `ServiceError`."""
        return self.once(("repository", name), lambda: self._read_repository(name))

    def _read_repository(self, name: str) -> Mapping[str, Any]:
        body = self.read(f"/repos/{name}").body
        if not isinstance(body, dict) or not isinstance(body.get("full_name"), str):
            raise unusable_answer(f"GET /repos/{name}", "the answer is not a repository")
        return body

    def heard(self, name: str) -> frozenset[str]:
        """Return the ids of the webhooks that sent a repository's newest deliveries. Raises what reading raises."""
        return self.once(
            ("heard", name), lambda: self.ledger.heard(name) if self.ledger.exists() else frozenset()
        )

    def hooks(self, name: str) -> HooksFound:
        """Return the webhooks that receive a repository's events. Raises `ServiceError` if its own cannot be read."""
        found = [OwnedHook(name, hook) for hook in self._hooks_of(name)]
        unread: ServiceError | None = None
        owner = self.repository(name).get("owner") or {}
        if owner.get("type") != "User":
            login = name.partition("/")[0]
            try:
                found += [OwnedHook(login, hook) for hook in self._hooks_of(login)]
            except ServiceError as error:
                unread = error
        base = self.base() or ""
        ours = tuple(one for one in found if same_webhook(one.hook.url, base + WEBHOOK))
        return HooksFound(ours, tuple(one for one in found if one not in ours), unread)

    def _hooks_of(self, target: str) -> Sequence[Hook]:
        return self.once(("hooks", target), lambda: tuple(self.outside.webhooks(target).all()))

    def last_delivery(self, one: OwnedHook) -> HookDelivery | None:
        """Return the newest delivery in a webhook's log, None if there is none. Raises `ServiceError`."""
        log = self.once(
            ("log", one.target, one.hook.id),
            lambda: tuple(self.outside.webhooks(one.target).deliveries(one.hook.id)),
        )
        return log[0] if log else None

    def identity(self, target: AwsTarget) -> Mapping[str, Any]:
        """Return `GetCallerIdentity`'s answer under a target's credentials. Raises `ServiceError`."""
        return self.once(
            ("identity", target),
            lambda: self.outside.clients.for_step(target).aws("sts").get_caller_identity(),
        )

    def iam(self, target: AwsTarget) -> Any:
        """Return the IAM client with which a target's rights are checked."""
        return self.outside.clients.for_step(target).aws("iam")


def repositories(automations: Iterable[Automation]) -> tuple[str, ...]:
    """Return the repositories that automations name in full, in the order of the file."""
    found: dict[str, str] = {}
    for automation in automations:
        for name in filter(is_literal, automation.repositories):
            found.setdefault(name.lower(), name)
    return tuple(found.values())


def events(automations: Iterable[Automation], repository: str | None) -> tuple[str, ...]:
    """Return the events that start an automation for a repository, or for any repository (None), in order."""
    matching = [
        automation for automation in automations if repository is None or covers(automation, repository)
    ]
    return tuple(sorted({str(trigger["event"]) for one in matching for trigger in one.triggers}))


def targets(loaded: Loaded) -> tuple[AwsTarget, ...]:
    """Return the accounts, regions and roles that steps act in."""
    found = (
        AwsTarget(step.account, step.region, step.assume_role)
        for automation in loaded.automations
        for step in automation.steps
        if step.account and step.region
    )
    return tuple(dict.fromkeys(found))
