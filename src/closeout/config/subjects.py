"""The law of names: no two subjects ever produce the same name, in any two steps of the file.

`Law.collision` checks it for two names over the repositories that their automations match, and finds the shortest
counter-example. It first allows every repository that GitHub could have, because a name that is safe there is safe for all
patterns; only if that fails, it uses the repositories that match. See docs/adr/0016-one-name-one-subject.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice, product
from typing import NamedTuple

from closeout.config import languages
from closeout.config.collisions import (
    IDS,
    TAIL,
    Collision,
    Line,
    Meeting,
    Pair,
    Side,
    Slot,
    counterexample,
    meetings,
)
from closeout.config.fields import Field, Item, Kind, Named
from closeout.config.languages import LANGUAGES, SEPARATOR, Budget, Cell, Undecided, but_for, fit

STEPS = 500_000
"""The limit of steps for one file: at most two seconds, and far more than files need."""

_OF_REPOSITORY = ("repository-id", "owner", "name")
_VARIABLES = (*IDS, "owner", "name", "number", "ref")
_DIFFER_WITH = {
    "owner": ("repository-id", "pull-request-id"),
    "name": ("repository-id", "pull-request-id"),
    "number": ("pull-request-id",),
}
_TIMES = (1, 8)
_FILLED = "\ue000"


class Key(NamedTuple):
    """Everything that decides whether two names can be equal: a name's parts, and which repositories match."""

    named: Named
    repositories: tuple[str, ...]


class Edges(NamedTuple):
    """How one input begins and ends; `open` if it is a prefix of others."""

    lead: str
    trail: str
    open: bool

    def apart(self, other: Edges) -> bool:
        """Return whether no text begins and ends like both."""
        if not (self.lead.startswith(other.lead) or other.lead.startswith(self.lead)):
            return True
        ends = self.trail.endswith(other.trail) or other.trail.endswith(self.trail)
        return not (self.open or other.open or ends)


