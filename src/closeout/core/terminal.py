"""Characters that a terminal obeys or hides: escape sequences, controls, marks that change a text's direction.

Titles, branches, paths, answers and log lines come from outside. Printed text goes through `escaped`, so that a reader sees
what was there; text stored for pages goes through `stripped`. Redaction finds secrets that such characters interrupt.
"""

from __future__ import annotations

import re

HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff"
)
"""A class of a regular expression: controls except tab and line feed, and characters without a glyph in Unicode
(Default_Ignorable_Code_Point)."""
# ECMA-48: a control sequence, a control string (OSC 8 hides a link behind a text), an escape of two bytes. A string's
# body excludes introducers: otherwise each of a million introducers would be followed to the end of the text.
_STRING = r"[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"
INTRODUCED = (
    rf"(?:(?<=\x1b)(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_]{_STRING}|[ -/]*[0-~])"
    rf"|(?<=\x9b)[0-?]*[ -/]*[@-~]|(?<=[\x90\x98\x9d-\x9f]){_STRING})?"
)
"""The rest of an escape sequence, after its first character, which is one of `HIDDEN`."""

_STRIPPED = re.compile(f"[{HIDDEN}]{INTRODUCED}")
_JSON = re.compile(f"[{HIDDEN}\ud800-\udfff]")
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
"""Letters and marks in Python's view, for which no font has a shape."""
_SPACES = dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " ")


def stripped(text: str) -> str:
    """Return text without escape sequences and characters without a glyph. Tabs and line feeds stay."""
    return text if text.isprintable() else _STRIPPED.sub("", text)


def escaped(text: str) -> str:
    r"""Return text as one line in which every character is visible: an escape character as `\x1b`, a line feed as `\n`."""
    if text.isprintable() and (text.isascii() or _FILLERS.isdisjoint(text)):
        return text
    return "".join(
        character.encode("unicode_escape").decode()
        if character in _FILLERS or not character.isprintable()
        else character
        for character in text.translate(_SPACES)
    )


def escaped_json(document: str) -> str:
    r"""Return a JSON document with each such character escaped like `\u001b`, so that it decodes to the same value."""
    return _JSON.sub(lambda found: _units(found[0]), document)


def _units(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
