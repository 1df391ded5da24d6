"""The rule of names: no two subjects ever produce the same name, in any two steps of the file.

`NameComparer.collision` checks it for two names over the repositories that their automations match, and finds the shortest
counter-example. It first allows every repository that GitHub could have, because a name that is safe there is safe for all
patterns; only if that fails, it uses the repositories that match. See docs/adr/0016-one-name-one-subject.md.

For example, with `repositories: ['acme/*', 'beta/*']`,

    stack-name: p-${{ event.repository.name }}-${{ event.pull_request.number }}

is compared with itself. A name *determines* a variable if two equal names always have it from the same characters: here the
repository's name and the number, because a number holds no `-`, but not the owner. Name and number leave more than one
subject while two owners match, so the search for a text with two owners begins, and finds `p-a-7`. The finding is
`shared-name`: "acme/a#7 and beta/a#7 both produce p-a-7". With `repositories: ['acme/*']` the owner is the same
in both, nothing is left to differ, and the name passes.
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
    CommonText,
    Pair,
    ScopedName,
    Slot,
    TemplateAutomaton,
    common_texts,
    counterexample,
)
from closeout.config.fields import Field, Item, Kind, StepNames
from closeout.config.languages import (
    SEPARATOR,
    Budget,
    Cell,
    Undecided,
    except_text,
    without_double_dots,
)

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

    named: StepNames
    repositories: tuple[str, ...]


class Affixes(NamedTuple):
    """The fixed text with which one input begins and ends; `open` if it is a prefix of others."""

    prefix: str
    suffix: str
    open: bool

    def apart(self, other: Affixes) -> bool:
        """Return whether no text begins and ends like both."""
        if not (self.prefix.startswith(other.prefix) or other.prefix.startswith(self.prefix)):
            return True
        ends = self.suffix.endswith(other.suffix) or other.suffix.endswith(self.suffix)
        return not (self.open or other.open or ends)


class _Determined(NamedTuple):
    """The variables whose values are equal whenever two names are, and all pairs of slots that hold them."""

    variables: frozenset[str]
    slots: frozenset[Pair]


class NameComparer:
    """Compares names, and caches the results. Every method raises `Undecided` if the file is too complex."""

    def __init__(self, keys: Collection[Key], steps: int = STEPS) -> None:
        self._budget = Budget(steps)
        self._alphabet = _alphabet(keys)
        self._cells: dict[tuple[str, ...], tuple[Cell, ...]] = {}
        self._known: dict[tuple[object, ...], frozenset[str] | None] = {}
        self._automata: dict[tuple[tuple[Item, ...], int, bool], TemplateAutomaton | None] = {}
        self._found: dict[tuple[Key, Key], Collision | None] = {}

    def collision(self, one: Key, two: Key) -> Collision | None:
        """Return two subjects with the same name, or None if there are none."""
        if (one, two) not in self._found:
            found = self._collision(one, two, tail=one.named.whole.prefix)
            if found is None and one != two and one.named.whole.prefix:
                swapped = self._collision(two, one, tail=True)
                found = swapped and Collision(
                    swapped.two, swapped.one, swapped.second, swapped.first, swapped.about
                )
            self._found[one, two] = found
        return self._found[one, two]

    def affixes(self, key: Key) -> tuple[Affixes, ...]:
        """Return how each input of a name begins and ends."""
        cells = self._cells_of(key)
        items, prefix = key.named.whole
        filled = _with_languages(items, cells[0], tail=False) if len(cells) == 1 else items
        parts = "".join(item if isinstance(item, str) else _FILLED for item in filled).split(SEPARATOR)
        return tuple(
            Affixes(part.split(_FILLED)[0], part.split(_FILLED)[-1], prefix and index == len(parts) - 1)
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
            known = self._determined_anywhere(shapes[0].items, shapes[1].items, tail)
            if known is None or _one_subject_left(known, kinds, ours, theirs):
                return None
        for left, right in product(ours, theirs):
            automata = (
                self._automaton(shapes[0].items, left, tail=tail),
                self._automaton(shapes[1].items, right, tail=False),
            )
            if automata[0] is not None and automata[1] is not None:
                sides = ScopedName(automata[0], left, kinds[0]), ScopedName(automata[1], right, kinds[1])
                found = self._collision_within(*sides)
                if found is not None:
                    return found
        return None

    def _cells_of(self, key: Key) -> tuple[Cell, ...]:
        if key.repositories not in self._cells:
            self._cells[key.repositories] = languages.cells(key.repositories, self._alphabet, self._budget)
        return self._cells[key.repositories]

    def _automaton(self, items: tuple[Item, ...], cell: Cell, *, tail: bool) -> TemplateAutomaton | None:
        """Return the automaton for a cell; None if the cell's only owner or name contains the delimiter after it."""
        key = (items, id(cell), tail)
        if key not in self._automata:
            held = any(
                isinstance(item, Field) and item.without and item.without in (cell.only(item.variable) or "")
                for item in items
            )
            self._automata[key] = (
                None
                if held
                else TemplateAutomaton(_with_languages(items, cell, tail), self._alphabet, self._budget)
            )
        return self._automata[key]

    def _determined_anywhere(
        self, one: Sequence[Item], two: Sequence[Item], tail: bool
    ) -> frozenset[str] | None:
        """Return the variables that the name determines, for any repositories; None if no text is both names."""
        key = (one, two, tail)
        if key not in self._known:
            automata = (
                TemplateAutomaton(_with_languages(one, languages.EVERY, tail), self._alphabet, self._budget),
                TemplateAutomaton(
                    _with_languages(two, languages.EVERY, tail=False), self._alphabet, self._budget
                ),
            )
            found = self._determined(*automata, frozenset())
            self._known[key] = None if found is None else found.variables
        return self._known[key]

    def _determined(
        self, one: TemplateAutomaton, two: TemplateAutomaton, known: frozenset[str]
    ) -> _Determined | None:
        """Return what a name determines, for two names.

        The variables in `known` are equal already. None if the names are never equal.
        """
        if next(common_texts(one, two, self._budget), None) is None:
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
                    next(common_texts(one, two, self._budget, apart=[pair], equal=equal), None) is None
                    for pair in product(one.slots(name)[:3], two.slots(name)[:3])
                )
            ]
            if not more:
                break
            known |= set(more)
        return _Determined(known, equal)

    # --- the repositories that match --------------------------------------------------------------------

    def _collision_within(self, one: ScopedName, two: ScopedName) -> Collision | None:
        determined = self._determined(one.automaton, two.automaton, _equal_within(one.cell, two.cell))
        if determined is None:
            return None
        subject = _subject((one.kind, two.kind))
        if subject is None:
            return counterexample(self._shared_texts(one, two, "", determined.slots), one, two, "subject")
        if "pull-request-id" in determined.variables:
            return None
        undecided = False
        for name in (name for name in subject if name not in determined.variables):
            try:
                found = counterexample(self._shared_texts(one, two, name, determined.slots), one, two, name)
            except Undecided:
                undecided = True
                continue
            if found is not None:
                return found
        if undecided:
            raise Undecided
        return None

    def _shared_texts(
        self, one: ScopedName, two: ScopedName, name: str, equal: frozenset[Pair]
    ) -> Iterator[CommonText]:
        """Yield texts that are both names, in which the variable `name` may have two values."""
        # Two repositories have different ids, and so do two pull requests, so ids that the names show differ, too.
        apart = [
            (ours[0], theirs[0])
            for variable in (name, *_DIFFER_WITH.get(name, ()))
            if variable
            and (ours := one.automaton.slots(variable))
            and (theirs := two.automaton.slots(variable))
        ]
        automata = self._excluding(one, name, two), self._excluding(two, name, one)
        for times in _TIMES:
            found = common_texts(*automata, self._budget, apart=apart, equal=equal, times=times)
            yield from islice(found, 64)

    def _excluding(self, side: ScopedName, name: str, other: ScopedName) -> TemplateAutomaton:
        """Exclude from the slots of a variable the one value that it always has on the other side."""
        only = other.cell.only(name)
        if only is None or not side.automaton.slots(name):
            return side.automaton
        items = [
            item._replace(language=except_text(item.language, only))
            if isinstance(item, Slot) and item.variable == name
            else item
            for item in side.automaton.items
        ]
        return TemplateAutomaton(items, self._alphabet, self._budget)