class Law:
    """Compares names, and caches the results. Every method raises `Undecided` if the file is too complex."""

    def __init__(self, keys: Collection[Key], steps: int = STEPS) -> None:
        self._budget = Budget(steps)
        self._alphabet = _alphabet(keys)
        self._cells: dict[tuple[str, ...], tuple[Cell, ...]] = {}
        self._known: dict[tuple[object, ...], frozenset[str] | None] = {}
        self._lines: dict[tuple[tuple[Item, ...], int, bool], Line | None] = {}
        self._found: dict[tuple[Key, Key], Collision | None] = {}

    def collision(self, one: Key, two: Key) -> Collision | None:
        """Return two subjects with the same name, or None if there are none."""
        if (one, two) not in self._found:
            found = self._collision(one, two, tail=one.named.whole.prefix)
            if found is None and one != two and one.named.whole.prefix:
                turned = self._collision(two, one, tail=True)
                found = turned and Collision(
                    turned.two, turned.one, turned.second, turned.first, turned.about
                )
            self._found[one, two] = found
        return self._found[one, two]

    def edges(self, key: Key) -> tuple[Edges, ...]:
        """Return how each input of a name begins and ends."""
        cells = self._cells_of(key)
        items, prefix = key.named.whole
        bound = _bound(items, cells[0], tail=False) if len(cells) == 1 else items
        parts = "".join(item if isinstance(item, str) else _FILLED for item in bound).split(SEPARATOR)
        return tuple(
            Edges(part.split(_FILLED)[0], part.split(_FILLED)[-1], prefix and index == len(parts) - 1)
            for index, part in enumerate(parts)
        )

    def _collision(self, one: Key, two: Key, *, tail: bool) -> Collision | None:
        shapes = (one.named.whole, two.named.whole)
        if one.named.handed != two.named.handed:
            # Values passed on under different keys cannot be compared. If both names are fixed, nothing else is left.
            shapes = (one.named.names, two.named.names)
        if shapes[0].constant and shapes[1].constant:
            return None
        kinds = (one.named.kind, two.named.kind)
        ours, theirs = self._cells_of(one), self._cells_of(two)
        if _subject(kinds) is not None:
            known = self._of_every_repository(shapes[0].items, shapes[1].items, tail)
            if known is None or _settled(known, kinds, ours, theirs):
                return None
        for left, right in product(ours, theirs):
            lines = (
                self._line(shapes[0].items, left, tail=tail),
                self._line(shapes[1].items, right, tail=False),
            )
            if lines[0] is not None and lines[1] is not None:
                sides = Side(lines[0], left, kinds[0]), Side(lines[1], right, kinds[1])
                found = self._exact(*sides)
                if found is not None:
                    return found
        return None

    def _cells_of(self, key: Key) -> tuple[Cell, ...]:
        if key.repositories not in self._cells:
            self._cells[key.repositories] = languages.cells(key.repositories, self._alphabet, self._budget)
        return self._cells[key.repositories]

    def _line(self, items: tuple[Item, ...], cell: Cell, *, tail: bool) -> Line | None:
        """Return the line for some repositories; None if a value cannot be filled in because it contains the delimiter."""
        key = (items, id(cell), tail)
        if key not in self._lines:
            only = {"owner": cell.owners, "name": cell.names}
            held = any(
                item.without and len(texts) == 1 and item.without in texts[0]
                for item in items
                if isinstance(item, Field) and (texts := only.get(item.variable, ()))
            )
            self._lines[key] = None if held else Line(_bound(items, cell, tail), self._alphabet, self._budget)
        return self._lines[key]

    def _of_every_repository(
        self, one: Sequence[Item], two: Sequence[Item], tail: bool
    ) -> frozenset[str] | None:
        """Return the variables that the name determines, for any repositories; None if no text is both names."""
        key = (one, two, tail)
        if key not in self._known:
            lines = (
                Line(_bound(one, languages.EVERY, tail), self._alphabet, self._budget),
                Line(_bound(two, languages.EVERY, tail=False), self._alphabet, self._budget),
            )
            decided = self._decided(*lines, frozenset())
            self._known[key] = None if decided is None else decided[0]
        return self._known[key]

    def _decided(
        self, one: Line, two: Line, known: frozenset[str]
    ) -> tuple[frozenset[str], frozenset[Pair]] | None:
        """Return the variables whose values are equal whenever the names are, and all pairs of their slots.

        The variables in `known` are equal already. None if the names are never equal.
        """
        if next(meetings(one, two, self._budget), None) is None:
            return None
        equal: frozenset[Pair] = frozenset()
        for _ in range(3):
            if known & {"repository-id", "pull-request-id"}:
                known |= set(_OF_REPOSITORY)
            equal = frozenset(pair for name in known for pair in product(one.slots(name), two.slots(name)))
            more = [
                name
                for name in _VARIABLES
                if name not in known
                and any(
                    next(meetings(one, two, self._budget, apart=[pair], equal=equal), None) is None
                    for pair in product(one.slots(name)[:3], two.slots(name)[:3])
                )
            ]
            if not more:
                break
            known |= set(more)
        return known, equal

    # --- the repositories that match --------------------------------------------------------------------

    def _exact(self, one: Side, two: Side) -> Collision | None:
        decided = self._decided(one.line, two.line, _given(one.cell, two.cell))
        if decided is None:
            return None
        subject = _subject((one.kind, two.kind))
        if subject is None:
            return counterexample(self._shared_texts(one, two, "", decided[1]), one, two, "subject")
        if "pull-request-id" in decided[0]:
            return None
        undecided = False
        for name in (name for name in subject if name not in decided[0]):
            try:
                found = counterexample(self._shared_texts(one, two, name, decided[1]), one, two, name)
            except Undecided:
                undecided = True
                continue
            if found is not None:
                return found
        if undecided:
            raise Undecided
        return None

    def _shared_texts(self, one: Side, two: Side, name: str, equal: frozenset[Pair]) -> Iterator[Meeting]:
        """Yield texts that are both names, in which the variable `name` may have two values."""
        # Two repositories have different ids, and so do two pull requests, so ids that the names show differ, too.
        apart = [
            (ours[0], theirs[0])
            for variable in (name, *_DIFFER_WITH.get(name, ()))
            if variable and (ours := one.line.slots(variable)) and (theirs := two.line.slots(variable))
        ]
        one_line, two_line = self._but_for(one, name, two), self._but_for(two, name, one)
        for times in _TIMES:
            found = meetings(one_line, two_line, self._budget, apart=apart, equal=equal, times=times)
            yield from islice(found, 64)

    def _but_for(self, side: Side, name: str, other: Side) -> Line:
        """Exclude from a line's slots the one value that the other side always has."""
        only = {"owner": other.cell.owners, "name": other.cell.names}.get(name, ())
        if len(only) != 1 or not side.line.slots(name):
            return side.line
        items = [
            item._replace(language=but_for(item.language, only[0]))
            if isinstance(item, Slot) and item.variable == name
            else item
            for item in side.line.items
        ]
        return Line(items, self._alphabet, self._budget)


