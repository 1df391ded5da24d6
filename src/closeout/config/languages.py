"""The values that a field of a name can have, as small automata that read character by character.

All texts are in lower case: GitHub ignores case in owners and repositories, and two names that differ
only by case often mean the same thing (a host name, a workflow's repository).

For example, `${{ event.pull_request.number }}` has the language `number`: it reads `1`, then any digits; `0` as the first
character is no number, so `step` returns None. Owners and names come from the automation's patterns. For

    repositories: ['acme/*', beta/shop]

`cells` returns two cells: the owner `acme` with every name (examples: `shop`, `web`), and the owner `beta` with the name `shop`.
In the first cell a name template has the text `acme` for the owner, and a slot with the language of names for the name; in the
second it has the texts `beta` and `shop`. So `p-${{ event.repository.name }}-${{ event.pull_request.number }}` becomes `p-`,
a name, `-`, a number in one cell, and `p-shop-`, a number in the other. Both produce `p-shop-7`, and the finding is
`shared-name`: "acme/shop#7 and beta/shop#7 both produce p-shop-7".
"""

from __future__ import annotations

import string
from collections import Counter, deque
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from typing import Any, NamedTuple

from closeout.core.patterns import Patterns, compile_patterns, is_literal

State = Hashable
SEPARATOR = "\0"
"""Separates the inputs of a step. No value contains it, because payloads with a NUL are refused."""

_LETTERS, _DIGITS = frozenset(string.ascii_lowercase), frozenset(string.digits)
ALNUM = _LETTERS | _DIGITS
_OWNER = ALNUM | set("-_")
_NAME = ALNUM | set("._-")
_REF = _NAME | {"/"}
_OWNER_STEPS = 100_000
_BEFORE = ()
"""The state before the first character: neither owners nor names are empty."""
_SOME_OWNERS, _SOME_NAMES = ("acme", "beta"), ("shop", "web", "api", "docs")


class Undecided(Exception):
    """The search was stopped: the patterns or templates are too complex."""


