"""Sabotages of what an invocation on AWS reads and writes at once, so that a run begins with few requests."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

REMOTE = "tests/contract/test_remote_engine.py"
TABLE = "tests/unit/ledger/dynamodb/test_table.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "invocations: a write does not notice a cancel",
        "src/closeout/ledger/dynamodb/executions.py",
        "same_cancel=bool(operations)",
        "same_cancel=False",
        (f"{REMOTE}::test_a_cancel_is_noticed_by_the_write_before_the_next_operation",),
    ),
    Mutant(
        "invocations: what an operation did is lost with a cancel",
        "src/closeout/engine/invocation.py",
        "            if self.record.run.cancel == before:\n",
        "            if True:\n",
        (f"{REMOTE}::test_a_cancel_is_noticed_by_the_write_before_the_next_operation",),
    ),
    Mutant(
        "invocations: the ledger's last answer counts for ever",
        "src/closeout/engine/invocation.py",
        "        if not 0.0 <= self.now() - self._asked_at < FRESH:\n",
        "        if self._asked_at < 0:\n",
        (f"{REMOTE}::test_a_second_invocation_is_noticed_before_a_new_operation_begins",),
    ),
    Mutant(
        "invocations: a claim that was lost before everything was read begins the run",
        "src/closeout/engine/invocation.py",
        "        self._hear(loaded.status)\n",
        "",
        (f"{REMOTE}::test_a_claim_that_was_lost_during_the_read_begins_nothing",),
    ),
    Mutant(
        "invocations: what is stored with the next operation is not stored",
        "src/closeout/engine/invocation.py",
        "        operations = (*self._later, operation)\n",
        "        operations = (operation,)\n",
        (f"{REMOTE}::test_a_run_begins_with_five_requests",),
    ),
    Mutant(
        "invocations: the holder of a long queue is not looked for",
        "src/closeout/ledger/dynamodb/executions.py",
        "if len(found) == SEEN_AHEAD else None",
        "if not found else None",
        (f"{REMOTE}::test_the_run_ahead_is_found_however_long_the_queue_is",),
    ),
    Mutant(
        "invocations: an item that DynamoDB left for later is absent",
        "src/closeout/ledger/dynamodb/table.py",
        "            if not left:\n",
        "            if True:\n",
        (f"{TABLE}::test_several_items_are_read_at_once_in_the_order_of_their_keys",),
    ),
    Mutant(
        "invocations: several items are read as they were",
        "src/closeout/ledger/dynamodb/table.py",
        '{"Keys": left, "ConsistentRead": True}',
        '{"Keys": left}',
        (f"{TABLE}::test_reads_are_consistent_and_lists_are_not",),
    ),
)
