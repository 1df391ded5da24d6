"""What may stand in a field of a name, as small automata that are walked character by character.

All texts are in lower case: GitHub tells neither owners nor repositories apart by case, and two names that differ
by case alone are too easily one (a host name, a workflow's repository).
"""

from __future__ import annotations

import string
from collections import Counter, deque
from collections.abc import Collection, Hashable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

from closeout.core.patterns import Walk, is_literal

State = Hashable
SEPARATOR = "\0"
"""Stands between the inputs of a step: no value holds it, since payloads with a NUL are refused."""

_LETTERS, _DIGITS = frozenset(string.ascii_lowercase), frozenset(string.digits)
ALNUM = _LETTERS | _DIGITS
_OWNER = ALNUM | set("-_")
_NAME = ALNUM | set("._-")
_OWNER_STEPS = 100_000
_BEFORE = ()
"""The state before the first character: neither owners nor names are empty."""
_EXAMPLES = ("acme", "beta"), ("shop", "web", "api", "docs")


class Undecided(Exception):
    """The search was ended: the patterns or templates are too intricate."""


class Budget:
    """How many steps may still be taken: one character in one state each, more of them in a long list of patterns."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Count steps. Raises `Undecided` when there are none left."""
        self._left -= steps
        if self._left < 0:
            raise Undecided


class Language(Protocol):
    """A set of texts. `step` returns None when no text of the language goes on like that."""

    @property
    def start(self) -> State:
        """The state before the first character."""
        ...

    @property
    def cost(self) -> int:
        """How many steps a step counts for."""
        ...

    def step(self, state: Any, char: str) -> State | None:
        """Return the state after one more character."""
        ...

    def accepts(self, state: Any) -> bool:
        """Return whether the text read so far is of the language."""
        ...


class Text(NamedTuple):
    """One character of `first`, then any number of `rest`; with `empty` also nothing."""

    first: frozenset[str]
    rest: frozenset[str]
    empty: bool = False
    start: int = 0
    cost: int = 1

    def step(self, state: int, char: str) -> int | None:
        """Return 1, in every state, for a character that fits."""
        return 1 if char in (self.rest if state else self.first) else None

    def accepts(self, state: int) -> bool:
        """Return whether there is at least one character, or need not be."""
        return state == 1 or self.empty


class Sha:
    """A commit's SHA-1: 40 hexadecimal digits."""

    start = 0
    cost = 1

    def step(self, state: int, char: str) -> int | None:
        """Return how many digits were read."""
        return state + 1 if state < 40 and char in "0123456789abcdef" else None

    def accepts(self, state: int) -> bool:
        """Return whether all 40 were read."""
        return state == 40


class Anything(NamedTuple):
    """Any text: what is handed on without being held to the form of names. `empty`: the empty one too."""

    empty: bool
    start: int = 0
    cost: int = 1

    def step(self, _state: int, char: str) -> int | None:
        """Return 1, in every state."""
        return None if char == SEPARATOR else 1

    def accepts(self, state: int) -> bool:
        """Return whether it may end here."""
        return self.empty or state == 1


LANGUAGES: dict[str, Language] = {
    # Numbers and ids are positive integers without leading zeros: https://docs.github.com/en/rest/pulls/pulls
    "number": Text(_DIGITS - {"0"}, _DIGITS),
    "sha": Sha(),
    # What `core.names.check_interpolated` lets into a name; the first character is looked at where a slot begins.
    "text": Text(frozenset(_NAME | {"/"}), frozenset(_NAME | {"/"})),
    # A part of an expression: the guard looks at the whole.
    "part": Text(frozenset(_NAME | {"/"}), frozenset(_NAME | {"/"}), empty=True),
    "anything": Anything(empty=True),
    "branch": Anything(empty=False),
    # Logins hold letters, digits and hyphens; those of managed users end in `_SHORTCODE` besides:
    # https://docs.github.com/en/enterprise-cloud@latest/admin/managing-iam/iam-configuration-reference/username-considerations-for-external-authentication
    "owner": Text(ALNUM, _OWNER),
    # "The repository name can only contain ASCII letters, digits, and the characters ., -, and _", says GitHub's form.
    "name": Text(frozenset(_NAME), frozenset(_NAME)),
}


