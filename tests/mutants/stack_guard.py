"""Sabotages of the guard on AWS: who may ask, what it may read, and that nothing but "open" is a yes."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CLOSINGS = "tests/contract/test_closings_of_a_pull_request.py"
LEDGERS = "tests/contract/test_ledgers.py"
FUNCTION = "tests/unit/lambdas/test_guard.py"
ENDPOINT = "tests/unit/server/test_guard_endpoint.py"
TOKENS = "tests/unit/adapters/test_oidc.py"
TEMPLATE = "cdk/tests/test_guard.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "the receiver does not name a closing's runs for the guard",
        "src/closeout/lambdas/delivery_writer.py",
        "            items += closings.closing_items(delivery._asdict(), name, listed, until)\n",
        "",
        (f"{LEDGERS}::TestDynamodb",),
    ),
    Mutant(
        "the guard of a stack minds the case of a repository's name",
        "src/closeout/stack/closings.py",
        "{repository.lower()}#{number}",
        "{repository}#{number}",
        (f"{LEDGERS}::TestDynamodb",),
    ),
    Mutant(
        "every event is a teardown for the guard of a stack",
        "src/closeout/stack/closings.py",
        '(delivery["event"], delivery.get("action")) != (EVENT, ACTION) or not runs',
        "not runs",
        (f"{LEDGERS}::TestDynamodb",),
    ),
    Mutant(
        "what an expired delivery left refuses the next one",
        "src/closeout/stack/closings.py",
        ' or item["pk"]["S"].startswith(CLOSINGS)',
        "",
        (f"{CLOSINGS}::test_an_expired_delivery_is_accepted_again_while_its_closing_is_kept",),
    ),
    Mutant(
        "the guard of a stack does not see a late rerun",
        "src/closeout/ledger/dynamodb/attempts.py",
        '        items += closing_items({**row, "received_at": at}, row["delivery"], (run_id,), expires)\n',
        "",
        (f"{CLOSINGS}::test_a_rerun_is_found_after_its_closing_expired",),
    ),
    Mutant(
        "the guard of a stack does not see a replay",
        "src/closeout/ledger/dynamodb/attempts.py",
        "            items += closing_items(row, name, (run.run_id,), expires)\n",
        "",
        (f"{LEDGERS}::TestDynamodb",),
    ),
    Mutant(
        "the guard of a stack reads a run's first attempt",
        "src/closeout/ledger/dynamodb/teardowns.py",
        "newest_first=True",
        "newest_first=False",
        (f"{LEDGERS}::TestDynamodb",),
    ),
    Mutant(
        "too many closings to read are none",
        "src/closeout/ledger/dynamodb/teardowns.py",
        "            raise StoreUnavailable(",
        "            return []\n            raise StoreUnavailable(",
        (f"{CLOSINGS}::test_a_lookup_costs_one_query_and_one_read_per_run",),
    ),
    Mutant(
        "an unknown is a yes over HTTP",
        "src/closeout/run/guard.py",
        '"unknown": 503',
        '"unknown": 200',
        (f"{ENDPOINT}::test_each_verdict_has_a_status",),
    ),
    Mutant(
        "a question may bring two tokens",
        "src/closeout/run/guard.py",
        "    if len(authorization) != 1 or not (",
        "    if not authorization or not (",
        (f"{FUNCTION}::test_an_invalid_request_is_refused_before_any_call",),
    ),
    Mutant(
        "a defect of the guard is a yes",
        "src/closeout/lambdas/guard.py",
        "        status, body = 500, FAILED\n",
        "        status, body = 200, FAILED\n",
        (f"{FUNCTION}::test_a_bug_is_500_and_its_text_stays_inside",),
    ),
    Mutant(
        "a late deploy brings no recheck forward on AWS",
        "src/closeout/lambdas/guard.py",
        "        late=recheck_now,\n",
        "",
        (f"{FUNCTION}::test_a_late_deploy_brings_the_recheck_forward",),
    ),
    Mutant(
        "a recheck that cannot be started loses the answer",
        "src/closeout/lambdas/guard.py",
        "        except ServiceError as error:",
        "        except ValueError as error:",
        (f"{FUNCTION}::test_a_late_deploy_brings_the_recheck_forward",),
    ),
    Mutant(
        "a wildcard names every owner",
        "src/closeout/wiring/workflow_guard.py",
        "            if any(pattern.lower().startswith(owner) for pattern in one.repositories)",
        "            if one.repositories",
        (f"{FUNCTION}::test_an_automation_must_name_the_owner",),
    ),
    Mutant(
        "a key is used for as long as GitHub cannot be asked",
        "src/closeout/adapters/oidc.py",
        "                    if age > FRESH:\n",
        "                    if False:\n",
        (f"{TOKENS}::test_an_outage_of_github_does_not_extend_a_keys_life",),
    ),
)
STACK: tuple[Mutant, ...] = (
    Mutant(
        "the guard's role reads every partition",
        "cdk/closeout_cdk/guard.py",
        '("dynamodb:Query",), table, only=permissions.partitions(layout.RUN)',
        '("dynamodb:Query",), table',
        (f"{TEMPLATE}::test_its_role_reads_two_kinds_of_partitions_and_nothing_else_of_the_table",),
    ),
    Mutant(
        "a guard opens the webhook",
        "cdk/closeout_cdk/api.py",
        "        statements.append(statement(iam.Effect.DENY, hooks, NotIpAddress=github))",
        '        statements.append(statement(iam.Effect.DENY, ["*/"], NotIpAddress=github))',
        (f"{TEMPLATE}::test_each_path_is_open_to_its_own_addresses",),
    ),
    Mutant(
        "everybody may ask whatever the parameter says",
        "cdk/closeout_cdk/api.py",
        "    if given.guard:\n",
        "    if False:\n",
        (f"{TEMPLATE}::test_each_path_is_open_to_its_own_addresses",),
    ),
    Mutant(
        "a stack has a guard by itself",
        "cdk/closeout_cdk/parameters.py",
        '"guard": ("guard", "off", _guard)',
        '"guard": ("guard", "any", _guard)',
        (f"{TEMPLATE}::test_a_stack_has_no_guard_unless_its_parameters_ask_for_it",),
    ),
)
