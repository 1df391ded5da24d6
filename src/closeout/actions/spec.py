"""The declaration of an action: inputs, permissions, and three functions over narrow clients.

The registry, the JSON Schema, the reference pages, the IAM policies and a test over every action are made
from these values, so an action declares each fact once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from closeout.core.inverse import NamePatterns
from closeout.core.plan import Change, Leftover
from closeout.core.retry import Backoff, Retry
from closeout.ports import Clients, Json

InputType = Literal["string", "integer", "boolean", "list", "map", "any", "duration"]
"""`list` is of strings, `map` of strings to strings, `any` is any JSON, `duration` is seconds (written `90s`, `15m`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One key of a step's `with` (or, for `run`, `argv` and `env` of `shell`, of the step's `with` too).

    `names` marks a value that names what the action acts on: the name guards apply to every `${{ }}` in it.
    `templates=False` refuses `${{ }}` at load. `secret` accepts a secret reference, never a value.
    """

    type: InputType
    description: str
    required: bool = False
    default: Any = None
    names: bool = False
    templates: bool = True
    instead: str = ""
    """The fix for a `${{ }}` if `templates` is False; empty: write the value itself."""
    secret: bool = False
    choices: tuple[str, ...] = ()
    ended_by: str | None = None
    """The input with this one's delimiter. No `${{ }}` of this one may contain the delimiter (except `/`), or one name could
    be a prefix of another (`fix-` of `fix-2-`)."""
    url: bool = False
    """Whether it is a URL. A `${{ }}` before its path may be only one label of the host, so that no value changes the domain."""
    pattern: str | None = None
    """A regular expression that the whole text must match after interpolation (and at load, without `${{ }}`)."""


@dataclass(frozen=True, slots=True)
class Permission:
    """One statement that an action needs: `system` is `aws` (IAM actions, ARNs) or `github` (permission, level)."""

    system: Literal["aws", "github"]
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ()
    reason: str = ""


class Limit(NamedTuple):
    """How long a call may take, in seconds; `why` is for people, if neither the step's nor the run's time limit sets it."""

    seconds: float
    why: str = ""

    def __str__(self) -> str:
        """Return the limit as part of a sentence about a timeout."""
        return f"{self.seconds:.0f} s" + (f" ({self.why})" if self.why else "")


class Work(Protocol):
    """The argument of `apply`: durable calls named within this step, guarded calls, and the log."""

    execution: str
    """`<run id>-<attempt>`: a stable idempotency key for this attempt."""
    run_id: str
    """The run's id, the same for every attempt."""
    attempt: int
    """1, or more for a rerun."""
    automation: str
    """The automation's name."""
    step: str
    """The step's id."""
    clients: Clients
    """Clients bound to this step."""
    retry: Retry
    """The step's retry policy: its own `retry`, else the action's."""

    @property
    def event(self) -> Mapping[str, Any]:
        """A copy of the payload, a new one each time."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The step's own keys other than `with`: `pass-env` and the like."""

    def record(self, name: str, fn: Callable[[], Json], retry: Retry | None = None) -> Json:
        """`Durable.record`, named within the step, and limited by the step's and the run's time."""

    def sleep(self, name: str, seconds: float) -> None:
        """`Durable.sleep`, named within the step."""

    def wait_until(self, name: str, poll: Callable[[], Json | None], every: float | Backoff) -> Json:
        """`Durable.wait_until`, named within the step, until the step's or the run's time is up."""

    def change(
        self,
        name: str,
        call: Callable[[], Json],
        on_interrupted: Callable[[], Json] | None = None,
        *,
        look: Callable[[], None] | None = None,
    ) -> Json:
        """Make one call that changes something, after every guard, as one recorded operation.

        On each try, in the same recorded operation and immediately before `call`: the run is not cancelled,
        closeout is not paused, the account is right, and (in a destructive step) the live check says that the
        pull request is still closed. A transient error of `call`, a pause, or an unreadable pull request waits
        and tries again until the time is up. `call` must be idempotent by identity, or check for its own trace
        first. Every call that creates, changes or deletes anything outside goes through here.

        `look` is called before the guards, on each try. Put slow reads for the call there, such as a listing, so that
        only the call itself follows the guards.

        With `on_interrupted`, the start of `call` is stored before it. If a start is stored and no end,
        `on_interrupted` is called instead: `call` may have taken effect, in part or completely.
        """

    def limit(self) -> Limit:
        """Return how long a call may take, and what sets that. Call it only inside a recorded function: it reads the clock."""

    def clean(self, text: str) -> str:
        """Return text without the secrets that closeout knows. Call it before you cut text: half a secret is not recognized."""

    def log(self, text: str) -> None:
        """Write a line to the run's log. Call it inside a recorded function: a replay is silent there."""

    def log_once(self, key: str, text: str) -> None:
        """Write a line unless one with this key was written for this step, so that a poll does not repeat it.

        A poll's function is created again for every try, so its variables do not outlive one try.
        """

    def now(self) -> float:
        """Seconds since the epoch. Call it only inside a recorded function: it reads the clock."""


