r"""Filter patterns as GitHub Actions has them, matched in time linear in the text.

`*` any but `/`; `**` anything; `?` and `+` the preceding character zero or one time, one or more times; `[]` one of
those listed; `!` in front excludes; `\` takes the next character literally. They run as a set of states and not as a
regular expression, because outsiders choose the texts (branch names, paths) and must not be able to burn time.
Rule: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from closeout.core.errors import PatternError

Kind: TypeAlias = Literal["ref", "path", "name"]
"""`name` is closeout's own, for repositories and senders: it ignores case, and a bare `*` means all."""

MAX_LENGTH = 1024
_MAX_CACHED = 4096
_SPECIAL = frozenset("*?+[]!\\")
_RANGES = (("a", "z"), ("A", "Z"), ("0", "9"))


class Atom(NamedTuple):
    """One element of a pattern: `accepts` a character (None: any), `loops`, and may be `optional`.

    `skip` more elements after it may be left out together with it: `**/` also matches nothing.
    """

    accepts: frozenset[str] | None
    excludes: str = ""
    loops: bool = False
    optional: bool = False
    skip: int = 0


class Patterns:
    """A compiled list: the last pattern that matches decides.

    It can also be walked character by character (names in lower case): a state holds the states of all its patterns.
    """

    def __init__(self, sources: tuple[str, ...], kind: Kind) -> None:
        self._fold: bool = kind == "name"
        self._signs = tuple(not source.startswith("!") for source in sources)
        self._machines = tuple(_Machine(source, kind) for source in sources)
        if not any(self._signs):
            raise PatternError("a list of patterns needs at least one that does not begin with `!`")
        self.start = tuple(machine.start for machine in self._machines)
        self.size = sum(machine.size for machine in self._machines)
        """Elements of all patterns: the cost of a step."""

    def matches(self, text: str) -> bool:
        """Whether the list lets this text through."""
        if self._fold:
            text = text.lower()
        pairs = zip(reversed(self._signs), reversed(self._machines), strict=True)
        return next((sign for sign, machine in pairs if machine.matches(text)), False)

    def step(self, state: tuple[int, ...], char: str) -> tuple[int, ...] | None:
        """Return the state after one more character; None when no text can match."""
        after = tuple(machine.step(one, char) for machine, one in zip(self._machines, state, strict=True))
        alive = any(one and sign for one, sign in zip(after, self._signs, strict=True))
        return after if alive else None

    def accepts(self, state: tuple[int, ...]) -> bool:
        """Return whether the text read so far is let through."""
        pairs = list(zip(self._machines, state, self._signs, strict=True))
        return next((sign for machine, one, sign in reversed(pairs) if machine.accepts(one)), False)


def compile_patterns(patterns: Sequence[str], kind: Kind = "ref") -> Patterns:
    """Compile a list; raise `PatternError` with the position in the pattern for what Actions refuses as well."""
    return _compile(tuple(patterns), kind)


@lru_cache(maxsize=2048)
def _compile(patterns: tuple[str, ...], kind: Kind) -> Patterns:
    if not patterns:
        raise PatternError("an empty list of patterns matches nothing")
    return Patterns(patterns, kind)


def is_literal(pattern: str) -> bool:
    """Whether the pattern can match one text only."""
    return not (_SPECIAL & set(pattern))


def _body(source: str, kind: Kind) -> str:
    body = source.removeprefix("!")
    if not body:
        raise PatternError("`!` alone is not a pattern" if source else "a pattern is empty")
    if len(body) > MAX_LENGTH:
        raise PatternError(f"a pattern is longer than {MAX_LENGTH} characters")
    return _name_pattern(body) if kind == "name" else body


def _name_pattern(body: str) -> str:
    body = body.lower()
    if body == "*":
        return "**"
    # The login of an App ends in `[bot]`; as a set of characters that would match `dependabotb`.
    return body.removesuffix("[bot]") + r"\[bot\]" if body.endswith("[bot]") else body


