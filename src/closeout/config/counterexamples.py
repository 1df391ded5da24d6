"""The counter-example of a finding: from a text that two names share back to the two subjects that give it.

Apart from the decision, because a text that the automata share may still belong to no two subjects: values that hang
together (one field twice, an id) are compared here. What is shown to a person has passed through this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from closeout.config.collisions import Line, Meeting, Slot
from closeout.config.fields import Kind
from closeout.config.languages import LANGUAGES, SEPARATOR, Cell, Undecided

IDS = ("pull-request-id", "repository-id", "owner-id")
TAIL = Slot("", LANGUAGES["anything"])
"""What may follow the shorter of two prefixes."""

_CHOICES = {"number": ("7", "17"), "ref": ("main", "next")}
"""Values of what a name does not show."""


class Subject(NamedTuple):
    """What an event is about, in a counter-example. `number` and `ref` are "" where the kind has none; ids if a name shows them."""

    owner: str
    name: str
    number: str
    ref: str
    ids: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Write it as GitHub does."""
        repository = f"{self.owner}/{self.name}"
        where = f"{repository}#{self.number}" if self.number else repository
        where = f"branch {self.ref} of {repository}" if self.ref else where
        shown = ", ".join(f"{name.replace('-', ' ')} {value}" for name, value in self.ids)
        return f"{where} ({shown})" if shown else where


class Collision(NamedTuple):
    """Two subjects and the names that they give: one name, or one that begins like the other. `about`: in what they differ."""

    one: Subject
    two: Subject
    first: str
    second: str
    about: str


class Side(NamedTuple):
    """A name, over a part of the repositories that match."""

    line: Line
    cell: Cell
    kind: Kind


def first(tries: Iterator[Meeting], one: Side, two: Side, about: str) -> Collision | None:
    """Return the first text for which there are two subjects indeed. Raises `Undecided` if texts were found, but no such."""
    tried = False
    for meeting in tries:
        tried = True
        for left, right in _subjects(meeting, one, two):
            tail = "".join(meeting.one.get(index, "") for index in one.line.slots("")[-1:])
            ended = one.line.items[-1:] == [TAIL] and tail
            first = meeting.text[: len(meeting.text) - len(tail)] if ended else meeting.text
            return Collision(left, right, _shown(first), _shown(meeting.text), about)
    if tried:
        raise Undecided
    return None


def _subjects(meeting: Meeting, one: Side, two: Side) -> Iterator[tuple[Subject, Subject]]:
    """Yield pairs of subjects that give the text, with as little between them as can be."""
    left, right = _values(meeting.one, one.line), _values(meeting.two, two.line)
    if left is None or right is None:
        return
    choices = [
        (left.get(name), right.get(name), _choices(name, one, two))
        for name in ("owner", "name", "number", "ref")
    ]
    options = [
        [(a, b) for a in ([mine] if mine else free) for b in ([yours] if yours else free)]
        for mine, yours, free in choices
    ]
    found = sorted(product(*options), key=lambda pairs: sum(a != b for a, b in pairs))
    for pairs in found:
        ours, theirs = (_subject_of(side, [pair[i] for pair in pairs], values) for i, (side, values) in enumerate(((one, left), (two, right))))  # fmt: skip
        if _possible(ours, one) and _possible(theirs, two) and _differ(ours, theirs, one.kind, two.kind):
            yield ours, theirs


def _subject_of(side: Side, texts: Sequence[str], values: dict[str, str]) -> Subject:
    owner, name, number, ref = texts
    ids = tuple((key, values[key]) for key in IDS if key in values)
    return Subject(
        owner, name, number if side.kind == "number" else "", ref if side.kind == "ref" else "", ids
    )


def _choices(name: str, one: Side, two: Side) -> Sequence[str]:
    if name in _CHOICES:
        return _CHOICES[name]
    cells = (one.cell, two.cell)
    return list(
        dict.fromkeys(text for cell in cells for text in (cell.owners if name == "owner" else cell.names))
    )


def _values(slots: dict[int, str], line: Line) -> dict[str, str] | None:
    """Return the variables' values, None if one has two of them."""
    found: dict[str, str] = {}
    for index, text in slots.items():
        item = line.items[index]
        if not isinstance(item, Slot) or not item.variable:
            continue
        if found.setdefault(item.variable, text) != text:
            return None
    return found


def _possible(subject: Subject, side: Side) -> bool:
    return side.cell.holds(subject.owner, subject.name)


def _differ(one: Subject, two: Subject, *kinds: Kind) -> bool:
    """Return whether they are two subjects, and their ids say the same."""
    ids, others = dict(one.ids), dict(two.ids)
    repositories = (one.owner, one.name) != (two.owner, two.name)
    apart = repositories if "other" in kinds else one[:4] != two[:4]
    expected = {
        "pull-request-id": True,
        "repository-id": repositories,
        "owner-id": one.owner != two.owner,
    }
    return apart and all(
        (ids[key] != others[key]) is differs
        for key, differs in expected.items()
        if key in ids and key in others
    )


def _shown(text: str) -> str:
    return ", ".join(part for part in text.split(SEPARATOR) if part)
