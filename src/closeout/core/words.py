"""Words of a search, split as SQLite's full-text index splits them, so that every store finds the same.

A word is a run of letters and digits; case does not count. What stands together in a search (`preview-21`) is found only
where its words follow each other.
"""

from __future__ import annotations

import re
from typing import TypeAlias

Phrase: TypeAlias = tuple[str, ...]

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> Phrase:
    """Return the words of a text, in lower case."""
    return tuple(_WORD.findall(text.lower()))


def phrases(search: str) -> tuple[Phrase, ...]:
    """Return what a text must hold to be found: the words of each part between blanks, in order."""
    return tuple(filter(None, map(words, search.split())))


def found(text: str, searched: tuple[Phrase, ...]) -> bool:
    """Return whether a text holds each phrase."""
    line = f" {' '.join(words(text))} "
    return all(f" {' '.join(phrase)} " in line for phrase in searched)