class Except(NamedTuple):
    """The texts of a language but for one."""

    inner: Language
    word: str

    @property
    def start(self) -> State:
        """Return the inner start, with nothing of the word read."""
        return self.inner.start, 0

    @property
    def cost(self) -> int:
        """Return the inner cost."""
        return self.inner.cost

    def step(self, state: tuple[Any, int], char: str) -> State | None:
        """Return the inner state, and how much of the word was read: -1 when it is another text."""
        inner, read = state
        after = self.inner.step(inner, char)
        same = 0 <= read < len(self.word) and self.word[read] == char
        return None if after is None else (after, read + 1 if same else -1)

    def accepts(self, state: tuple[Any, int]) -> bool:
        """Return whether it is another text than the word."""
        return self.inner.accepts(state[0]) and state[1] != len(self.word)


class Fit(NamedTuple):
    """The texts of a language that a name may hold: without two dots in a row (see `core.names.check_interpolated`)."""

    inner: Language

    @property
    def start(self) -> State:
        """Return the inner start, with no dot read."""
        return self.inner.start, False

    @property
    def cost(self) -> int:
        """Return the inner cost."""
        return self.inner.cost

    def step(self, state: tuple[Any, bool], char: str) -> State | None:
        """Return the inner state, and whether the last character was a dot."""
        after = None if state[1] and char == "." else self.inner.step(state[0], char)
        return None if after is None else (after, char == ".")

    def accepts(self, state: tuple[Any, bool]) -> bool:
        """Return whether the text is of the inner language."""
        return self.inner.accepts(state[0])


class _Half(NamedTuple):
    """The owners, or the names, that a list of patterns lets through, with `then` its state between the two.

    Owners are those after which the patterns are in that state, names those that they let through from there.
    """

    walk: Walk
    then: tuple[int, ...]
    owner: bool

    @property
    def start(self) -> State:
        return _BEFORE

    @property
    def cost(self) -> int:
        return 1 + self.walk.size // 32

    def step(self, state: Any, char: str) -> State | None:
        if state == _BEFORE:
            state, chars = (self.walk.start, ALNUM) if self.owner else (self.then, _NAME)
        else:
            chars = _OWNER if self.owner else _NAME
        return self.walk.step(state, char) if char in chars else None

    def accepts(self, state: Any) -> bool:
        if state == _BEFORE:
            return False
        return self.walk.step(state, "/") == self.then if self.owner else self.walk.accepts(state)


class Cell(NamedTuple):
    """A part of the repositories that match: every one of these owners with every one of these names.

    `owners` and `names` are up to two of them, as examples; one alone is all that there is.
    """

    walk: Walk
    owner: Language
    name: Language
    owners: tuple[str, ...]
    names: tuple[str, ...]
    listed: frozenset[str] | None = None
    """All of the names, where the patterns list them."""

    def holds(self, owner: str, name: str) -> bool:
        """Return whether a repository is one of these."""
        return read(self.owner, owner) and read(self.name, name)


EVERY = Cell(Walk(["**"]), LANGUAGES["owner"], LANGUAGES["name"], _EXAMPLES[0], _EXAMPLES[1][:2])


def cells(patterns: Sequence[str], alphabet: str, budget: Budget) -> tuple[Cell, ...]:
    """Return the repositories that a list of patterns lets through, by what may follow their owners."""
    walk = Walk(patterns)
    found: dict[tuple[int, ...], Cell] = {}
    if all(is_literal(_split(pattern)[0]) and "/" in pattern for pattern in patterns):
        return tuple(_of_owners(walk, patterns, alphabet, budget))
    owners = _Half(walk, (), owner=True)
    for state, _ in _reached(owners, alphabet, budget):
        then = walk.step(state, "/") if state != _BEFORE else None
        if then is None or then in found:
            continue
        names = _Half(walk, then, owner=False)
        some = examples(names, alphabet, budget)
        if some:
            own = _Half(walk, then, owner=True)
            found[then] = Cell(walk, own, names, examples(own, alphabet, budget), some)
    return tuple(found.values())


