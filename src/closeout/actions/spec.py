"""What an action is: inputs, permissions, and three functions over narrow clients.

The registry, the JSON Schema, the reference pages, the IAM policies and a test over every action are made
from these values, so an action says each thing once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from closeout.core.inverse import Naming
from closeout.core.plan import Change, Leftover
from closeout.core.retry import Backoff, Retry
from closeout.ports import Clients, Json

InputType = Literal["string", "integer", "boolean", "list", "map", "any", "duration"]
"""`list` is of strings, `map` of strings to strings, `any` is any JSON, `duration` is seconds (written `90s`, `15m`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One key of a step's `with` (or, for `run`, `argv` and `env` of `shell`, of the step's `with` too).

    `names` marks a value that names what is acted upon: the name guards apply to every `${{ }}` in it.
    `templates=False` refuses `${{ }}` at load. `secret` takes a secret reference, never a value.
    """

    type: InputType
    description: str
    required: bool = False
    default: Any = None
    names: bool = False
    templates: bool = True
    instead: str = ""
    """What to write where `templates` is False and somebody wrote a `${{ }}`; empty: the value itself."""
    secret: bool = False
    choices: tuple[str, ...] = ()
    ended_by: str | None = None
    """The input that holds this one's delimiter: no `${{ }}` of this one may hold it too (`/` apart), or what begins
    like one name would be the beginning of another (`fix-` of `fix-2-`)."""
    url: bool = False
    """Whether it is a URL: a `${{ }}` before its path may be one label of the host, so that no value names another host."""
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
    """How long a call may take, in seconds; `why` is for people, where neither the step's nor the run's time sets it."""

    seconds: float
    why: str = ""

    def __str__(self) -> str:
        """Return the limit as part of a sentence that says that the time is over."""
        return f"{self.seconds:.0f} s" + (f" ({self.why})" if self.why else "")


class Work(Protocol):
    """What `apply` works with: durable calls named within this step, guarded calls, and the log."""

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
        """The step's own keys besides `with`: `pass-env` and the like."""

    def record(self, name: str, fn: Callable[[], Json], retry: Retry | None = None) -> Json:
        """`Durable.record`, named within the step, within the step's and the run's time."""

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
        """Make one call that changes something, behind every guard, as one recorded operation.

        On each try, in the same recorded operation and immediately before `call`: the run is not cancelled,
        closeout is not paused, the account is right, and (in a destructive step) the live check says that the
        pull request is still closed. A transient error of `call`, a pause, or an unreadable pull request waits
        and tries again until the time is up. `call` must be idempotent by identity, or look for its own trace
        first. Every call that creates, changes or deletes anything outside goes through here.

        `look` is called before the guards, on each try: what has to be read for the call and may take a while, such
        as a listing, so that nothing but the call itself stands behind them.

        With `on_interrupted`, the begin of `call` is stored before it. Where a begin is stored and no end,
        `on_interrupted` is called in its place: `call` may have had its effect, in part or as a whole.
        """

    def limit(self) -> Limit:
        """Return how long a call may take, and what sets that. Call it only inside a recorded function: it reads the clock."""

    def clean(self, text: str) -> str:
        """Return text without the secrets that closeout knows. Call it before text is cut: half a secret is not known."""

    def log(self, text: str) -> None:
        """Write a line to the run's log. Call it inside a recorded function: a replay is silent there."""

    def log_once(self, key: str, text: str) -> None:
        """Write a line unless one of this key was written for this step: what a poll may say however often it polls.

        A poll's function is made anew for every try, so nothing that it keeps in a variable outlives one try.
        """

    def now(self) -> float:
        """Seconds since the epoch. Call it only inside a recorded function: it reads the clock."""


Inputs: TypeAlias = Mapping[str, Any]


def no_permissions(_inputs: Inputs) -> tuple[Permission, ...]:
    """Return nothing: the action needs no right that closeout knows of."""
    return ()


def nothing_left(_changes: Sequence[Change], _clients: Clients) -> Sequence[Leftover]:
    """Return nothing: `apply` reports the result, and there is nothing to look for afterwards."""
    return ()


class Existing(NamedTuple):
    """Something that exists now, as an inventory found it."""

    resource: str
    """Its exact name, for people."""
    inputs: Mapping[str, str]
    """The naming inputs with which a step would act on exactly this."""
    created: float | None
    """Seconds since the epoch; None if that cannot be told."""
    changed: float | None = None
    """When the newest thing in it was made, where it is a collection: that must belong to the pull request too."""
    busy: str = ""
    """Why it is to be left alone now, such as `it is being deleted`; empty otherwise."""


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
    """Whether a name means another thing in another region: of a stack it does, of a bucket it does not."""
    example: str = ""
    """YAML of a step that uses it: shown by `closeout actions show`, checked by a test."""
    lingers: Callable[[str], bool] | None = None
    """Whether part of an execution still runs here although its step ended: the execution then keeps its key."""
    absent: Callable[[Inputs], str] | None = None
    """What an empty plan did not find, `stack preview-17`: a wrong name has the same result."""
    own_code: bool = False
    """It runs the user's own code: its permissions are not known, and its plan, summary and errors may contain what only
    readers of the log may see. What everybody may read is `public` beside `summary`, and `ActionFailed.public`."""
    passes_env: bool = False
    """Whether a step may name variables of the server's environment in `pass-env`."""
    read_tags: Callable[[Sequence[Change], Clients], Sequence[Change]] | None = None
    """Return the planned changes with their tags; called only if the file has `protect.tags`. None: `plan` returns all tags.
    Raises `GuardRefused` for tags that cannot be read."""
    tag_permissions: Callable[[Inputs], tuple[Permission, ...]] = lambda _inputs: ()
    """What `read_tags` needs besides `permissions`."""
    inventory: Callable[[Sequence[Naming], Clients], Iterable[Existing]] | None = None
    """Yields what exists under the names that steps make in some repositories; reads only. It may yield more, since the
    caller reads each name backwards; it never leaves out a page: what cannot be read is a `ServiceError`."""
    inventory_permissions: Callable[[Inputs], tuple[Permission, ...]] = lambda _inputs: ()
    """What `inventory` needs by itself: rights to list, none to change."""
    plan_permissions: Callable[[Inputs], tuple[Permission, ...]] = lambda _inputs: ()
    """What `plan` needs by itself, of an action with `absent`: rights to read, none to change. A recheck on AWS plans with them."""
    not_listed: Callable[[Naming], str | None] = lambda _naming: None
    """Why `inventory` cannot list what is under names of this form; None if it can."""
    check: Callable[[Inputs], Sequence[str]] | None = None
    """More to check at load over raw inputs (a prefix that must end in a delimiter): sentences, empty when fine."""
    look_up: Callable[[Inputs], Sequence[str]] | None = None
    """What `closeout check` can look up besides the file (the user's own code): sentences, empty when all is there."""
