"""Sabotages of rechecks on AWS: what a function that only reads may start, and what it may believe."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

LOOKS = "tests/unit/wiring/test_stack_rechecker.py"
TIMES = "tests/unit/wiring/test_rechecks.py"
READS = "tests/contract/test_teardowns.py"
END = "tests/unit/wiring/test_stack_end.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "rechecks: an earlier closing deletes what a later one was told to keep",
        "src/closeout/run/recheck.py",
        '    subject = subject._replace(closed_at=payload["pull_request"].get("closed_at"))',
        "    pass",
        (f"{TIMES}::test_a_pull_request_that_was_reopened_and_closed_again_voids_the_recheck",),
    ),
    Mutant(
        "rechecks on AWS: a look assumes a role that may delete",
        "src/closeout/wiring/stack_rechecker.py",
        "            assumes=False,",
        "            assumes=True,",
        (f"{LOOKS}::test_steps_with_a_role_of_their_own_are_left_out",),
    ),
    Mutant(
        "rechecks on AWS: a look starts what no worker runs",
        "src/closeout/wiring/stack_rechecker.py",
        '        if known is None or from_item(known).get("expires", math.inf) <= self.now():',
        "        if False:",
        (f"{LOOKS}::test_a_definition_that_was_not_deployed_starts_no_attempt",),
    ),
    Mutant(
        "rechecks on AWS: they keep a stack from being deleted",
        "src/closeout/wiring/stack_rechecker.py",
        "            if self.ledger.deployed.is_removed():",
        "            if False:",
        (f"{LOOKS}::test_a_deleted_stack_has_no_rechecks",),
    ),
    Mutant(
        "rechecks on AWS: what GitHub does not say counts as nothing there",
        "src/closeout/wiring/stack_rechecker.py",
        '        if "unknown" in outcomes:',
        "        if False:",
        (f"{LOOKS}::test_a_recheck_without_an_answer_is_repeated",),
    ),
    Mutant(
        "rechecks on AWS: a find that no attempt may delete starts attempts for ever",
        "src/closeout/ledger/dynamodb/rechecks.py",
        "        while attempt > 1:",
        "        while attempt > 1_000:",
        (f"{LOOKS}::test_a_further_attempt_that_deleted_nothing_keeps_the_times_of_the_first",),
    ),
    Mutant(
        "rechecks on AWS: a dry run is looked at",
        "src/closeout/ledger/dynamodb/rechecks.py",
        "        if definition is None or rehearsed(operations):",
        "        if definition is None:",
        (f"{READS}::test_a_dry_run_is_not_a_teardown",),
    ),
    Mutant(
        "rechecks on AWS: a later closing does not take over",
        "src/closeout/ledger/dynamodb/rechecks.py",
        '            other["accepted_at"] > row["accepted_at"] and other.get("verdict") != "skipped"',
        "            False",
        (f"{READS}::test_only_a_later_closing_of_the_same_pull_request_takes_over",),
    ),
    Mutant(
        "rechecks on AWS: a skipped run takes over",
        "src/closeout/ledger/dynamodb/rechecks.py",
        ' and other.get("verdict") != "skipped"',
        "",
        (f"{READS}::test_only_a_later_closing_of_the_same_pull_request_takes_over",),
    ),
    Mutant(
        "rechecks on AWS: one that is given up is no alarm",
        "src/closeout/run/recheck.py",
        '            self.gave_up(f"the recheck of run {teardown.run_id} is given up',
        '            self.report(f"the recheck of run {teardown.run_id} is given up',
        (f"{LOOKS}::test_a_recheck_without_an_answer_is_repeated",),
    ),
    Mutant(
        "rechecks: an attempt whose start failed waits for ever",
        "src/closeout/run/recheck.py",
        '            if run.requested_by == BY and run.state == "queued":',
        "            if False:",
        (f"{LOOKS}::test_an_attempt_that_failed_to_start_is_started_by_the_next_recheck",),
    ),
    Mutant(
        "rechecks on AWS: a process that dies after the end of a run loses them",
        "src/closeout/engine/lambda_.py",
        "            return self._ended(record)",
        "            return DONE",
        ("tests/contract/test_remote_engine.py::test_follow_up_work_of_a_run_is_repeated_until_it_succeeds",),
    ),
    Mutant(
        "rechecks on AWS: without patrol's function no run ends",
        "src/closeout/wiring/stack_rechecks.py",
        "            if error.reason == GONE:",
        '            if error.reason == "":',
        (f"{END}::test_a_stack_without_patrols_function_tears_down_all_the_same",),
    ),
    Mutant(
        "what another automation deleted counts for a run on AWS",
        "src/closeout/ledger/dynamodb/rechecks.py",
        '            same = other["automation"] == row["automation"]',
        "            same = True",
        (f"{READS}::test_what_an_earlier_closing_deleted_is_known_on_request",),
    ),
    Mutant(
        "a stack that is being deleted cleans up",
        "src/closeout/wiring/stack_patrols.py",
        "            return GOING if going else",
        "            return",
        (
            "tests/unit/wiring/test_stack_patrols.py::test_confirming_an_orphan_starts_a_run_of_its_automation",
        ),
    ),
    Mutant(
        "an automation that finds nothing is not counted on AWS",
        "src/closeout/wiring/stack_runtime.py",
        "            count = self.ledger.empty_runs.note(execution.automation, ending.summary)",
        "            count = 0",
        (f"{END}::test_a_teardown_is_rechecked_and_an_empty_run_counted",),
    ),
)
STACK: tuple[Mutant, ...] = (
    Mutant(
        "what a recheck carries out is not published",
        "cdk/closeout_cdk/housekeeping/handler.py",
        '        for digest in (own, *(further or {}).get(automation["name"], ())):',
        "        for digest in (own,):",
        ("cdk/tests/test_published.py::test_what_further_attempts_carry_out_is_known_too",),
    ),
    Mutant(
        "waiting rechecks keep a stack from being deleted",
        "cdk/closeout_cdk/stack.py",
        '        chores.stop("StopRechecks", self.patrol.function, self.ledger.table)\n',
        "",
        (
            "cdk/tests/test_template.py::test_runs_are_stopped_after_the_receiver_is_gone_and_while_their_ends_are_handled",
        ),
    ),
)
