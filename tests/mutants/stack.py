"""Sabotages of what each role on AWS may write and believe, and of how the receiver calls AWS."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

TRUST = "tests/contract/test_remote_trust.py"

RUN = "tests/unit/lambdas/test_run.py"
CLIENTS = "tests/unit/lambdas/test_clients.py"

TOGETHER = "tests/unit/actions/aws/test_together.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "the resources of a stack are read one after the other",
        "src/closeout/actions/aws/together.py",
        "    if len(items) < 2:",
        "    if items:",
        (f"{TOGETHER}::test_reads_run_concurrently_and_their_results_keep_the_order",),
    ),
    Mutant(
        "all resources of a stack are read at once",
        "src/closeout/actions/aws/together.py",
        "ThreadPoolExecutor(min(AT_ONCE, len(items)),",
        "ThreadPoolExecutor(len(items),",
        (f"{TOGETHER}::test_concurrent_reads_are_limited",),
    ),
    Mutant(
        "what is throttled is read again at the same pace",
        "src/closeout/actions/aws/together.py",
        "            slowly.set()\n            return ()\n",
        "            raise\n",
        (f"{TOGETHER}::test_throttled_reads_are_repeated_one_after_the_other",),
    ),
    Mutant(
        "a run's environment starts with boto3",
        "src/closeout/lambdas/run.py",
        "from closeout.lambdas.lazy_clients import lazy_clients",
        "import boto3\nfrom closeout.lambdas.lazy_clients import lazy_clients",
        (f"{RUN}::test_the_start_imports_no_sdk_and_little_else",),
    ),
    Mutant(
        "the configuration is read before pending",
        "src/closeout/wiring/stack_runtime.py",
        "            has_token=self._clients.has_token,",
        "            has_token=bool(self._loaded),",
        (f"{RUN}::test_pending_is_posted_before_anything_else_is_imported",),
    ),
    Mutant(
        "a later invocation advances outside of the SDK",
        "src/closeout/lambdas/run.py",
        '        if operation["Type"] != "EXECUTION" or state.get("NextMarker"):',
        "        if False:",
        (f"{RUN}::test_every_other_event_goes_to_the_sdk",),
    ),
    Mutant(
        "what was advanced already is advanced again",
        "src/closeout/lambdas/run.py",
        "worker.carry_out(engine, first=outcome)",
        "worker.carry_out(engine, first=None)",
        (f"{RUN}::test_a_first_invocation_advances_before_the_sdk_is_there",),
    ),
    Mutant(
        "a refused claim over signed connections is an outage",
        "src/closeout/ledger/dynamodb/table.py",
        'getattr(error.__cause__, "response", None) or error.details or {}',
        'getattr(error.__cause__, "response", None) or {}',
        (f"{CLIENTS}::test_a_failed_condition_differs_from_an_outage",),
    ),
    Mutant(
        "operations stand where the receiver may write",
        "src/closeout/stack/table.py",
        "    return _key(record_partition(run_id), sort)",
        "    return _key(run_partition(run_id), sort)",
        (f"{TRUST}::test_a_runs_record_is_where_the_receiver_may_not_write",),
    ),
    Mutant(
        "a definition that was never deployed is run",
        "src/closeout/ledger/dynamodb/executions.py",
        '            return "unknown"',
        "            return None",
        (f"{TRUST}::test_a_run_with_an_unknown_definition_waits_until_it_is_deployed",),
    ),
    Mutant(
        "a definition stays known for ever",
        "src/closeout/ledger/dynamodb/executions.py",
        'if known is None or from_item(known).get("expires", math.inf) <= self._clock.now():',
        "if known is None:",
        (f"{TRUST}::test_an_expired_definition_is_unknown",),
    ),
    Mutant(
        "a definition is believed once its time is up",
        "src/closeout/engine/invocation.py",
        "            execution = execution._replace(unreadable=UNKNOWN)",
        "            pass",
        (f"{TRUST}::test_a_definition_that_stays_unknown_ends_the_run_at_its_time_limit",),
    ),
    Mutant(
        "the seal is not compared",
        "src/closeout/ledger/dynamodb/executions.py",
        '        if lost is None and from_item(sealed)["seal"] != seal:',
        "        if False:",
        (f"{TRUST}::test_a_run_that_has_begun_refuses_changed_input",),
    ),
    Mutant(
        "the seal is not stored",
        "src/closeout/engine/invocation.py",
        "self._after(*outcomes), operations, self._seal)",
        "self._after(*outcomes), operations, None)",
        (f"{TRUST}::test_a_run_that_has_begun_refuses_changed_input",),
    ),
    Mutant(
        "the seal is not over the payload",
        "src/closeout/ledger/dynamodb/rows.py",
        "(execution.definition.encode(), execution.body)",
        "(execution.definition.encode(),)",
        (f"{TRUST}::test_the_seal_covers_everything_that_was_accepted",),
    ),
    Mutant(
        "a run of the release before is begun again",
        "src/closeout/engine/invocation.py",
        '        elif loaded.doubt == "earlier" and not self._over:',
        "        elif False:",
        (f"{TRUST}::test_a_run_of_the_previous_release_whose_execution_is_over_ends",),
    ),
    Mutant(
        "a status is posted where an unknown definition says",
        "src/closeout/engine/invocation.py",
        '        if loaded.doubt == "unknown":',
        '        if loaded.doubt == "unknown" and not self._over:',
        (f"{TRUST}::test_a_run_with_an_unknown_definition_is_not_ended_from_outside",),
    ),
    Mutant(
        "an answer that trickles in is waited for without an end",
        "src/closeout/adapters/deadline.py",
        "        self._socket.settimeout(self._left())\n        return self._file.readinto(buffer)",
        "        return self._file.readinto(buffer)",
        (
            "tests/unit/lambdas/test_time.py::test_a_call_ends_with_the_time_of_its_request_and_the_next_does_not_begin",
        ),
    ),
    Mutant(
        "the receiver speaks to a server that nobody vouches for",
        "src/closeout/lambdas/aws_client.py",
        "ssl.create_default_context(cafile=bundle)",
        "ssl._create_unverified_context()",
        ("tests/unit/lambdas/test_trust.py",),
    ),
    Mutant(
        "calls to AWS itself go in the clear when the endpoint names no host",
        "src/closeout/lambdas/aws_client.py",
        " and self._endpoint is not None\n",
        "\n",
        ("tests/unit/lambdas/test_aws_client.py::test_only_an_emulator_is_called_without_tls",),
    ),
)
