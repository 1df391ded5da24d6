"""Words of a search, split like SQLite's full-text index, so that every store finds the same.

A word is a run of letters and digits, in any case. The words of a part without spaces (`preview-21`) are found only if
they follow each other.
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
    """Return what a text must contain to be found: the words of each part between spaces, in order."""
    return tuple(filter(None, map(words, search.split())))


def found(text: str, searched: tuple[Phrase, ...]) -> bool:
    """Return whether a text contains each phrase."""
    line = f" {' '.join(words(text))} "
    return all(f" {' '.join(phrase)} " in line for phrase in searched)