class Budget:
    """The steps that the search may still take: one character in one state each, more in a long list of patterns."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int = 1) -> None:
        """Count steps. Raises `Undecided` when there are none left."""
        self._left -= steps
        if self._left < 0:
            raise Undecided


class Language(NamedTuple):
    """A set of texts, read character by character."""

    start: State
    """The state before the first character."""
    step: Callable[[Any, str], State | None]
    """Return the state after one more character; None if no text continues with it."""
    accepts: Callable[[Any], bool]
    """Return whether the text read so far is one of the set."""
    cost: int = 1
    """The number that `Budget` counts for one step."""


def _text(first: Collection[str], rest: Collection[str], *, empty: bool = False) -> Language:
    """Return the texts of one character of `first`, then any number of `rest`; with `empty`, the empty text, too."""
    return Language(
        False,
        lambda begun, char: True if char in (rest if begun else first) else None,
        lambda begun: begun or empty,
    )


def _anything(*, empty: bool) -> Language:
    """Return all texts, for values that are passed on and need not have the form of names. `empty`: the empty one, too."""
    return Language(
        False, lambda _begun, char: None if char == SEPARATOR else True, lambda begun: begun or empty
    )


LANGUAGES: dict[str, Language] = {
    # Numbers and ids are positive integers without leading zeros: https://docs.github.com/en/rest/pulls/pulls
    "number": _text(_DIGITS - {"0"}, _DIGITS),
    "sha": Language(
        0,
        lambda read, char: read + 1 if read < 40 and char in "0123456789abcdef" else None,
        lambda read: read == 40,
    ),
    # What `core.names.check_interpolated` allows in a name. The first character is checked where a slot begins.
    "text": _text(_REF, _REF),
    # A part of an expression: the guard checks the whole.
    "part": _text(_REF, _REF, empty=True),
    "anything": _anything(empty=True),
    "branch": _anything(empty=False),
    # Logins contain letters, digits and hyphens; those of managed users also end in `_SHORTCODE`:
    # https://docs.github.com/en/enterprise-cloud@latest/admin/managing-iam/iam-configuration-reference/username-considerations-for-external-authentication
    "owner": _text(ALNUM, _OWNER),
    # "The repository name can only contain ASCII letters, digits, and the characters ., -, and _", says GitHub's form.
    "name": _text(_NAME, _NAME),
}


def except_text(inner: Language, word: str) -> Language:
    """Return the texts of a language, except one."""

    def step(state: tuple[Any, int], char: str) -> State | None:
        before, read = state  # how much of the word was read; -1 if the text differs from it
        after = inner.step(before, char)
        same = 0 <= read < len(word) and word[read] == char
        return None if after is None else (after, read + 1 if same else -1)

    def accepts(state: tuple[Any, int]) -> bool:
        return inner.accepts(state[0]) and state[1] != len(word)

    return Language((inner.start, 0), step, accepts, inner.cost)


def without_double_dots(inner: Language) -> Language:
    """Return the texts that a name may hold: without two dots in a row (see `core.names.check_interpolated`)."""

    def step(state: tuple[Any, bool], char: str) -> State | None:
        before, dotted = state
        after = None if dotted and char == "." else inner.step(before, char)
        return None if after is None else (after, char == ".")

    return Language((inner.start, False), step, lambda state: inner.accepts(state[0]), inner.cost)


def _part(
    automaton: Patterns, begin: State, first: Collection[str], rest: Collection[str], ends: Any
) -> Language:
    """Return the owners, or the names, that a list of patterns matches."""

    def step(state: Any, char: str) -> State | None:
        before: Any = begin if state == _BEFORE else state
        chars = first if state == _BEFORE else rest
        return automaton.step(before, char) if char in chars else None

    return Language(_BEFORE, step, lambda state: state != _BEFORE and ends(state), 1 + automaton.size // 32)


def _owners(automaton: Patterns, after_slash: State = None) -> Language:
    """Return the owners that, followed by a `/`, lead the patterns to the state `after_slash`."""
    return _part(
        automaton, automaton.start, ALNUM, _OWNER, lambda state: automaton.step(state, "/") == after_slash
    )


def _names(automaton: Patterns, after_slash: State) -> Language:
    """Return the names that the patterns match from the state `after_slash`."""
    return _part(automaton, after_slash, _NAME, _NAME, automaton.accepts)


class Cell(NamedTuple):
    """A part of the repositories that match: every one of these owners with every one of these names.

    `owners` and `names` are up to two examples of each; if there is one example, there is only one owner or name.
    """

    owner: Language
    name: Language
    owners: tuple[str, ...]
    names: tuple[str, ...]
    listed: frozenset[str] | None = None
    """All of the names, where the patterns list them."""

    def holds(self, owner: str, name: str) -> bool:
        """Return whether a repository is one of these."""
        return read(self.owner, owner) and read(self.name, name)

    def examples(self, variable: str) -> tuple[str, ...]:
        """Return the examples of `owner` or `name`; none for another variable."""
        return {"owner": self.owners, "name": self.names}.get(variable, ())

    def only(self, variable: str) -> str | None:
        """Return the one owner or name of the cell; None if there are several, or for another variable."""
        texts = self.examples(variable)
        return texts[0] if len(texts) == 1 else None

    def language(self, name: str) -> Language:
        """Return a language by its name: the cell's own for `owner` and `name`."""
        return {"owner": self.owner, "name": self.name}.get(name) or LANGUAGES[name]


EVERY = Cell(LANGUAGES["owner"], LANGUAGES["name"], _SOME_OWNERS, _SOME_NAMES[:2])