def _of_owners(walk: Walk, patterns: Sequence[str], alphabet: str, budget: Budget) -> Iterator[Cell]:
    """Yield what `cells` would find where the patterns spell out their owners."""
    plain = all(is_literal(pattern) for pattern in patterns)
    pairs = [_split(pattern) for pattern in patterns if not pattern.startswith("!")]
    for owner in dict.fromkeys(pair[0] for pair in pairs):
        then: Any = walk.start
        for char in f"{owner}/":
            then = then and walk.step(then, char)
        language = _Half(walk, then, owner=False)
        listed = tuple(dict.fromkeys(name for other, name in pairs if other == owner))
        names = listed[:2] if plain else examples(language, alphabet, budget)
        if names:
            own = _Half(walk, then, owner=True)
            yield Cell(walk, own, language, (owner,), names, frozenset(listed) if plain else None)


def _split(pattern: str) -> tuple[str, str]:
    owner, _, name = pattern.removeprefix("!").lower().partition("/")
    return owner, name


def fixes_owner(pattern: str) -> bool:
    """Return whether a pattern names owners: a few of them, or those that share at least one character.

    `[a-z]+/*` does not: it lets through the repositories of nearly everybody, like `*/*`.
    """
    if is_literal(_split(pattern)[0]) and "/" in pattern:
        return True
    owners = _Half(Walk([pattern]), (), owner=True)
    budget = Budget(_OWNER_STEPS)
    try:
        if not _loops(_owner_states(owners, _OWNER, budget)):
            return True
        shared = sorted(_OWNER & set(pattern.lower()))
        return any(not _owner_states(owners, _OWNER - {char}, budget) for char in shared)
    except Undecided:
        return False


def _owner_states(owners: _Half, chars: Collection[str], budget: Budget) -> dict[Any, set[Any]]:
    """Return the states on the way to an owner that is written with these characters, and what follows on each."""
    after: dict[Any, set[Any]] = {}
    queue: list[Any] = [owners.start]
    while queue:
        state = queue.pop()
        if state not in after:
            budget.spend(owners.cost * len(chars))
            after[state] = {then for char in chars if (then := owners.step(state, char)) is not None}
            queue += after[state]
    alive = {state for state in after if state != _BEFORE and owners.walk.step(state, "/") is not None}
    while more := {state for state in after if state not in alive and after[state] & alive}:
        alive |= more
    return {state: after[state] & alive for state in alive}


def _loops(after: dict[Any, set[Any]]) -> bool:
    """Return whether a way leads back to where it came from, so that there are texts of any length."""
    left = dict(after)
    while ends := [state for state, then in left.items() if not then & left.keys()]:
        for state in ends:
            del left[state]
    return bool(left)


def read(language: Language, text: str) -> bool:
    """Return whether a text is of a language."""
    state: Any = language.start
    for char in text:
        state = language.step(state, char)
        if state is None:
            return False
    return language.accepts(state)


def examples(language: Language, alphabet: str, budget: Budget) -> tuple[str, ...]:
    """Return two texts of a language, or the one that there is, or none."""
    likely = _EXAMPLES[0] if isinstance(language, _Half) and language.owner else _EXAMPLES[1]
    found = [text for text in likely if read(language, text)][:2]
    if len(found) < 2:
        short = (text for state, text in _reached(language, alphabet, budget, 2) if language.accepts(state))
        found = list(dict.fromkeys([*found, *islice(short, 3)]))[:2]
    return tuple(found)


def _reached(language: Language, alphabet: str, budget: Budget, times: int = 1) -> Iterator[tuple[Any, str]]:
    """Yield each state that can be reached, `times` times at most, with a text that leads there; shortest first."""
    seen: Counter[State] = Counter()
    queue: deque[tuple[State, str]] = deque([(language.start, "")])
    while queue:
        state, text = queue.popleft()
        if seen[state] >= times:
            continue
        seen[state] += 1
        budget.spend(language.cost * len(alphabet))
        yield state, text
        for char in alphabet:
            after = language.step(state, char)
            if after is not None:
                queue.append((after, text + char))
