"""The guard of the right name: what a payload may put into a name, and who chose it.

A name decides what is deleted. What outsiders choose (a title, a branch) must not be able to aim it, so an
expression passes only if it is fully understood here and reads nothing but numbers, SHAs, the base branch
and the repository. What is not understood counts as chosen by outsiders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from closeout.core.errors import NameRefused

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", re.ASCII)
_TOKEN = re.compile(
    r"""\s*(?:(?P<path>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)|(?P<number>\d+)"""
    r"""|(?P<string>"[^"\\\n]*"|'[^'\\\n]*')|(?P<mark>[+()]))""",
    re.ASCII,
)
_FUNCTIONS = ("string", "int")
_MAX_LENGTH, _MAX_BRACKETS = 500, 20
Token = tuple[str, str]


class Node(NamedTuple):
    """A part of an expression: `path`, `number` or `string` with their text; `string`, `int` or `+` over `inner`."""

    kind: str
    text: str
    inner: tuple[Node, ...] = ()


_OBJECTS = frozenset((
    "base", "check_run", "check_suite", "comment", "deployment", "deployment_status", "discussion", "head",
    "installation", "issue", "label", "milestone", "organization", "pull_request", "release", "repo",
    "repository", "review", "sender", "team", "user", "workflow", "workflow_job", "workflow_run",
))  # fmt: skip
"""Objects of GitHub's own: below them `id` and `number` are numbers that GitHub gives out."""
_NUMBERS = frozenset(("id", "number", "run_number", "run_attempt", "run_id"))
_SHAS = frozenset(
    (
        "event.after",
        "event.before",
        "event.check_run.head_sha",
        "event.check_suite.after",
        "event.check_suite.before",
        "event.check_suite.head_sha",
        "event.deployment.sha",
        "event.head_commit.id",
        "event.merge_group.base_sha",
        "event.merge_group.head_sha",
        "event.pull_request.base.sha",
        "event.pull_request.head.sha",
        "event.pull_request.merge_commit_sha",
        "event.sha",
        "event.workflow_job.head_sha",
        "event.workflow_run.head_sha",
    )
)
_PATH = re.compile(r"\bevent(?:\.[A-Za-z_]\w*)+", re.ASCII)
_FREE = frozenset((
    "body", "description", "head_branch", "label", "labels", "login", "message", "name", "ref", "text",
    "title",
))  # fmt: skip
_BASE_REFS = ("event.pull_request.base.ref",)


def check_interpolated(value: object, expression: str) -> str:
    """Return `value` as the part of a name that it will be; raise `NameRefused` if it is not fit for one.

    Fit: a letter or digit, then at most 127 more of letters, digits, `.`, `_`, `/`, `-`; no `..`.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and _NAME.fullmatch(text) is not None and ".." not in text:
        return text
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "…"
    raise NameRefused(
        f"${{{{ {expression} }}}} gave {shown}, which cannot be part of a name"
        " (letters, digits, `.`, `_`, `/`, `-`, no `..`, at most 128 characters); nothing was done"
    )


def outsider_fields(expression: str) -> tuple[str, ...]:
    """Return every field of a CEL expression that outsiders may choose, as `event.a.b`; empty when there is none.

    An expression in any form but paths, literals, `+`, `string()` and `int()` gives its own text.
    """
    paths = _paths(expression)
    if paths is None:
        return (expression.strip() or "${{ }}",)
    return tuple(dict.fromkeys(path for path in paths if not _chosen_inside(path)))


def outsider_texts(expression: str) -> tuple[str, ...]:
    """Return the fields of an expression in any form that hold text which outsiders may choose, as `event.a.b`."""
    if _paths(expression) is not None:
        return outsider_fields(expression)
    found = (_free_text(match.group().split(".")) for match in _PATH.finditer(expression))
    return tuple(dict.fromkeys(path for path in found if path is not None and not _chosen_inside(path)))


def _free_text(names: list[str]) -> str | None:
    """Return a path up to the field that holds free text: what follows, as in `title.size()`, is a function."""
    end = next((index for index, name in enumerate(names, 1) if name in _FREE), None)
    return None if end is None else ".".join(names[:end])


class Piece(NamedTuple):
    """A part of what an expression gives: fixed text, or the value of a field.

    `path` is the field; None with `fixed` None is a value that is not understood here: arithmetic, mostly.
    """

    fixed: str | None
    path: str | None = None


def pieces(expression: str) -> tuple[Piece, ...]:
    """Return what an expression joins, in order; one unknown piece for a form that is not understood here."""
    node = _parsed(expression)
    return (Piece(None),) if node is None else tuple(_joined(node)[1])


def is_sha(path: str) -> bool:
    """Return whether a field is a commit's SHA: 40 hexadecimal digits."""
    return path in _SHAS


