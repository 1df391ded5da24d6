"""Problems that need a person, and the messages about them: pure functions over problems and what was last sent to each target.

Nothing is queued. Messages follow from the problems as they are now, so a target that was down for a day gets what is wrong
today, and not everything that went wrong meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from closeout.core.units import DAY

Kind: TypeAlias = Literal["failure", "orphans", "stale"]
Event: TypeAlias = Literal["failure", "orphans", "stale", "recovered"]

EVENTS: tuple[Event, ...] = ("failure", "orphans", "stale", "recovered")
"""The events that a configuration can ask to be notified of."""
DISMISSED = "dismissed"
"""The beginning of `Problem.closed_by` if a person dismissed the problem."""
WAIT = 100.0
"""Seconds for which a server lets a problem wait for others of the same cause, so that a message arrives within two minutes."""
AGAIN = DAY
"""Seconds after which a message about a lasting problem is sent again."""
MOST_MESSAGES = 5
"""Messages to one target at a time; the last one holds all further problems."""


class Problem(NamedTuple):
    """One thing that needs a person: one row for each automation and closing."""

    automation: str
    """Empty if it is about closeout itself."""
    key: str
    """The text of the closing (`core.closing`), the run's id for another event, or what is stale."""
    kind: Kind
    text: str
    """The reason in full, without secrets."""
    public: str
    """The public form of the reason."""
    since: float
    code: str = ""
    """A stable code of the cause."""
    step: str = ""
    left: tuple[str, ...] = ()
    """What is left, by name."""
    public_left: tuple[str, ...] = ()
    repository: str | None = None
    number: int | None = None
    login: str | None = None
    """Whose pull request it is."""
    private: bool = False
    """Whether only members can read its repository, so that a message may say all. If unknown, it counts as public."""
    execution: str | None = None
    """The last failed attempt, for its page."""
    basis: str = ""
    """A digest of the steps that it is about: a look at what other steps would create says nothing about it."""
    closed_at: float | None = None
    closed_by: str | None = None
    """What closed it: an execution, `patrol`, `reopened`, or `dismissed by …`."""

    @property
    def about(self) -> str:
        """`acme/shop#17`, or the repository; empty if it is about closeout itself."""
        if self.repository is None:
            return ""
        return f"{self.repository}#{self.number}" if self.number else self.repository

    @property
    def dismissed(self) -> bool:
        """Whether a person dismissed it."""
        return self.closed_by is not None and self.closed_by.startswith(DISMISSED)

    @property
    def whole(self) -> bool:
        """Whether a message may say all. A run whose payload is lost may belong to a public repository."""
        return self.private or not self.automation

    @property
    def says(self) -> str:
        """The reason, as a message may state it."""
        return self.text if self.whole else self.public

    @property
    def names(self) -> tuple[str, ...]:
        """What is left, as a message may name it."""
        return self.left if self.whole else self.public_left


class Notification(NamedTuple):
    """What was last sent to a target about a problem."""

    target: str
    automation: str
    key: str
    at: float
    recovered: bool
    """Whether the message said that the problem is over."""


class Route(NamedTuple):
    """Who is notified of what: `to` names targets by their references."""

    on: frozenset[str]
    to: tuple[str, ...]


class Routes(NamedTuple):
    """The routes of automations that have their own, and the route of everything else."""

    default: Route
    automations: Mapping[str, Route] = {}

    def of(self, automation: str) -> Route:
        """Return the route of an automation, or the default for an unknown one."""
        return self.automations.get(automation, self.default)

    def targets(self) -> tuple[str, ...]:
        """Return every target, each once."""
        routes = (self.default, *self.automations.values())
        return tuple(dict.fromkeys(target for route in routes for target in route.to))


NOBODY = Routes(Route(frozenset(), ()))
"""No messages at all."""


_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]{1,32}:[0-9]{12}:[A-Za-z0-9_-]{1,256}\Z")


def is_topic(target: str) -> bool:
    """Return whether a target is the ARN of an SNS topic, and not a secret reference. FIFO topics do not count."""
    return _TOPIC.match(target) is not None


