"""Everything that the ledger knows about one pull request, in order, and what comes next.

It follows the repository's id where a closing names it, so a renamed repository keeps its history, and another one that took
its name does not get it. A recheck that found nothing is not stored, so only rechecks that started an attempt are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from closeout.actions.spec import Action
from closeout.config.typed_deletes import is_due
from closeout.core.automation import Automation
from closeout.core.closing import heard_by
from closeout.core.errors import CloseoutError
from closeout.core.payload import at, decode
from closeout.ports import DeliveryFilter, DeliveryView, LedgerReader, RunView
from closeout.run.recheck import BY

MOST_READ, MOST_SHOWN = 2_000, 300
"""How many deliveries with this number are read, of any repository, and how many of the pull request's are shown: the newest."""
_GONE = ("done", "gone")
_LEFT = ("left", "unknown", "failed")
_UNSETTLED = (*_LEFT, "untouched", "pending", "under-way")


class Entry(NamedTuple):
    """Something that happened."""

    at: float
    kind: str
    """`delivery`, `retarget`, `queued`, `recheck` (a further attempt by a recheck), `started` or `finished`."""
    says: str
    delivery: DeliveryView | None = None
    run: RunView | None = None
    """The attempt; None for a delivery."""

    def to_json(self) -> dict[str, Any]:
        """Return the row of the JSON API."""
        return {
            "at": self.at,
            "kind": self.kind,
            "says": self.says,
            "delivery": self.delivery.id if self.delivery else None,
            "execution": self.run.execution if self.run else None,
        }


class Resource(NamedTuple):
    """A resource of a plan, as the last attempt left it."""

    resource: str
    verb: str
    outcome: str
    """One of `core.outcomes`: `done` and `gone` for what is gone, `left` for what is still there."""
    reason: str
    step: str
    execution: str


class ExpectedEvent(NamedTuple):
    """Something that is expected to happen."""

    kind: str
    """`queued`, `running`, `sleeping`, `waiting`, `recheck` or `paused`."""
    at: float | None
    """When, if that is known."""
    says: str
    execution: str | None = None


class PullRequestView(NamedTuple):
    """One pull request (or issue), as people see it."""

    repository: str
    """As its newest delivery calls it."""
    number: int
    former_names: tuple[str, ...]
    title: str | None
    url: str | None
    entries: tuple[Entry, ...]
    """The oldest first."""
    runs: tuple[RunView, ...]
    """Every attempt with its plan, in order of acceptance."""
    resources: tuple[Resource, ...]
    next: tuple[ExpectedEvent, ...]
    left_out: int
    """Older deliveries that are not shown."""

    @property
    def gone(self) -> tuple[Resource, ...]:
        """What was deleted, or was already gone."""
        return tuple(one for one in self.resources if one.verb == "delete" and one.outcome in _GONE)

    @property
    def left(self) -> tuple[Resource, ...]:
        """What is still there, or may be."""
        return tuple(one for one in self.resources if one.outcome in _LEFT)

    def to_json(self) -> dict[str, Any]:
        """Return the object of the JSON API."""
        return {
            "repository": self.repository,
            "number": self.number,
            "former_names": list(self.former_names),
            "title": self.title,
            "url": self.url,
            "entries": [one.to_json() for one in self.entries],
            "runs": [run.to_json() for run in self.runs],
            "resources": [one._asdict() for one in self.resources],
            "next": [one._asdict() for one in self.next],
            "left_out": self.left_out,
        }