def cells(patterns: Sequence[str], alphabet: str, budget: Budget) -> tuple[Cell, ...]:
    """Return the repositories that a list of patterns matches, grouped by what may follow their owners."""
    automaton = compile_patterns(patterns, "name")
    found: dict[tuple[int, ...], Cell] = {}
    if all(is_literal(_split(pattern)[0]) and "/" in pattern for pattern in patterns):
        return tuple(_of_owners(automaton, patterns, alphabet, budget))
    for state, _ in _reached(_owners(automaton), alphabet, budget):
        after_slash = automaton.step(state, "/") if state != _BEFORE else None
        if after_slash is None or after_slash in found:
            continue
        owners, names = _owners(automaton, after_slash), _names(automaton, after_slash)
        some = examples(names, alphabet, budget)
        if some:
            found[after_slash] = Cell(owners, names, examples(owners, alphabet, budget, _SOME_OWNERS), some)
    return tuple(found.values())


def _of_owners(automaton: Patterns, patterns: Sequence[str], alphabet: str, budget: Budget) -> Iterator[Cell]:
    """Yield what `cells` would find where the patterns spell out their owners."""
    plain = all(is_literal(pattern) for pattern in patterns)
    pairs = [_split(pattern) for pattern in patterns if not pattern.startswith("!")]
    for owner in dict.fromkeys(pair[0] for pair in pairs):
        after_slash: Any = automaton.start
        for char in f"{owner}/":
            after_slash = after_slash and automaton.step(after_slash, char)
        language = _names(automaton, after_slash)
        listed = tuple(dict.fromkeys(name for other, name in pairs if other == owner))
        names = listed[:2] if plain else examples(language, alphabet, budget)
        if names:
            some = frozenset(listed) if plain else None
            yield Cell(_owners(automaton, after_slash), language, (owner,), names, some)


def _split(pattern: str) -> tuple[str, str]:
    owner, _, name = pattern.removeprefix("!").lower().partition("/")
    return owner, name


def fixes_owner(pattern: str) -> bool:
    """Return whether a pattern restricts owners: to a few, or to those that share at least one character.

    `[a-z]+/*` does not: like `*/*`, it matches the repositories of nearly every owner.
    """
    if is_literal(_split(pattern)[0]) and "/" in pattern:
        return True
    automaton = compile_patterns([pattern], "name")
    budget = Budget(_OWNER_STEPS)
    try:
        try:
            TopologicalSorter(_owner_states(automaton, _OWNER, budget)).prepare()
        except CycleError:  # there are owners of any length
            pass
        else:
            return True
        shared = sorted(_OWNER & set(pattern.lower()))
        return any(not _owner_states(automaton, _OWNER - {char}, budget) for char in shared)
    except Undecided:
        return False


def _owner_states(automaton: Patterns, chars: Collection[str], budget: Budget) -> dict[Any, set[Any]]:
    """Return the states on the way to an owner of these characters, with the states that follow each."""
    owners = _owners(automaton)
    after: dict[Any, set[Any]] = {}
    queue: list[Any] = [owners.start]
    while queue:
        state = queue.pop()
        if state not in after:
            budget.spend(owners.cost * len(chars))
            after[state] = {
                next_state for char in chars if (next_state := owners.step(state, char)) is not None
            }
            queue += after[state]
    alive = {state for state in after if state != _BEFORE and automaton.step(state, "/") is not None}
    while more := {state for state in after if state not in alive and after[state] & alive}:
        alive |= more
    return {state: after[state] & alive for state in alive}


def read(language: Language, text: str) -> bool:
    """Return whether a text is of a language."""
    state: Any = language.start
    for char in text:
        state = language.step(state, char)
        if state is None:
            return False
    return language.accepts(state)


def examples(
    language: Language, alphabet: str, budget: Budget, likely: Sequence[str] = _SOME_NAMES
) -> tuple[str, ...]:
    """Return up to two texts of a language, `likely` ones first."""
    found = [text for text in likely if read(language, text)][:2]
    if len(found) < 2:
        short = (text for state, text in _reached(language, alphabet, budget, 2) if language.accepts(state))
        found = list(dict.fromkeys([*found, *islice(short, 3)]))[:2]
    return tuple(found)


def _reached(language: Language, alphabet: str, budget: Budget, times: int = 1) -> Iterator[tuple[Any, str]]:
    """Yield each reachable state at most `times` times, with a text that leads there; shortest first."""
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
