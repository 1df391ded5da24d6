"""What the file's checks need to know of an action: small Protocols that `actions.spec` fulfils.

`config` stands below `actions`, so it gets the registry as an argument and names here what it reads from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from closeout.core.retry import Retry


class InputSpec(Protocol):
    """One input of an action (see `actions.spec.Input`)."""

    @property
    def type(self) -> str:
        """`string integer boolean list map any duration`."""
        ...

    @property
    def description(self) -> str:
        """A sentence for people."""
        ...

    @property
    def required(self) -> bool:
        """Whether a step must give it."""
        ...

    @property
    def default(self) -> Any:
        """What is taken when it is not given."""
        ...

    @property
    def names(self) -> bool:
        """Whether it names what is acted upon."""
        ...

    @property
    def templates(self) -> bool:
        """Whether `${{ }}` is filled in."""
        ...

    @property
    def secret(self) -> bool:
        """Whether it takes secret references, never values."""
        ...

    @property
    def choices(self) -> tuple[str, ...]:
        """The only texts that it takes; empty: any."""
        ...

    @property
    def ended_by(self) -> str | None:
        """The input that holds this one's delimiter: it names by how keys begin."""
        ...

    @property
    def pattern(self) -> str | None:
        """A regular expression for the whole text."""
        ...


class ActionSpec(Protocol):
    """A registered action (see `actions.spec.Action`)."""

    @property
    def summary(self) -> str:
        """One sentence."""
        ...

    @property
    def inputs(self) -> Mapping[str, InputSpec]:
        """The keys of `with`."""
        ...

    @property
    def regional(self) -> bool:
        """Whether a name means another thing in another region."""
        ...

    @property
    def destructive(self) -> str:
        """`always`, `never` or `unless-declared`."""
        ...

    @property
    def needs_aws(self) -> bool:
        """Whether it acts in an AWS account."""
        ...

    @property
    def timeout(self) -> float:
        """Seconds, when the step says nothing."""
        ...

    @property
    def retry(self) -> Retry:
        """The policy, when the step says nothing."""
        ...

    @property
    def check(self) -> Callable[[Mapping[str, Any]], Sequence[str]] | None:
        """More to check over raw inputs: sentences."""
        ...

    @property
    def look_up(self) -> Callable[[Mapping[str, Any]], Sequence[str]] | None:
        """What can be looked for beside the file: sentences about what is not there."""
        ...


ActionRegistry: TypeAlias = Mapping[str, ActionSpec]
