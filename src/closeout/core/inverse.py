"""A name read backwards: the pull request's number in it.

Only a name that can be decoded in one way has a pattern: the number between fixed texts that have no digit next to it.
A pattern returns only a candidate, since anybody may call a thing `preview-812`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain, pairwise, repeat
from typing import NamedTuple, TypeAlias

NUMBER = None
"""Marks the number among the parts of a name."""
Part: TypeAlias = "str | None"
_DIGITS = "0123456789"


class NamePattern(NamedTuple):
    """The texts around each occurrence of the number, in order: a single text is a name without the number."""

    texts: tuple[str, ...]

    @property
    def fixed(self) -> str | None:
        """The whole name, if it is the same for every pull request."""
        return self.texts[0] if len(self.texts) == 1 else None

    def number(self, name: str) -> int | None:
        """Return the number in a name of this pattern; None for any other name."""
        found = _expression(self.texts).fullmatch(name)
        return int(found["number"]) if found is not None and self.fixed is None else None

    def gives(self, name: str) -> bool:
        """Return whether a name has this pattern, with any number."""
        return name == self.fixed or self.number(name) is not None


class NamePatterns(NamedTuple):
    """What a step names for one repository's pull requests: a pattern for each input that is a name."""

    repository: str
    """In the patterns' spelling."""
    patterns: Mapping[str, NamePattern]

    def number(self, inputs: Mapping[str, str]) -> int | None:
        """Return the number that all of these inputs contain; None if they do not come from one pull request."""
        if set(inputs) != set(self.patterns):
            return None
        if not all(pattern.gives(inputs[key]) for key, pattern in self.patterns.items()):
            return None
        numbers = {
            pattern.number(inputs[key]) for key, pattern in self.patterns.items() if pattern.fixed is None
        }
        return numbers.pop() if len(numbers) == 1 else None


def pattern_of(parts: Sequence[Part]) -> NamePattern | str:
    """Return the pattern of a name of these parts, or the reason why it cannot be read backwards."""
    texts = [""]
    for part in parts:
        if part is NUMBER:
            texts.append("")
        else:
            texts[-1] += part
    for before, after in pairwise(texts):
        if not before:
            return "it has no fixed text before the number"
        if before[-1] in _DIGITS or after[:1] in tuple(_DIGITS):
            return "a digit is next to the number, so its beginning or end is unclear"
    return NamePattern(tuple(texts))


@lru_cache(maxsize=4_096)
def _expression(texts: tuple[str, ...]) -> re.Pattern[str]:
    """Return a regular expression for these texts with the same number at each place between them."""
    first, *more = map(re.escape, texts)
    # Numbers are positive integers without leading zeros: https://docs.github.com/en/rest/pulls/pulls
    numbers = chain(("(?P<number>[1-9][0-9]{0,17})",), repeat("(?P=number)"))
    return re.compile(first + "".join(map(str.__add__, numbers, more)), re.DOTALL)
