"""Guard names: what a payload may put into a name, and who chooses that.

A name decides what is deleted. Outsiders choose titles and branches, and must not be able to steer a deletion with them. So
an expression passes only if it is fully understood here and reads only numbers, SHAs, the base branch and the
repository. Anything that is not understood counts as chosen by outsiders.
"""

from __future__ import annotations

import re
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
_END = ("end", "")
_OBJECTS = frozenset((
    "base", "check_run", "check_suite", "comment", "deployment", "deployment_status", "discussion", "head",
    "installation", "issue", "label", "milestone", "organization", "owner", "pull_request", "release", "repo",
    "repository", "review", "sender", "team", "user", "workflow", "workflow_job", "workflow_run",
))  # fmt: skip
"""Objects of GitHub's own: GitHub assigns their `id` and `number`."""
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
    """Return `value` as a part of a name; raise `NameRefused` if it cannot be one.

    It must be a letter or digit, then at most 127 letters, digits, `.`, `_`, `/` or `-`, without `..`.
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
    """Return the fields of a CEL expression that outsiders may choose, as `event.a.b`.

    For an expression that is not made only of paths, literals, `+`, `string()` and `int()`, return its own text.
    """
    value = _parsed(expression)
    if value is None:
        return (expression.strip() or "${{ }}",)
    return tuple(dict.fromkeys(path for path in value.paths if not _chosen_inside(path)))


def outsider_texts(expression: str) -> tuple[str, ...]:
    """Return the fields with text that outsiders may choose, as `event.a.b`, of an expression in any form."""
    if _parsed(expression) is not None:
        return outsider_fields(expression)
    found = (_free_text(match.group().split(".")) for match in _PATH.finditer(expression))
    return tuple(dict.fromkeys(path for path in found if path is not None and not _chosen_inside(path)))


def _free_text(names: list[str]) -> str | None:
    """Return a path up to its field with free text: what follows, as in `title.size()`, is a function."""
    end = next((index for index, name in enumerate(names, 1) if name in _FREE), None)
    return None if end is None else ".".join(names[:end])


class Piece(NamedTuple):
    """A part of an expression's value: fixed text, or the value of a field.

    `path` is the field. If `fixed` is None, too, the value is not understood here: it is mostly arithmetic.
    """

    fixed: str | None
    path: str | None = None


_UNKNOWN = Piece(None)


def pieces(expression: str) -> tuple[Piece, ...]:
    """Return the pieces that an expression joins, in order; one unknown piece for a form that is not understood here."""
    value = _parsed(expression)
    return (_UNKNOWN,) if value is None else value.pieces


def is_sha(path: str) -> bool:
    """Return whether a field is a commit's SHA: 40 hexadecimal digits."""
    return path in _SHAS


def is_number(path: str) -> bool:
    """Return whether a field is a number that GitHub assigns."""
    root, *names = path.split(".")
    if root != "event" or not names:
        return False
    return names[-1] in _NUMBERS and all(name in _OBJECTS for name in names[:-1])


def _chosen_inside(path: str) -> bool:
    return path in _SHAS or path in _BASE_REFS or path.startswith("event.repository.") or is_number(path)


class _Value(NamedTuple):
    """The value of a part of an expression: whether it is a number, the pieces that it joins, and the fields that it reads."""

    number: bool
    pieces: tuple[Piece, ...]
    paths: tuple[str, ...] = ()


class _Unsupported(Exception):
    """The expression has a form that is not understood here."""


def _parsed(expression: str) -> _Value | None:
    """Return the value of an expression, or None if its form is not understood here."""
    tokens = [_END, *reversed(_tokens(expression))]
    try:
        value = _sum(tokens)
    except _Unsupported:
        return None
    return value if tokens == [_END] else None


def _sum(tokens: list[Token]) -> _Value:
    """Take `operand {+ operand}` from the end of the tokens: `+` joins texts and adds numbers."""
    values = [_operand(tokens)]
    while tokens[-1] == ("mark", "+"):
        tokens.pop()
        values.append(_operand(tokens))
    if len(values) == 1:
        return values[0]
    paths = tuple(path for value in values for path in value.paths)
    if any(value.number for value in values):
        return _Value(all(value.number for value in values), (_UNKNOWN,), paths)
    return _Value(False, tuple(piece for value in values for piece in value.pieces), paths)


def _operand(tokens: list[Token]) -> _Value:
    """Take a literal, a path, or a sum in brackets, with or without `string` or `int` before them."""
    kind, text = tokens.pop()
    if kind == "path" and tokens[-1] == ("mark", "(") and text in _FUNCTIONS:
        inner = _operand(tokens)
        if text == "string":
            return inner._replace(number=False)
        return inner._replace(number=True, pieces=inner.pieces if inner.number else (_UNKNOWN,))
    if (kind, text) == ("mark", "("):
        value = _sum(tokens)
        if tokens.pop() == ("mark", ")"):
            return value
    if kind == "path":
        return _Value(is_number(text), (Piece(None, text),), (text,))
    if kind == "number":
        return _Value(True, (Piece(str(int(text))),))
    if kind == "string":
        return _Value(False, (Piece(text[1:-1]),))
    raise _Unsupported


def _tokens(expression: str) -> list[Token]:
    """Split into tokens; empty if a character belongs to none."""
    tokens: list[Token] = []
    position = 0
    text = expression.rstrip()
    if len(text) > _MAX_LENGTH or text.count("(") > _MAX_BRACKETS:
        return []
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            return []
        token = found.group(found.lastgroup)
        tokens.append((found.lastgroup, "".join(token.split()) if found.lastgroup == "path" else token))
        position = found.end()
    return tokens
