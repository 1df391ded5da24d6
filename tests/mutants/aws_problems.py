"""Sabotages of problems on AWS, and of the function that tells of them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

STORE = "src/closeout/ledger/dynamodb/problems.py"
SUITE = "tests/contract/test_problems.py::TestDynamodb"
TOLD = "tests/unit/wiring/test_stack_notifying.py"
DRILL = "tests/unit/wiring/test_stack_checking.py"
TELLS = "tests/unit/wiring/test_notifying.py"
ROLE = "cdk/tests/test_notify.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "problems on AWS: one begins anew with each attempt",
        STORE,
        '"SET ", "SET since = if_not_exists(since, :since), "',
        '"SET ", "SET since = :since, "',
        (SUITE,),
    ),
    Mutant(
        "problems on AWS: one is written apart from the ending",
        "src/closeout/ledger/dynamodb/executions.py",
        "        actions += self._problems_at_end(record, after, execution, operations)\n",
        "        for one in self._problems_at_end(record, after, execution, operations):\n"
        "            self._table.change(one)\n",
        (f"{SUITE}::test_an_ending_and_its_problem_are_one_transaction",),
    ),
    Mutant(
        "problems on AWS: the end of a run forgets what it recorded",
        STORE,
        "        outcome = of_run(execution, operations, ending, record.closing, at)",
        "        outcome = of_run(execution, (), ending, record.closing, at)",
        (SUITE,),
    ),
    Mutant(
        "problems on AWS: what a target believes in is deleted",
        STORE,
        "ended < before and not row.is_active:",
        "ended < before:",
        (f"{SUITE}::test_a_problem_that_every_target_knows_to_be_closed_is_deleted",),
    ),
    Mutant(
        "problems on AWS: one is deleted while a message is under way",
        STORE,
        "        before = self._table.now() - SETTLED",
        "        before = self._table.now() + SETTLED",
        (f"{SUITE}::test_a_problem_that_every_target_knows_to_be_closed_is_deleted",),
    ),
    Mutant(
        "messages on AWS: two invocations tell at once",
        "src/closeout/wiring/stack_notifying.py",
        "        if not lease.take(LEASE):",
        "        if lease.take(LEASE) is None:",
        (f"{TOLD}::test_only_one_invocation_sends_at_a_time",),
    ),
    Mutant(
        "messages on AWS: a failing topic is not logged",
        "src/closeout/wiring/stack_notifying.py",
        "            if state:",
        "            if not state:",
        (f"{TOLD}::test_a_missing_topic_is_logged_each_time_and_gets_the_message_later",),
    ),
    Mutant(
        "messages on AWS: what the function cannot read is deployed",
        "src/closeout/stack/problems.py",
        "list(filter(is_notifiable, route.to))]",
        "list(route.to)]",
        (f"{TOLD}::test_only_targets_that_a_stack_can_reach_are_deployed",),
    ),
    Mutant(
        "messages: what a target says is not redacted in the answer of a test",
        "src/closeout/wiring/notifying.py",
        "            error.message = redactor.text(error.message)",
        "            pass",
        (f"{TELLS}::test_a_targets_answer_to_a_test_is_redacted",),
    ),
    Mutant(
        "messages: one target waits for another",
        "src/closeout/wiring/notifying.py",
        '        background("notifier", do, target, work).start()',
        "        do(target, work)",
        (
            f"{TELLS}::test_a_hanging_target_does_not_delay_the_others",
            f"{TOLD}::test_a_hanging_target_does_not_keep_a_topic_from_its_message",
        ),
    ),
    Mutant(
        "messages: a look goes on when its time is over",
        "src/closeout/wiring/notifying.py",
        "        until = time.monotonic() + self.patience",
        "        until = math.inf",
        (f"{TELLS}::test_no_message_is_begun_after_the_time_limit",),
    ),
    Mutant(
        "messages: a defect in one target ends the look",
        "src/closeout/wiring/notifying.py",
        'error = NotifierFailed(f"{type(failure).__name__}, which is a bug in closeout")',
        "raise",
        (f"{TELLS}::test_a_bug_in_sending_fails_only_one_target",),
    ),
    Mutant(
        "messages on AWS: patrol that is silent is nobody's business",
        "src/closeout/wiring/stack_notifying.py",
        "        if not any(self._stale.values()) and self._problems.is_empty():",
        "        if self._problems.is_empty():",
        (f"{TOLD}::test_a_silent_patrol_and_its_return_are_reported",),
    ),
    Mutant(
        "messages on AWS: what patrol missed while it was off is told",
        "src/closeout/wiring/stack_notifying.py",
        '        since = float(row["since"]) if row.get("patrol") == self._text else None',
        '        since = float(row.get("since", 0.0))',
        (f"{TOLD}::test_time_before_patrols_intervals_were_deployed_does_not_count",),
    ),
    Mutant(
        "messages on AWS: each process of the function excuses patrol anew",
        "src/closeout/wiring/stack_notifying.py",
        "            self._table.change(put(to_item({**key",
        "            (put(to_item({**key",
        (f"{TOLD}::test_a_silent_patrol_and_its_return_are_reported",),
    ),
    Mutant(
        "messages: a topic of which SNS says nothing is fine",
        "src/closeout/checks/notifiers.py",
        "        if error.reason == TOPIC_DENIED:",
        "        if error.reason:",
        ("tests/unit/checks/test_answers.py::test_a_topic_that_sns_does_not_answer_about_is_unknown",),
    ),
    Mutant(
        "messages on AWS: a drill does not hear what the function says of a URL",
        "src/closeout/wiring/stack_checking.py",
        '        if row["ok"]:',
        "        if row:",
        (f"{DRILL}::test_the_function_reports_what_is_wrong_with_each_url",),
    ),
    Mutant(
        "messages on AWS: a drill does not see that the role may not publish",
        "src/closeout/wiring/stack_checking.py",
        "            self._check_right(target)\n",
        "",
        (f"{DRILL}::test_a_topic_must_exist_and_accept_the_functions_messages",),
    ),
    Mutant(
        "messages on AWS: what libraries log may hold a URL, and Lambda keeps it",
        "src/closeout/lambdas/notify.py",
        "    logging.getLogger().handlers = [logging.NullHandler()]",
        "    pass",
        (f"{TOLD}::test_no_log_line_of_a_library_reaches_the_functions_log",),
    ),
)
STACK: tuple[Mutant, ...] = (
    Mutant(
        "the function that tells people may write everything",
        "cdk/closeout_cdk/notify.py",
        "                only=permissions.partitions(PROBLEMS),\n",
        "",
        (f"{ROLE}::test_it_may_publish_to_its_topics_and_write_problems_alone",),
    ),
    Mutant(
        "the function that tells people may publish anywhere",
        "cdk/closeout_cdk/notify.py",
        '("sns:Publish",), *topics(routes))',
        '("sns:Publish",), "*", wildcard="x")',
        (f"{ROLE}::test_it_may_publish_to_its_topics_and_write_problems_alone",),
    ),
    Mutant(
        "the function that tells people may read every secret",
        "cdk/closeout_cdk/notify.py",
        '            *permissions.of_actions(secret_statements(secrets(routes), "notify")),\n',
        '            permissions.allow(("secretsmanager:GetSecretValue", "kms:Decrypt"), "*", wildcard="x"),\n',
        (
            f"{ROLE}::test_a_url_in_secrets_manager_is_read_with_a_right_to_that_secret_alone",
            f"{ROLE}::test_it_may_publish_to_its_topics_and_write_problems_alone",
        ),
    ),
    Mutant(
        "what sends messages goes into the worker's bundle",
        "cdk/closeout_cdk/functions.py",
        '"notify": "notify"}',
        '"notify": "worker"}',
        (f"{ROLE}::test_only_a_stack_that_tells_urls_has_what_sends_to_them",),
    ),
)