def _given(one: Cell, two: Cell) -> frozenset[str]:
    """Return the variables that are equal because only one value matches on both sides."""
    known: set[str] = set()
    if _same_only(one.owners, two.owners):
        known.add("owner")
    if _same_only(one.names, two.names):
        known |= {"name", "repository-id"} if known else {"name"}
    return frozenset(known)


def _bound(items: Sequence[Item], cell: Cell, tail: bool) -> list[str | Slot]:
    """Put languages into the fields; if only one owner or name matches, it becomes text."""
    bound: list[str | Slot] = []
    for item in items:
        if isinstance(item, str):
            bound.append(item)
            continue
        only = {"owner": cell.owners, "name": cell.names}.get(item.variable, ())
        if len(only) == 1:
            bound.append(only[0])
        else:
            language = {"owner": cell.owner, "name": cell.name}.get(
                item.language, LANGUAGES.get(item.language)
            )
            assert language is not None
            dotted = item.fit and item.language in ("name", "text", "part")
            bound.append(Slot(item.variable, fit(language) if dotted else language, item.first, item.without))
    return [*bound, TAIL] if tail else bound


def _subject(kinds: tuple[Kind, Kind]) -> tuple[str, ...] | None:
    """Return the variables that identify a subject; None if two events of these kinds never share a subject."""
    if "other" in kinds:
        return ("name", "owner")
    if kinds[0] != kinds[1]:
        return None
    return ("name", "owner", kinds[0])


def _settled(
    known: frozenset[str], kinds: tuple[Kind, Kind], ours: Sequence[Cell], theirs: Sequence[Cell]
) -> bool:
    """Return whether the variables that a name determines leave only one subject."""
    if "pull-request-id" in known and "other" not in kinds:
        return True
    if "other" not in kinds and kinds[0] not in known:
        return False
    return "repository-id" in known or all(
        (
            ("owner" in known or _same_only(left.owners, right.owners))
            and ("name" in known or _same_only(left.names, right.names))
        )
        or (
            "name" in known
            and left.listed is not None
            and right.listed is not None
            and not left.listed & right.listed
        )
        for left, right in product(ours, theirs)
    )


def _same_only(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    return len(ours) == 1 and ours == theirs


def _alphabet(keys: Collection[Key]) -> str:
    """Return the characters that matter: those in texts and patterns, and one of each kind of the others.

    Letters that no text and no pattern contains behave alike; so do digits, except 0 and the letters of a SHA.
    """
    used = {SEPARATOR, *"-_./ax017"}
    for key in keys:
        for item in key.named.whole.items:
            used |= set("" if isinstance(item, Field) else item)
        used |= set("".join(key.repositories).lower())
    spare = [
        next((char for char in sort if char not in used), "")
        for sort in ("bcdef", "wyzvutsrqponmlkjihg", "2345689")
    ]
    order = "abcdefghijklmnopqrstuvwxyz7123456890"
    chars = {*used, *spare} - {""}
    return "".join(sorted(chars, key=lambda char: (order.find(char) < 0, order.find(char), char)))
