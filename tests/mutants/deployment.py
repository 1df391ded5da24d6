"""Sabotages of deployments: what moves last, what a stack does when it goes, and what other stacks may touch."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CHORES = "cdk/tests/test_housekeeping.py"
STOP = "cdk/tests/test_stop_runs.py"
HANDLER = "cdk/closeout_cdk/housekeeping/handler.py"
TEMPLATE = "cdk/tests/test_template.py"
RUNTIME = "tests/unit/wiring/test_stack_runtime.py"
STACKS = "cdk/tests/test_several_stacks.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "another stack's tag protects nothing",
        "src/closeout/core/protect.py",
        "    if TAG in change.tags:",
        "    if False:",
        ("tests/unit/core/test_protect.py::test_a_closeout_stack_is_protected_by_its_tag",),
    ),
    Mutant(
        "two stacks start executions under one name",
        "src/closeout/stack/table.py",
        '    return f"{short_digest(function)[:STACK_DIGITS]}-{name}"',
        '    return f"{short_digest(str())[:STACK_DIGITS]}-{name}"',
        ("tests/unit/stack/test_names.py::test_a_stack_has_names_of_its_own",),
    ),
    Mutant(
        "a run of a removed stack is said to have failed",
        "src/closeout/wiring/stack_runtime.py",
        "            status = invocation.REMOVED",
        "            pass",
        (f"{RUNTIME}::test_a_run_stopped_because_its_stack_is_deleted_says_so",),
    ),
)
STACK: tuple[Mutant, ...] = (
    Mutant(
        "the alias moves before the rest of the stack",
        "cdk/closeout_cdk/functions.py",
        "        self.alias.node.add_dependency(*beside, *others)",
        "        self.alias.node.add_dependency(*beside)",
        (f"{TEMPLATE}::test_the_alias_moves_after_everything_else",),
    ),
    Mutant(
        "a version stays when the update that made it is rolled back",
        "cdk/closeout_cdk/functions.py",
        "removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE",
        "removal_policy=RemovalPolicy.RETAIN",
        (f"{TEMPLATE}::test_the_worker_is_durable_behind_an_alias_and_keeps_its_versions",),
    ),
    Mutant(
        "a stack whose runs cannot be stopped cannot be deleted",
        HANDLER,
        '        return f"the runs could not be stopped: {type(error).__name__}: {error}"',
        "        raise",
        (f"{STOP}::test_an_account_that_refuses_everything_does_not_keep_the_stack",),
    ),
    Mutant(
        "a deployment stops the runs",
        HANDLER,
        '    return stack["StackStatus"] in ("DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")',
        "    return True",
        (f"{STOP}::test_no_run_is_stopped_by_a_deployment",),
    ),
    Mutant(
        "runs are stopped before the receiver is gone",
        "cdk/closeout_cdk/stack.py",
        "        before.append(stop)",
        "        pass",
        (f"{TEMPLATE}::test_runs_are_stopped_after_the_receiver_is_gone_and_while_their_ends_are_handled",),
    ),
    Mutant(
        "the log role is unset while another stage logs by it",
        HANDLER,
        "            if stage is not None:",
        "            if False:",
        (f"{CHORES}::test_the_role_stays_while_another_stage_logs_by_it",),
    ),
    Mutant(
        "the worker may change another stack of closeout",
        "cdk/closeout_cdk/protect.py",
        "        _others(name),",
        "",
        (f"{STACKS}::test_the_worker_of_one_stack_cannot_change_the_other",),
    ),
)
"""For the tests of `cdk/`, which need the AWS side's environment: see `aws`."""
