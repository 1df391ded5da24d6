"""Find the shortest text that two name templates both produce, and the two subjects that produce it.

A template becomes an automaton of literal characters and slots, each slot with a language. Two automata run side by side over
the pairs of their states (the product construction), breadth first. A text that both produce may still belong to no two
subjects, because values depend on each other (one field twice, an id), so subjects are looked for before a text is reported.

For example, `repositories: [acme/shop, acme/shop1]` and

    stack-name: preview-${{ event.repository.name }}${{ event.pull_request.number }}

make `p r e v i e w -`, a slot `name` and a slot `number`. The template is compared with itself, for texts in which the two
runs read a character in different slots (`apart`). `common_texts` finds `preview-shop17`: the first run splits it into
`shop1` and `7`, the second into `shop` and `17`. `counterexample` turns the two splits into subjects, and checks that both
repositories match. The finding is `shared-name`: "acme/shop1#7 and acme/shop#17 both produce preview-shop17". With a `-`
between the two slots no such text exists, because a number holds no `-`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, TypeAlias

from closeout.config.fields import Kind
from closeout.config.languages import ALNUM, LANGUAGES, SEPARATOR, Budget, Cell, Language, Undecided

MAX_SLOTS = 100
Position: TypeAlias = "tuple[int, Any]"
"""The state of a run: the index of an item, and the state of that item's language (None: nothing of it was read)."""


class Slot(NamedTuple):
    """A value that is filled in. `variable` names its source; it is "" if the value says nothing about the event's subject."""

    variable: str
    language: Language
    first: bool = False
    """It is the start of an expression's value in a name, so its first character is a letter or a digit."""
    without: str = ""
    """A delimiter that the value cannot hold."""


class Transition(NamedTuple):
    """One character read: by which item, whether it is the item's first, and where that leads."""

    item: int
    begins: bool
    position: Position


class TemplateAutomaton:
    """A template as a nondeterministic automaton: each character of its fixed text is an item, and so is each slot."""

    def __init__(self, items: Sequence[str | Slot], alphabet: str, budget: Budget) -> None:
        self.items: list[str | Slot] = []
        for item in items:
            self.items += item if isinstance(item, str) else [item]
        if sum(isinstance(item, Slot) for item in self.items) > MAX_SLOTS:
            raise Undecided
        self._alphabet = alphabet
        self._budget = budget
        self._transitions: dict[Position, dict[str, list[Transition]]] = {}

    def slots(self, variable: str) -> list[int]:
        """Return the items that are filled in with a variable."""
        items = enumerate(self.items)
        return [index for index, item in items if isinstance(item, Slot) and item.variable == variable]

    def transitions(self, position: Position) -> dict[str, list[Transition]]:
        """Return the transitions from a position, by character."""
        found = self._transitions.get(position)
        if found is None:
            found = self._transitions[position] = self._transitions_at(position)
        return found

    def accepts(self, position: Position) -> bool:
        """Return whether the text may end here: every item after this position may be empty."""
        index, state = position
        if index == len(self.items):
            return True
        item = self.items[index]
        return isinstance(item, Slot) and self._may_leave(item, state) and self.accepts((index + 1, None))

    def _transitions_at(self, position: Position) -> dict[str, list[Transition]]:
        index, state = position
        if index == len(self.items):
            return {}
        item = self.items[index]
        if isinstance(item, str):
            return {item: [Transition(index, True, (index + 1, None))]}
        found: dict[str, list[Transition]] = {}
        begins = state is None
        self._budget.spend(item.language.cost * len(self._alphabet))
        for char in self._alphabet:
            if char == SEPARATOR or char in item.without or (begins and item.first and char not in ALNUM):
                continue
            after = item.language.step(item.language.start if begins else state, char)
            if after is not None:
                found[char] = [Transition(index, begins, (index, after))]
        if self._may_leave(item, state):
            for char, transitions in self.transitions((index + 1, None)).items():
                found[char] = [*found.get(char, ()), *transitions]
        return found

    @staticmethod
    def _may_leave(item: Slot, state: Any) -> bool:
        return item.language.accepts(item.language.start if state is None else state)


class CommonText(NamedTuple):
    """A text that both automata produce, and the part of it that each item read, by the item's index."""

    text: str
    one: dict[int, str]
    two: dict[int, str]


Link: TypeAlias = "tuple[Link | None, str, int, int] | None"
Pair: TypeAlias = "tuple[int, int]"


