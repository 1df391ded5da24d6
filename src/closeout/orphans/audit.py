"""Audit a configuration: list what exists, read the names backwards, ask GitHub, and reach a verdict on each find.

A failed answer affects only what it was about: the rest of the audit continues, and the report names what could not be
asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from closeout.actions.spec import Existing
from closeout.config.inverses import StepInventory, naming
from closeout.core.closing import Closing
from closeout.core.errors import CloseoutError
from closeout.core.inverse import NamePatterns
from closeout.core.units import iso
from closeout.orphans.reading import Pull, PullRequestReader, UnknownState, at_once, reading
from closeout.orphans.verdict import Find, PullRequestQueries, State, Verdict, judge, seconds
from closeout.ports import AwsTarget, ClientFactory, GitHub
from closeout.run import bases, guards, inputs

EVERY = 500
"""Resources that are listed or judged between two lines of progress."""


class Target(NamedTuple):
    """What one run cleans up: everything that one automation deletes for one pull request."""

    repository: str
    number: int
    automation: str

    def __str__(self) -> str:
        """Return the text for a request in the ledger."""
        return f"{self.repository}#{self.number} {self.automation}"


class Row(NamedTuple):
    """The audit's result for one resource."""

    aws_target: AwsTarget | None
    resource: str
    state: State
    reason: str
    repository: str
    pull_request: int
    automation: str
    created: float | None
    failed: bool
    repository_id: int = 0
    """0 if GitHub did not answer."""
    closed: float | None = None
    """When the pull request was closed, in seconds since the epoch."""
    closing: str | None = None
    """The text of that closing (`core.closing`)."""
    login: str | None = None
    """Whose pull request it is."""
    private: bool = False
    """Whether GitHub says that only members can read the repository."""

    @property
    def target(self) -> Target:
        """The target of the run that cleans it up."""
        return Target(self.repository, self.pull_request, self.automation)

    def to_json(self, now: float) -> dict[str, Any]:
        """Return an orphan as `closeout orphans --json` shows it."""
        created = self.created or now
        return {
            "resource": self.resource,
            "repository": self.repository,
            "pull_request": self.pull_request,
            "automation": self.automation,
            "created": iso(created),
            "age_seconds": int(now - created),
        }


class Report(NamedTuple):
    """The rows, orphans first and the oldest of each state first; `errors` name what could not be asked."""

    rows: tuple[Row, ...]
    errors: tuple[str, ...]
    spared: frozenset[Target] = frozenset()
    """Targets that also own something that is not an orphan. A run would delete that, too, so none is started."""
    states: Mapping[tuple[str, int], AbstractSet[State]] = {}
    """By repository in lower case and number: the states of all finds that may belong to this pull request."""

    def targets(self) -> tuple[Target, ...]:
        """Return the targets that runs would clean up, each once, the oldest orphan's first."""
        found = dict.fromkeys(row.target for row in self.of("orphan"))
        return tuple(target for target in found if target not in self.spared)

    def of(self, state: State) -> tuple[Row, ...]:
        """Return the rows of one state."""
        return tuple(row for row in self.rows if row.state == state)


Busy = Callable[[str, int], str | None]
"""Returns why a pull request's resources are left alone, because a run of it has not ended; else None."""