Inputs: TypeAlias = Mapping[str, Any]


def no_permissions(_inputs: Inputs) -> tuple[Permission, ...]:
    """Return nothing: the action needs no permission known to closeout."""
    return ()


def nothing_left(_changes: Sequence[Change], _clients: Clients) -> Sequence[Leftover]:
    """Return nothing: `apply` reports the result, and there is nothing to verify afterwards."""
    return ()


class Existing(NamedTuple):
    """A resource that an inventory found."""

    resource: str
    """Its exact name, for people."""
    inputs: Mapping[str, str]
    """The naming inputs with which a step would act on exactly this."""
    created: float | None
    """Seconds since the epoch; None if unknown."""
    changed: float | None = None
    """When the newest item of a collection was created: the item must belong to the pull request, too."""
    busy: str = ""
    """Why it must not be touched now, such as `it is being deleted`; empty otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A registered capability.

    `destructive`: `always`, `never`, or `unless-declared` (the step may say `destructive: false`).
    `plan(inputs, clients)` reads only and freezes identities; empty means "already gone": success.
    `apply(change, inputs, work)` is called for each change whose `part_of` is None and whose verb is not `keep`,
    and returns a JSON object with a `summary` sentence. `verify(changes, clients)` checks everything that the plan
    listed; anything that it returns is a failure that names it.
    """

    uses: str
    summary: str
    description: str
    inputs: Mapping[str, Input]
    destructive: Literal["always", "never", "unless-declared"]
    permissions: Callable[[Inputs], tuple[Permission, ...]]
    plan: Callable[[Inputs, Clients], Sequence[Change]]
    apply: Callable[[Change, Inputs, Work], Json]
    verify: Callable[[Sequence[Change], Clients], Sequence[Leftover]]
    timeout: float = 3600.0
    retry: Retry = field(default_factory=Retry)
    needs_aws: bool = False
    regional: bool = True
    """Whether a name means different things in different regions: true for a stack, false for a bucket."""
    example: str = ""
    """YAML of a step that uses it: shown by `closeout actions show`, checked by a test."""
    lingers: Callable[[str], bool] | None = None
    """Whether part of an execution still runs here after its step ended. The execution then keeps its key."""
    absent: Callable[[Inputs], str] | None = None
    """Describes what an empty plan did not find, such as `stack preview-17`, because a wrong name also plans nothing."""
    own_code: bool = False
    """Whether it runs the user's own code: its permissions are unknown, and its plan, summary and errors may contain text for
    readers of the log only. Everyone may read `public`, next to `summary`, and `ActionFailed.public`."""
    passes_env: bool = False
    """Whether a step may name variables of the server's environment in `pass-env`."""
    read_tags: Callable[[Sequence[Change], Clients], Sequence[Change]] | None = None
    """Return the planned changes with their tags; called only if the file has `protect.tags`. None: `plan` returns all tags.
    Raises `GuardRefused` for tags that cannot be read."""
    tag_permissions: Callable[[Inputs], tuple[Permission, ...]] = lambda _inputs: ()
    """Permissions that `read_tags` needs in addition to `permissions`."""
    inventory: Callable[[Sequence[NamePatterns], Clients], Iterable[Existing]] | None = None
    """Yields the resources with names that steps make in some repositories; reads only. It may yield others, because the
    caller parses each name. It never leaves out a page: a failed read raises `ServiceError`."""
    inventory_permissions: Callable[[Inputs], tuple[Permission, ...]] = lambda _inputs: ()
    """All permissions that `inventory` needs: to list, never to change."""
    plan_permissions: Callable[[Inputs], tuple[Permission, ...]] = lambda _inputs: ()
    """For an action with `absent`, all permissions that `plan` needs: to read, never to change. A recheck on AWS plans with them."""
    not_listed: Callable[[NamePatterns], str | None] = lambda _naming: None
    """Why `inventory` cannot list resources with names of this form; None if it can."""
    check: Callable[[Inputs], Sequence[str]] | None = None
    """Checks raw inputs at load (a prefix must end in a delimiter) and returns a sentence for each mistake."""
    look_up: Callable[[Inputs], Sequence[str]] | None = None
    """Looks up for `closeout check` what is outside the file (the user's own code); returns a sentence for each missing part."""