def _parse(body: str, source: str) -> tuple[Atom, ...]:
    atoms: list[Atom] = []
    index = 0
    repeatable = False
    while index < len(body):
        char = body[index]
        if char == "*":
            taken, found = _star(body, index)
            atoms += found
            repeatable = False
        elif char in "?+":
            if not repeatable:
                raise _broken(source, f"`{char}` has no character before it to repeat", index)
            atoms[-1] = atoms[-1]._replace(optional=char == "?", loops=char == "+")
            taken, repeatable = 1, False
        else:
            taken, accepts = _one(body, index, source)
            atoms.append(Atom(accepts))
            repeatable = True
        index += taken
    return tuple(atoms)


def _star(body: str, index: int) -> tuple[int, list[Atom]]:
    """Return how many characters `*`, `**` or `**/` take, and what they mean."""
    taken = len(body) - index - len(body[index:].lstrip("*"))
    if taken == 1:
        return 1, [Atom(None, excludes="/", loops=True, optional=True)]
    at_start = index == 0 or body[index - 1] == "/"
    follows = body[index + taken : index + taken + 2]
    if at_start and follows.startswith("/") and follows[1:] not in ("?", "+"):
        return taken + 1, [Atom(None, loops=True, optional=True, skip=1), Atom(frozenset("/"))]
    return taken, [Atom(None, loops=True, optional=True)]


def _one(body: str, index: int, source: str) -> tuple[int, frozenset[str]]:
    char = body[index]
    if char == "\\":
        if index + 1 == len(body):
            raise _broken(source, "`\\` at the end escapes nothing", index)
        return 2, frozenset(body[index + 1])
    if char == "[":
        return _bracket(body, index, source)
    return 1, frozenset(char)


def _bracket(body: str, index: int, source: str) -> tuple[int, frozenset[str]]:
    inner, closed, _ = body[index + 1 :].partition("]")
    if not closed:
        raise _broken(source, "`[` is not closed", index)
    if not inner:
        raise _broken(source, "`[]` lists no character", index)
    if inner[0] in "!^":
        raise _broken(source, f"`[{inner[0]}…]` does not negate in filter patterns", index)
    accepts: set[str] = set()
    at = 0
    while at < len(inner):
        if inner[at + 1 : at + 2] == "-":
            first, last = inner[at], inner[at + 2 : at + 3]
            if not any(low <= first <= last <= high for low, high in _RANGES):
                raise _broken(source, "a range goes within a-z, A-Z or 0-9", index)
            accepts.update(chr(code) for code in range(ord(first), ord(last) + 1))
            at += 3
        else:
            accepts.add(inner[at])
            at += 1
    return len(inner) + 2, frozenset(accepts)


def _broken(source: str, why: str, index: int) -> PatternError:
    position = index + (2 if source.startswith("!") else 1)
    return PatternError(f"pattern {source!r}: {why} (character {position})")


class _Machine:
    """The states of one pattern as the bits of an integer; it caches the steps that were taken."""

    def __init__(self, source: str, kind: Kind) -> None:
        body = _body(source, kind)
        self._literal = body if is_literal(body) else None
        self._atoms = _parse(body, source)
        self.size = len(self._atoms)
        self._accept = 1 << self.size
        self._closure = self._closures()
        self.start = self._closure[0]
        self.step = lru_cache(_MAX_CACHED)(self._step)

    def matches(self, text: str) -> bool:
        if self._literal is not None:
            return text == self._literal
        states = self.start
        for char in text:
            states = self.step(states, char)
            if not states:
                return False
        return self.accepts(states)

    def accepts(self, states: int) -> bool:
        return bool(states & self._accept)

    def _closures(self) -> list[int]:
        """Return for each state itself and those that are reached without taking a character."""
        closure = [0] * len(self._atoms) + [self._accept]
        for state in reversed(range(len(self._atoms))):
            atom = self._atoms[state]
            closure[state] = 1 << state
            if atom.optional:
                closure[state] |= closure[state + 1]
            if atom.skip:
                closure[state] |= closure[state + 1 + atom.skip]
        return closure

    def _step(self, states: int, char: str) -> int:
        after = 0
        for state, atom in enumerate(self._atoms):
            if states >> state & 1 and (
                char in atom.accepts if atom.accepts is not None else char not in atom.excludes
            ):
                after |= self._closure[state + 1]
                if atom.loops:
                    # Back to the same element; leaving it is in the closure of the next one already.
                    after |= 1 << state
        return after
