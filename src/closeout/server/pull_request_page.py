"""What the page of a pull request shows: everything about it in order, and what that comes to.

Pure: it reads deliveries and attempts as the ledger shows them, and derives what was there, what is gone, what is left and
what comes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from closeout.core.closing import WEBHOOK, heard_by
from closeout.ports import DeliveryId, DeliveryView, RunView
from closeout.server import presentation
from closeout.server.wording import ago, counted, run_path

GONE, KEPT, LEFT, AHEAD = "gone", "kept", "left", "ahead"
_GROUPS: Mapping[str, tuple[str, str]] = {
    "done": (GONE, "deleted"),
    "gone": (GONE, "was gone already"),
    "absent": (GONE, "not there in a later attempt"),
    "kept": (KEPT, "kept"),
    "left": (LEFT, "still there"),
    "failed": (LEFT, "failed"),
    "unknown": (LEFT, "nobody could look"),
    "untouched": (LEFT, "not tried"),
    "pending": (AHEAD, "not begun"),
    "under-way": (AHEAD, "under way"),
    "planned": (AHEAD, "planned only: dry run"),
}
"""In which group a resource is, and in which words, by what became of it (`core.outcomes`)."""
_VERDICT_TONES = {"success": "good", "failure": "bad"}
_HEARD = {
    "delivery-log": "found by patrol in GitHub's delivery log",
    "closed-list": "found by patrol in GitHub's list of closed pull requests",
    "inventory": "found by patrol's audit",
    "recheck": "found by a recheck",
}
MOST_LISTED = 200
"""Resources of a group that the page lists."""


class Heard(NamedTuple):
    """A delivery, with what its payload says of the pull request; None if there is no payload any more."""

    view: DeliveryView
    payload: Mapping[str, Any] | None


class Facts(NamedTuple):
    """What is known of a pull request. Deliveries are the oldest first; attempts are all of all runs, with their plans."""

    repository: str
    number: int
    now: float
    deliveries: Sequence[Heard]
    attempts: Sequence[RunView]
    rechecks: Sequence[tuple[str, float]] = ()
    """Automations that look again, and when."""
    is_cut: bool = False
    """There is more than what was read."""


class Entry(NamedTuple):
    """One thing that happened. `url` is a path."""

    at: float
    ago: str
    tone: str
    icon: str
    title: str
    text: str
    url: str | None = None
    aside: str = ""
    left: tuple[str, ...] = ()


class Resource(NamedTuple):
    """One resource that a run planned for, with what became of it last."""

    name: str
    says: str
    reason: str
    url: str
    automation: str


class Group(NamedTuple):
    """Resources with one fate."""

    kind: str
    title: str
    tone: str
    resources: tuple[Resource, ...]
    more: int


class Step(NamedTuple):
    """What comes next."""

    tone: str
    text: str
    url: str | None = None
    link: str = ""
    deed: str | None = None
    """The path of the page that does it."""
    deed_route: str = ""
    """That path as a route: a server need not have it."""


class PullRequest(NamedTuple):
    """Everything that the page shows."""

    repository: str
    number: int
    title: str | None
    url: str | None
    state: str
    tone: str
    facts: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]
    next: tuple[Step, ...]
    entries: tuple[Entry, ...]
    is_cut: bool


def shown(facts: Facts) -> PullRequest:
    """Return the page."""
    newest = _newest(facts.deliveries)
    about = presentation.subject(newest)
    state, tone = _state(newest)
    return PullRequest(
        repository=presentation.clean(facts.repository),
        number=facts.number,
        title=about.title,
        url=about.url,
        state=state,
        tone=tone,
        facts=tuple(_facts(newest, about)),
        groups=tuple(_groups(facts.attempts)),
        next=tuple(_next(facts)),
        entries=tuple(_entries(facts)),
        is_cut=facts.is_cut,
    )


# --- the pull request itself -------------------------------------------------------------------------------


def _newest(deliveries: Sequence[Heard]) -> Mapping[str, Any]:
    """Return the newest payload that has a pull request, or else the newest one."""
    payloads = [heard.payload for heard in reversed(deliveries) if heard.payload is not None]
    with_pull = (payload for payload in payloads if isinstance(payload.get("pull_request"), dict))
    return next(with_pull, payloads[0] if payloads else {})


def _state(payload: Mapping[str, Any]) -> tuple[str, str]:
    pull = _object(payload, "pull_request") or _object(payload, "issue")
    if pull.get("merged") is True:
        return "Merged", "busy"
    words = {"closed": ("Closed", "bad"), "open": ("Draft" if pull.get("draft") is True else "Open", "good")}
    return words.get(str(pull.get("state")), ("Unknown", "none"))


def _facts(payload: Mapping[str, Any], about: presentation.Subject) -> Iterable[tuple[str, str]]:
    author = _object(_object(payload, "pull_request") or _object(payload, "issue"), "user").get("login")
    if isinstance(author, str):
        yield "Author", presentation.clean(author)
    if about.head and about.base:
        yield "Branches", f"{about.head} → {about.base}"
    if about.sha:
        yield "Commit", about.sha[:10]


# --- what was there ----------------------------------------------------------------------------------------


def _groups(attempts: Sequence[RunView]) -> Iterable[Group]:
    """Yield what is left, what is ahead, what is gone and what was kept, of every resource that any attempt planned for."""
    found: dict[str, list[Resource]] = {LEFT: [], AHEAD: [], GONE: [], KEPT: []}
    several = len({run.automation for run in attempts}) > 1
    for fate, resource in _fates(attempts).values():
        group, says = _GROUPS.get(fate, (LEFT, fate))
        whose = f" by {presentation.clean(resource.automation)}" if several else ""
        found[group].append(resource._replace(says=says + whose))
    titles = {
        LEFT: ("Left", "bad"),
        AHEAD: ("To be deleted", "busy"),
        GONE: ("Gone", "good"),
        KEPT: ("Kept", "none"),
    }
    for kind, resources in found.items():
        title, tone = titles[kind]
        listed = tuple(resources[:MOST_LISTED])
        yield Group(kind, title, tone if resources else "none", listed, len(resources) - len(listed))


def _fates(attempts: Sequence[RunView]) -> dict[tuple[str, str], tuple[str, Resource]]:
    """Return what became of each resource last, by automation and name."""
    fates: dict[tuple[str, str], tuple[str, Resource]] = {}
    for run in sorted(attempts, key=lambda one: one.accepted_at):
        url = run_path(run.id, run.attempt)
        here: dict[tuple[str, str], tuple[str, Resource]] = {}
        for step in run.steps:
            reasons = {str(row.get("resource")): str(row.get("reason", "")) for row in step.left}
            fates_of_step = step.outcomes or ("unknown",) * len(step.changes or ())
            for change, fate in zip(step.changes or (), fates_of_step, strict=False):
                name = str(change.get("resource", ""))
                reason = reasons.get(name, str(change.get("reason", "")))
                resource = Resource(
                    presentation.clean(name), "", presentation.clean(reason), url, run.automation
                )
                here[run.automation, name] = (fate, resource)
        if run.verdict == "success":
            # The plan lists what exists. What an earlier attempt left, and this one did not meet, was not there any more.
            for key, (fate, resource) in fates.items():
                if (
                    key[0] == run.automation
                    and key not in here
                    and _GROUPS.get(fate, (LEFT,))[0] in (LEFT, AHEAD)
                ):
                    here[key] = ("absent", resource._replace(url=url))
        fates.update(here)
    return fates


# --- what comes next ---------------------------------------------------------------------------------------


def _next(facts: Facts) -> Iterable[Step]:
    latest = {run.id: run for run in sorted(facts.attempts, key=lambda one: one.attempt)}
    for run in sorted(latest.values(), key=lambda one: one.accepted_at):
        name = presentation.clean(run.automation)
        if run.state != "finished":
            says = presentation.banner(run, facts.now).says
            yield Step(
                "busy",
                f"{name}: {says or 'It goes on.'}",
                run_path(run.id),
                "Open the run",
                f"/runs/{run.id}/cancel",
                "/runs/{run_id}/cancel",
            )
        elif run.verdict == "failure" and not _repaired(run, latest.values()):
            text = f"{name} failed. Open the run to see what is left and why, repair that, and rerun it."
            yield Step(
                "bad", text, run_path(run.id), "Open the run", f"/runs/{run.id}/rerun", "/runs/{run_id}/rerun"
            )
    for automation, at in facts.rechecks:
        yield Step("none", f"{presentation.clean(automation)} looks again on {presentation.moment(at)[1]}.")


def _repaired(run: RunView, others: Iterable[RunView]) -> bool:
    """Return whether a later closing's run of the same automation has succeeded: it deletes the same names."""
    return any(
        other.automation == run.automation
        and other.verdict == "success"
        and other.accepted_at > run.accepted_at
        for other in others
    )


