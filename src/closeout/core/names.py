"""The guard of the right name: what a payload may put into a name, and who chose it.

A name decides what is deleted. What outsiders choose (a title, a branch) must not be able to aim it, so an
expression passes only if it is fully understood here and reads nothing but numbers, SHAs, the base branch
and the repository. What is not understood counts as chosen by outsiders.
"""

from __future__ import annotations

import re

from closeout.core.errors import NameRefused

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", re.ASCII)
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<path>[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*)|(?P<number>\d+)"""
    r"""|(?P<string>"[^"\\\n]*"|'[^'\\\n]*')|(?P<mark>[+()]))""",
    re.ASCII,
)
_FUNCTIONS = ("string", "int")
_MAX_LENGTH, _MAX_BRACKETS = 500, 20
Token = tuple[str, str]
_OBJECTS = frozenset(
    (
        "base",
        "check_run",
        "check_suite",
        "comment",
        "deployment",
        "deployment_status",
        "discussion",
        "head",
        "installation",
        "issue",
        "label",
        "milestone",
        "organization",
        "pull_request",
        "release",
        "repo",
        "repository",
        "review",
        "sender",
        "team",
        "user",
        "workflow",
        "workflow_job",
        "workflow_run",
    )
)
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
_BASE_REFS = ("event.pull_request.base.ref",)
_PER_REPOSITORY = ("event.repository.id", "event.repository.name", "event.repository.full_name")


def check_interpolated(value: object, expression: str) -> str:
    """Give `value` as the part of a name that it will be; raise `NameRefused` if it is not fit for one.

    Fit: a letter or digit, then at most 127 more of letters, digits, `.`, `_`, `/`, `-`; no `..`.
    """
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(text, str) and _NAME.fullmatch(text) is not None and ".." not in text:
        return text
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "…"
    raise NameRefused(
        f"${{{{ {expression} }}}} gave {shown}, which is not fit to be part of a name"
        " (letters, digits, `.`, `_`, `/`, `-`, no `..`, at most 128 characters); nothing was done"
    )


def outsider_fields(expression: str) -> tuple[str, ...]:
    """Give every field of a CEL expression that outsiders may choose, as `event.a.b`; empty when there is none.

    An expression in any form but paths, literals, `+`, `string()` and `int()` gives its own text.
    """
    paths = _paths(expression)
    if paths is None:
        return (expression.strip() or "${{ }}",)
    return tuple(dict.fromkeys(path for path in paths if not _chosen_inside(path)))


def per_repository(template: str) -> bool:
    """Whether the name has a part that differs from repository to repository: its id, name or full name."""
    for found in _EXPRESSION.finditer(template):
        paths = _paths(found.group(1))
        if paths is not None and any(path in _PER_REPOSITORY for path in paths):
            return True
    return False


def _chosen_inside(path: str) -> bool:
    if path in _SHAS or path in _BASE_REFS or path.startswith("event.repository."):
        return True
    root, *names = path.split(".")
    if root != "event" or not names:
        return False
    return names[-1] in _NUMBERS and all(name in _OBJECTS for name in names[:-1])


def _paths(expression: str) -> list[str] | None:
    """Give the paths that an expression reads, or None if it is in any form that is not understood here."""
    tokens = _tokens(expression)
    paths: list[str] = []
    rest = _sum(tokens, paths) if tokens else None
    return paths if rest == [] else None


def _sum(tokens: list[Token], paths: list[str]) -> list[Token] | None:
    """Read `operand {+ operand}`; give the tokens after it, or None if there is no such thing."""
    rest = _operand(tokens, paths)
    while rest and rest[0] == ("mark", "+"):
        rest = _operand(rest[1:], paths)
    return rest


def _operand(tokens: list[Token], paths: list[str]) -> list[Token] | None:
    """Read a literal, a path, or a sum in brackets, with or without `string` or `int` before them."""
    if not tokens:
        return None
    (kind, text), rest = tokens[0], tokens[1:]
    if kind == "path" and rest[:1] == [("mark", "(")]:
        return _operand(rest, paths) if text in _FUNCTIONS else None
    if (kind, text) == ("mark", "("):
        inner = _sum(rest, paths)
        return inner[1:] if inner and inner[0] == ("mark", ")") else None
    if kind == "path":
        paths.append(text)
    return None if kind == "mark" else rest


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
