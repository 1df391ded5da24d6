"""Sabotages of how steps react to the steps before them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a run makes a name of what a step gave",
        "src/closeout/run/inputs.py",
        "            return cel.interpolate(text, event, check)",
        "            return cel.interpolate(text, event, check, so_far)",
        ("tests/unit/config/test_reactions.py::test_a_name_never_sees_the_outputs_of_the_run",),
    ),
    Mutant(
        "`.steps` hides that a step is asked for",
        "src/closeout/core/reactions.py",
        '    return _ABSOLUTE.sub(r"\\1\\2 ", TEXT.sub(lambda text: " " * len(text[0]), expression))',
        '    return TEXT.sub(lambda text: " " * len(text[0]), expression)',
        ("tests/unit/config/test_reactions.py::test_no_spelling_hides_the_question",),
    ),
    Mutant(
        "a later step acts on `***` in the place of a secret",
        "src/closeout/actions/general/outputs.py",
        "        return clean(value) != value",
        "        return False",
        ("tests/unit/run/test_reactions.py::test_an_output_with_a_secret_reaches_no_step",),
    ),
    Mutant(
        "a name may be made of what a step gave",
        "src/closeout/config/guards.py",
        "    return all(cel.compile_check(expression, in_step=True) is None for expression in found)",
        "    return all(cel.compile_check(expression) is None for expression in found)",
        ("tests/unit/config/test_reactions.py::test_no_name_may_come_from_a_steps_output",),
    ),
    Mutant(
        "a step that reacts to a failure is skipped by it",
        "src/closeout/run/workflow.py",
        "            if stopped and not reactions.runs_after_failure(step.condition):",
        "            if stopped:",
        ("tests/unit/run/test_reactions.py::test_status_functions_decide_alone",),
    ),
    Mutant(
        "a delete that asks for another step is looked at again without it",
        "src/closeout/config/typed_deletes.py",
        "    return asks_nothing and step.destructive and action is not None and action.absent is not None",
        "    return step.destructive and action is not None and action.absent is not None",
        ("tests/unit/run/test_reactions.py::test_a_delete_that_depends_on_another_step_is_not_rechecked",),
    ),
    Mutant(
        "failure() knows nothing of the run",
        "src/closeout/config/cel.py",
        "            _failed_before = so_far is not None and so_far.failed",
        "            _failed_before = False",
        ("tests/unit/config/test_reactions.py::test_status_functions",),
    ),
    Mutant(
        "a delete that waits for another step's success is looked at again without it",
        "src/closeout/core/reactions.py",
        "    return condition is not None and bool(references_in(condition) or _OUTCOME.search(_code(condition)))",
        "    return condition is not None and bool(references_in(condition))",
        ("tests/unit/run/test_reactions.py::test_a_delete_that_depends_on_another_step_is_not_rechecked",),
    ),
    Mutant(
        "an orphan is decided without the steps that its step waits for",
        "src/closeout/orphans/verdict.py",
        "    if depends_on_outcomes(condition):",
        "    if False:",
        ("tests/unit/orphans/test_verdict.py::test_the_steps_own_condition_counts",),
    ),
)