# --- what happened -----------------------------------------------------------------------------------------


def _entries(facts: Facts) -> Iterable[Entry]:
    """Return everything that happened, the oldest first."""
    entries = [*_delivery_entries(facts), *(_attempt_entry(run, facts.now) for run in facts.attempts)]
    return sorted(entries, key=lambda entry: entry.at)


def _delivery_entries(facts: Facts) -> Iterable[Entry]:
    """Yield an entry for each delivery; one for those in a row that say the same, since a push is not a story."""
    found: list[tuple[Entry, int]] = []
    for heard in facts.deliveries:
        entry = _delivery_entry(heard, facts.now)
        if found and found[-1][0].title == entry.title and not entry.text and not found[-1][0].text:
            found[-1] = (entry, found[-1][1] + 1)
        else:
            found.append((entry, 1))
    for entry, count in found:
        yield entry._replace(title=f"{entry.title} ({count} times)") if count > 1 else entry


def _delivery_entry(heard: Heard, now: float) -> Entry:
    view, payload = heard
    title, text, icon = _told(view, payload or {})
    way = heard_by(view.origin)
    aside = [] if way == WEBHOOK else [_HEARD.get(way, way)]
    sender = _object(payload or {}, "sender").get("login")
    if isinstance(sender, str):
        aside.insert(0, f"by {presentation.clean(sender)}")
    return Entry(
        view.received_at,
        ago(view.received_at, now),
        "none",
        icon,
        title,
        text,
        _delivery_path(view.id),
        ", ".join(aside),
    )