def read_pull_request(
    reader: LedgerReader,
    repository: str,
    number: int,
    now: float,
    rechecks: Mapping[str, Sequence[float]] | None = None,
    paused: str | None = None,
) -> PullRequestView | None:
    """Return the history of a pull request, None if no delivery is about it. The case of the repository's name is ignored.

    `rechecks` are the seconds after a teardown at which each automation looks again; `paused` says who paused. Raises
    `StoreUnavailable` or `LedgerError`.
    """
    found = _deliveries(reader, repository, number)
    if not found:
        return None
    shown = found[:MOST_SHOWN][::-1]
    runs = _attempts(reader, shown)
    entries = [
        *(entry for one in shown for entry in _heard(one, reader)),
        *(entry for run in runs for entry in _ran(run)),
    ]
    names = [one.repository for one in found if one.repository]
    newest = next(filter(None, (_pull(_payload(reader, one)) for one in reversed(shown))), {})
    return PullRequestView(
        repository=names[0],
        number=number,
        former_names=tuple(dict.fromkeys(name for name in names if name != names[0])),
        title=_text(newest, "title"),
        url=_text(newest, "html_url"),
        entries=tuple(sorted(entries, key=lambda entry: entry.at)),
        runs=tuple(runs),
        resources=_resources(runs),
        next=tuple(_expected(runs, now, rechecks or {}, paused)),
        left_out=len(found) - len(shown),
    )


def recheck_times(
    automations: Iterable[Automation], actions: Mapping[str, Action]
) -> dict[str, tuple[float, ...]]:
    """Return for each automation after how many seconds it rechecks what it has torn down."""
    return {one.name: one.recheck for one in automations if is_due(one, actions)}


# --- which deliveries and runs ------------------------------------------------------------------------------


def _deliveries(reader: LedgerReader, repository: str, number: int) -> list[DeliveryView]:
    """Return the deliveries about it, the newest first."""
    wanted = repository.lower()
    read = reader.deliveries(MOST_READ, DeliveryFilter(number=number))
    named = [one for one in read if _name(one) == wanted]
    identity = next((_repository_id(one) for one in named if one.closing), None)
    same = [one for one in read if identity is not None and _repository_id(one) == identity]
    names = {wanted, *map(_name, same)}

    def belongs(one: DeliveryView) -> bool:
        other = _repository_id(one)
        return other == identity if other is not None and identity is not None else _name(one) in names

    return [one for one in read if belongs(one)]


def _name(delivery: DeliveryView) -> str:
    return (delivery.repository or "").lower()


def _repository_id(delivery: DeliveryView) -> str | None:
    return delivery.closing.partition("/")[0] if delivery.closing else None


def _attempts(reader: LedgerReader, deliveries: Sequence[DeliveryView]) -> list[RunView]:
    runs: list[RunView] = []
    for run_id in dict.fromkeys(run_id for one in deliveries for run_id in one.runs):
        last = reader.run(run_id)
        if last is None:
            continue
        earlier = (reader.run(run_id, attempt) for attempt in range(1, last.attempt))
        runs += [*filter(None, earlier), last]
    return sorted(runs, key=lambda run: (run.accepted_at, run.attempt))


def _payload(reader: LedgerReader, delivery: DeliveryView) -> Mapping[str, Any]:
    """Return a payload, an empty one if it is gone or damaged: the rest of the history can still be shown."""
    try:
        return decode(reader.body(delivery.id))
    except CloseoutError:
        return {}


# --- what happened ------------------------------------------------------------------------------------------


def _heard(delivery: DeliveryView, reader: LedgerReader) -> Iterator[Entry]:
    event = f"{delivery.event} {delivery.action}" if delivery.action else delivery.event
    says = f"{event}, heard by {heard_by(delivery.origin)}"
    yield Entry(delivery.received_at, "delivery", says, delivery=delivery)
    if delivery.action != "edited":
        return
    payload = _payload(reader, delivery)
    before = at(payload, "changes", "base", "ref", "from")
    if isinstance(before, str):
        base = at(_pull(payload), "base", "ref") or "another branch"
        yield Entry(
            delivery.received_at, "retarget", f"retargeted from {before} to {base}", delivery=delivery
        )


