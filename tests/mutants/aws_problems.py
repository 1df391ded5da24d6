"""Sabotages of problems on AWS, and of the function that tells of them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

STORE = "src/closeout/ledger/dynamodb/problems.py"
SUITE = "tests/contract/test_problems.py::TestDynamodb"
TOLD = "tests/unit/wiring/test_stack_notifying.py"
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
        "ended < before and not row.is_shown:",
        "ended < before:",
        (f"{SUITE}::test_what_everybody_knows_to_be_over_is_deleted",),
    ),
    Mutant(
        "problems on AWS: one is deleted while a message is under way",
        STORE,
        "        before = self._table.now() - SETTLED",
        "        before = self._table.now() + SETTLED",
        (f"{SUITE}::test_what_everybody_knows_to_be_over_is_deleted",),
    ),
    Mutant(
        "messages on AWS: two invocations tell at once",
        "src/closeout/wiring/stack_notifying.py",
        "        if not lease.take(LEASE):",
        "        if lease.take(LEASE) is None:",
        (f"{TOLD}::test_one_invocation_at_a_time_tells",),
    ),
    Mutant(
        "messages on AWS: a failing topic is not logged",
        "src/closeout/wiring/stack_notifying.py",
        "            if state:",
        "            if not state:",
        (f"{TOLD}::test_a_topic_that_is_gone_is_logged_at_each_look_and_gets_the_message_later",),
    ),
    Mutant(
        "messages on AWS: a secret reference is deployed as a topic",
        "src/closeout/stack/problems.py",
        "list(filter(is_topic, route.to))]",
        "list(route.to)]",
        (f"{TOLD}::test_routes_are_deployed_with_topics_alone",),
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
)
