"""Text for a terminal: what could move the cursor or hide a character is taken out or shown."""

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
def test_every_character_of_a_line_shows(text: str, shown: str) -> None:
    """A branch's name can neither colour the line, nor turn it, nor hide a part of it."""
    assert escaped(text) == shown


def test_escape_sequences_are_taken_out_of_text() -> None:
    """Its lines and tabs stay."""
    assert stripped("plain") == "plain"
    assert stripped("\x1b[31mred\x1b[0m\tx\n") == "red\tx\n"


@pytest.mark.parametrize("value", ["\x9b31m", "\ud800", "a\u202eb", "plain grün"])
def test_json_shows_them_as_escapes_and_means_the_same(value: str) -> None:
    """A program reads what was meant, and a terminal gets no command."""
    document = json.dumps({"a": value}, ensure_ascii=False)
    done = escaped_json(document)
    assert json.loads(done) == {"a": value}
    assert (done == document) == (value == "plain grün")
    if value != "plain grün":
        assert done.isascii()
        assert "\\u" in done
