"""Typed reading of nodes: text, numbers, durations, lists, sections with known keys.

Each method returns a value of the right type, or adds a finding and returns None. None of them raises, so
one mistake never hides the next.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from closeout.config.document import Mapping, Node, Scalar, Sequence
from closeout.config.findings import Findings, listed, near
from closeout.core.units import duration_text, parse_duration

Hint: TypeAlias = "Callable[[str, Node], str | None]"
"""Returns what closeout has instead of an unknown key, given the key and its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigNode:
    """A node, the path to it for messages (`automations.preview.steps[1].with.tag`), and where findings go."""

    node: Node
    path: str
    findings: Findings

    def error(self, code: str, message: str, fix: str, example: str = "") -> None:
        """Add an error at this node; see `Findings.error` for `example`."""
        prefix = f"{self.path}: " if self.path else ""
        self.findings.error(self.node.line, self.node.column, code, prefix + message, fix, example)

    def warning(self, code: str, message: str, fix: str) -> None:
        """Add a warning at this node."""
        prefix = f"{self.path}: " if self.path else ""
        self.findings.warning(self.node.line, self.node.column, code, prefix + message, fix)

    def to(self, node: Node, name: str | int) -> ConfigNode:
        """Return the `ConfigNode` of a node below this one."""
        step = f"[{name}]" if isinstance(name, int) else f".{name}" if self.path else name
        return ConfigNode(node=node, path=self.path + step, findings=self.findings)

    def text(self) -> str | None:
        """Read text that is not empty."""
        value = self.node.value if isinstance(self.node, Scalar) else None
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, str):
            self.error("empty-value", "the text is empty", "write a value, or leave the key out")
        elif isinstance(self.node, Scalar) and value is not None:
            self.wrong("text", f"quote it: '{self.node.text}'")
        else:
            self.wrong("text")
        return None

    def refuse_template(self, text: str) -> None:
        """Add an error for a `${{ }}` in a text in which it is not filled in."""
        if "${{" in text:
            self.error("template-not-allowed", "`${{ }}` is not filled in here", "write the value itself")

    def matching(
        self, pattern: re.Pattern[str], problem: str, fix: str, code: str = "bad-value"
    ) -> str | None:
        """Read a text that matches a pattern; in the finding for one that does not, `problem` follows the text."""
        value = self.text()
        if value is None or pattern.match(value):
            return value
        self.error(code, f"`{value}` {problem}", fix)
        return None

    def each_matching(
        self, pattern: re.Pattern[str], problem: str, fix: str, code: str = "bad-value"
    ) -> tuple[str, ...]:
        """Read one text or a list of texts, without those that do not match a pattern."""
        read = (item.matching(pattern, problem, fix, code) for item in self.items(single=True) or ())
        return tuple(text for text in read if text is not None)

    def boolean(self) -> bool | None:
        """Read `true` or `false`."""
        if isinstance(self.node, Scalar) and isinstance(self.node.value, bool):
            return self.node.value
        self.wrong("true or false", "write true or false, without quotes")
        return None

    def integer(self, low: int, high: int) -> int | None:
        """Read a whole number within bounds."""
        value = self.node.value if isinstance(self.node, Scalar) else None
        if type(value) is not int:
            self.wrong("a whole number", "write a number without quotes")
            return None
        if not low <= value <= high:
            message = f"{value} is not between {low:,} and {high:,}"
            self.error("out-of-range", message, f"choose {low:,} to {high:,}")
            return None
        return value

    def duration(self, low: float, high: float) -> float | None:
        """Read `90s`, `15m`, `1h30m`, `2d` as seconds."""
        value = self.node.value if isinstance(self.node, Scalar) else None
        seconds = parse_duration(value) if isinstance(value, str) else None
        if seconds is None:
            shown = "" if value is None else f", got {described(self.node)}"
            fix = (
                f"write {value}s for seconds" if type(value) is int else "write it like 90s, 15m, 1h30m or 2d"
            )
            self.error("bad-duration", f"expected a duration{shown}", fix)
            return None
        if not low <= seconds <= high:
            bounds = f"{duration_text(low)} and {duration_text(high)}"
            self.error("out-of-range", f"{value} is not between {bounds}", f"choose between {bounds}")
            return None
        return seconds

    def choice(self, choices: Iterable[str]) -> str | None:
        """Read one of `choices`."""
        known = list(choices)
        value = self.text()
        if value is None or value in known:
            return value
        close = near(value, known)
        fix = f"did you mean `{close}`?" if close else f"write {listed(known)}"
        self.error("bad-value", f"`{value}` is not {listed(known)}", fix)
        return None

    def items(self, *, single: bool = False) -> list[ConfigNode] | None:
        """Read a list that is not empty; with `single`, one value may stand for a list of one."""
        if single and isinstance(self.node, Scalar) and self.node.value is not None:
            return [self]
        if not isinstance(self.node, Sequence):
            self.wrong("a list", "write [a, b], or one item a line after `- `")
            return None
        if not self.node.items:
            self.error("empty-value", "the list is empty", "list at least one item, or leave the key out")
            return None
        return [self.to(item, index) for index, item in enumerate(self.node.items)]

    def texts(self) -> tuple[str, ...] | None:
        """Read one text or a list of texts. None when any is wrong."""
        items = self.items(single=True)
        if items is None:
            return None
        read = [item.text() for item in items]
        return tuple(item for item in read if item is not None) if None not in read else None

    def section(
        self,
        known: Iterable[str],
        hint: Hint | None = None,
        *,
        what: str = "key",
        nullable: Collection[str] = (),
    ) -> dict[str, ConfigNode] | None:
        """Read a map with known keys. Unknown keys, and empty ones not in `nullable`, become findings and are left out.

        `hint` knows the keys that GitHub Actions has at this place; findings call a key `what`.
        """
        if not isinstance(self.node, Mapping):
            self.wrong("a map", "write key: value pairs")
            return None
        names = list(known)
        found: dict[str, ConfigNode] = {}
        for key, node in self.node.entries:
            name = str(key.value)
            if name not in names and (fix := hint and hint(name, node)):
                message = f"`{name}` is a key of GitHub Actions; closeout has none here"
                self.to(key, name).error("unknown-key", message, fix)
            elif name not in names:
                close = near(name, names)
                fix = f"did you mean `{close}`?" if close else f"known here: {', '.join(names) or 'none'}"
                self.to(key, name).error(f"unknown-{what}", f"unknown {what} `{name}`", fix)
            elif is_null(node) and name not in nullable:
                fix = f"write a value, or leave the {what} out"
                self.to(key, name).error("empty-value", f"the {what} has no value", fix)
            else:
                found[name] = self.to(node, name)
        return found

    def lacks(self, key: str, known: Iterable[str]) -> bool:
        """Whether a map lacks this key. A likely misspelling of it counts as the key, because it is a finding already."""
        names = list(known)
        return not isinstance(self.node, Mapping) or not any(
            word == key or (word not in names and near(word, names) == key)
            for word in (str(name.value) for name, _ in self.node.entries)
        )

    def wrong(self, expected: str, fix: str = "") -> None:
        """Add the finding about a value of another type."""
        message = f"expected {expected}, got {described(self.node)}"
        self.error("wrong-type", message, fix or f"write {expected}")


def is_null(node: Node) -> bool:
    """Return whether there is no value."""
    return isinstance(node, Scalar) and node.value is None


def described(node: Node) -> str:
    """Return a description of a node. It never shows a text, which may be a secret in the wrong place."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a map"
    if node.value is None:
        return "nothing"
    return "text" if isinstance(node.value, str) else f"`{node.text}`"
