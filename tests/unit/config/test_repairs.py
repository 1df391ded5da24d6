"""The fix that `check` suggests for an expression, based on the CEL library's error."""

from __future__ import annotations

import pytest

from closeout.config import cel, repairs


@pytest.mark.parametrize(
    ("expression", "fix"),
    [
        ("event.labels.exists(l, l.name == 'x'", "close the parenthesis"),
        ("'keep' in [event.ref", "close the bracket"),
        ("{'a': event.ref", "close the brace"),
        ("event.deleted)", "there is a ) too many"),
        ("event.ref == 'main)", "close the quotes"),
        ('event.ref == "main', "close the quotes"),
        ("event.ref == 'a (b'", None),
        ("event.number = 17", "compare with =="),
        ("event.number === 17", "compare with =="),
        ("event.number >= 17", None),
        ("event.a and event.b", "write && for and, || for or, ! for not"),
        ("not event.deleted", "write && for and, || for or, ! for not"),
        ("event.deleted ==", "it ends too early: write what belongs after its last word"),
        ("event.merged == True", "write true, false and null in small letters"),
        ("event.ref.contain('a')", "there is no function `contain`; see docs/reference/expressions.md"),
        ("contains(event.ref, 'a')", "this is CEL: text.contains('x'), text.startsWith('x'), 'x' in list"),
        ("github.event.number == 1", "write event.number == 1: fields of the event begin with `event`"),
        ("string(github.event.number)", "write string(event.number): fields of the event begin with `event`"),
        ("github.event.ref == 'github.ref'", "write event.ref == 'github.ref': fields of the event begin with `event`"),
        ("contains(github.event.ref, 'a')", "write `event` for `github.event`; and this is CEL: text.contains('x'), text.startsWith('x'), 'x' in list"),
        ("event.ref == 'failure()' && x", "fields are below `event`, like event.pull_request.number; see docs/reference/expressions.md"),
        ("pull_request.merged", "fields are below `event`, like event.pull_request.number; see docs/reference/expressions.md"),
        ("'main'", "compare it with something, like event.pull_request.base.ref == 'main'"),
    ],
)  # fmt: skip
def test_the_fix_fits_the_mistake(expression: str, fix: str | None) -> None:
    """A missing parenthesis is not answered with a list of fields."""
    problem = cel.compile_check(expression, boolean=True)
    assert (repairs.fix(expression, problem, in_step=False) if problem else None) == fix
