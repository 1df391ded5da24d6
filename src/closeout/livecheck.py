"""The live checks: ask GitHub, right now, whether the pull request is still closed or the ref still gone.

`CHECKS` lists them all, for the loader (which events need `unguarded`), the permissions and the run. A check runs inside the
same recorded operation as each destructive call, immediately before it, and is never recorded by itself: a replay would
repeat an answer that is hours old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

from closeout.core.errors import BranchInUse, GuardRefused, NotSame, Reopened, ServiceError
from closeout.ports import GitHub, PullRequest

REAL = "If you sent the payload yourself, take a real one from the hook's Recent Deliveries at GitHub"

Kind: TypeAlias = Literal["pull request", "ref"]


class Subject(NamedTuple):
    """What a live check is about; ids come from the event."""

    kind: Kind
    repository: str
    repository_id: int
    number: int
    id: int
    ref: str
    owner_id: int | None = None
    """Of the repository's owner, None if the event does not say."""
    closed_at: str | None = None
    """The closing that must still be the last one, by its time; None if a later one changes nothing."""


class LiveCheck(NamedTuple):
    """One row of the table: the event, its subject, how GitHub is asked, and the permission that the token needs."""

    event: str
    action: str | None
    """None: the event has no actions."""
    kind: Kind
    subject: Callable[[Mapping[str, Any]], Subject]
    """Read the subject from a payload. Raises `GuardRefused`, or `KeyError` and the like for what the payload lacks."""
    check: Callable[[Subject, GitHub, str | None], None]
    permission: str
    reason: str


def find(event: str, action: object) -> LiveCheck | None:
    """Return the live check of an event with this action, or None if it has none."""
    return next((one for one in CHECKS if one.event == event and one.action in (None, action)), None)


def always(trigger: Mapping[str, Any]) -> LiveCheck | None:
    """Return the live check of the events that this trigger lets through; None if one of them has none."""
    types = trigger.get("types") or [None]
    found = {find(trigger["event"], action) for action in types}
    return found.pop() if len(found) == 1 else None


def possible(triggers: Iterable[Mapping[str, Any]]) -> tuple[LiveCheck, ...]:
    """Return the live checks of all events that these triggers let through."""
    return tuple(
        one
        for one in CHECKS
        if any(
            trigger["event"] == one.event
            and (one.action is None or not trigger.get("types") or one.action in trigger["types"])
            for trigger in triggers
        )
    )


def kind_of(event: str) -> Kind | None:
    """Return what an event is about, whatever its action; None if it has no live check."""
    return next((one.kind for one in CHECKS if one.event == event), None)


def subject_of(event: str, payload: Mapping[str, Any]) -> Subject | None:
    """Return what to check for this event, or None when the event has no live check.

    Raises `GuardRefused` when the event should have one and the payload lacks what it takes.
    """
    found = find(event, payload.get("action"))
    if found is None:
        return None
    try:
        return found.subject(payload)
    except (KeyError, TypeError, AttributeError) as error:
        raise GuardRefused(f"the payload of {event} lacks {error}, so no live check is possible") from None


def _pull_request(payload: Mapping[str, Any]) -> Subject:
    pull = payload["pull_request"]
    base = pull["base"]["repo"]
    _check_one_subject(payload, pull, base)
    owner = _check_one_repository(payload["repository"])
    return Subject("pull request", base["full_name"], base["id"], pull["number"], pull["id"], "", owner)


def _ref(payload: Mapping[str, Any]) -> Subject:
    kind = {"branch": "heads", "tag": "tags"}[payload["ref_type"]]
    repository = payload["repository"]
    owner = _check_one_repository(repository)
    return Subject("ref", repository["full_name"], repository["id"], 0, 0, f"{kind}/{payload['ref']}", owner)