def _told(view: DeliveryView, payload: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return what a delivery says: a title, a text, and an icon."""
    pull = _object(payload, "pull_request")
    base = _object(_object(_object(payload, "changes"), "base"), "ref").get("from")
    if view.event == "pull_request":
        if view.action == "edited" and isinstance(base, str):
            now = _object(pull, "base").get("ref")
            return (
                "Base changed",
                f"From {presentation.clean(base)} to {presentation.clean(now or '?')}.",
                "arrow",
            )
        if view.action == "closed":
            into = _object(pull, "base").get("ref")
            merged = pull.get("merged") is True
            text = f"Into {presentation.clean(into)}." if merged and isinstance(into, str) else ""
            return ("Merged" if merged else "Closed"), text, "closed"
        words = {
            "opened": "Opened",
            "reopened": "Opened again",
            "synchronize": "New commits",
            "edited": "Edited",
        }
        if view.action in words:
            return words[view.action], "", "open" if view.action in ("opened", "reopened") else "dot"
    name = f"{view.event}.{view.action}" if view.action else view.event
    return presentation.clean(name), "", "dot"


def _attempt_entry(run: RunView, now: float) -> Entry:
    shown = presentation.banner(run, now)
    name = presentation.clean(run.automation)
    asides = [f"attempt {run.attempt}"] if run.attempt > 1 else []
    if run.requested_by:
        asides.append(f"asked for by {presentation.clean(run.requested_by)}")
    if shown.took:
        asides.append(f"took {shown.took}" if shown.finished else f"for {shown.took}")
    left = tuple(presentation.clean(row.get("resource", "")) for step in run.steps for row in step.left)
    return Entry(
        at=run.accepted_at,
        ago=ago(run.accepted_at, now),
        tone=shown.tone,
        icon=shown.tone,
        title=f"{name}: {shown.word}",
        text=shown.says,
        url=run_path(run.id, run.attempt),
        aside=", ".join(asides),
        left=left,
    )


def _delivery_path(delivery: DeliveryId) -> str:
    return f"/deliveries/{delivery}"


def summary(page: PullRequest) -> str:
    """Return what all of it comes to in one sentence."""
    counts = {group.kind: len(group.resources) + group.more for group in page.groups}
    if counts.get(LEFT):
        return f"{counted(counts[LEFT], 'resource')} left."
    if counts.get(AHEAD):
        return f"{counted(counts[AHEAD], 'resource')} to be deleted."
    return "Everything that closeout planned to delete is gone." if counts.get(GONE) else ""


def _object(holder: Any, key: str) -> Mapping[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}
