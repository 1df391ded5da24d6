"""The project's pages as the tests of the documentation see them: fenced blocks, code spans, commands in them.

They stand here once so that each test can be about one promise of the documentation.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
ADR = ROOT / "docs" / "adr"
"""Decisions are dated: they speak of the day on which they were taken."""


class Block(NamedTuple):
    """A fenced block: its language, the rest of its info line, its text, and where it stands."""

    page: Path
    line: int
    language: str
    note: str
    text: str

    @property
    def place(self) -> str:
        """`FILE:LINE` from the project's root."""
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


@cache
def pages() -> tuple[Path, ...]:
    """Every page for users and contributors."""
    written = sorted(path for path in (ROOT / "docs").rglob("*.md") if not path.is_relative_to(ADR))
    return (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *written)


@cache
def blocks() -> tuple[Block, ...]:
    """Every fenced block of every page, in order."""
    found = []
    parser = MarkdownIt("commonmark")
    parser.core.ruler.enableOnly(["normalize", "block"])  # each worker reads them, to collect a test for each
    for page in pages():
        for token in parser.parse(page.read_text("utf-8")):
            if token.type == "fence":
                language, _, note = token.info.strip().partition(" ")
                line = (token.map or [0])[0] + 1
                found.append(Block(page, line, language, note, token.content))
    return tuple(found)


@cache
def spans() -> tuple[tuple[str, str], ...]:
    """Every code span of every page with the place of its paragraph."""
    found = []
    for page in pages():
        for token in MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8")):
            place = f"{page.relative_to(ROOT).as_posix()}:{(token.map or [0])[0] + 1}"
            found += [(place, child.content) for child in token.children or [] if child.type == "code_inline"]
    return tuple(found)


def column(page: Path, heading: str) -> list[str]:
    """The code spans in the first column of every table of a page whose first heading is `heading`."""
    tables = re.findall(
        r"(?m)^\| *" + re.escape(heading) + r" *\|.*\n\|[ :|-]+\n((?:\|.*\n?)+)", page.read_text("utf-8")
    )
    return re.findall(r"(?m)^\| *`([^`]+)`", "\n".join(tables))


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `closeout …` in a piece of shell: pipes, comments and redirections are taken off."""
    text = re.sub(r"(?ms)<<'?(\w+)'?$.*?^\1$", "", text)
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        lexer = shlex.shlex(re.sub(r"\d?>+ *\S+|< *\S+", "", line), posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quotation that goes on in the next line: no command of ours
            continue
        yield from _calls(words)


def _calls(words: list[str]) -> Iterator[list[str]]:
    call: list[str] | None = None
    for word in [*words, ";"]:
        if re.fullmatch(r"[|&;()]+", word):
            if call is not None:
                yield call
            call = None
        elif call is not None:
            call.append(word)
        elif word == "closeout" or word.endswith("/closeout"):
            call = []
