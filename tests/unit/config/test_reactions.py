"""What a step may ask about the steps before it, checked at load."""

from __future__ import annotations

from pathlib import Path

import pytest

from closeout.config import cel
from closeout.core import reactions
from closeout.core.errors import ExpressionError
from closeout.run.inputs import resolve
from tests.unit.config.test_workflow_words import found
from tests.unit.run.world import DELETE, step

FILE = """\
version: 1
aws: { account: '123456789012', region: eu-central-1 }
automations:
  clean-up:
    on: { pull_request: { types: [closed] } }
    repositories: [acme/shop]
    steps:
      - uses: aws/cloudformation-delete-stack
        id: stack
        with: { stack-name: 'preview-${{ event.pull_request.number }}' }
      - uses: shell
        id: drop-db
        destructive: false
        with: { run: 'true' }
      - uses: http/request
        id: tell
        destructive: false
        if: IF
        with: { url: 'https://hooks.example.com/x', method: POST, body: 'BODY' }
"""


def of(folder: Path, condition: str = "always()", body: str = "done") -> list[tuple[str, str]]:
    text = FILE.replace("IF", f'"{condition}"').replace("BODY", body)
    return [(finding.code, finding.fix) for finding in found(folder, text)]


@pytest.mark.parametrize(
    "condition",
    [
        "failure()",
        "${{ success() && event.pull_request.merged }}",
        "steps.stack.outcome == 'failure'",
        "steps['stack'].outcome == 'failure' || steps['drop-db'].outputs.rows == '0'",
        "event.pull_request.title == 'steps of run.me'",
        "event.steps.run == 1",
    ],
)
def test_a_step_may_ask_about_the_steps_before_it(tmp_path: Path, condition: str) -> None:
    """As in GitHub Actions; a text or a field that only looks like it is left alone."""
    assert of(tmp_path, condition) == []


@pytest.mark.parametrize(
    ("condition", "code", "fix"),
    [
        ("steps.stak.outcome == 'failure'", "unknown-step", "did you mean `stack`?"),
        ("steps.tell.outcome == 'failure'", "unknown-step", "stack, drop-db"),
        ("steps.drop-db.outcome == 'failure'", "bad-expression", "write steps['drop-db']"),
        ("steps.stack.conclusion == 'failure'", "bad-expression", "write steps['stack'].outcome"),
        ("steps.stack.outputs.name == 'x'", "bad-expression", "only `shell` and `python` give outputs"),
        ("steps[event.action].outcome == 'x'", "bad-expression", "write steps['ID'].outcome"),
        ("size(steps) > 0", "bad-expression", "write steps['ID'].outcome"),
        ("run.id == 'x'", "bad-expression", "write run.url"),
        ("failure() == 'x'", "bad-expression", "fields are below `event`"),
    ],
)
def test_a_question_that_no_step_can_answer_is_a_finding(
    tmp_path: Path, condition: str, code: str, fix: str
) -> None:
    """With what to write instead."""
    ((found_code, found_fix),) = of(tmp_path, condition)
    assert (found_code, fix in found_fix) == (code, True), found_fix


def test_a_text_is_checked_like_a_condition(tmp_path: Path) -> None:
    """Also inside a list or a map."""
    assert of(tmp_path, body="see ${{ run.url }}: ${{ steps.stack.outcome }}") == []
    assert [code for code, _ in of(tmp_path, body="${{ steps.gone.outcome }}")] == ["unknown-step"]


def test_no_name_may_come_from_a_steps_output(tmp_path: Path) -> None:
    """Before the run, it would be unknown whose resource it is."""
    for expression in ("steps['drop-db'].outputs.name", "failure() ? 'a' : 'b'", "run.url"):
        step = f'      - uses: aws/cloudformation-delete-stack\n        with: {{ stack-name: "p-${{{{ {expression} }}}}" }}\n'
        text = FILE.replace("IF", "always()").replace("BODY", "x") + step
        assert [finding.code for finding in found(tmp_path, text)] == ["untrusted-name"], expression


@pytest.mark.parametrize(
    "expression",
    [
        ".steps.a.outputs.n",
        "'x' + .steps.a.outputs.n",
        "'it\\'s' + steps.a.outputs.n + '\\''",
        '"\\"" + steps.a.outputs.n + "\\""',
        "string(event.x in .steps.a.outputs.n)",
    ],
)
def test_no_spelling_hides_the_question(expression: str) -> None:
    """Otherwise a recheck would repeat a dependent delete without its condition, and a dry run would act."""
    assert cel.compile_check(expression, in_step=True) is None
    assert reactions.references_in(expression) == (("a", "outputs"),)
    assert reactions.reads_run(expression)
    assert reactions.runs_after_failure(".failure()")
    assert not reactions.reads_run("event.x .steps")


def test_a_name_never_sees_the_outputs_of_the_run() -> None:
    """Even if the check of the file missed it, for example in a stored run of another version."""
    so_far = cel.RunSoFar({"a": {"outcome": "success", "outputs": {"n": "v"}}})
    with pytest.raises(ExpressionError):
        resolve(step("preview-${{ steps.a.outputs.n }}"), DELETE, {}, so_far)


def test_expressions_that_only_a_run_can_answer_are_known() -> None:
    """A recheck, an audit and a dry run must not evaluate them."""
    assert reactions.references_in("failure() && event.x == 'steps.a.outcome'") == ()
    assert reactions.references_in("steps.a.outcome == steps['b'].outputs.c") == (
        ("a", "outcome"),
        ("b", "outputs"),
    )
    assert reactions.runs_after_failure("always()")
    assert not reactions.runs_after_failure("event.always")
    assert not reactions.runs_after_failure("event.x == 'failure()'")


SO_FAR = cel.RunSoFar(
    {"a": {"outcome": "failure", "outputs": {}}, "b-1": {"outcome": "success", "outputs": {"rows": "7"}}},
    failed=True,
    url="https://closeout.example.com/runs/x",
)


@pytest.mark.parametrize(
    ("expression", "before", "after"),
    [("failure()", False, True), ("success()", True, False), ("always()", True, True)],
)
def test_status_functions(expression: str, before: bool, after: bool) -> None:
    """They depend on the run alone, in whatever order programs are evaluated."""
    for so_far, value in ((SO_FAR, after), (cel.NOTHING_YET, before), (SO_FAR, after)):
        assert cel.condition(expression, {}, so_far) is value


def test_outputs_of_steps_fill_texts() -> None:
    """A missing output is an error, and so is the address of an unknown page."""
    assert cel.interpolate("${{ steps['b-1'].outputs.rows }} at ${{ run.url }}", {}, so_far=SO_FAR) == (
        "7 at https://closeout.example.com/runs/x"
    )
    with pytest.raises(ExpressionError, match="rows"):
        cel.evaluate("steps.a.outputs.rows", {}, SO_FAR)
    with pytest.raises(ExpressionError, match="set `public-url`"):
        cel.evaluate("run.url", {}, cel.NOTHING_YET)
    with pytest.raises(ExpressionError, match="what an earlier step gave cannot be read"):
        cel.evaluate("always()", {}, cel.RunSoFar({"a": {"outputs": {"x": 2**70}}}))


def test_without_a_run_its_functions_are_unknown() -> None:
    """An automation's own condition compiles as before."""
    for expression in ("failure()", "steps.a.outcome == 'x'", "run.url == 'x'"):
        with pytest.raises(ExpressionError, match="undeclared"):
            cel.evaluate(expression, {})
