"""Turn a YAML text into nodes that know their place in the file.

The tree is built here from ruamel's events. Its constructors silently drop text: an unquoted `!pattern`
becomes a tag and vanishes, and the last of two equal keys wins. `compose` does not help: its nodes do not say that there was
a plain `!`, and it reads a whole file before its size can be checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from closeout.config.findings import Findings

MAX_BYTES = 262_144
MAX_NODES = 20_000
MAX_DEPTH = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """One value: text, a number, a truth value or None. `text` is as written; `plain`: without quotes."""

    line: int
    column: int
    value: str | int | float | bool | None
    text: str
    plain: bool = False
    nodes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: tuple[Node, ...]
    nodes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """A map, in the order of the file. Keys are text and unique."""

    line: int
    column: int
    entries: tuple[tuple[Scalar, Node], ...]
    nodes: int = 1

    def get(self, key: str) -> Node | None:
        """Return the value of `key`."""
        return next((value for name, value in self.entries if name.value == key), None)

    def key(self, key: str) -> Scalar | None:
        """Return the key's own node, for its place."""
        return next((name for name, _ in self.entries if name.value == key), None)


Node: TypeAlias = Scalar | Sequence | Mapping


class _Stopped(Exception):
    """The tree cannot be built; the finding has been made."""


MISSING = "there is no such file"


def read(path: Path) -> tuple[str | None, str]:
    """Read the file. Returns its text and "", or None and a sentence that says why it cannot be used."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None, MISSING
    except OSError as error:
        return None, f"cannot read the file: {error.strerror or type(error).__name__}"
    except ValueError:
        return None, "cannot read the file: its path contains a NUL"
    if len(data) > MAX_BYTES:
        return None, f"the file is larger than {MAX_BYTES // 1024} KB"
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        return None, f"the file is not UTF-8: byte {error.start + 1} is 0x{data[error.start]:02x}"


def parse(text: str, findings: Findings) -> Node | None:
    """Return the document's root node, or None after adding at least one error."""
    try:
        root = _Builder(text, findings).document()
    except _Stopped:
        return None
    if root is None or (isinstance(root, Scalar) and root.value is None):
        fix = "write a configuration; `closeout init` makes one"
        findings.error(1, 1, "empty-file", "the file is empty", fix)
        return None
    return root


def from_value(value: Any, line: int, column: int) -> Node:
    """Return a node for a Python value, with one place for all of it (an `@on` decorator's line)."""
    if isinstance(value, dict):
        entries = tuple(
            (Scalar(line=line, column=column, value=key, text=key), from_value(item, line, column))
            for key, item in value.items()
        )
        return Mapping(line=line, column=column, entries=entries)
    if isinstance(value, list | tuple):
        items = tuple(from_value(item, line, column) for item in value)
        return Sequence(line=line, column=column, items=items)
    return Scalar(line=line, column=column, value=value, text=str(value))


def plain(node: Node) -> Any:
    """Return the node as a plain JSON value."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {str(key.value): plain(value) for key, value in node.entries}


_INTEGER = re.compile(r"[-+]?[0-9]{1,19}\Z")
_FLOAT = re.compile(r"[-+]?(?:[0-9]{1,40}\.[0-9]{0,40}|\.[0-9]{1,40}|[0-9]{1,40})(?:[eE][-+]?[0-9]{1,4})?\Z")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_SIXTY_FOUR_BITS = 2**63


def resolve(text: str) -> str | int | float | bool | None:
    """Return the value of an unquoted scalar by YAML 1.2's core schema (`on`, `yes` and dates are text).

    Infinity, NaN, and numbers beyond 64 bits stay text, because JSON cannot hold them.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        number = int(text)
        return number if -_SIXTY_FOUR_BITS <= number < _SIXTY_FOUR_BITS else text
    if _FLOAT.match(text) and isfinite(float(text)):
        return float(text)
    return text


