"""What the page of a pull request shows: everything that happened to it, in order, and the result.

Pure: from the deliveries and attempts in the ledger it derives what existed, what is gone, what is left and
what comes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from closeout.core.closing import WEBHOOK, heard_by
from closeout.core.units import counted
from closeout.ports import DeliveryView, RunView
from closeout.server.pages import presentation
from closeout.server.pages.presentation import object_of
from closeout.server.pages.wording import delivery_path, delivery_source, execution_path, run_path
from closeout.wiring.pull_requests import PullRequestView

GONE, KEPT, LEFT, AHEAD = "gone", "kept", "left", "ahead"
_GROUPS: Mapping[str, tuple[str, str]] = {
    "done": (GONE, "deleted"),
    "gone": (GONE, "already gone"),
    "kept": (KEPT, "kept"),
    "left": (LEFT, "still there"),
    "failed": (LEFT, "failed"),
    "unknown": (LEFT, "could not be checked"),
    "untouched": (LEFT, "not tried"),
    "pending": (AHEAD, "not begun"),
    "under-way": (AHEAD, "under way"),
    "planned": (AHEAD, "planned only: dry run"),
}
"""The group of a resource and its words, by its outcome (`ledger.outcomes`)."""
TITLES = {
    LEFT: ("Left", "bad"),
    AHEAD: ("To be deleted", "busy"),
    GONE: ("Gone", "good"),
    KEPT: ("Kept", "none"),
}
"""Title and tone of each group."""
_PLAIN_EVENTS = {
    "opened": ("Opened", "open"),
    "reopened": ("Opened again", "open"),
    "synchronize": ("New commits", "dot"),
    "edited": ("Edited", "dot"),
}
"""Title and icon of pull request events that need only their action."""
MOST_LISTED = 200
"""Resources of a group that the page lists."""


class DeliveryPayload(NamedTuple):
    """A delivery with its payload, which is empty if it is no longer stored."""

    view: DeliveryView
    payload: Mapping[str, Any]


class Entry(NamedTuple):
    """One thing that happened. `url` is a path."""

    at: float
    tone: str
    icon: str
    title: str
    text: str
    url: str | None = None
    aside: str = ""
    left: tuple[str, ...] = ()


class Resource(NamedTuple):
    """One resource that a run planned for, with its latest outcome."""

    name: str
    says: str
    reason: str
    """Why it is left."""
    url: str


class NextStep(NamedTuple):
    """What comes next."""

    tone: str
    text: str
    run: str | None = None
    """The path of the run concerned."""
    action: str | None = None
    """The path of the page that does it."""


class PullRequest(NamedTuple):
    """Everything that the page shows."""

    repository: str
    number: int
    about: presentation.Subject
    state: str
    tone: str
    facts: tuple[tuple[str, str], ...]
    groups: Mapping[str, Sequence[Resource]]
    """All resources that any attempt planned for: left, to be deleted, gone and kept."""
    next: tuple[NextStep, ...]
    entries: tuple[Entry, ...]
    left_out: int
    """Older deliveries that are not shown."""

    @property
    def icon(self) -> str:
        """The tone of the page's icon, which shows the state of a tab in the background."""
        if any(step.tone == "bad" for step in self.next) or self._count(LEFT):
            return "failure"
        if any(step.tone == "busy" for step in self.next):
            return "running"
        return "success" if self._count(GONE) else "none"

    @property
    def summary(self) -> str:
        """The result, in one sentence."""
        if left := self._count(LEFT):
            return f"{counted(left, 'resource')} left."
        if ahead := self._count(AHEAD):
            return f"{counted(ahead, 'resource')} to be deleted."
        return "Everything that closeout planned to delete is gone." if self._count(GONE) else ""

    def _count(self, kind: str) -> int:
        return len(self.groups.get(kind, ()))


def shown(story: PullRequestView, heard: Sequence[DeliveryPayload], now: float) -> PullRequest:
    """Return the page. `heard` are the deliveries, the oldest first."""
    newest = _newest(heard)
    about = presentation.subject(newest)
    state, tone = _state(newest)
    entries = [*_delivery_entries(heard), *(_attempt_entry(run, now) for run in story.runs)]
    return PullRequest(
        repository=story.repository,
        number=story.number,
        about=about,
        state=state,
        tone=tone,
        facts=tuple(_facts(newest, about, story)),
        groups=_groups(story),
        next=tuple(_next(story, now)),
        entries=tuple(sorted(entries, key=lambda entry: entry.at)),
        left_out=story.left_out,
    )


# --- the pull request itself -------------------------------------------------------------------------------


def _newest(deliveries: Sequence[DeliveryPayload]) -> Mapping[str, Any]:
    """Return the newest payload that has a pull request, or else the newest one."""
    payloads = [heard.payload for heard in reversed(deliveries) if heard.payload]
    with_pull = (payload for payload in payloads if isinstance(payload.get("pull_request"), dict))
    return next(with_pull, payloads[0] if payloads else {})


def _state(payload: Mapping[str, Any]) -> tuple[str, str]:
    pull = object_of(payload, "pull_request") or object_of(payload, "issue")
    if pull.get("merged") is True:
        return "Merged", "busy"
    words = {"closed": ("Closed", "bad"), "open": ("Draft" if pull.get("draft") is True else "Open", "good")}
    return words.get(str(pull.get("state")), ("Unknown", "none"))


