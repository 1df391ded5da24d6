"""Text for a terminal: whatever could move the cursor or hide a character is removed or made visible."""

from __future__ import annotations

import json

import pytest

from closeout.core.terminal import escaped, escaped_json, stripped


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("grün 👍", "grün 👍"),
        ("a\tb\nc", r"a\tb\nc"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("right\u202eleft", r"right\u202eleft"),
        ("a\u3164b", r"a\u3164b"),
        ("a\u00a0b", "a b"),
        ("\ud800", r"\ud800"),
    ],
)
def test_every_character_of_a_line_is_visible(text: str, shown: str) -> None:
    """A branch's name can neither colour the line, nor reverse it, nor hide a part of it."""
    assert escaped(text) == shown


def test_escape_sequences_are_removed_from_text() -> None:
    """Its line breaks and tabs stay."""
    assert stripped("plain") == "plain"
    assert stripped("\x1b[31mred\x1b[0m\tx\n") == "red\tx\n"


@pytest.mark.parametrize("value", ["\x9b31m", "\ud800", "a\u202eb", "plain grün"])
def test_json_escapes_control_characters_and_keeps_its_meaning(value: str) -> None:
    """A program reads the original text, and a terminal gets no command."""
    document = json.dumps({"a": value}, ensure_ascii=False)
    done = escaped_json(document)
    assert json.loads(done) == {"a": value}
    assert (done == document) == (value == "plain grün")
    if value != "plain grün":
        assert done.isascii()
        assert "\\u" in done