def _ran(run: RunView) -> Iterator[Entry]:
    name = run.automation if run.attempt == 1 else f"{run.automation}, attempt {run.attempt}"
    if run.requested_by == BY:
        says = f"{name}: a recheck found something that was deployed after the closing"
        yield Entry(run.accepted_at, "recheck", says, run=run)
    else:
        asked = f", asked for by {run.requested_by}" if run.requested_by else ""
        yield Entry(run.accepted_at, "queued", f"{name}: queued{asked}", run=run)
    if run.started_at is not None:
        yield Entry(run.started_at, "started", f"{name}: started", run=run)
    if run.finished_at is not None:
        says = f"{name}: {run.verdict}" + (f": {run.summary}" if run.summary else "")
        yield Entry(run.finished_at, "finished", says, run=run)


def _resources(runs: Sequence[RunView]) -> tuple[Resource, ...]:
    """Return each resource once, as the last attempt that planned it, or found it left, says."""
    last: dict[tuple[str, str], Resource] = {}
    for run in runs:
        if run.verdict == "success":
            # Its plan lists what it found. What an earlier attempt left, and this one did not find, was already gone.
            for key, one in last.items():
                if key[0] == run.automation and one.outcome in _UNSETTLED:
                    last[key] = one._replace(outcome="gone", execution=run.execution)
        for step in run.steps:
            for change, outcome in zip(step.changes or (), step.outcomes, strict=False):
                name, verb = str(change.get("resource", "")), str(change.get("verb", ""))
                reason = str(change.get("reason", ""))
                last[run.automation, name] = Resource(name, verb, outcome, reason, step.id, run.execution)
            for row in step.left:
                name, reason = str(row.get("resource", "")), str(row.get("reason", ""))
                last[run.automation, name] = Resource(name, "delete", "left", reason, step.id, run.execution)
    return tuple(last.values())


# --- what comes next ----------------------------------------------------------------------------------------


def _expected(
    runs: Sequence[RunView], now: float, rechecks: Mapping[str, Sequence[float]], paused: str | None
) -> Iterator[ExpectedEvent]:
    latest = {run.id: run for run in runs}
    going_on = [run for run in latest.values() if run.state != "finished"]
    if paused and going_on:
        yield ExpectedEvent("paused", None, f"destructive calls are paused {paused}")
    for run in going_on:
        yield _going_on(run)
    for run in latest.values():
        at = _next_recheck(run, runs, now, rechecks.get(run.automation, ()))
        if at is not None:
            yield ExpectedEvent(
                "recheck", at, f"{run.automation} looks again for what was deployed late", run.execution
            )


def _going_on(run: RunView) -> ExpectedEvent:
    if run.sleeps_in is not None:
        return ExpectedEvent(
            "sleeping", run.until, f"{run.automation} sleeps in {run.sleeps_in}: {run.reason}", run.execution
        )
    says = f"{run.automation} is {run.state}" + (f": {run.reason}" if run.reason else "")
    return ExpectedEvent(run.state, None, says, run.execution)


def _next_recheck(run: RunView, runs: Sequence[RunView], now: float, after: Sequence[float]) -> float | None:
    """Return when a run is rechecked next. An attempt of a recheck that deleted nothing keeps the times of the one before."""
    if run.verdict != "success" or run.finished_at is None or run.action != "closed":
        return None
    ended = [
        one.finished_at
        for one in runs
        if one.id == run.id
        and one.verdict == "success"
        and one.finished_at
        and (one.requested_by != BY or _deleted(one))
    ]
    due = (at for at in (max(ended, default=run.finished_at) + seconds for seconds in after) if at > now)
    return min(due, default=None)


def _deleted(run: RunView) -> bool:
    return any(
        change.get("verb") == "delete" and outcome in _GONE
        for step in run.steps
        for change, outcome in zip(step.changes or (), step.outcomes, strict=False)
    )


def _pull(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    found = at(payload, "pull_request") or at(payload, "issue")
    return found if isinstance(found, dict) else {}


def _text(payload: Mapping[str, Any], name: str) -> str | None:
    value = payload.get(name)
    return value if isinstance(value, str) else None