def _facts(
    payload: Mapping[str, Any], about: presentation.Subject, story: PullRequestView
) -> Iterable[tuple[str, str]]:
    author = object_of(object_of(payload, "pull_request") or object_of(payload, "issue"), "user").get("login")
    if isinstance(author, str):
        yield "Author", author
    if about.head and about.base:
        yield "Branches", f"{about.head} → {about.base}"
    if about.sha:
        yield "Commit", about.sha[:10]
    if story.former_names:
        yield "Earlier", f"earlier in {', '.join(story.former_names)}"


# --- what was there ----------------------------------------------------------------------------------------


def _groups(story: PullRequestView) -> Mapping[str, Sequence[Resource]]:
    found: dict[str, list[Resource]] = {LEFT: [], AHEAD: [], GONE: [], KEPT: []}
    automations = {run.execution: run.automation for run in story.runs}
    several = len(set(automations.values())) > 1
    for one in story.resources:
        group, says = _GROUPS.get(one.outcome, (LEFT, one.outcome))
        by = f" by {automations.get(one.execution, '')}" if several else ""
        reason = one.reason if group == LEFT else ""
        url = execution_path(one.execution)
        found[group].append(Resource(one.resource, says + by, reason, url))
    return found


# --- what comes next ---------------------------------------------------------------------------------------


def _next(story: PullRequestView, now: float) -> Iterable[NextStep]:
    """Yield what is expected, and what a person has to do: a failed run whose work no later one has done."""
    latest = {run.id: run for run in sorted(story.runs, key=lambda one: one.attempt)}
    for run in sorted(latest.values(), key=lambda one: one.accepted_at):
        name = run.automation
        if run.state != "finished":
            says = presentation.banner(run, now).says or "It continues."
            yield NextStep("busy", f"{name}: {says}", run_path(run.id), f"{run_path(run.id)}/cancel")
        elif run.verdict == "failure" and not _repaired(run, latest.values()):
            text = f"{name} failed. Open the run to see what is left and why, repair that, and rerun it."
            yield NextStep("bad", text, run_path(run.id), f"{run_path(run.id)}/rerun")
    for expected in story.next:
        if expected.kind == "recheck" and expected.at is not None:
            says, when = expected.says, presentation.moment(expected.at)[1]
            yield NextStep("none", f"{says}, on {when}.")


def _repaired(run: RunView, others: Iterable[RunView]) -> bool:
    """Return whether the same automation's run for a later closing has succeeded: it deletes the same names."""
    return any(
        other.automation == run.automation
        and other.verdict == "success"
        and other.accepted_at > run.accepted_at
        for other in others
    )


# --- what happened -----------------------------------------------------------------------------------------


def _delivery_entries(deliveries: Sequence[DeliveryPayload]) -> Iterable[Entry]:
    """Yield an entry for each delivery, and only one for several equal ones in a row, such as pushes."""
    found: list[tuple[Entry, int]] = []
    for heard in deliveries:
        entry = _delivery_entry(heard)
        if found and found[-1][0].title == entry.title and not entry.text and not found[-1][0].text:
            found[-1] = (entry, found[-1][1] + 1)
        else:
            found.append((entry, 1))
    for entry, count in found:
        yield entry._replace(title=f"{entry.title} ({count} times)") if count > 1 else entry


def _delivery_entry(heard: DeliveryPayload) -> Entry:
    view, payload = heard
    title, text, icon = _told(view, payload)
    aside = [] if heard_by(view.origin) == WEBHOOK else [delivery_source(view)]
    sender = object_of(payload, "sender").get("login")
    if isinstance(sender, str):
        aside.insert(0, f"by {sender}")
    return Entry(view.received_at, "none", icon, title, text, delivery_path(view.id), ", ".join(aside))


def _told(view: DeliveryView, payload: Mapping[str, Any]) -> tuple[str, str, str]:
    pull = object_of(payload, "pull_request")
    base = object_of(object_of(object_of(payload, "changes"), "base"), "ref").get("from")
    if view.event == "pull_request":
        if view.action == "edited" and isinstance(base, str):
            now = object_of(pull, "base").get("ref")
            return "Base changed", f"From {base} to {now or '?'}.", "arrow"
        if view.action == "closed":
            into = object_of(pull, "base").get("ref")
            merged = pull.get("merged") is True
            text = f"Into {into}." if merged and isinstance(into, str) else ""
            return ("Merged" if merged else "Closed"), text, "closed"
        if view.action in _PLAIN_EVENTS:
            title, icon = _PLAIN_EVENTS[view.action]
            return title, "", icon
    name = f"{view.event}.{view.action}" if view.action else view.event
    return name, "", "dot"


def _attempt_entry(run: RunView, now: float) -> Entry:
    shown = presentation.banner(run, now)
    name = run.automation
    asides = [f"attempt {run.attempt}"] if run.attempt > 1 else []
    if run.requested_by:
        asides.append(f"asked for by {run.requested_by}")
    if shown.took:
        asides.append(f"took {shown.took}" if shown.finished else f"for {shown.took}")
    left = tuple(row.get("resource", "") for step in run.steps for row in step.left)
    return Entry(
        at=run.accepted_at,
        tone=shown.tone,
        icon=shown.tone,
        title=f"{name}: {shown.word}",
        text=shown.says,
        url=run_path(run.id, run.attempt),
        aside=", ".join(asides),
        left=left,
    )