def _equal_within(one: Cell, two: Cell) -> frozenset[str]:
    """Return the variables that are equal because only one value matches on both sides."""
    known: set[str] = set()
    if _same_only(one.owners, two.owners):
        known.add("owner")
    if _same_only(one.names, two.names):
        known |= {"name", "repository-id"} if known else {"name"}
    return frozenset(known)


def _with_languages(items: Sequence[Item], cell: Cell, tail: bool) -> list[str | Slot]:
    """Turn the fields into slots with languages; the only owner or name of a cell becomes text."""
    filled: list[str | Slot] = []
    for item in items:
        if isinstance(item, str):
            filled.append(item)
        elif (only := cell.only(item.variable)) is not None:
            filled.append(only)
        else:
            filled.append(_slot(item, cell))
    return [*filled, TAIL] if tail else filled


def _slot(field: Field, cell: Cell) -> Slot:
    language = cell.language(field.language)
    if field.fit and field.language in ("name", "text", "part"):
        language = without_double_dots(language)
    return Slot(field.variable, language, field.first, field.without)


def _subject(kinds: tuple[Kind, Kind]) -> tuple[str, ...] | None:
    """Return the variables that identify a subject; None if two events of these kinds never share a subject."""
    if "other" in kinds:
        return ("name", "owner")
    if kinds[0] != kinds[1]:
        return None
    return ("name", "owner", kinds[0])


def _one_subject_left(
    known: frozenset[str], kinds: tuple[Kind, Kind], ours: Sequence[Cell], theirs: Sequence[Cell]
) -> bool:
    """Return whether the variables that a name determines leave only one subject."""
    if "pull-request-id" in known and "other" not in kinds:
        return True
    if "other" not in kinds and kinds[0] not in known:
        return False
    return "repository-id" in known or all(
        _same_repository(known, left, right) or ("name" in known and _no_common_name(left, right))
        for left, right in product(ours, theirs)
    )


def _same_repository(known: frozenset[str], one: Cell, two: Cell) -> bool:
    """Return whether owner and name are determined, or are the only ones of both cells."""
    return ("owner" in known or _same_only(one.owners, two.owners)) and (
        "name" in known or _same_only(one.names, two.names)
    )


def _no_common_name(one: Cell, two: Cell) -> bool:
    """Return whether the patterns list the names of both cells, and list none in both."""
    return one.listed is not None and two.listed is not None and not one.listed & two.listed


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