@dataclass(slots=True)
class Audit:
    """One audit of the steps that have an inventory. `busy` looks up unfinished runs in the ledger."""

    clients: ClientFactory
    github: GitHub
    now: float
    progress: Callable[[str], None]
    busy: Busy = lambda _repository, _number: None
    errors: list[str] = field(default_factory=list)

    def run(self, inventories: Iterable[StepInventory]) -> Report:
        """Return the report. No answer of AWS or GitHub makes it raise."""
        steps = [one for one in inventories if one.reason is None]
        readings = self._readings(steps)
        finds = self._finds(steps, readings)
        pulls = self._pulls(finds, readings)
        judged = self._judged(finds, pulls, readings)
        spared = frozenset(row.target for row in judged if row.state != "orphan")
        states: dict[tuple[str, int], set[State]] = {}
        for row in judged:
            states.setdefault((row.repository.lower(), row.pull_request), set()).add(row.state)
        order = {"orphan": 0, "unknown": 1, "open": 2}
        rows = sorted(
            _one_each(judged), key=lambda row: (order[row.state], row.created or self.now, row.resource)
        )
        return Report(tuple(rows), tuple(dict.fromkeys(self.errors)), spared, states)

    def _readings(self, steps: Sequence[StepInventory]) -> dict[str, PullRequestReader | UnknownState]:
        """Ask GitHub for each repository, by its name in the configuration."""
        names = dict.fromkeys(name for one in steps for name in one.automation.repositories)
        found: dict[str, PullRequestReader | UnknownState] = {}
        for name in names:
            try:
                found[name] = reading(self.github, name)
            except CloseoutError as error:
                found[name] = UnknownState(self._failed(error.message), failed=True)
        return found

    def _failed(self, message: str) -> str:
        self.errors.append(message)
        return message

    # --- what exists ------------------------------------------------------------------------------------

    def _finds(
        self, steps: Sequence[StepInventory], readings: Mapping[str, PullRequestReader | UnknownState]
    ) -> list[Find]:
        """Return each existing resource with each step and pull request whose name it has.

        An action lists once, for all steps that act in one place.
        """
        groups: dict[tuple[str, AwsTarget | None], list[tuple[StepInventory, NamePatterns]]] = {}
        for one in steps:
            target = inputs.target(one.step, {})
            for repository in one.automation.repositories:
                known = readings[repository]
                spelled = known.name if isinstance(known, PullRequestReader) else repository
                form = naming(one.step, one.action, spelled)
                if isinstance(form, NamePatterns):
                    form = form._replace(repository=repository)
                    groups.setdefault((one.step.uses, target), []).append((one, form))
        return [
            Find(existing, target, one.automation, one.step, one.action, form.repository, number)
            for (uses, target), forms in groups.items()
            for existing in self._existing(uses, target, forms)
            for one, form in forms
            if (number := form.number(existing.inputs)) is not None
        ]

    def _existing(
        self, uses: str, target: AwsTarget | None, forms: Sequence[tuple[StepInventory, NamePatterns]]
    ) -> list[Existing]:
        """List what exists in one place. What was read before an error counts, and the error is reported."""
        self.progress(
            f"Listing what {uses} deletes{f' in {target.account}/{target.region}' if target else ''}"
        )
        found: list[Existing] = []
        inventory = forms[0][0].action.inventory
        assert inventory is not None
        try:
            clients = self.clients.for_step(target)
            guards.check_account(target, clients)
            for existing in inventory([form for _, form in forms], clients):
                found.append(existing)
                if len(found) % EVERY == 0:
                    self.progress(f"  {len(found)} listed")
        except CloseoutError as error:
            self._failed(error.message)
        return found

    # --- whose it is ------------------------------------------------------------------------------------

    def _pulls(
        self, finds: Iterable[Find], readings: Mapping[str, PullRequestReader | UnknownState]
    ) -> dict[tuple[str, int], Pull | UnknownState]:
        wanted: dict[str, set[int]] = {}
        for find in finds:
            wanted.setdefault(find.repository, set()).add(find.number)
        answers: dict[tuple[str, int], Pull | UnknownState] = {}
        for repository, numbers in wanted.items():
            known = readings[repository]
            if isinstance(known, UnknownState):
                answers |= {(repository, number): known for number in numbers}
                continue
            self.progress(f"Reading {len(numbers)} pull requests of {repository}")
            answers |= {(repository, number): pull for number, pull in known.read(numbers).items()}
        return answers

    def _judged(
        self,
        finds: Sequence[Find],
        pulls: Mapping[tuple[str, int], Pull | UnknownState],
        readings: Mapping[str, PullRequestReader | UnknownState],
    ) -> list[Row]:
        def row(find: Find) -> Row:
            known = readings[find.repository]
            alone = known.alone if isinstance(known, PullRequestReader) else lambda _number: known
            ask = PullRequestQueries(
                alone, self.github.pull_request_files, partial(bases.bases_of, self.github)
            )
            pull = pulls[find.repository, find.number]
            verdict = judge(find, pull, ask)
            if verdict.state == "orphan":
                why = self.busy(find.repository, find.number)
                verdict = Verdict("unknown", why) if why else verdict
            return _row(find, verdict, known, pull)

        rows: list[Row] = []
        for first in range(0, len(finds), EVERY):
            if len(finds) > EVERY:
                self.progress(f"Judging {first + 1} to {min(first + EVERY, len(finds))} of {len(finds)}")
            rows += at_once(row, finds[first : first + EVERY])
        self.errors += [row.reason for row in rows if row.failed]
        return rows


def _row(
    find: Find, verdict: Verdict, repository: PullRequestReader | UnknownState, pull: Pull | UnknownState
) -> Row:
    """Return a verdict with GitHub's data about the repository and the pull request."""
    answer = pull.answer if isinstance(pull, Pull) else {}
    number, at, user = answer.get("id"), answer.get("closed_at"), answer.get("user")
    login = user.get("login") if isinstance(user, Mapping) else None
    row = Row(
        find.target,
        find.existing.resource,
        verdict.state,
        verdict.reason,
        find.repository,
        find.number,
        find.automation.name,
        find.existing.created,
        verdict.failed,
        closed=seconds(at),
        login=login if isinstance(login, str) else None,
    )
    if isinstance(repository, UnknownState):
        return row
    if type(number) is int and isinstance(at, str):
        row = row._replace(closing=str(Closing(repository.id, number, at)))
    return row._replace(repository_id=repository.id, private=repository.private)


def _one_each(rows: Iterable[Row]) -> Iterator[Row]:
    """Return one row for each resource.

    Two automations may name one resource of one pull request: then it is an orphan if one of them would delete it. A
    resource whose name may belong to two pull requests is never an orphan.
    """
    found: dict[tuple[AwsTarget | None, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.aws_target, row.resource), []).append(row)
    return map(_joined, found.values())


def _joined(rows: Sequence[Row]) -> Row:
    owners = {(row.repository, row.pull_request) for row in rows}
    if len(owners) > 1:
        text = " or ".join(sorted(f"{repository}#{number}" for repository, number in owners))
        return rows[0]._replace(state="unknown", reason=f"its name may belong to {text}")
    weight = {"open": 0, "orphan": 1, "unknown": 2}
    return min(rows, key=lambda row: weight[row.state])
