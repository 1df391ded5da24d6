"""What needs a person, and what has to be said about it: pure functions over problems and what each target was last told.

Nothing is queued. What a target must hear follows from the problems as they are now, so a target that was down for a day
hears what is wrong today, and not everything that went wrong meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from closeout.core.units import DAY

Kind: TypeAlias = Literal["failure", "orphans", "stale"]
Event: TypeAlias = Literal["failure", "orphans", "stale", "recovered"]

EVENTS: tuple[Event, ...] = ("failure", "orphans", "stale", "recovered")
"""What a configuration can ask to be told of."""
DISMISSED = "dismissed"
"""How `Problem.closed_by` begins where a person said that it needs nobody."""
WAIT = 100.0
"""Seconds that a server lets a problem wait for others of the same cause: a message is there within two minutes, with time to be sent."""
AGAIN = DAY
"""Seconds after which a problem that lasts is told again."""
MOST_MESSAGES = 5
"""Messages to one target at a time; what is beyond goes into the last one together."""


class Problem(NamedTuple):
    """One thing that needs a person: one row for each automation and closing."""

    automation: str
    """Empty if it is about closeout itself."""
    key: str
    """The text of the closing (`core.closing`), the run's id for another event, or what is stale."""
    kind: Kind
    text: str
    """Why, in full, without secrets."""
    public: str
    """Why, as anybody may read it."""
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
    """Only members can read its repository, so a message may say all. What is not known is public."""
    execution: str | None = None
    """The last attempt that failed, for its page."""
    basis: str = ""
    """A digest of the steps that it is about: a look for what other steps would make says nothing of it."""
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
        """Whether a person said that it needs nobody."""
        return self.closed_by is not None and self.closed_by.startswith(DISMISSED)

    @property
    def whole(self) -> bool:
        """Whether a message may say all. A run whose payload is lost may be of a public repository."""
        return self.private or not self.automation

    @property
    def says(self) -> str:
        """Why, as a message may say it."""
        return self.text if self.whole else self.public

    @property
    def names(self) -> tuple[str, ...]:
        """What is left, as a message may say it."""
        return self.left if self.whole else self.public_left


class Told(NamedTuple):
    """What a target was last told of a problem."""

    target: str
    automation: str
    key: str
    at: float
    recovered: bool
    """It was told that the problem is over."""


class Route(NamedTuple):
    """Who is told of what: `to` names targets by their references."""

    on: frozenset[str]
    to: tuple[str, ...]


class Routes(NamedTuple):
    """The route of each automation that has one of its own, and that of everything else."""

    default: Route
    automations: Mapping[str, Route] = {}

    def of(self, automation: str) -> Route:
        """Return the route of an automation, the default for one that is unknown."""
        return self.automations.get(automation, self.default)

    def targets(self) -> tuple[str, ...]:
        """Return every target, each once."""
        routes = (self.default, *self.automations.values())
        return tuple(dict.fromkeys(target for route in routes for target in route.to))


NOBODY = Routes(Route(frozenset(), ()))
"""Nobody is told of anything."""


_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:[a-z0-9-]{1,32}:[0-9]{12}:[A-Za-z0-9_-]{1,256}\Z")


def is_topic(target: str) -> bool:
    """Return whether a target is the ARN of an SNS topic, and not a secret reference. FIFO topics are none of these."""
    return _TOPIC.match(target) is not None


class Message(NamedTuple):
    """What one target must hear now: problems of one cause, or (`many`) what is beyond the most messages."""

    target: str
    event: Event | Literal["many"]
    problems: tuple[Problem, ...]
    """The oldest first."""


def cause(problem: Problem) -> tuple[str, str, str, str]:
    """Return what problems have in common that one repair may end."""
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
    """Return the first and the last key of the problems that a successful run for `key` closes, of its automation.

    Of a closing these are all earlier closings of the same pull request, too: what they left has the same names.
    """
    pull_request, slash, _ = key.rpartition("/")
    return f"{pull_request}{slash}" if slash else key, key


def due(
    problems: Iterable[Problem], told: Iterable[Told], now: float, routes: Routes, wait: float = WAIT
) -> dict[str, list[Message]]:
    """Return the messages that each target must hear now, the oldest problem's first.

    A problem waits for `wait` seconds for others of the same cause.
    """
    known = {(one.target, one.automation, one.key): one for one in told}
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


def forgotten(problems: Iterable[Problem], told: Iterable[Told], routes: Routes) -> list[Told]:
    """Return what nobody has to be told: that problems are over, where a target does not hear of repairs, or no longer of these.

    Otherwise a ledger would keep them in mind for ever.
    """
    over = {(one.automation, one.key) for one in problems if one.closed_at is not None}
    known = [one for one in told if not one.recovered and (one.automation, one.key) in over]
    return [
        one._replace(recovered=True)
        for one in known
        for route in (routes.of(one.automation),)
        if one.target not in route.to or "recovered" not in route.on
    ]


def _need(problem: Problem, told: Told | None, on: frozenset[str], wait: float) -> _Need | None:
    """Return when a target must hear of a problem again; None if it has nothing to hear."""
    knows = told is not None and not told.recovered
    if problem.closed_at is not None:
        return _Need(problem, problem.closed_at + wait, False) if knows and "recovered" in on else None
    if problem.kind not in on:
        return None
    if told is not None and knows:
        return _Need(problem, told.at + AGAIN, True)
    return _Need(problem, problem.since + wait, False)


def _is_due(need: _Need, now: float) -> bool:
    """Return whether a target must hear of it now: also of what a clock noted that was ahead, or nobody would for as long."""
    return not 0 < need.at - now <= (AGAIN if need.repeated else WAIT)


def _messages(target: str, causes: Mapping[_Cause, Sequence[_Need]], now: float) -> list[Message]:
    messages = []
    for cause, needs in causes.items():
        if any(_is_due(need, now) for need in needs):
            # Younger problems of the cause come along, so that they need no message of their own. None is repeated early.
            spoken = (need.problem for need in needs if _is_due(need, now) or not need.repeated)
            found = sorted(spoken, key=lambda one: (one.since, one.automation, one.key))
            messages.append(Message(target, cause.event, tuple(found)))
    messages.sort(key=lambda message: message.problems[0].since)
    if len(messages) <= MOST_MESSAGES:
        return messages
    rest = tuple(problem for message in messages[MOST_MESSAGES - 1 :] for problem in message.problems)
    return [*messages[: MOST_MESSAGES - 1], Message(target, "many", rest)]
