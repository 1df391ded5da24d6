"""Findings: what is wrong with the file, where exactly, and how to fix it.

Every check adds to one collector instead of raising, so that a person sees all mistakes at once. Only this module
shows lines of the file, so secrets are masked here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from closeout.config.codes import CODES

Severity = Literal["error", "warning"]

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_SECRET_KEY = re.compile(r"""(?i)((?:secret|token|password|webhook|github)[\w-]*["']?\s*:\s*)(.+)$""")
_REFERENCE = re.compile(r"""^[\[{]?\s*["']?(?:env:[A-Za-z_]|file:|aws-secretsmanager:|api-url|false|#)""")
_TOKEN = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{4,}|github_pat_\w{4,}|A[KS]IA[A-Z0-9]{12,}|xox[abp]-[\w-]{6,})"
)
_MASK = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mistake (or warning) at one place. `line` and `column` count from 1."""

    file: str
    line: int
    column: int
    code: str
    message: str
    fix: str
    """One line, or one and an example below it."""
    severity: Severity = "error"
    source: str = ""
    """The line of the file, with secrets masked."""

    def text(self) -> str:
        """Return `FILE:LINE:COL: message`, one line."""
        warning = "warning: " if self.severity == "warning" else ""
        return f"{self.file}:{self.line}:{self.column}: {warning}{self.message}"

    def pretty(self) -> str:
        """Return the text, the line with a caret under the place, and the fix."""
        fix = self.fix.replace("\n", "\n       ")
        if not self.source.strip():
            return f"{self.text()}\n  fix: {fix}"
        gap = "".join(character if character == "\t" else " " for character in self.source[: self.column - 1])
        number = str(self.line)
        margin = " " * len(number)
        return f"{self.text()}\n  {number} | {self.source}\n  {margin} | {gap}^\n  fix: {fix}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object for `closeout check --json`."""
        return {name: value for name, value in asdict(self).items() if name != "source"}


class Findings:
    """Collects the findings of one file."""

    def __init__(self, file: str, text: str = "") -> None:
        self.file = file
        self._lines = _LINE_BREAK.split(text)
        self._found: list[Finding] = []
        self._secret: dict[int, int] = {}
        self._lost: set[tuple[int, int]] = set()

    def hide(self, line: int, column: int) -> None:
        """Never show this line of the file from `column` on: a secret is there."""
        self._secret[line] = min(column, self._secret.get(line, column))

    def lost(self, line: int, column: int) -> None:
        """Report nothing more about this place: its value was lost with the finding that was just added."""
        self._lost.add((line, column))

    def error(self, line: int, column: int, code: str, message: str, fix: str, example: str = "") -> None:
        """Add a mistake that makes the file unusable. `example` is closeout's own text, for further lines of the fix."""
        self._add(line, column, code, message, fix, "error", example)

    def warning(self, line: int, column: int, code: str, message: str, fix: str) -> None:
        """Add something that is legal and probably not meant."""
        self._add(line, column, code, message, fix, "warning")

    def extend(self, others: Iterable[Finding]) -> None:
        """Add findings that were made about another file (a module)."""
        self._found.extend(others)

    def count(self) -> int:
        """Return how many errors there are so far."""
        return sum(1 for finding in self._found if finding.severity == "error")

    def all(self) -> tuple[Finding, ...]:
        """Return everything found, in the order of the file, each once."""
        placed = {
            (item.file, item.line, item.column, item.message): item
            for item in (self._with_source(item) for item in self._found)
        }
        return tuple(placed[key] for key in sorted(placed, key=lambda key: (key[0] != self.file, *key)))

    def _add(
        self, line: int, column: int, code: str, message: str, fix: str, severity: Severity, example: str = ""
    ) -> None:
        if code not in CODES:
            raise LookupError(code)
        if (line, column) in self._lost:
            return
        self._found.append(
            Finding(
                file=self.file,
                line=line,
                column=column,
                code=code,
                message=printable(message),
                fix=printable(fix) + (f"\n{example}" if example else ""),
                severity=severity,
            )
        )

    def _with_source(self, finding: Finding) -> Finding:
        # Lines are read at the end: only when the whole file has been checked is it known which parts to hide.
        if finding.source or finding.file != self.file or not 0 < finding.line <= len(self._lines):
            return finding
        line = self._lines[finding.line - 1]
        hidden_from = self._secret.get(finding.line)
        if hidden_from is not None:
            line = line[: hidden_from - 1] + _MASK
        return replace(finding, source=printable(mask(line)))


def mask(line: str) -> str:
    """Return a line of the file without what looks like a secret, by its key or by its shape."""
    found = _SECRET_KEY.search(line)
    if found and not _REFERENCE.match(found[2]):
        line = line[: found.start(2)] + _MASK
    return _TOKEN.sub(_MASK, line)


def printable(text: str) -> str:
    """Return `text` on one line without characters that would steer a terminal."""
    return "".join(
        character if character.isprintable() or character == "\t" else "\ufffd" for character in text
    )


def near(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that `word` was probably meant to be."""
    names = list(known)
    folded = {name.casefold().replace("_", "-"): name for name in names}
    close = difflib.get_close_matches(word.casefold().replace("_", "-"), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def listed(words: Iterable[str], last: str = "or") -> str:
    """Return `a, b or c`."""
    items = list(words)
    if len(items) < 2:
        return items[0] if items else "nothing"
    return f"{', '.join(items[:-1])} {last} {items[-1]}"