def common_texts(
    one: TemplateAutomaton,
    two: TemplateAutomaton,
    budget: Budget,
    *,
    apart: Sequence[Pair] = (),
    equal: Collection[Pair] = (),
    times: int = 1,
) -> Iterator[CommonText]:
    """Yield texts that both automata produce, the shortest first.

    `apart`: only texts in which the two slots of each such pair read different characters of the text. `equal`: pairs of slots
    with equal values, so that two that begin together end together. `times` is how often one state may be
    reached: a higher number yields more texts along the same path.
    """
    seen: Counter[Any] = Counter()
    queue: deque[tuple[Any, Link]] = deque([(((0, None), (0, None), 0, False), None)])
    all_apart = (1 << len(apart)) - 1
    while queue:
        node, link = queue.popleft()
        if seen[node] >= times:
            continue
        seen[node] += 1
        here, there, differs, locked = (
            node  # both positions, the pairs found apart, whether an equal pair is being read
        )
        if differs == all_apart and one.accepts(here) and two.accepts(there):
            yield _read_back(link)
        ours, theirs = one.transitions(here), two.transitions(there)
        for char in ours if len(ours) <= len(theirs) else theirs:
            for left, right in product(ours.get(char, ()), theirs.get(char, ())):
                if locked and (left.item == here[0]) != (right.item == there[0]):
                    continue
                after = differs | _apart_bits(left.item, right.item, apart)
                together = (left.begins and right.begins) or (locked and not left.begins)
                same = together and (left.item, right.item) in equal
                budget.spend()
                queue.append(
                    ((left.position, right.position, after, same), (link, char, left.item, right.item))
                )


def _apart_bits(left: int, right: int, pairs: Sequence[Pair]) -> int:
    """Return a bit for each pair of which one slot holds this character and the other does not."""
    return sum(1 << bit for bit, pair in enumerate(pairs) if (left == pair[0]) != (right == pair[1]))


def _read_back(link: Link) -> CommonText:
    chars: list[str] = []
    one: dict[int, str] = {}
    two: dict[int, str] = {}
    while link is not None:
        link, char, left, right = link
        chars.append(char)
        one[left] = char + one.get(left, "")
        two[right] = char + two.get(right, "")
    return CommonText("".join(reversed(chars)), one, two)


# --- the two subjects ---------------------------------------------------------------------------------

IDS = ("pull-request-id", "repository-id")
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
    """Two subjects and their names, which are equal, or one begins with the other. `about`: in what the subjects differ."""

    one: Subject
    two: Subject
    first: str
    second: str
    about: str


class ScopedName(NamedTuple):
    """A name template for one cell of the repositories that match."""

    automaton: TemplateAutomaton
    cell: Cell
    kind: Kind


def counterexample(
    found: Iterator[CommonText], one: ScopedName, two: ScopedName, about: str
) -> Collision | None:
    """Return the first text that two subjects share. Raises `Undecided` if there are texts, but no two subjects for one."""
    tried = False
    for common in found:
        tried = True
        for left, right in _subjects(common, one, two):
            tail = "".join(common.one.get(index, "") for index in one.automaton.slots("")[-1:])
            ended = one.automaton.items[-1:] == [TAIL] and tail
            first = common.text[: len(common.text) - len(tail)] if ended else common.text
            return Collision(left, right, _shown(first), _shown(common.text), about)
    if tried:
        raise Undecided
    return None


def _subjects(common: CommonText, one: ScopedName, two: ScopedName) -> Iterator[tuple[Subject, Subject]]:
    """Yield pairs of subjects that produce the text and differ as little as possible."""
    left, right = _values(common.one, one.automaton), _values(common.two, two.automaton)
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
        mine, yours = zip(*pairs, strict=True)
        ours, theirs = _subject_of(one, mine, left), _subject_of(two, yours, right)
        possible = one.cell.holds(ours.owner, ours.name) and two.cell.holds(theirs.owner, theirs.name)
        if possible and _differ(ours, theirs, one.kind, two.kind):
            yield ours, theirs


def _subject_of(side: ScopedName, texts: Sequence[str], values: dict[str, str]) -> Subject:
    owner, name, number, ref = texts
    ids = tuple((key, values[key]) for key in IDS if key in values)
    number = number if side.kind == "number" else ""
    return Subject(owner, name, number, ref if side.kind == "ref" else "", ids)


def _choices(name: str, one: ScopedName, two: ScopedName) -> Sequence[str]:
    if name in _CHOICES:
        return _CHOICES[name]
    return list(dict.fromkeys((*one.cell.examples(name), *two.cell.examples(name))))


def _values(slots: dict[int, str], automaton: TemplateAutomaton) -> dict[str, str] | None:
    """Return the variables' values; None if one has two values."""
    found: dict[str, str] = {}
    for index, text in slots.items():
        item = automaton.items[index]
        if not isinstance(item, Slot) or not item.variable:
            continue
        if found.setdefault(item.variable, text) != text:
            return None
    return found


def _differ(one: Subject, two: Subject, *kinds: Kind) -> bool:
    """Return whether they are two subjects, and their ids say the same."""
    ids, others = dict(one.ids), dict(two.ids)
    repositories = (one.owner, one.name) != (two.owner, two.name)
    apart = repositories if "other" in kinds else one[:4] != two[:4]
    expected = {"pull-request-id": True, "repository-id": repositories}
    shared = ids.keys() & others.keys()
    return apart and all((ids[key] != others[key]) is expected[key] for key in shared)


def _shown(text: str) -> str:
    return ", ".join(part for part in text.split(SEPARATOR) if part)