class Message(NamedTuple):
    """A message that is due to one target: problems of one cause, or (`many`) all that exceed the most messages."""

    target: str
    event: Event | Literal["many"]
    problems: tuple[Problem, ...]
    """The oldest first."""


def cause(problem: Problem) -> tuple[str, str, str, str]:
    """Return what problems that one repair may end have in common."""
    return problem.kind, problem.automation, problem.step, problem.code


class _Cause(NamedTuple):
    event: Event
    automation: str
    step: str
    code: str


class _Need(NamedTuple):
    problem: Problem
    at: float
    repeated: bool


def closes(key: str) -> tuple[str, str]:
    """Return the first and the last key of its automation's problems that a successful run for `key` closes.

    For a closing this includes all earlier closings of the same pull request, because what they left has the same names.
    """
    pull_request, slash, _ = key.rpartition("/")
    return f"{pull_request}{slash}" if slash else key, key


def due(
    problems: Iterable[Problem],
    notifications: Iterable[Notification],
    now: float,
    routes: Routes,
    wait: float = WAIT,
) -> dict[str, list[Message]]:
    """Return the messages that are due to each target, the oldest problem's first.

    A problem waits for `wait` seconds for others of the same cause.
    """
    known = {(one.target, one.automation, one.key): one for one in notifications}
    causes: dict[str, dict[_Cause, list[_Need]]] = {}
    for problem in problems:
        route = routes.of(problem.automation)
        for target in route.to:
            need = _need(problem, known.get((target, problem.automation, problem.key)), route.on, wait)
            if need is not None:
                event: Event = "recovered" if problem.closed_at is not None else problem.kind
                cause = _Cause(event, problem.automation, problem.step, problem.code)
                causes.setdefault(target, {}).setdefault(cause, []).append(need)
    messages = {target: _messages(target, needs, now) for target, needs in causes.items()}
    return {target: found for target, found in messages.items() if found}


def unannounced_ends(
    problems: Iterable[Problem], notifications: Iterable[Notification], routes: Routes
) -> list[Notification]:
    """Return the ends of problems about which a target gets no message, because its route has no repairs, or no longer these.

    Otherwise a ledger would remember them forever.
    """
    over = {(one.automation, one.key) for one in problems if one.closed_at is not None}
    known = [one for one in notifications if not one.recovered and (one.automation, one.key) in over]
    return [
        one._replace(recovered=True)
        for one in known
        for route in (routes.of(one.automation),)
        if one.target not in route.to or "recovered" not in route.on
    ]


def _need(problem: Problem, last: Notification | None, on: frozenset[str], wait: float) -> _Need | None:
    """Return when the next message about a problem is due to a target; None for never."""
    knows = last is not None and not last.recovered
    if problem.closed_at is not None:
        return _Need(problem, problem.closed_at + wait, False) if knows and "recovered" in on else None
    if problem.kind not in on:
        return None
    if last is not None and knows:
        return _Need(problem, last.at + AGAIN, True)
    return _Need(problem, problem.since + wait, False)


def _is_due(need: _Need, now: float) -> bool:
    """Return whether a message is due now. A time too far ahead was set by a wrong clock, so it counts as due."""
    return not 0 < need.at - now <= (AGAIN if need.repeated else WAIT)


def _messages(target: str, causes: Mapping[_Cause, Sequence[_Need]], now: float) -> list[Message]:
    messages = []
    for cause, needs in causes.items():
        if any(_is_due(need, now) for need in needs):
            # Later problems of the cause are included, so that they need no message of their own. None is repeated early.
            spoken = (need.problem for need in needs if _is_due(need, now) or not need.repeated)
            found = sorted(spoken, key=lambda one: (one.since, one.automation, one.key))
            messages.append(Message(target, cause.event, tuple(found)))
    messages.sort(key=lambda message: message.problems[0].since)
    if len(messages) <= MOST_MESSAGES:
        return messages
    rest = tuple(problem for message in messages[MOST_MESSAGES - 1 :] for problem in message.problems)
    return [*messages[: MOST_MESSAGES - 1], Message(target, "many", rest)]