def is_number(path: str) -> bool:
    """Return whether a field is a number that GitHub gives out."""
    root, *names = path.split(".")
    if root != "event" or not names:
        return False
    return names[-1] in _NUMBERS and all(name in _OBJECTS for name in names[:-1])


def _chosen_inside(path: str) -> bool:
    return path in _SHAS or path in _BASE_REFS or path.startswith("event.repository.") or is_number(path)


def _paths(expression: str) -> list[str] | None:
    """Return the paths that an expression reads, or None if it is in any form that is not understood here."""
    node = _parsed(expression)
    return None if node is None else list(_read(node))


def _parsed(expression: str) -> Node | None:
    tokens = _tokens(expression)
    sums: list[Node] = []
    rest = _sum(tokens, sums) if tokens else None
    return sums[0] if rest == [] else None


def _read(node: Node) -> Iterator[str]:
    if node.kind == "path":
        yield node.text
    for inner in node.inner:
        yield from _read(inner)


def _sum(tokens: list[Token], found: list[Node]) -> list[Token] | None:
    """Read `operand {+ operand}` into `found`; return the tokens after it, or None if there is no such thing."""
    operands: list[Node] = []
    rest = _operand(tokens, operands)
    while rest and rest[0] == ("mark", "+"):
        rest = _operand(rest[1:], operands)
    found.append(operands[0] if len(operands) == 1 else Node("+", "", tuple(operands)))
    return rest


def _operand(tokens: list[Token], found: list[Node]) -> list[Token] | None:
    """Read a literal, a path, or a sum in brackets, with or without `string` or `int` before them."""
    if not tokens:
        return None
    (kind, text), rest = tokens[0], tokens[1:]
    if kind == "path" and rest[:1] == [("mark", "(")]:
        inner: list[Node] = []
        after = _operand(rest, inner) if text in _FUNCTIONS else None
        found.append(Node(text, "", tuple(inner)))
        return after
    if (kind, text) == ("mark", "("):
        after = _sum(rest, found)
        return after[1:] if after and after[0] == ("mark", ")") else None
    found.append(Node(kind, text))
    return None if kind == "mark" else rest


def _joined(node: Node) -> tuple[bool, list[Piece]]:
    """Return whether a value is a number, and its pieces: `+` joins texts, and adds numbers up."""
    match node.kind:
        case "path":
            return is_number(node.text), [Piece(None, node.text)]
        case "number":
            return True, [Piece(str(int(node.text)))]
        case "string" if not node.inner:
            return False, [Piece(node.text[1:-1])]
        case "string":
            return False, _joined(node.inner[0])[1]
        case "int":
            number, inner = _joined(node.inner[0])
            return True, inner if number else [Piece(None)]
    parts = [_joined(inner) for inner in node.inner]
    if any(number for number, _ in parts):
        return all(number for number, _ in parts), [Piece(None)]
    return False, [piece for _, pieces_ in parts for piece in pieces_]


def _tokens(expression: str) -> list[Token]:
    """Cut into tokens; empty if it holds a character that is none."""
    tokens: list[Token] = []
    place = 0
    text = expression.rstrip()
    if len(text) > _MAX_LENGTH or text.count("(") > _MAX_BRACKETS:
        return []
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            return []
        token = found.group(found.lastgroup)
        tokens.append((found.lastgroup, "".join(token.split()) if found.lastgroup == "path" else token))
        place = found.end()
    return tokens