class _Builder:
    """Turns one document's events into nodes, within limits on depth and number."""

    def __init__(self, text: str, findings: Findings) -> None:
        self._text = text
        self._findings = findings
        self._anchors: dict[str, Node] = {}
        self._last = (1, 1)
        self._nodes = 0

    def document(self) -> Node | None:
        events = self._events()
        root: Node | None = None
        documents = 0
        for event in events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    fix = "keep one document, without `---`"
                    self._stop(event, "yaml-syntax", "the file has a second document", fix)
            elif kind.startswith(("Stream", "Document")):
                continue
            else:
                root = self._node(event, events, 1)
        return root

    def _events(self) -> Iterator[Any]:
        from ruamel.yaml import YAML  # noqa: PLC0415  20 ms that `closeout runs list` need not pay
        from ruamel.yaml.error import MarkedYAMLError  # noqa: PLC0415

        try:
            for event in YAML(typ="safe", pure=True).parse(self._text):
                self._last = _place(event)
                yield event
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else self._last
            problem = " ".join(part for part in (error.problem, error.context) if part)
            self._syntax(line, column, problem)
        except Exception as error:  # noqa: BLE001  ruamel lets ValueError, OverflowError and others out for bad escapes
            position = getattr(error, "position", None)
            line, column = self._last if position is None else self._place_of(int(position))
            self._syntax(line, column, "a character that YAML does not allow")

    def _syntax(self, line: int, column: int, problem: str) -> NoReturn:
        lines = self._text.splitlines()
        source = lines[line - 1] if 0 < line <= len(lines) else ""
        if re.search(r"(?:[:\[,]|-)\s*!", source):
            fix = "a value that begins with `!` must be quoted: '!…'"
        elif "${{" in source:
            fix = "quote a value that contains a template: '… ${{ … }} …'; else YAML reads { } as a map"
        elif "\t" in source:
            fix = "indent with spaces; YAML does not allow tabs there"
        else:
            fix = "check the indentation, colons and quotes on this line and the one before"
        self._findings.error(line, column, "yaml-syntax", f"not valid YAML: {problem}", fix)
        raise _Stopped

    def _place_of(self, position: int) -> tuple[int, int]:
        before = self._text[:position]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        line, column = _place(event)
        self._nodes += 1
        if depth > MAX_DEPTH:
            message = f"values are nested more than {MAX_DEPTH} deep"
            self._stop(event, "yaml-too-large", message, "write it flatter")
        if self._nodes > MAX_NODES:
            message = f"the file contains more than {MAX_NODES:,} values"
            self._stop(event, "yaml-too-large", message, "split the file")
        kind = type(event).__name__
        if kind == "AliasEvent":
            return self._alias(event)
        self._refuse_tag(event)
        node: Node
        if kind == "ScalarEvent":
            node = self._scalar(event, line, column)
        elif kind == "SequenceStartEvent":
            node = self._sequence(events, line, column, depth)
        else:
            node = self._mapping(events, line, column, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            message = f"there is no anchor &{event.anchor} before this alias"
            self._stop(event, "yaml-syntax", message, "define it first")
        # An alias counts as all the values that it expands to, so that a few lines cannot grow into millions of values.
        self._nodes += node.nodes
        return node

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            shown = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            message = f"an unquoted `!` makes {shown!r} a YAML tag, and YAML drops it"
            fix = "quote it: put the whole value in quotes, '!…'"
            self._reject(*_place(event), "yaml-tag", message, fix)

    def _scalar(self, event: Any, line: int, column: int) -> Scalar:
        text = event.value
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            message = "the value contains a NUL or half a surrogate pair"
            self._reject(line, column, "bad-character", message, "write the character itself")
            text = ""
        unquoted = event.style is None
        # A tag is already a finding. As text, the value causes no second one about its type.
        value = resolve(text) if unquoted and event.tag is None else text
        return Scalar(line=line, column=column, value=value, text=text, plain=unquoted)

    def _sequence(self, events: Iterator[Any], line: int, column: int, depth: int) -> Sequence:
        inside = takewhile(lambda event: type(event).__name__ != "SequenceEndEvent", events)
        items = tuple(self._node(event, events, depth + 1) for event in inside)
        return Sequence(line=line, column=column, items=items, nodes=1 + sum(item.nodes for item in items))

    def _mapping(self, events: Iterator[Any], line: int, column: int, depth: int) -> Mapping:
        entries: dict[str, tuple[Scalar, Node]] = {}
        nodes = 1
        for event in takewhile(lambda event: type(event).__name__ != "MappingEndEvent", events):
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            nodes += key.nodes + value.nodes
            if self._usable(key, entries):
                assert isinstance(key, Scalar)
                entries[str(key.value)] = (key, value)
        return Mapping(line=line, column=column, entries=tuple(entries.values()), nodes=nodes)

    def _usable(self, key: Node, entries: dict[str, tuple[Scalar, Node]]) -> bool:
        if not isinstance(key, Scalar) or not isinstance(key.value, str):
            shown = f"`{key.text}`" if isinstance(key, Scalar) else "a list or map"
            problem = "key-not-text", f"a key must be text, got {shown}", "quote the key: '…'"
        elif key.plain and key.value == "<<":
            problem = "yaml-merge", "merge keys (`<<`) are not supported", "write the keys out"
        elif key.value in entries:
            message = f"the key `{key.value}` is repeated (first on line {entries[key.value][0].line})"
            problem = "duplicate-key", message, "remove one of the two"
        else:
            return True
        self._findings.error(key.line, key.column, *problem)
        return False

    def _reject(self, line: int, column: int, code: str, message: str, fix: str) -> None:
        """Add an error, and report nothing more about the value."""
        self._findings.error(line, column, code, message, fix)
        self._findings.lost(line, column)

    def _stop(self, event: Any, code: str, message: str, fix: str) -> NoReturn:
        self._findings.error(*_place(event), code, message, fix)
        raise _Stopped


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1