def _check_one_subject(payload: Mapping[str, Any], pull: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    """Raise `GuardRefused` unless the payload speaks of one pull request in one repository throughout.

    Names may be made of `event.number` and `event.repository`, while GitHub is asked about `event.pull_request`. If they
    differed, the answer about one would let the other be deleted.
    """
    if payload.get("number", pull["number"]) != pull["number"]:
        raise GuardRefused("the payload gives the pull request two numbers, so no live check is possible")
    repository = payload["repository"]
    for key in ("id", "full_name", "name"):
        if repository.get(key, base.get(key)) != base.get(key, repository.get(key)):
            raise GuardRefused(
                "the payload's repository is not the pull request's base, so no live check is possible"
            )


def _check_one_repository(repository: Mapping[str, Any]) -> int | None:
    """Raise `GuardRefused` unless owner and name are those of the full name; return the owner's id, if it is there.

    Names may be made of them, while GitHub is asked about the full name. The id is for GitHub to confirm.
    """
    owner, _, name = str(repository["full_name"]).partition("/")
    about = repository.get("owner") or {}
    if repository.get("name", name) != name or about.get("login", owner) != owner:
        raise GuardRefused("the payload gives the repository two names, so no live check is possible")
    return about.get("id")


def check(subject: Subject, github: GitHub, branch: str | None = None) -> None:
    """Return only when GitHub says, now, that the subject is still closed or gone.

    With `branch`, what is to be deleted is named after that branch. Then no other pull request of it may be open either;
    if a branch is gone, no tag of its name may exist, and if a tag is gone, no branch.

    Raises `Reopened`, `NotSame` (another pull request or repository answers to the name), `BranchInUse`, or the
    client's `ServiceError`; no error is ever read as "closed".
    """
    next(one for one in CHECKS if one.kind == subject.kind).check(subject, github, branch)


def _check_pull_request(subject: Subject, github: GitHub, branch: str | None) -> None:
    pull = github.pull_request(subject.repository, subject.number)
    if pull.id != subject.id or pull.base_repository_id != subject.repository_id:
        raise NotSame(
            f"{subject.repository}#{subject.number} is now another pull request or repository than the event's: GitHub has"
            f" pull request {pull.id} in repository {pull.base_repository_id}, the event {subject.id} in"
            f" {subject.repository_id}; nothing more was done. {REAL}"
        )
    _check_owner(subject, pull.base_owner_id)
    if pull.state == "open":
        raise Reopened(f"{subject.repository}#{subject.number} is open again")
    if pull.state != "closed":
        raise ServiceError(
            f"GitHub gave the state {pull.state!r} for {subject.repository}#{subject.number}",
            service="github",
            operation="pull_request",
            reason="UnknownState",
        )
    if subject.closed_at is not None and pull.closed_at != subject.closed_at:
        raise Reopened(f"{subject.repository}#{subject.number} was opened and closed again")
    if branch is not None:
        _check_branch(pull, branch, github)


def _check_branch(pull: PullRequest, branch: str, github: GitHub) -> None:
    """Raise `BranchInUse` if another pull request of the branch is open, under the repository's present name.

    Under an old name the question would be about an owner who may no longer have the repository, and GitHub would answer
    "none". Raises `NotSame` if the pull request's branch at GitHub is not the event's.
    """
    repository = pull.base_repository
    if pull.head_ref != branch:
        raise NotSame(
            f"{repository}#{pull.number} has the branch {pull.head_ref}, the event says {branch}; nothing more was done."
            f" {REAL}"
        )
    others = [number for number in github.open_pull_requests(repository, branch) if number != pull.number]
    if others:
        raise BranchInUse(
            f"{repository}#{min(others)} is open and has the branch {branch} too, so what is named after it stays"
        )


def _check_ref(subject: Subject, github: GitHub, named: str | None) -> None:
    repository = github.request("GET", f"/repos/{subject.repository}")
    if not isinstance(repository, dict) or repository.get("id") != subject.repository_id:
        has = repository.get("id") if isinstance(repository, dict) else None
        raise NotSame(
            f"{subject.repository} is now another repository than the event's: GitHub has {has}, the event"
            f" {subject.repository_id}; nothing more was done. {REAL}"
        )
    _check_owner(subject, (repository.get("owner") or {}).get("id"))
    if github.ref_exists(subject.repository, subject.ref):
        raise Reopened(f"{subject.ref} of {subject.repository} is there again")
    other = "tags" if subject.ref.startswith("heads/") else "heads"
    if named is not None and github.ref_exists(subject.repository, f"{other}/{named}"):
        raise BranchInUse(
            f"{other}/{named} of {subject.repository} is there, so what is named after {named} stays"
            " (`branches` or `tags` under `delete` says which of the two is meant)"
        )


def _check_owner(subject: Subject, owner_id: Any) -> None:
    if subject.owner_id is not None and owner_id != subject.owner_id:
        raise NotSame(
            f"{subject.repository} has another owner than in the event: GitHub has {owner_id}, the event"
            f" {subject.owner_id}; nothing more was done. {REAL}"
        )


CHECKS: tuple[LiveCheck, ...] = (
    LiveCheck(
        "pull_request",
        "closed",
        "pull request",
        _pull_request,
        _check_pull_request,
        "pull_requests:read",
        "check that the pull request is still closed before each deletion",
    ),
    LiveCheck(
        "delete",
        None,
        "ref",
        _ref,
        _check_ref,
        "contents:read",
        "check that the ref is still gone before each deletion",
    ),
)
"""Each event that can be checked again. No event has two."""
