"""Sabotages of how a run on AWS is woken for its turn, and of how another durable execution continues it."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

QUEUES = "tests/contract/test_remote_queues.py"
EVENTS = "tests/unit/wiring/test_stack_runtime.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "turns: whoever gives a key back wakes nobody",
        "src/closeout/engine/invocation.py",
        "        self._engine.queue.wake_next(self.record.key)\n",
        "",
        (f"{QUEUES}::test_releasing_the_key_wakes_only_the_next_run",),
    ),
    Mutant(
        "turns: a giver that was killed does not make up for it",
        "src/closeout/engine/lambda_.py",
        "            self.queue.wake_next(record.key)  # the process may have been killed before it did\n",
        "",
        (f"{QUEUES}::test_a_run_killed_before_it_woke_the_next_wakes_it_later",),
    ),
    Mutant(
        "turns: the second look is skipped",
        "src/closeout/engine/lambda_.py",
        "            return self._advance(execution, remaining, None)\n",
        '            return {"wake": wake, "queued": waits}\n',
        (f"{QUEUES}::test_a_run_checks_the_queue_again_after_storing_its_callback",),
    ),
    Mutant(
        "turns: the callback is stored after the second look",
        "src/closeout/engine/lambda_.py",
        "            self.store.listen(execution, WakeUp(callback, wake))\n"
        "            # Check once more after storing the callback: any later release of the key or cancel finds it.\n"
        "            return self._advance(execution, remaining, None)\n",
        "            outcome = self._advance(execution, remaining, None)\n"
        "            self.store.listen(execution, WakeUp(callback, wake))\n"
        "            return outcome\n",
        (f"{QUEUES}::test_a_callback_is_stored_before_the_queue_is_read",),
    ),
    Mutant(
        "turns: a cancel is looked for before the callback is stored",
        "src/closeout/engine/lambda_.py",
        "            return self._advance(execution, remaining, None)\n",
        "            pass\n",
        (f"{QUEUES}::test_a_cancel_during_the_storing_of_the_callback_takes_effect",),
    ),
    Mutant(
        "turns: everybody in a queue asks Lambda",
        "src/closeout/engine/key_queue.py",
        "        return wake_up is not None and now < wake_up.until + SUSPECT",
        "        return False",
        (f"{QUEUES}::test_only_the_first_in_line_asks_lambda_about_the_holder",),
    ),
    Mutant(
        "turns: a first in line that is dead blocks its queue",
        "src/closeout/engine/key_queue.py",
        "        return wake_up is not None and now < wake_up.until + SUSPECT",
        "        return wake_up is not None",
        (f"{QUEUES}::test_only_the_first_in_line_asks_lambda_about_the_holder",),
    ),
    Mutant(
        "handover: an event of another execution ends the run",
        "src/closeout/lambdas/failed_executions.py",
        "if change is not None and objects.ledger.attempts.is_current(execution, change.name, change.arn):",
        "if change is not None:",
        (f"{EVENTS}::test_an_event_about_an_execution_that_another_one_continues_ends_nothing",),
    ),
    Mutant(
        "handover: the clock names the next execution",
        "src/closeout/ledger/dynamodb/starts.py",
        "execution_name(execution, number))",
        "execution_name(execution, number and round(self._now())))",
        (f"{QUEUES}::test_a_handover_has_a_number_and_repeating_it_starts_nothing",),
    ),
    Mutant(
        "handover: a late one starts an execution again",
        "src/closeout/ledger/dynamodb/attempts.py",
        "(attribute_not_exists(continued) OR continued <= :number)",
        "(attribute_not_exists(continued) OR continued >= :number)",
        (f"{QUEUES}::test_a_handover_has_a_number_and_repeating_it_starts_nothing",),
    ),
    Mutant(
        "handover: a late note of the first start takes the successor's place",
        "src/closeout/stack/table.py",
        'f"attribute_exists(pk) AND {current}"',
        '"attribute_exists(pk)"',
        (f"{QUEUES}::test_a_start_that_is_recorded_late_does_not_replace_its_successor",),
    ),
    Mutant(
        "handover: a predecessor's end counts as the run's",
        "src/closeout/ledger/dynamodb/starts.py",
        "            return self.ensure(execution)  # it ended because another one continues it since\n",
        "            pass\n",
        (f"{QUEUES}::test_a_run_handed_over_while_lambda_is_asked_stays_alive",),
    ),
    Mutant(
        "handover: each of two that revive a run starts an execution",
        "src/closeout/ledger/dynamodb/starts.py",
        "            self.hand_over(execution, number)\n",
        "            self.hand_over(execution, self._attempts.in_lambda(execution).number)\n",
        (f"{QUEUES}::test_two_concurrent_revivals_of_a_run_start_one_execution",),
    ),
)
