"""Fixes for CEL expressions that do not compile. Most were written as in another language.

The library reports where it stopped reading; people need to know what to write.
"""

from __future__ import annotations

import re

from closeout.config import cel, workflow_words
from closeout.core.reactions import TEXT

_CLOSING = {
    ")": ("(", "close the parenthesis"),
    "]": ("[", "close the bracket"),
    "}": ("{", "close the brace"),
}
_ACTIONS = re.compile(r"(?<![.\w])(?:contains|startsWith|endsWith|format|toJSON|fromJSON)\(")
_WORDS = re.compile(r"\b(and|or|not)\b")
_DASHED = re.compile(r"(?<![.\w])steps\.([a-z0-9]+(?:-[a-z0-9]+)+)\b")
PAGE = "see docs/reference/expressions.md"


def fix(expression: str, problem: str, *, in_step: bool) -> str:
    """Return a one-sentence fix for a problem that `config.cel.compile_check` found."""
    dashed = _DASHED.search(TEXT.sub("''", expression)) if in_step else None
    if dashed:
        return f"write steps['{dashed[1]}']: without quotes, `-` is a minus"
    meant = workflow_words.expression_fix(expression, in_step=in_step)
    if meant is not None:
        return meant
    written = workflow_words.translated(expression)
    if written != expression:
        problems = [cel.compile_check(written, boolean=boolean, in_step=in_step) for boolean in (True, False)]
        if None in problems:
            return f"write {' '.join(written.split())}: fields of the event begin with `event`"
        return f"write `event` for `github.event`; and {fix(written, problems[0] or '', in_step=in_step)}"
    if problem.startswith("Syntax error"):
        return _syntax(TEXT.sub("''", expression), problem)
    if _ACTIONS.search(expression):
        return "this is CEL: text.contains('x'), text.startsWith('x'), 'x' in list"
    name = re.search(r"undeclared reference to '([\w.]+)'", problem)
    if name and name[1] in ("True", "False", "None"):
        return "write true, false and null in small letters"
    if name and re.search(rf"\b{re.escape(name[1])}\(", expression):
        return f"there is no function `{name[1]}`; {PAGE}"
    if "true or false" in problem:
        return "compare it with something, like event.pull_request.base.ref == 'main'"
    return f"fields are below `event`, like event.pull_request.number; {PAGE}"


def _syntax(expression: str, problem: str) -> str:
    """Return the fix of a syntax error. In `expression`, complete string literals are emptied."""
    if "'" in expression.replace("''", "") or '"' in expression:
        return "close the quotes"
    for closing, (opening, words) in _CLOSING.items():
        if expression.count(opening) > expression.count(closing):
            return words
        if expression.count(closing) > expression.count(opening):
            return f"there is a {closing} too many"
    if re.search(r"(?<![=!<>])=(?!=)", expression) or "===" in expression:
        return "compare with =="
    if _WORDS.search(expression):
        return "write && for and, || for or, ! for not"
    if "<EOF>" in problem:
        return "it ends too early: write what belongs after its last word"
    return f"closeout does not understand the rest; {PAGE}"
