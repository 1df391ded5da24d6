"""Sabotages that the model of promise 1 must notice: each breaks what no single closing shows."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MODEL = "tests/model/test_model.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "model: a deploy may begin while a teardown is on its way",
        "src/closeout/run/guard.py",
        "    if running:\n",
        "    if False:\n",
        (f"{MODEL}::test_a_deploy_may_not_begin_while_a_teardown_is_on_its_way",),
    ),
    Mutant(
        "model: a guard that is asked by an old name knows teardowns of that name alone",
        "src/closeout/run/guard.py",
        "for known in (repository, pull.base_repository)}",
        "for known in (repository,)}",
        (f"{MODEL}::test_a_deploy_may_not_begin_while_a_teardown_is_on_its_way",),
    ),
    Mutant(
        "model: a log that ends before what patrol knew is not told",
        "src/closeout/patrol/delivery_log.py",
        "        if log.gap(mark):\n            self.report.gaps += 1\n",
        "        if log.gap(mark):\n",
        (f"{MODEL}::test_a_log_that_is_empty_after_a_fortnight_is_told_as_a_gap",),
    ),
    Mutant(
        "model: a run that learns its closing does not claim it",
        "src/closeout/run/workflow.py",
        "        if not late_closing.is_late(context):\n",
        "        if True:\n",
        (f"{MODEL}::test_a_closing_that_is_heard_of_without_its_moment_runs_once",),
    ),
)
