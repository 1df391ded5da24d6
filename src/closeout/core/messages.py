"""The text of a message: what is left and why, whose pull request it is, where to look, what to do.

Plain text in short lines, because it is read in a chat, in a mail and on a phone. About a public repository it says no more
than the page that it links to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from closeout.core.advice import advice
from closeout.core.ids import is_execution
from closeout.core.problems import AGAIN, Message, Problem
from closeout.core.runs import clip
from closeout.core.units import HOUR, spoken_duration

SHOWN = 10
"""Problems that a message describes one by one."""
LONGEST = 300
"""Characters of one line."""
_ACTIVE = re.compile(
    r"<(?=[@!#&]|[a-z]+:)|\](?=\()|[@!](?=(?:everyone|here|channel|all|team)\b)", re.IGNORECASE
)
"""What a chat reads as a mention, or as a link whose text hides its address."""


class Text(NamedTuple):
    """A message as it is sent."""

    title: str
    body: str


class Links(NamedTuple):
    """Where messages lead: `run` returns the page of an execution, `base` is the server's public URL. None: unknown.

    `options` are what commands need to find the ledger, such as ` --stack NAME`.
    """

    run: Callable[[str], str | None]
    base: str | None
    options: str = ""


TEST = Text(
    "closeout: a test message",
    "Messages from closeout arrive here. You get one when a run fails, when something is left behind, or when closeout"
    " itself needs you.",
)


def text(message: Message, links: Links, redact: Callable[[str], str], now: float) -> Text:
    """Return the text of a message. Only what problems say is redacted, so a link keeps its signature."""
    problems = message.problems
    lines = [_line(one, now) for one in problems[:SHOWN]] if len(problems) > 1 else _alone(problems[0], now)
    if len(problems) > SHOWN:
        lines.append(f"and {len(problems) - SHOWN:,} more")
    lines = [_inert(redact(line)) for line in lines]
    return Text(_inert(redact(_title(message))), "\n".join([*lines, *_where(message, links, now)]))


def _inert(line: str) -> str:
    """Return a line without mentions and hidden links in a chat: an outsider may name a branch `@everyone`."""
    return _ACTIVE.sub("\\g<0>\u200b", line)


def _title(message: Message) -> str:
    first, count = message.problems[0], len(message.problems)
    if message.event == "many":
        open_ones = sum(one.closed_at is None for one in message.problems)
        return f"closeout: {open_ones:,} more problems, {count - open_ones:,} repaired"
    if message.event == "recovered":
        word = "dismissed" if first.dismissed else "repaired"
        return f"closeout: {word}: {_subject(message.problems)}"
    if message.event == "stale":
        return f"closeout needs you: {clip(first.says, 100)}"
    if message.event == "orphans":
        return f"closeout: left behind by {_subject(message.problems)}"
    step = f", step {first.step}" if first.step else ""
    return f"closeout: {first.automation} failed for {_subject(message.problems)}{step}"


def _subject(problems: Sequence[Problem]) -> str:
    """Return what problems are about: the name of one, the number of many."""
    if len(problems) > 1:
        return (
            f"{len(problems):,} pull requests"
            if all(one.number for one in problems)
            else f"{len(problems):,} problems"
        )
    first = problems[0]
    return first.about or first.automation or "closeout itself"


def _alone(problem: Problem, now: float) -> list[str]:
    """Return the lines of a message's only problem: whose it is, what is left, why."""
    about = problem.about + (f", a pull request by {problem.login}" if problem.login else "")
    lines = [about] if about else []
    if problem.closed_at is not None:
        return [*lines, clip(_repaired(problem), LONGEST)]
    if problem.names:
        lines.append(clip(f"What is left: {', '.join(problem.names)}", LONGEST))
    return [*lines, clip(f"Why: {problem.says}{_lasts(problem, now)}", LONGEST)]


def _line(problem: Problem, now: float) -> str:
    """Return one problem of many in one line."""
    whose = f" ({problem.login})" if problem.login else ""
    about = f"{problem.about}{whose}: " if problem.about else ""
    if problem.closed_at is not None:
        return clip(f"{about}{_repaired(problem)}", LONGEST)
    left = f"{', '.join(problem.names)} {_are(problem)} left. " if problem.names else ""
    return clip(f"{about}{left}{problem.says}{_lasts(problem, now)}", LONGEST)


def _lasts(problem: Problem, now: float) -> str:
    return f" (for {spoken_duration(now - problem.since)})" if now - problem.since >= HOUR else ""


def _are(problem: Problem) -> str:
    return "are" if len(problem.names) > 1 else "is"


def _repaired(problem: Problem) -> str:
    """Return how a problem ended."""
    if problem.closed_by == "reopened":
        return "the pull request is open again"
    if problem.dismissed:
        return str(problem.closed_by)
    if problem.kind == "stale":
        return f"this is over: {problem.says}"
    if problem.names:
        return f"{', '.join(problem.names)} {_are(problem)} gone now"
    return (
        "nothing is left now" if problem.closed_by == "patrol" else f"{problem.automation} has succeeded now"
    )


def _repair(message: Message) -> str:
    """Return what to do before a rerun, as on the run's page. The problems of a message about an event have one cause."""
    first = message.problems[0]
    # Only those who may read the error itself may learn what its code means.
    if message.event != "failure" or not first.whole:
        return "Remove the cause."
    return advice(first.code or None, first.text)


def _where(message: Message, links: Links, now: float) -> list[str]:
    """Return where to look and what to do."""
    first = message.problems[0]
    one = len(message.problems) == 1
    execution = first.closed_by if is_execution(first.closed_by or "") else first.execution
    page = links.run(execution) if one and execution else None
    place = {"orphans": "orphans", "stale": "health"}.get(message.event, "")
    look = page or (f"{links.base.rstrip('/')}/{place}" if links.base else None)
    lines = [look] if look else []
    if message.event == "recovered":
        return lines
    if first.kind == "stale":
        where = f"drill{links.options}`" if links.options else "doctor` on the server"
        return [*lines, f"To do: run `closeout {where}, and follow what it says."]
    if first.kind == "orphans" and message.event != "many":
        there = "there (sign in with `closeout open`) or " if links.base else ""
        return [*lines, f"To do: clean it up {there}with `closeout orphans --clean{links.options}`."]
    if one and first.execution:
        run = first.execution.rpartition("-")[0]
        there = "on that page (sign in with `closeout open`) or " if page and links.base else ""
        lines.append(
            f"To do: {_repair(message)} Then rerun it {there}with `closeout runs rerun {run}{links.options}`."
        )
        if now - first.since >= AGAIN:
            lines.append(f"If it no longer needs attention: `closeout runs dismiss {run}{links.options}`.")
        return lines
    return [
        *lines,
        f"To do: {_repair(message)} Then rerun each. `closeout runs list --verdict failure{links.options}` lists them.",
    ]
